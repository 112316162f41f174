"""Reliability diagrams: observed frequency against predicted probability."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biocnn.core.palette import BLUE
from biocnn.core.plurals import plural
from biocnn.metrics import ece, labelled
from biocnn.metrics.weighted import BINS, bins_of_equal_mass
from biocnn.report.blocks import Text, short
from biocnn.report.figures import FAINT, MUTED, Gallery, Picture, letter, new_figure
from biocnn.report.headline import number
from biocnn.report.results import Results
from biocnn.report.sample_size import CALIBRATED

_MOST = 4  # outputs in the figure
_IN_BIN, _FEWEST = 20, 3  # examples of a bin, and bins


def reliability(results: Results, gallery: Gallery, mean: pd.DataFrame, truth: pd.DataFrame) -> list[Picture | Text]:
    """Draw the reliability diagram with and without temperature; nothing if the runs have no temperature.

    Parameters
    ----------
    results, gallery
        As for the sections.
    mean, truth
        Mean probability over runs and target of each example; rows by id, columns by output.
    """
    metadata = {run: results.metadata(run) for run in results.runs}
    temperatures = {run: found.temperature for run, found in metadata.items() if found and found.temperature}
    if not temperatures:
        return []
    if len(mean) < CALIBRATED:
        return [Text(f"{plural(len(mean), 'held-out example')}: too few for a reliability diagram and the ECE.")]
    plain = _without(results, temperatures).loc[mean.index]
    fitted = np.mean(list(temperatures.values()), axis=0)  # one per output, or one for all
    if results.task and results.task.exclusive:
        pairs = {"likeliest class": [_likeliest(frame, truth) for frame in (plain, mean)]}
    else:
        known = {name: k for k, name in enumerate(results.outputs) if truth[k].nunique() == 2}
        pairs = {
            name: [labelled(truth[k].to_numpy(), frame[k].to_numpy())[::-1] for frame in (plain, mean)]
            for name, k in list(known.items())[:_MOST]
        }
        fitted = fitted if len(fitted) == 1 else fitted[list(known.values())[:_MOST]]
    each = [number(one, 2) for one in fitted]
    caption = (
        f"Observed frequency against predicted probability, in {_bins(len(mean))} bins with equal numbers of held-out "
        "examples; "
        f"dotted: perfect calibration. Logits are divided by a temperature ({', '.join(each)}"
        + (", mean of the runs" if len(temperatures) > 1 else "")
        + ") fitted on the validation split; it is closer to 1 if that split is small. The validation split also "
        "determined the epoch, so only held-out examples can assess calibration. ECE (expected calibration error): "
        f"mean distance from the dotted line in {BINS} such bins, above 0 by chance even for perfect probabilities."
    )
    alt = "Reliability diagram: observed frequency against predicted probability, with and without temperature"
    return [gallery.add("reliability", diagram(pairs), alt, caption)] if pairs else []


def _likeliest(frame: pd.DataFrame, truth: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of the likeliest class, and whether it is the true one."""
    target, p = labelled(truth.to_numpy(), frame.to_numpy())
    return p.max(axis=1), (p.argmax(axis=1) == target.argmax(axis=1)).astype(float)


def _without(results: Results, temperatures: dict[str, list[float]]) -> pd.DataFrame:
    """Return the mean probability over runs without temperature, by id."""
    from biocnn.tasks.temperature import classes_without_temperature, without_temperature

    undo = classes_without_temperature if results.task and results.task.exclusive else without_temperature
    frames = []
    for run, found in temperatures.items():
        frame = results.vectors(run, results.split)
        frames.append(pd.DataFrame(undo(frame.to_numpy(), found), index=frame.index))
    return pd.concat(frames).groupby(level=0, sort=False).mean()


def diagram(pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> Figure:
    """Draw observed frequency against predicted probability, one panel per output.

    Parameters
    ----------
    pairs
        Pairs (probability, target) without and with temperature, by output.
    """
    figure = new_figure(3.0, 2.6 * len(pairs))
    for axes, symbol, (name, (before, after)) in zip(
        figure.subplots(1, len(pairs), squeeze=False)[0],
        "abcd" if len(pairs) > 1 else [""],
        pairs.items(),
        strict=False,
    ):
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":", zorder=1)
        _line(axes, *before, MUTED, "without temperature")
        _line(axes, *after, BLUE, "with temperature")
        errors = f"ECE {number(ece(*before))}\nwith temperature {number(ece(*after))}"
        points = np.concatenate([line.get_xydata() for line in axes.lines[1:]])
        above = points[:, 1].mean() > points[:, 0].mean()  # where lines are: words are on the other side
        x, y, ha, va = (0.96, 0.04, "right", "bottom") if above else (0.04, 0.96, "left", "top")
        axes.text(x, y, errors, transform=axes.transAxes, ha=ha, va=va)
        letter(axes, symbol, short(name, 28))
        axes.set(xlabel="Predicted probability", ylabel="Observed frequency", box_aspect=1)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _line(axes: Axes, probability: np.ndarray, target: np.ndarray, colour: str, name: str) -> None:
    which = bins_of_equal_mass(np.ones((1, len(probability))), probability, _bins(len(probability)))[0]
    bins = pd.DataFrame({"p": probability, "y": target}).groupby(which).mean()
    axes.plot(bins["p"], bins["y"], "o-", color=colour, markersize=3, linewidth=0.9, label=name)


def _bins(number: int) -> int:
    """Return a number of bins with so many examples that their frequencies are more than noise."""
    return min(BINS, max(_FEWEST, number // _IN_BIN))
