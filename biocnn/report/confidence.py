"""The section on confidence for images: calibration, risk against coverage, and images to annotate next."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biocnn.core.palette import BLUE, GREEN, VERMILION
from biocnn.report.blocks import Section, Table, Text, short, table
from biocnn.report.figures import FAINT, MUTED, SERIES, Gallery, Picture, letter, new_figure
from biocnn.report.headline import number
from biocnn.report.results import Results
from biocnn.report.sample_size import small

_METHODS = {
    "ensemble": "the spread over runs",
    "dropout": "Monte-Carlo dropout",
    "augment": "flips and rotations of the image",
}
_NEXT = 10  # images in the list
_NAME = 60  # letters of the name of an image, because names may differ anywhere
_FEWEST = 5  # objects in a bin that is shown


def confidence(results: Results, gallery: Gallery) -> Section:
    """Show reliability, risk against coverage, uncertainty of matched and unmatched objects, and what to annotate."""
    section = Section("confidence", "Confidence")
    calibration, curve = _first(results, "calibration"), _first(results, "risk_coverage")
    if not len(calibration):
        return section
    if small(results):  # a curve over a few images is noise
        curve = curve.iloc[:0]
    objects, summary = _first(results, "per_object"), _first(results, "summary")
    detects = bool(results.task and results.task.detects)
    of = "score of boxes" if detects else "probability of pixels (confidence of objects)"
    caption = f"Held-out images. a: observed frequency against predicted {of}; dotted: perfect calibration."
    alt = "Reliability of probabilities"
    if len(curve):
        alt += ", and risk against coverage"
        caption += (
            " b: mean loss of the remaining images when images are removed by uncertainty, at random, or in the best "
            "possible order."
        )
    if results.task and (results.task.objects or detects):
        if len(objects):
            alt += ", and uncertainty of matched and unmatched objects"
            caption += f" {'c' if len(curve) else 'b'}: uncertainty of objects that match a true object at an IoU of "
            caption += ".5, and of those that do not."
    else:  # pieces of a mask need not be objects, for example vessels
        objects, calibration = objects.iloc[:0], calibration[calibration["of"] == "pixels"]
        summary = summary[summary["of"] != "objects"]
    if not len(curve):
        summary = summary[summary["of"] != "images"]
        caption += f" There are {small(results)}, too few for a curve of risk against coverage."
    section.blocks.append(Text(_described(results, summary)))
    section.blocks.append(gallery.add("confidence", _figure(calibration, curve, objects), alt, caption))
    section.blocks.extend(_next(results))
    return section


def _first(results: Results, name: str) -> pd.DataFrame:
    """Return the rows of the reported split and the first method, which makes the maps."""
    found = results.table(f"uncertainty/{name}.tsv")
    if not len(found):
        return found
    found = found[found["method"] == found["method"].iloc[0]]
    return found[found["split"] == results.split] if "split" in found else found


def _described(results: Results, summary: pd.DataFrame) -> str:
    method = summary["method"].iloc[0]
    values = summary.set_index(["of", "measure"])["value"]
    how = _METHODS.get(method, method)
    if method == "ensemble" and len(results.runs) == 1:
        how = "the entropy of the probabilities of a single network"
    if results.task and results.task.detects:
        how = "the scores of the boxes" + ", fused over runs" * (len(results.runs) > 1)
    parts = [f"Uncertainty is estimated from {how}."]
    if np.isfinite(values.get(("objects", "auroc"), np.nan)):  # both kinds exist
        parts.append(f"It separates unmatched from matched objects with AUROC {number(values['objects', 'auroc'])}.")
    if np.isfinite(values.get(("classes", "auroc"), np.nan)):
        separated = number(values["classes", "auroc"])
        parts.append(
            f"The entropy of the classes of an object separates wrong from right classes with AUROC {separated}."
        )
    if ("images", "area_risk") in values:
        risk, random, oracle = (values["images", f"area_{name}"] for name in ("risk", "random", "oracle"))
        parts.append(
            f"The area under the risk–coverage curve is {number(risk)} (random order {number(random)}, best order "
            f"{number(oracle)})."
        )
    return " ".join(parts)


def _figure(calibration: pd.DataFrame, curve: pd.DataFrame, objects: pd.DataFrame) -> Figure:
    figure = new_figure(2.75)
    panels = [name for name, rows in (("risk", curve), ("objects", objects)) if len(rows)]
    reliability, *others = figure.subplots(1, max(2, 1 + len(panels)))
    _reliability(reliability, calibration)
    figure.legend(*reliability.get_legend_handles_labels(), loc="outside lower left", ncols=6)
    for axes, name, symbol in zip(others, panels, "bc", strict=False):
        if name == "risk":
            _risk(axes, curve, symbol)
        else:
            _apart(axes, objects, symbol)
    for axes in others[len(panels) :]:
        axes.remove()
    return figure


def _risk(axes: Axes, curve: pd.DataFrame, symbol: str) -> None:
    """Draw the mean loss of the images that are kept."""
    for name, colour, title in (
        ("random", FAINT, "at random"),
        ("oracle", GREEN, "best order"),
        ("risk", BLUE, "by uncertainty"),
    ):
        axes.plot(curve["coverage"], curve[name], color=colour, label=title)
    letter(axes, symbol, "Risk and coverage")
    axes.set(xlabel="Fraction of images kept", ylabel="Mean loss", xlim=(0, 1.02), box_aspect=1)
    axes.set_ylim(bottom=0, top=1.35 * axes.get_ylim()[1])
    axes.legend(loc="upper left")


def _reliability(axes: Axes, calibration: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":")
    for colour, ((of, output), bins) in zip(SERIES, calibration.groupby(["of", "output"], sort=False), strict=False):
        bins = bins if of == "pixels" else bins[bins["n"] >= _FEWEST]
        axes.plot(bins["probability"], bins["frequency"], "o-", color=colour, markersize=3, linewidth=1, label=output)
    letter(axes, "a", "Reliability")
    axes.set(
        xlabel="Predicted probability",
        ylabel="Observed frequency",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        box_aspect=1,
    )


def _apart(axes: Axes, objects: pd.DataFrame, symbol: str) -> None:
    """Draw histograms of the uncertainty of matched and unmatched objects, each normalised to its own number."""
    letter(axes, symbol, "Objects")
    axes.set(xlabel="Uncertainty", ylabel="Fraction of objects", box_aspect=1)
    edges = np.linspace(0, max(objects["uncertainty"].max(), 1e-6), 16)
    for matched, colour, title in ((1, MUTED, "matched"), (0, VERMILION, "not matched")):
        values = objects.loc[objects["matched"] == matched, "uncertainty"].to_numpy()
        weights = np.full(len(values), 1 / max(len(values), 1))
        name = f"{title} (n = {len(values):,})"
        axes.hist(values, edges, weights=weights, histtype="step", color=colour, linewidth=1.3, label=name)
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])
    axes.legend(loc="upper right")


def _next(results: Results) -> list[Table | Picture]:
    found = results.table("uncertainty/annotate_next.tsv")
    if not len(found):
        return []
    rows = [
        [row.rank, short(row.id, _NAME), number(row.uncertainty), row.reason] for row in found.head(_NEXT).itertuples()
    ]
    caption = "Images to annotate next: the most uncertain ones that do not resemble each other."
    return [table(caption, ["Rank", "Image", "Uncertainty", "Reason"], rows, "Rank, Uncertainty", "annotate_next.tsv")]
