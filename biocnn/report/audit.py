"""The section on shortcuts, or of maps on baselines: the network compared with simple models of the same examples."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biocnn.core.palette import BLUE, GREEN, ORANGE, SKY, VERMILION
from biocnn.evaluation.audit import NETWORK
from biocnn.evaluation.baselines import COVARIATES, SIGNAL
from biocnn.metrics import ERRORS
from biocnn.report.blocks import Section, Table, Text, short, table
from biocnn.report.figures import FAINT, MUTED, Gallery, letter, new_figure
from biocnn.report.headline import gains, interval, metric_name, number
from biocnn.report.negatives import negatives
from biocnn.report.results import Results

_COLOURS = {"GC content": FAINT, "dinucleotides": SKY, "6-mers": ORANGE, "intensities": SKY, "thumbnail": ORANGE}
_COLOURS |= {"input": FAINT, "best filter": ORANGE, "linear map": ORANGE}
_COLOURS |= {
    "nearest": FAINT,
    "bilinear": SKY,
    "linear": SKY,
    "bicubic": ORANGE,
    "cubic spline": ORANGE,
    "Lanczos": GREEN,
}
_COLOURS |= {"constant": FAINT, "brightness": GREEN}
_COLOURS |= {"extreme intensities": ORANGE}
_COLOURS |= {"base rate": FAINT, "mean profile": FAINT, "6-mers around the base": ORANGE}
_COLOURS |= {NETWORK: GREEN, COVARIATES: MUTED, SIGNAL: MUTED, f"6-mers + {SIGNAL}": VERMILION}
_MOST = 16  # outputs in the figure


def audit(results: Results, gallery: Gallery) -> Section:
    """Compare the network with each baseline in a table, and in a figure with their differences."""
    baselines = bool(results.task and results.task.baselines)
    section, found = Section("audit", "Baselines" if baselines else "Shortcuts"), results.audit
    # Outputs with only one class in this split have no metric.
    found = found[(found["split"] == results.split) & found["difference"].notna()] if len(found) else found
    if len(found) and len(results.metrics):  # not numbers that are neither good nor bad, such as the true count
        found = found[found["metric"].isin(results.metrics["metric"])]
    if not len(found):
        return section
    found = found.assign(**gains(found))
    section.blocks.append(Text(_described(results)))
    if NETWORK in set(found["baseline"]):
        section.blocks.append(Text(f"Words are mixed with the network; “{NETWORK}” is without them."))
    several = found["output"].nunique() > 1
    metrics = results.headline[:1] if baselines else results.headline  # units of several metrics do not compare
    figure = by_output(found, metrics[0]) if several else by_metric(found[found["metric"].isin(metrics)])
    best = "; b: network minus best baseline" if several else f"; {'abc'[len(metrics)]}: network minus each baseline"
    over = results.input.resampled.split(" (")[0] if results.input else "groups of images"
    runs = "; below it, mean and s.d. of its runs" * _repeated(found)
    caption = (
        f"Baseline models and the network (diamond{runs}) on held-out examples{best}. "
        f"Bars: 95% confidence intervals by bootstrap over {over}; dark orange: the network is not clearly better."
    )
    alt = "Metrics of the baseline models and the network, and their differences"
    section.blocks.append(gallery.add("audit", figure, alt, caption))
    section.blocks.extend([_table(found), *negatives(results)])
    return section


def _described(results: Results) -> str:
    fitted = results.table("baselines/baselines.tsv")
    if results.task and results.task.baselines:
        each = fitted[["baseline", "is"]].drop_duplicates("baseline") if len(fitted) else fitted
        rows = each.itertuples(index=False)
        named = "; ".join(what if what.startswith(name) else f"{name}: {what}" for name, what in rows)
        return f"Does the network do better than simple methods? {named}."
    words = results.input.about_baselines if results.input else ""
    words += " Each was fitted on the training split, with the penalty chosen on the validation split."
    if not len(fitted):
        return words
    if "constant" in set(fitted["baseline"]):
        words += " For numbers also: the mean of the training split (constant), and a line on mean brightness."
    if COVARIATES in set(fitted["baseline"]):
        words += " All of them receive the covariates too, and one receives these alone."
    if SIGNAL in set(fitted["baseline"]):
        words += " One receives the mean of each track alone, and one these and the 6-mers."
    if "strands" in fitted and (fitted["strands"] == "both").any():
        words += " A k-mer and its reverse complement count as one."
    fewer = fitted[fitted["n"] < fitted["n_train"]]
    if len(fewer):
        used, available = fewer["n"].iloc[0], fewer["n_train"].iloc[0]
        words += f" To save time, they were fitted on {used:,} of {available:,} training examples."
    return words


def _lines(names: Iterable[str]) -> list[str]:
    """Return names of baselines, those of two models on two lines."""
    return [name.replace(" + ", "\n+ ") for name in names]


def _colour(baseline: str) -> str:
    return _COLOURS[baseline.removesuffix(f" + {COVARIATES}")]


def _repeated(found: pd.DataFrame) -> bool:
    """Return whether there are several runs."""
    return bool(found["sd_of_runs"].notna().any())


def _table(found: pd.DataFrame) -> Table:
    """Build a table with one row per baseline, metric and output, and the runs of the network."""
    several, repeated = found["output"].nunique() > 1, _repeated(found)
    rows = []
    for row in found.itertuples():
        runs = [f"{number(row.mean_of_runs)}\n± {number(row.sd_of_runs)}"] * repeated
        value = f"{number(row.value)}\n{interval(row.low, row.high)}".strip()
        apart = f"{number(row.difference)}\n{interval(row.difference_low, row.difference_high, ' to ')}".strip()
        names = [row.output] if several else []
        rows.append([*names, metric_name(row.metric), row.baseline, value, number(row.network), *runs, apart])
    header = [*["Output"] * several, "Metric", "Baseline", "Baseline value", "Network"]
    header += [*["Mean of runs"] * repeated, "Difference"]
    spread = "; ±: standard deviation over runs" * repeated
    caption = (
        f"Network and baselines on {found['n'].iloc[0]:,} examples. Difference: network minus baseline. Small "
        f"print: 95% confidence intervals, for differences by paired bootstrap (same resamples for both){spread}."
    )
    return table(caption, header, rows, "Baseline value, Network, Mean of runs, Difference", "audit.tsv")


def by_metric(found: pd.DataFrame) -> Figure:
    """Draw the models in a panel per metric, and their differences, for one output.

    Parameters
    ----------
    found
        Rows of audit.tsv for one split and output.
    """
    figure, names = new_figure(1.9), list(dict.fromkeys(found["metric"]))
    panels = figure.subplots(1, len(names) + 1, sharey=True)
    places = {baseline: place for place, baseline in enumerate(dict.fromkeys(found["baseline"]))}
    for axes, symbol, name in zip(panels, "abc", names, strict=False):
        rows = found[found["metric"] == name]
        _models(axes, rows, places)
        letter(axes, symbol, metric_name(name))
    alike = names[:1] if names[0] in ERRORS else names  # metrics on one scale
    _differences(panels[-1], [found[found["metric"] == name] for name in alike], alike, places)
    panels[0].set_yticks(range(len(places) + 1), [*_lines(places), "network"])
    panels[0].set_ylim(len(places) + 0.6, -0.6)
    letter(panels[-1], "abc"[len(names)], "Network minus baseline")
    return figure


def _models(axes: Axes, rows: pd.DataFrame, places: dict[str, int]) -> None:
    for row in rows.itertuples():
        place = places[row.baseline]
        axes.plot([row.low, row.high], [place, place], color=_colour(row.baseline), linewidth=2)
        axes.plot(row.value, place, "o", color=_colour(row.baseline), markersize=5, markeredgecolor=MUTED)
    first, place = rows.iloc[0], len(places)
    axes.axvline(first["network"], color=BLUE, linewidth=0.8, linestyle=":")
    axes.plot(first["network"], place, "D", color=BLUE, markersize=5)
    if np.isfinite(first["sd_of_runs"]):
        sd = {"xerr": first["sd_of_runs"], "linewidth": 0.8, "markersize": 4}
        axes.errorbar(first["mean_of_runs"], place + 0.35, fmt="o", color=BLUE, **sd)
    axes.margins(x=0.08)


def _differences(axes: Axes, parts: list[pd.DataFrame], names: list[str], places: dict[str, int]) -> None:
    axes.axvline(0, color=MUTED, linewidth=0.8)
    for shift, colour, rows, name in zip((-0.13, 0.13), (BLUE, GREEN), parts, names, strict=False):
        for row in rows.itertuples():
            place = places[row.baseline]
            ends = [row.difference_low, row.difference_high]
            axes.plot(ends, [place + shift] * 2, color=colour if row.gain_low > 0 else VERMILION, linewidth=1.5)
            axes.plot(row.difference, place + shift, "o", color=colour, markersize=4)
        axes.plot([], [], "o", color=colour, markersize=4, label=metric_name(name))
    axes.margins(x=0.08)
    if len(parts) > 1:
        axes.legend(loc="best")


def by_output(found: pd.DataFrame, metric: str) -> Figure:
    """Draw the models and the difference between network and best baseline, for several outputs.

    Parameters
    ----------
    found
        Rows of audit.tsv for one split.
    metric
        Metric to draw.
    """
    found = found[found["metric"] == metric]
    outputs = list(dict.fromkeys(found["output"]))[:_MOST]
    figure = new_figure(1.1 + 0.22 * len(outputs))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1])
    right.axvline(0, color=MUTED, linewidth=0.8)
    for place, output in enumerate(outputs):
        rows = found[found["output"] == output]
        for row in rows.itertuples():
            left.plot(row.value, place, "o", color=_colour(row.baseline), markeredgecolor=MUTED, markersize=5)
        left.plot(rows["network"].iloc[0], place, "D", color=BLUE, markersize=5)
        best = rows.loc[rows["gain"].idxmin()]
        colour = BLUE if best["gain_low"] > 0 else VERMILION
        right.plot([best["difference_low"], best["difference_high"]], [place, place], color=colour, linewidth=1.5)
        right.plot(best["difference"], place, "o", color=colour, markersize=4)
    for baseline in dict.fromkeys(found["baseline"]):
        left.plot([], [], "o", color=_colour(baseline), markeredgecolor=MUTED, markersize=5, label=baseline)
    left.plot([], [], "D", color=BLUE, markersize=5, label="network")
    left.set_yticks(range(len(outputs)), [short(output, 24) for output in outputs])
    left.set_ylim(len(outputs) - 0.4, -0.6)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    for axes in (left, right):
        axes.margins(x=0.08)
    letter(left, "a", metric_name(metric))
    letter(right, "b", "Network minus best baseline")
    return figure
