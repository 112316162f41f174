"""Headline numbers of an experiment, and the formatting of numbers."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from biocnn.evaluation.audit import NETWORK
from biocnn.metrics import ERRORS
from biocnn.report.results import Results, of_part
from biocnn.report.sample_size import FEW, IMAGES, scarce

NAMES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "dice": "Dice",
    "iou": "IoU",
    "hausdorff95": "HD95",
    "average_precision_iou": "mean AP",
    "f1_0.5": "F1 at IoU .5",
    "panoptic_quality_0.5": "PQ at IoU .5",
    "mean_panoptic_quality_0.5": "mean PQ of classes",
    "class_accuracy": "accuracy of classes",
    "aji": "AJI",
    "v_rand": "V-Rand",
    "cldice": "clDice",
    "accuracy": "accuracy",
    "top2_accuracy": "top-2 accuracy",
    "recall_at_fdr10": "recall at 10% FDR",
    "sensitivity_at_specificity90": "sensitivity at 90% specificity",
    "cohens_kappa": "Cohen's κ",
    "quadratic_kappa": "quadratic κ",
    "grade_mae": "mean error in grades",
    "ece": "ECE",
    "mse": "MSE",
    "rmse": "RMSE",
    "r2": "R²",
    "interval_width": "width of intervals",
    "crps": "CRPS",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap50_95": "AP50:95",
    "ar": "AR",
    "f1": "F1",
    "froc": "FROC",
    "count_mae": "count error",
    "count_rmse": "RMSE of counts",
    "count_bias": "bias of counts",
    "relative_error": "relative count error",
    "game1": "GAME(1)",
    "game2": "GAME(2)",
    "coverage90": "coverage of 90% intervals",
    "psnr": "PSNR",
    "psnr_fitted": "PSNR after affine fit",
    "ssim": "SSIM",
    "residual_correlation": "correlation in the residual",
    "mae": "mean absolute error",
    "window_pearson": "Pearson r within windows",
    "window_spearman": "Spearman ρ within windows",
    "shape_distance": "distance of shapes",
    "total_r2": "R² of totals",
}
BASELINES = {  # names in audit.tsv, and in a sentence
    "GC content": "GC content alone",
    "dinucleotides": "a dinucleotide model",
    "6-mers": "a 6-mer model",
    "mean signal": "the mean signal alone",
    "6-mers + mean signal": "a 6-mer model with the mean signal",
    "constant": "the mean of the training split",
    "brightness": "a line on mean brightness",
    "intensities": "a linear model of intensities",
    "thumbnail": "a linear model of thumbnails",
    "extreme intensities": "a linear model of extreme intensities",
    "mean profile": "the mean of the training split",
    "input": "the input itself",
    "best filter": "the best filter",
    "6-mers around the base": "a linear model of the 6-mers around a base",
    "covariates": "a linear model of covariates",
}
NEGATIVES = {
    "random": "random windows",
    "gc_matched": "GC-matched windows",
    "flanking": "flanking windows",
    "dinucleotide_shuffled": "dinucleotide shuffles",
    "given": "given negatives",
    "labelled": "labelled negatives",
}
CORRELATIONS = ("pearson", "spearman", "r2")
IN_UNITS = ("mse", "mae", "rmse", "crps", "interval_width")  # metrics of numbers in the unit of the output
FALL = 0.1  # difference of AUROC between kinds of negatives that is a caution
SIMILAR = 0.01  # largest q-value of a motif that counts as similar to a database motif
ALIKE = 0.6  # smallest similarity, because long motifs of low information have small p-values with each other
_THRESHOLD = re.compile(r"^average_precision_iou_(0\.\d+)$")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def rival(baseline: str) -> str:
    """Return the name of a baseline in a sentence."""
    name, joined, _ = baseline.partition(" + covariates")
    return BASELINES.get(name, name) + " with covariates" * bool(joined)


def threshold(metric: str) -> float | None:
    """Return the IoU threshold in the name of an average precision: ``average_precision_iou_0.5`` gives .5."""
    found = _THRESHOLD.match(metric)
    return float(found[1]) if found else None


def metric_name(metric: str) -> str:
    """Return the name of a metric for text."""
    at, (plain, of, part) = threshold(metric), metric.partition(" of ")
    name = NAMES.get(plain, plain.replace("_", " "))
    return f"AP at IoU {number(at, 2).rstrip('0')}" if at else f"{name}{of}{part}"


def number(value: float | None, digits: int = 3) -> str:
    """Format a number for readers: no leading zero below one, only meaningful digits, a dash for a missing value.

    Non-zero values that would round to 0 have a fourth digit, and smaller ones are written as powers of ten.
    """
    if value is None or not np.isfinite(value):
        return "–"
    if 0 < abs(value) < 5e-5:
        return _power(value)
    if 0 < abs(value) < 5e-4:
        digits = 4
    elif round(abs(value), 3) > 1:
        digits = min(digits, 2)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    text = f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.1f}"
    return re.sub(r"^(−?)0\.", r"\1.", text.replace("-", "−"))


def probability(value: float) -> str:
    """Format a p-value: three digits, or a power of ten if it is small."""
    if not np.isfinite(value):
        return "–"
    if value >= 1e-3:
        return number(value)
    if value == 0:
        return "< 10⁻³⁰⁰"
    return _power(value)


def duration(seconds: float) -> str:
    """Format a time: seconds below two minutes, minutes below one and a half hours."""
    if not np.isfinite(seconds):
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _power(value: float) -> str:
    digits, power = f"{value:.1e}".split("e")
    return f"{digits.replace('-', '−')}\u00a0×\u00a010{str(int(power)).translate(_SUPERSCRIPT)}"


def interval(low: float, high: float, to: str = "–") -> str:
    """Format a confidence interval; empty if it is unknown."""
    to = " to " if low < 0 else to
    return f"{number(low)}{to}{number(high)}" if np.isfinite(low) and np.isfinite(high) else ""


def best_rows(results: Results) -> pd.DataFrame:
    """Return the representative metrics of the experiment: of the ensemble, else of the run or the mean of the runs.

    Returns
    -------
    rows
        Columns metric, value, low, high, over, n, run, part; one row per metric of the reported split, averaged over
        outputs. Metrics in the units of several numbers have no mean, but a row for each.
    """
    table = results.metrics
    if not len(table):
        return table
    if results.parts:
        each = [(part.name, best_rows(part)) for part in results.parts]
        named = [rows.assign(metric=[of_part(m, name) for m in rows["metric"]], part=name) for name, rows in each]
        return pd.concat(named)
    rows, table = [], table[table["split"] == results.split]
    if results.task and results.task.standardised and len(results.outputs) > 1:
        own = table["metric"].isin(IN_UNITS)
        table = table.assign(metric=table["metric"].where(~own, table["metric"] + " of " + table["output"]))
    for metric, group in representative(table):
        alone = len(group) == 1
        rows.append(
            {
                "metric": metric,
                "value": group["value"].mean(),
                "low": group["low"].iloc[0] if alone else np.nan,
                "high": group["high"].iloc[0] if alone else np.nan,
                "over": group["over"].iloc[0],
                "n": group["n"].iloc[0],
                "run": group["run"].iloc[0] if alone else f"mean of {len(group)}",
                "part": "",
            }
        )
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high", "over", "n", "run", "part"])


def representative(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each metric with its rows of metrics.tsv that represent a split, to be averaged over outputs and runs."""
    if "ensemble" in set(table["run"]):
        table = table[table["run"] == "ensemble"]
    table = table[table["value"].notna()]  # an output with one class in this split has none
    preferred = table["over"].map({"per_image": 0, "all": 1}).fillna(2)
    together = ~table["output"].isin(["", "all", "mean", "macro", "objects"])
    table = table.assign(order=preferred + 10 * together).sort_values("order", kind="stable")
    for metric, group in table.groupby("metric", sort=False):
        yield str(metric), group[group["order"] == group["order"].iloc[0]]


def headline(results: Results) -> pd.DataFrame:
    """Return the rows of `best_rows` with the main metrics of the task, mostly one or two.

    With few examples, errors take the place of correlations, which are then nearly arbitrary.
    """
    rows = best_rows(results)
    if not len(rows):
        return rows
    plain = rows["metric"].str.partition(" of ")[0]
    main, noise = rows["metric"].isin(results.headline), plain.isin(CORRELATIONS) & (rows["n"] < IMAGES)
    errors = plain.isin(("mae", "count_mae")) & rows["part"].isin(rows["part"][main & noise])
    found = rows[main & ~noise | errors]
    return found if len(found) else rows.head(2)


def top_motif(results: Results) -> dict | None:
    """Return the row of matches.tsv of the most important kernel that is similar to a known motif, or None.

    Kernels are ordered by rank, not by p-value, because the best match may be that of a kernel with a small effect.
    """
    table = results.matches
    if len(table):
        table = table[convincing(table)].sort_values("rank")
    return table.iloc[0].to_dict() if len(table) else None


def convincing(matches: pd.DataFrame) -> pd.Series:
    """Return which motifs are similar to their best match in the database."""
    return (matches["q_value"] <= SIMILAR) & (matches["similarity"] >= ALIKE)


def caution(results: Results) -> str:
    """Return a sentence if the network is not, or not significantly, better than a baseline; else nothing.

    The network alone, without words, does not count. With several outputs and baselines, the sentence names the pair
    with the largest deficit of the network.
    """
    if results.parts:
        found = {part.name: words for part in results.parts if (words := caution(part))}
        if len(found) > 1:
            return f"The network is not clearly better than baselines for {', '.join(found)}: see their sections."
        return "".join(f"{name}: {words}" for name, words in found.items())
    metrics, table = results.headline, compared(results)
    if len(table) and (few := int(table["n"].max())) < FEW:
        return f"Too few examples ({few}) to compare the network with baselines."
    lost = table[~_clear(table)] if len(table) else table
    if not len(lost):
        return ""
    first = next(lost[lost["metric"] == name] for name in metrics if name in set(lost["metric"]))
    worst = first.loc[first["gain"].idxmin()]
    rows = table[(table["baseline"] == worst["baseline"]) & (table["output"] == worst["output"])]
    verb = "does not outperform" if (rows["gain"] <= 0).any() else "is not clearly better than"
    numbers, several, behind = ", ".join(map(difference, rows.itertuples())), table["output"].nunique(), ""
    if several > 1:
        behind = f" for {worst['output']} ({lost['output'].nunique()} of {several} outputs are affected)"
    return f"The network {verb} {rival(worst['baseline'])}{behind}: {numbers}."


def nothing_found(results: Results) -> str:
    """Return a sentence if the reported split has objects or boxes, and none was found there; else nothing."""
    table = results.table("matches.tsv")
    if not len(table) or {*table.loc[table["split"] == results.split, "kind"]} != {"missed"}:
        return ""
    return f"The network found no object in the {'test' if results.split == 'test' else 'validation'} images."


def compared(results: Results) -> pd.DataFrame:
    """Return the rows of audit.tsv of the reported split and the main metrics, with the columns gain and gain_low."""
    table = results.audit
    if not len(table):
        return table
    table = table[(table["split"] == results.split) & table["metric"].isin(results.headline)]
    table = table[table["difference"].notna() & (table["baseline"] != NETWORK)]
    return table.assign(**gains(table)) if len(table) else table


def _clear(table: pd.DataFrame) -> pd.Series:
    return table["gain_low"].fillna(table["gain"]) > 0


def comparison(results: Results) -> str:
    """Return how the network compares with the best baseline by the first main metric, as in "beats a 6-mer model".

    Of several outputs, the one where the network gains least counts; of several parts, each has a clause.
    """
    if results.parts:
        return "; ".join(f"{part.name}: {words}" for part in results.parts if (words := comparison(part)))
    table = compared(results)
    if not len(table):
        return ""
    metric = next(name for name in results.headline if name in set(table["metric"]))
    table = table[table["metric"] == metric]
    if (few := int(table["n"].max())) < FEW:
        return f"too few examples ({few}) for a comparison"
    least = table.loc[table["gain"].idxmin()]
    name, gain = rival(least["baseline"]), number(abs(least["gain"]))
    unit, several = metric_name(metric), table["output"].nunique() > 1
    where = f" for {least['output']}" if several else ""
    if _clear(table).all():
        return f"beats {name} by {gain} {unit}{f', or more, for each of {table.output.nunique()} outputs' * several}"
    if least["gain"] > 0:
        return f"not clearly better than {name}{where} (+{gain} {unit})"
    return f"does not beat {name}{where} ({'−' * bool(least['gain'])}{gain} {unit})"


def gains(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return how much better the network is than each baseline, and the low end of the interval of this.

    That is the difference in audit.tsv, or its negative for metrics that are better if smaller.
    """
    error = table["metric"].isin(ERRORS)
    return {
        "gain": table["difference"].where(~error, -table["difference"]),
        "gain_low": table["difference_low"].where(~error, -table["difference_high"]),
    }


def difference(row: Any) -> str:
    """Format a metric of the network and of a baseline, from a row of audit.tsv."""
    bounds = f", 95% CI {number(row.difference_low)} to {number(row.difference_high)}"
    bounds = bounds if np.isfinite(row.difference_low) else ""
    pair = f"{metric_name(row.metric)} {number(row.network)} versus {number(row.value)}"
    return f"{pair} (difference {number(row.difference)}{bounds})"


def kind_name(kind: str) -> str:
    """Return the name of a kind of negatives for text."""
    return NEGATIVES.get(kind, kind)


def hardest(results: Results, least: float = 0.0) -> str:
    """Return a sentence on the kind of negatives that the network separates worst from positives.

    With several outputs, the sentence is about the one with the largest difference from the negatives of the data set.
    It is empty if there are no other negatives, or the difference is not clear or below ``least``.
    """
    found = results.negatives
    found = found[(found["model"] == "network") & found["value"].notna()] if len(found) else found
    own = found[found["own"]].set_index("output") if len(found) else found
    others = found[~found["own"] & found["output"].isin(own.index)] if len(found) else found
    if not len(others):
        return ""
    worst = others.loc[(others["value"] - others["output"].map(own["value"])).idxmin()]
    usual, bounds = own.loc[worst["output"]], interval(worst["low"], worst["high"])
    # The interval of a difference, if both were independent; that of the same positives is narrower.
    fall = usual["value"] - worst["value"]
    falls = fall > np.hypot(usual["value"] - usual["low"], worst["high"] - worst["value"])
    if least and not (falls and fall >= least):
        return ""
    output = f" of {worst['output']}" if len(own) > 1 else ""
    before = f"{number(usual['value'])} against {kind_name(usual['negatives'])}, as in training,"
    after = f"{number(worst['value'])}{f' (95% CI {bounds})' if bounds else ''}"
    if falls:
        return f"AUROC{output} falls from {before} to {after} against {kind_name(worst['negatives'])}."
    lowest = f"{after} against {kind_name(worst['negatives'])}"
    return f"AUROC{output} is {before} and not clearly lower against other negatives ({lowest} is the lowest)."


def verdict(results: Results) -> str:
    """Summarise the experiment in a line, which begins with a caution if there is one."""
    rows, parts = headline(results), []
    for row in rows.itertuples():
        bounds = interval(row.low, row.high)
        where = {"per_image": " per image", "per_window": " per window", "pooled": " pooled"}.get(row.over, "")
        parts.append(
            f"{metric_name(row.metric)} = {number(row.value)}{where}"
            + (f" (95%\u00a0CI\u00a0{bounds})" if bounds else "")
        )
    sentence = f"{'Test' if results.split == 'test' else 'Validation'} {', '.join(parts)}" if parts else ""
    motif = top_motif(results)
    if motif:
        found = f"best motif matches {motif['target_name']}, p\u00a0=\u00a0{probability(motif['p_value'])}"
        sentence = f"{sentence}; {found}" if sentence else found.capitalize()
    cautions = nothing_found(results) or caution(results), hardest(results, FALL)
    better = "" if cautions[0] or results.parts else comparison(results)
    claim = f"The network {better}." if better else ""
    return " ".join(filter(None, [*cautions, f"{sentence}." if sentence else "", claim, scarce(results)]))
