"""Performance figures for boxes: classes, curves, images from the worst to the best, confusion, counts and sizes."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import AutoLocator, NullLocator

from biocnn.config.registry import resolve
from biocnn.metrics import match_boxes, match_detections
from biocnn.metrics.boxes import Matched, box_iou, partners_of
from biocnn.metrics.detections import ALARMS, average_precision, counts, sensitivities
from biocnn.metrics.weighted import BINS, ratio
from biocnn.report.blocks import Table, Text, short, table
from biocnn.report.box_panels import class_style
from biocnn.report.figures import FAINT, INK, MUTED, Gallery, Picture, label_decades, letter, new_figure
from biocnn.report.headline import interval, metric_name, number
from biocnn.report.images import Example
from biocnn.report.multiclass import confusion
from biocnn.report.panels import comparison, postcard
from biocnn.report.results import Results
from biocnn.report.segmentation import from_worst_to_best, of_best_run
from biocnn.tasks.target import PARTIAL

_OF_CLASSES = ("ap50", "ap50_95", "f1", "precision", "recall")
_COLOURED = 6  # curves in colour
_SIZES = 6  # bins of sizes
_IN_BIN = 10  # least number of boxes in a bin of scores
_FROC = np.geomspace(1 / 16, 16, 129)  # false positives per image


class Held(NamedTuple):
    """Boxes in the images of the reported split: true ones, all found ones, and those above the thresholds."""

    truth: list[np.ndarray]
    found: list[np.ndarray]
    decided: list[np.ndarray]


def figures(results: Results, gallery: Gallery) -> list[Picture | Table | Text]:
    """Show each class in a table, curves, images, confusion, and counts, sizes and scores."""
    held = held_out(results)
    if held is None:
        return []
    names = results.outputs
    every = match_detections(held.found, held.truth, len(names), (0.5,))
    decided = match_detections(held.decided, held.truth, len(names), (0.5,))
    precision = {k: float(average_precision(np.ones((1, len(held.truth))), one)[0, 0]) for k, one in enumerate(every)}
    known = [k for k, value in precision.items() if np.isfinite(value)]
    shown = sorted(sorted(known, key=precision.__getitem__)[:_COLOURED])
    few = f"; coloured: the {_COLOURED} classes with the smallest AP50" if len(known) > len(shown) else ""
    caption = (
        f"Boxes at an IoU of .5 with a true box of the same class{few}. a: precision and recall when the threshold of "
        "the score is lowered; dots: the threshold chosen on the validation split. b: share of the true boxes that are "
        "found (sensitivity) against the number of false boxes in an image, and its mean over ⅛, ¼, … 8 false boxes "
        "(FROC)."
    )
    blocks: list[Picture | Table | Text] = [_classes(results, decided)]
    if not known:
        return blocks
    figure = curves(names, every, decided, known, shown)
    blocks.append(gallery.add("curves", figure, "Precision-recall and FROC curves of each class", caption))
    blocks += _gallery(results, gallery)
    blocks.append(_confusion(results, gallery, held))
    caption = (
        "a: number of boxes in each image and class, found against true; dotted: equality. b: share of the true boxes "
        "that are found, by size (square root of height × width, in pixels), in bins of equal numbers; bars: 95% "
        "confidence intervals (Wilson). c: share of the found boxes that are right against their score, in bins of "
        "equal numbers; dotted: equality. Scores were calibrated on the validation split. "
        "All with the chosen thresholds."
    )
    alt = "Found against true number of boxes; recall by size; precision by score"
    blocks.append(gallery.add("agreement", agreement(names, held, decided, shown), alt, caption))
    return blocks


def held_out(results: Results) -> Held | None:
    """Return the boxes of the reported split, combined over runs like in evaluation; None without results."""
    dataset, by_id = results.dataset, {}
    for run in results.runs:
        if found := results.predictions(run):
            for place in np.flatnonzero(found[1]["split"] == results.split):
                by_id.setdefault(found[1]["id"][place], []).append(found[0][place])
    if dataset is None or not by_id or results.decided(next(iter(by_id))) is None:
        return None
    rows = {name: row for row, name in enumerate(dataset.examples["id"])}
    return Held(
        [dataset.y[rows[name]] for name in by_id],
        [results.task.combine(found) for found in by_id.values()],
        [results.decided(name) for name in by_id],
    )


def _classes(results: Results, decided: list[Matched]) -> Table:
    """Make a table with one row per class: numbers of boxes, and metrics."""
    found = of_best_run(results, results.metrics)
    cells = {
        (row.output, row.metric): f"{number(row.value)}\n{interval(row.low, row.high)}".strip()
        for row in found.itertuples()
    }
    rows = []
    for name, matched in zip(results.outputs, decided, strict=True):
        output = name if len(results.outputs) > 1 else "all"
        of_metrics = [cells.get((output, metric), "") for metric in _OF_CLASSES]
        rows.append([name, f"{matched.number.sum():,}", f"{len(matched.score):,}", *of_metrics])
    titles = [name[:1].upper() + name[1:] for name in map(metric_name, _OF_CLASSES)]
    header = ["Class", "True boxes", "Found", *titles]
    run = f" ({found['run'].iloc[0]})" if len(found) else ""
    caption = (
        f"Each class on the {results.split} split{run}. AP50, AP50:95: average precision as in COCO at an IoU of .5, "
        "and its mean over .5 to .95. Found, F1, precision, recall: of the boxes above the threshold of their class, "
        "at an IoU of .5."
    )
    if len(found) and found["low"].notna().any():
        caption += " Small print: 95% confidence intervals."
    caption += " –: no true box of the class, or, for precision, none found." * any("–" in row for row in rows)
    return table(caption, header, rows, ",".join(header[1:]), "metrics.tsv")


def curves(
    names: list[str], every: list[Matched], decided: list[Matched], known: list[int], shown: list[int]
) -> Figure:
    """Draw precision against recall, and sensitivity against false boxes, of each class.

    Parameters
    ----------
    names
        Names of the classes.
    every, decided
        All found boxes, and those above the thresholds, matched at an IoU of .5.
    known, shown
        Classes with true boxes, and those of them in colour.
    """
    figure = new_figure(3.1)
    left, right = figure.subplots(1, 2)
    for k in known:
        matched, unit = every[k], np.ones((1, len(every[k].number)))
        recall, precision = precision_recall(matched)
        froc = sensitivities(unit, matched, _FROC)[0]
        (colour, line), order, texts = (FAINT, "-"), 2, ("", "")
        if k in shown:
            area = number(average_precision(unit, matched)[0, 0])
            mean = number(sensitivities(unit, matched)[0].mean())
            (colour, line), order = class_style(k), 3
            texts = f"{short(names[k], 17)} {area}", f"{short(names[k], 17)} {mean}"
            hits, false, missed = counts(decided[k]).sum(axis=0)
            at = ratio(hits, hits + missed), ratio(hits, hits + false)
            left.plot(*at, "o", color=colour, markersize=5, markeredgecolor="white", zorder=4)
        style = {"color": colour, "linestyle": line, "zorder": order}
        left.plot(recall, precision, label=texts[0], **style)
        right.plot(_FROC, froc, label=texts[1], **style)
    letter(left, "a", "Precision and recall")
    left.set(xlabel="Recall", ylabel="Precision", xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), box_aspect=1)
    left.legend(loc="lower left", title="AP50", title_fontsize=7, alignment="left")
    letter(right, "b", "FROC")
    right.set(xlabel="False boxes per image", ylabel="Sensitivity", xscale="log", ylim=(-0.01, 1.02), box_aspect=1)
    right.xaxis.set_minor_locator(NullLocator())
    right.set_xticks(ALARMS, ["⅛", "¼", "½", "1", "2", "4", "8"])
    right.legend(loc="lower right", title="Mean sensitivity", title_fontsize=7, alignment="left")
    return figure


def precision_recall(matched: Matched) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision at each score, highest first; precision is the highest at this recall or above."""
    judged = ~matched.unjudged[0]
    hits = np.append(0, np.cumsum(matched.true[0][judged]))
    precision = np.maximum.accumulate(ratio(hits, np.arange(len(hits)), empty=0)[::-1])[::-1]
    recall = hits / max(matched.number.sum(), 1)
    return np.append(recall, recall[-1]), np.append(precision, 0)


def _gallery(results: Results, gallery: Gallery) -> list[Picture]:
    """Draw the two worst, the median and the best image with true and found boxes; nothing for volumes."""
    if results.facts.spatial_dims != 2:
        return []
    scores = of_best_run(results, results.table("metrics_per_example.tsv"))
    chosen = [
        Example(results.dataset.x[row], results.dataset.y[row], results.decided(name), title)
        for row, name, title in from_worst_to_best(results, scores, ("f1",))
    ]
    if not chosen:
        return []
    panels = resolve(results.task.panels)(results.outputs)
    gallery.thumbnail(postcard(chosen[-1], panels))
    caption = (
        "Images of the held-out split: the two worst, the median and the best by F1. Top: true boxes by class. Bottom: "
        "found boxes that are matched with a true box of their class, confused (at a true box of another class), "
        "doubled (at a true box that is matched already) or false; and true boxes that are missed."
    )
    if any((example.truth[:, 0] == PARTIAL).any() for example in chosen):
        caption += " Grey, dotted: regions that are not judged."
    alt = "Images with true and found boxes, from the worst to the best"
    return [gallery.add("predictions", comparison(chosen, panels), alt, caption, vector=False)]


def _confusion(results: Results, gallery: Gallery, held: Held) -> Picture:
    names, number_of = results.outputs, confused(held, len(results.outputs))
    rows, columns = [*names, "no object"], [*names, "missed"]
    named = pd.DataFrame(number_of, index=rows, columns=columns)
    style = {"found": columns, "xlabel": "Found class", "ylabel": "True class (boxes)", "uncoloured": 1}
    named.to_csv(gallery.folder / "confusion.tsv", sep="\t", index_label="true class")
    caption = (
        "True boxes (rows) by the class of the box that was found there (columns), at an IoU of .5. Last column: true "
        "boxes that are missed; last row: found boxes at no object, or at an object that was found already. Colour: "
        "share of the true boxes of a class. The counts are in figures/confusion.tsv."
    )
    return gallery.add("confusion", confusion(number_of, rows, **style), "Confusion matrix of boxes", caption)


def confused(held: Held, classes: int) -> np.ndarray:
    """Count boxes by true and found class, shape (K + 1, K + 1); the last row is no object, the last column missed."""
    found = np.zeros((classes + 1, classes + 1), int)
    for decided, truth in zip(held.decided, held.truth, strict=True):
        boxes = match_boxes(decided, truth)
        boxes = boxes[boxes["kind"] != "ignored"]
        true = np.where(boxes["kind"].isin(("false", "doubled")), classes, boxes["target_label"])
        np.add.at(found, (true.astype(int), boxes["label"].to_numpy(int)), 1)  # label -1 (missed) is the last column
    return found


def agreement(names: list[str], held: Held, decided: list[Matched], shown: list[int]) -> Figure:
    """Draw numbers of boxes in images, recall by size, and precision by score.

    Parameters
    ----------
    names
        Names of the classes.
    held
        Boxes.
    decided
        Boxes above the thresholds, matched at an IoU of .5.
    shown
        Classes in colour.
    """
    figure = new_figure(2.9)
    left, middle, right = figure.subplots(1, 3)
    _counts(left, names, decided, shown)
    _by_size(middle, held)
    letter(right, "c", "Precision by score")
    right.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
    for k in shown:
        judged = ~decided[k].unjudged[0]
        scores, true = decided[k].score[judged].astype(float), decided[k].true[0][judged]
        bins = min(BINS, len(scores) // _IN_BIN)
        if bins > 1:
            means = [(scores[part].mean(), true[part].mean()) for part in np.array_split(np.argsort(scores), bins)]
            colour, line = class_style(k)
            right.plot(*zip(*means, strict=True), "o", color=colour, linestyle=line, markersize=3, linewidth=0.9)
    right.set(xlabel="Score", ylabel="Precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1)
    style = {"color": "none", "markeredgewidth": 0, "markersize": 4}
    handles = [
        Line2D([], [], marker="o", **style, markerfacecolor=class_style(k)[0], label=short(names[k], 24)) for k in shown
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))
    return figure


def _counts(axes: Axes, names: list[str], decided: list[Matched], shown: list[int]) -> None:
    letter(axes, "a", "Boxes in each image")
    lines, high = [], 1
    for k in shown:
        each = counts(decided[k])
        true, found = each[:, 0] + each[:, 2], each[:, 0] + each[:, 1]
        colour = class_style(k)[0]
        axes.plot(true, found, "o", color=colour, alpha=0.7, markersize=3.5, markeredgewidth=0)
        lines.append(f"{short(names[k], 14)}: MAE {number(np.abs(found - true).mean(), 2)}")
        high = max(high, true.max(), found.max())
    axes.plot([0, high], [0, high], color=MUTED, linewidth=0.8, linestyle=":", zorder=1)
    ends = (-0.04 * high, 1.06 * high)
    axes.set(xlabel="True", ylabel="Found", xlim=ends, ylim=ends, box_aspect=1)
    axes.text(0.04, 0.97, "\n".join(lines[:4]), transform=axes.transAxes, va="top", fontsize=6.5)


def _by_size(axes: Axes, held: Held) -> None:
    """Draw the share of the true boxes that are found in bins of equal numbers, with Wilson intervals."""
    letter(axes, "b", "Recall by size")
    sizes, found = sizes_and_hits(held)
    axes.set(xlabel="Size (pixels)", ylabel="Recall", xscale="log", ylim=(-0.02, 1.02), box_aspect=1)
    places = []
    for part in np.array_split(np.argsort(sizes, kind="stable"), min(_SIZES, len(sizes))):
        low, high = wilson(int(found[part].sum()), len(part))
        places.append((np.median(sizes[part]), found[part].mean()))
        axes.plot(places[-1][:1] * 2, [low, high], color=INK, linewidth=0.9)
    axes.plot(*zip(*places, strict=True), "o-", color=INK, markersize=3.5, linewidth=0.5)
    low, high = (10 ** (np.log10(end) + shift) for end, shift in zip(axes.get_xlim(), (-0.05, 0.05), strict=True))
    axes.set_xlim(low, high)
    label_decades(axes.xaxis)
    if high <= 4 * low:
        axes.xaxis.set_major_locator(AutoLocator())  # for at least two numbers


def sizes_and_hits(held: Held) -> tuple[np.ndarray, np.ndarray]:
    """Return the size of each true box, in pixels, and whether a box of its class was found there."""
    sizes, hits = [], []
    for decided, truth in zip(held.decided, held.truth, strict=True):
        first, opposite = np.split(truth[:, 1:], 2, axis=1)
        ignored = truth[:, 0] == PARTIAL
        same = ignored | (decided[:, :1] == truth[:, 0])
        partners = partners_of(same * box_iou(decided[:, 2:], truth[:, 1:], ignored), ignored, 0.5)
        sizes.append((opposite - first).prod(axis=1)[~ignored] ** (1 / first.shape[1]))
        hits.append(np.isin(np.arange(len(truth)), partners)[~ignored])
    return np.concatenate(sizes), np.concatenate(hits)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a share."""
    z, share = 1.96, hits / n
    middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
