"""Performance figures for one of several classes: confusion, discrimination, calibration, best and worst examples."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from biocnn.config.registry import resolve
from biocnn.metrics import auroc, class_confusion, labelled
from biocnn.report.blocks import Table, Text, short, table
from biocnn.report.curves import precision_points, roc_points
from biocnn.report.figures import FAINT, INK, PAGE_WIDTH, PALE, PRINTED, SERIES, Gallery, Picture, letter, new_figure
from biocnn.report.headline import interval, number
from biocnn.report.reliability import reliability
from biocnn.report.results import Results
from biocnn.report.vectors import held_out

_NUMBERS = 22  # most classes with numbers in the cells of the confusion matrix
_COLOURED = 4  # curves in colour


def multiclass(results: Results, gallery: Gallery) -> list[Picture | Table | Text]:
    """Show each class in a table, the confusion matrix, curves, calibration, and some predictions."""
    mean, truth = held_out(results)
    target, p = labelled(truth.to_numpy(), mean.to_numpy()) if len(mean) else (np.empty(0), np.empty(0))
    if not len(target):
        return []
    counts = class_confusion(p, target)
    named = pd.DataFrame(counts, index=results.outputs, columns=results.outputs)
    named.to_csv(gallery.folder / "confusion.tsv", sep="\t", index_label="true class")
    caption = (
        "Held-out examples of each true class (rows) by their likeliest class (columns). Colour: share of the row; on "
        f"the diagonal, the sensitivity. The counts are in {gallery.path}/confusion.tsv."
    )
    blocks: list[Picture | Table | Text] = [
        _classes(results, counts),
        gallery.add("confusion", confusion(counts, results.outputs), "Confusion matrix", caption),
    ]
    areas = {name: auroc(p[:, k], target[:, k]) for k, name in enumerate(results.outputs)}
    judged = [k for k, name in enumerate(results.outputs) if not np.isnan(areas[name])]
    if judged:
        lines = {results.outputs[k]: (target[:, k], p[:, k]) for k in judged}
        few = f"; coloured: the {_COLOURED} classes with the smallest AUROC" if len(lines) > _COLOURED else ""
        caption = f"Each class against all others, on held-out examples{few}. Thick: mean of all classes."
        blocks.append(gallery.add("curves", one_against_all(lines), "ROC and precision-recall curves", caption))
    blocks += reliability(results, gallery, mean, truth)
    if results.input and results.input.best_and_worst:
        blocks += resolve(results.input.best_and_worst)(results, gallery, mean, truth)
    return blocks


def ordinal(results: Results, gallery: Gallery) -> list[Picture | Table | Text]:
    """Show each grade in a table, true against predicted grades, and some predictions."""
    mean, truth = held_out(results)
    target, p = labelled(truth.to_numpy(), mean.to_numpy()) if len(mean) else (np.empty(0), np.empty(0))
    if not len(target):
        return []
    names = results.outputs
    counts = class_confusion(np.eye(len(names))[results.task.chosen(p)], target)
    pd.DataFrame(counts, index=names, columns=names).to_csv(
        gallery.folder / "confusion.tsv", sep="\t", index_label="true grade"
    )
    steps = np.arange(len(names)) - np.arange(len(names))[:, None]
    rows = []
    for name, row, apart in zip(names, counts, steps, strict=True):
        sums = [(row * each).sum() for each in (apart == 0, np.abs(apart) <= 1, apart)]
        rows.append([name, f"{row.sum():,}", *(number(one / row.sum() if row.sum() else None) for one in sums)])
    header = ["Grade", "n", "Right", "At most one grade off", "Mean error"]
    caption = (
        f"Each grade on the {results.split} split. Predicted: the median grade of the mean probabilities. Mean error: "
        "in grades, below 0 if predicted too low."
    )
    caption += " –: no example of the grade." * bool((counts.sum(axis=1) == 0).any())
    blocks: list[Picture | Table | Text] = [table(caption, header, rows, ",".join(header[1:]), "metrics.tsv")]
    caption = (
        "Held-out examples of each true grade (rows) by predicted grade (columns). Colour: share of the row. The "
        f"counts are in {gallery.path}/confusion.tsv."
    )
    figure = confusion(counts, names, xlabel="Predicted grade", ylabel="True grade (examples)")
    blocks.append(gallery.add("confusion", figure, "True against predicted grades", caption))
    if results.input and results.input.best_and_worst:
        blocks += resolve(results.input.best_and_worst)(results, gallery, mean, truth)
    return blocks


def _classes(results: Results, counts: np.ndarray) -> Table:
    """Make a table with one row per class: examples, and the metrics of each class against all others."""
    found = results.metrics[results.metrics["split"] == results.split]
    run = "ensemble" if "ensemble" in set(found["run"]) else found["run"].iloc[0] if len(found) else ""
    found = found[found["run"] == run].set_index(["output", "metric"])
    rows = []
    for k, name in enumerate(results.outputs):
        hits, right = (number(counts[k, k] / of.sum() if of.sum() else None) for of in (counts[k], counts[:, k]))
        cells = []
        for metric in ("auroc", "auprc", "sensitivity_at_specificity90"):
            row = found.loc[(name, metric)] if (name, metric) in found.index else None
            cells.append("" if row is None else f"{number(row['value'])}\n{interval(row['low'], row['high'])}".strip())
        rows.append([name, f"{counts[k].sum():,}", hits, right, *cells])
    header = ["Class", "n", "Sensitivity", "Precision", "AUROC", "AUPRC", "Sensitivity at 90% specificity"]
    caption = (
        f"Each class on the {results.split} split{f' ({run})' if run else ''}. Sensitivity, precision: of the "
        "likeliest class. Others: of each class against all others."
    )
    if len(found) and found["low"].notna().any():
        caption += " Small print: 95% confidence intervals."
    caption += " –: no example of the class, or, for precision, none predicted." * any("–" in row for row in rows)
    return table(caption, header, rows, ",".join(header[1:]), "metrics.tsv")


def confusion(
    counts: np.ndarray,
    names: list[str],
    *,
    found: list[str] | None = None,
    xlabel: str = "Likeliest class",
    ylabel: str = "True class (examples)",
    uncoloured: int = 0,
) -> Figure:
    """Draw a confusion matrix: counts as text, shares of rows as colour.

    Parameters
    ----------
    counts
        Shape (rows, columns): what is true, what was predicted.
    names
        Names of the rows.
    found
        Names of the columns, if they differ.
    xlabel, ylabel
        What columns and rows are.
    uncoloured
        Number of last rows without colour.
    """
    size = min(PAGE_WIDTH, 2.2 + 0.5 * len(names))
    figure = new_figure(min(0.9 * size, 1.6 + 0.36 * len(names)), size)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares[len(shares) - uncoloured :] = 0
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    labels, across = ([short(name, 22) for name in each] for each in (names, found or names))
    axes.set_yticks(range(len(names)), [f"{name} ({n:,})" for name, n in zip(labels, counts.sum(axis=1), strict=True)])
    turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), across, **turned)
    if len(names) <= _NUMBERS:
        font = 7 if len(names) <= 12 else 5
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.55 else PRINTED if count else PALE
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=font)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(shown, ax=axes, shrink=0.7, pad=0.02, ticks=[0, 0.5, 1])
    bar.set_label("Share of the true class")
    bar.outline.set_visible(False)
    return figure


def one_against_all(lines: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw the ROC and precision-recall curve of each class, and their mean; hard classes in colour.

    Parameters
    ----------
    lines
        Pairs (target 0/1, probability) by class, in which both values of the target occur.
    """
    figure = new_figure(3.0)
    panels = figure.subplots(1, 2)
    areas = {name: auroc(p, target) for name, (target, p) in lines.items()}
    hard = sorted(areas, key=areas.__getitem__)[:_COLOURED]
    grid = np.linspace(0, 1, 201)
    for axes, points, symbol, title, x, y in (
        (panels[0], roc_points, "a", "ROC", "1 − specificity", "Sensitivity"),
        (panels[1], precision_points, "b", "Precision and recall", "Recall", "Precision"),
    ):
        levels = []
        for name, pair in lines.items():
            across, up = points(*pair)
            if name in hard:
                label = f"{short(name, 18)} {number(areas[name])}"
                style = {"color": SERIES[hard.index(name)], "zorder": 3, "label": label}
            else:
                style = {"color": FAINT, "zorder": 2}
            axes.plot(across, up, linewidth=0.9, **style)
            step = 1 if across[0] < across[-1] else -1  # recall descends
            levels.append(np.interp(grid, across[::step], up[::step]))
        if len(lines) > 1:
            label = f"mean {number(np.mean(list(areas.values())))}"
            axes.plot(grid, np.mean(levels, axis=0), color=INK, linewidth=1.6, zorder=4, label=label)
        letter(axes, symbol, title)
        axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), box_aspect=1)
    panels[0].plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":", zorder=1)
    panels[0].legend(loc="lower right", title="AUROC", title_fontsize=7, alignment="left")
    return figure
