"""The learning curve: error by the number of training examples, and whether more of them would help."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from biocnn.core.palette import BLUE, ORANGE
from biocnn.evaluation.learning_curve import Trend, trend
from biocnn.metrics import ERRORS, error_of
from biocnn.report.blocks import Picture, Table, Text, table
from biocnn.report.figures import Gallery, new_figure
from biocnn.report.headline import metric_name, number, representative
from biocnn.report.results import Results

TRAIN = "train"


def learning_curve(results: Results, metric: str, gallery: Gallery) -> Iterator[Text | Picture | Table]:
    """Yield verdict, figure and table, if there are runs on shares of the training split."""
    errors = run_errors(results, metric)
    held_out = errors[errors["split"] == results.split] if len(errors) else errors
    if not len(held_out):
        return
    name = metric_name(metric) if metric in ERRORS else f"1 − {metric_name(metric)}"
    found = trend(held_out)
    yield Text(verdict(found, results.split))
    caption = (
        f"Learning curve: error ({name}) by the number of training examples (logarithmic). Points: runs; lines: their "
        "means. Shares are nested and drawn from each class; validation and test examples are the same for all."
    )
    alt = f"Learning curve over {errors['share'].nunique()} numbers of training examples"
    yield gallery.add("learning_curve", curve(errors, results.split, name), alt, caption)
    yield _table(errors, results.split, name)


def run_errors(results: Results, metric: str) -> pd.DataFrame:
    """Return the error of each run: columns run, share, n_train, split and error."""
    stored, rows = results.table("learning_curve.tsv"), []
    if not len(stored):
        return stored
    words = ["output", "over"]
    stored = stored[stored["metric"] == metric].assign(**{word: stored[word].fillna("") for word in words})
    for (share, run, split), part in stored.groupby(["share", "run", "split"], sort=False):
        for _, group in representative(part):
            value = error_of(metric, float(group["value"].mean()))
            rows.append((run, share, int(group["n_train"].iloc[0]), split, value))
    return pd.DataFrame(rows, columns=["run", "share", "n_train", "split", "error"])


def verdict(found: Trend, split: str) -> str:
    """State whether more training examples would help."""
    noise = f" ± {number(found.noise)}" if np.isfinite(found.noise) else ""
    moved = "falls" if found.before >= found.after else "rises"
    step = (
        f"From {found.start:,.0f} to {found.end:,.0f} training examples the {split} error {moved} by "
        f"{number(abs(found.before - found.after))}{noise}, from {number(found.before)} to {number(found.after)}"
    )
    within = ", within noise" if abs(found.before - found.after) < found.noise else ""
    if not np.isfinite(found.noise):
        return (
            f"{step}. One run for each share cannot separate this from chance: to see whether more training examples "
            "would help, set train: {seeds: [1, 2, 3]}."
        )
    if found.verdict == "yes":
        gain = min(found.doubling, found.after)
        return (
            f"More training examples would still help. {step}; twice as many would lower it by up to {number(gain)}, "
            "usually by less, because curves flatten."
        )
    if found.verdict == "little":
        gain = f"lower the error by at most {number(found.most)}" if found.most > 0 else "not lower the error"
        return f"{step}{within}. At this rate, twice as many of the same kind would {gain} (95% confidence over runs)."
    return f"Whether more training examples would help is unclear. {step}{within}; more seeds would show it."


def curve(errors: pd.DataFrame, split: str, name: str) -> Figure:
    """Draw the errors of runs and their means against the number of training examples, of training and held-out."""
    figure = new_figure(2.6, 4.6)
    axes = figure.subplots()
    for one, colour, label in ((split, BLUE, f"{split} examples"), (TRAIN, ORANGE, "training examples")):
        part = errors[errors["split"] == one]
        if not len(part):
            continue
        means = part.groupby("share")[["n_train", "error"]].mean()
        axes.plot(means["n_train"], means["error"], color=colour, label=label)
        axes.plot(part["n_train"], part["error"], "o", color=colour, markersize=3.5, alpha=0.6, markeredgewidth=0)
    sizes = errors.groupby("share")["n_train"].mean()
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{n:,.0f}" for n in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.set(xlabel="Training examples", ylabel=f"Error ({name})")
    axes.legend()
    return figure


def _table(errors: pd.DataFrame, split: str, name: str) -> Table:
    rows = []
    for share, part in errors.groupby("share"):
        cells = [f"{part['n_train'].mean():,.0f}", f"{share:.0%}", str(part["run"].nunique())]
        for one in (TRAIN, split):
            values = part[part["split"] == one]["error"]
            spread = f" ± {number(values.std())}" if len(values) > 1 else ""
            cells.append(f"{number(values.mean())}{spread}" if len(values) else "")
        rows.append(cells)
    header = ["Training examples", "Share", "Runs", "Train error", f"{split.capitalize()} error"]
    caption = f"Error ({name}) by the number of training examples: mean over runs, and standard deviation."
    return table(caption, header, rows, ", ".join(header), "learning_curve.tsv")
