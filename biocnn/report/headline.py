"""Which numbers come first, and how numbers are written."""

import re
from typing import Any

import numpy as np
import pandas as pd

from biocnn.report.results import Results

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
    "aji": "AJI",
    "v_rand": "V-Rand",
    "cldice": "clDice",
    "accuracy": "accuracy",
    "recall_at_fdr10": "recall at 10% FDR",
    "ece": "ECE",
    "mse": "MSE",
}
BASELINES = {  # as audit.tsv names them, and as they are called in a sentence
    "GC content": "GC content alone",
    "dinucleotides": "a model of dinucleotides",
    "6-mers": "a 6-mer model",
}
SIMILAR = 0.01  # largest q-value at which a motif is said to look like one of the database
ALIKE = 0.6  # and the least similarity: long motifs that tell little have small p-values with others like them
_THRESHOLD = re.compile(r"^average_precision_iou_(0\.\d+)$")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def threshold(metric: str) -> float | None:
    """The IoU threshold in the name of an average precision: ``average_precision_iou_0.5`` gives .5."""
    found = _THRESHOLD.match(metric)
    return float(found[1]) if found else None


def metric_name(metric: str) -> str:
    """A metric as it is written in text."""
    at = threshold(metric)
    return f"AP at IoU {number(at, 2).rstrip('0')}" if at else NAMES.get(metric, metric.replace("_", " "))


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: no leading zero below one, no digits beyond what is told apart, a dash for none.

    What would read as 0 in three digits, and is not, is a power of ten: values in a small unit.
    """
    if value is None or not np.isfinite(value):
        return "–"
    if 0 < abs(value) < 5e-4:
        return _power(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    text = f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.1f}"
    return re.sub(r"^(−?)0\.", r"\1.", text.replace("-", "−"))


def probability(value: float) -> str:
    """A p-value: three digits, or a power of ten where it is small."""
    if not np.isfinite(value):
        return "–"
    if value >= 1e-3:
        return number(value)
    if value == 0:
        return "< 10⁻³⁰⁰"
    return _power(value)


def _power(value: float) -> str:
    digits, power = f"{value:.1e}".split("e")
    return f"{digits.replace('-', '−')}\u00a0×\u00a010{str(int(power)).translate(_SUPERSCRIPT)}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """A confidence interval, or nothing where it is unknown."""
    return f"{number(low, digits)}–{number(high, digits)}" if np.isfinite(low) and np.isfinite(high) else ""


def best_rows(results: Results) -> pd.DataFrame:
    """The metrics that speak for the experiment: of the ensemble, else of the run or the mean of the runs.

    Returns
    -------
    rows
        Columns metric, value, low, high, over, n, run: one row per metric of the reported split, the mean over outputs.
    """
    table = results.metrics
    if not len(table):
        return table
    table = table[table["split"] == results.split]
    if "ensemble" in set(table["run"]):
        table = table[table["run"] == "ensemble"]
    table = table[table["value"].notna()]  # of an output with one class in this part, say
    preferred = table["over"].map({"per_image": 0, "all": 1}).fillna(2)
    together = ~table["output"].isin(["", "all", "mean", "macro"])
    table = table.assign(order=preferred + 10 * together).sort_values("order", kind="stable")
    rows = []
    for metric, group in table.groupby("metric", sort=False):
        group = group[group["order"] == group["order"].iloc[0]]
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
            }
        )
    return pd.DataFrame(rows)


def headline(results: Results) -> pd.DataFrame:
    """The one or two rows of `best_rows` that the task is judged by."""
    rows = best_rows(results)
    if not len(rows):
        return rows
    found = rows[rows["metric"].isin(results.headline)]
    return found if len(found) else rows.head(2)


def top_motif(results: Results) -> dict | None:
    """The match of the kernel that matters most among those similar to a known motif: its row of matches.tsv, or None.

    By rank, not by p-value: a kernel of small effect may be the one that resembles some motif most.
    """
    table = results.matches
    if len(table):
        table = table[convincing(table)].sort_values("rank")
    return table.iloc[0].to_dict() if len(table) else None


def convincing(matches: pd.DataFrame) -> pd.Series:
    """Which motifs look like their best match in the database."""
    return (matches["q_value"] <= SIMILAR) & (matches["similarity"] >= ALIKE)


def caution(results: Results) -> str:
    """A sentence where the network does not do better than a simple model: by less than chance may give, or not at all.

    Of several outputs and simple models, it is about the one that the network is furthest behind.
    """
    table, metrics = results.audit, results.headline
    table = table[(table["split"] == results.split) & table["metric"].isin(metrics)] if len(table) else table
    table = table[table["difference"].notna()] if len(table) else table
    lost = table[~(table["difference_low"].fillna(table["difference"]) > 0)] if len(table) else table
    if not len(lost):
        return ""
    first = next(lost[lost["metric"] == name] for name in metrics if name in set(lost["metric"]))
    worst = first.loc[first["difference"].idxmin()]
    rows = table[(table["baseline"] == worst["baseline"]) & (table["output"] == worst["output"])]
    verb = "does not beat" if (rows["difference"] <= 0).any() else "is not clearly better than"
    numbers, several, behind = ", ".join(map(difference, rows.itertuples())), table["output"].nunique(), ""
    if several > 1:
        behind = f" (so it is for {lost['output'].nunique()} of {several} outputs; here {worst['output']})"
    return f"The network {verb} {BASELINES.get(worst['baseline'], worst['baseline'])}{behind}: {numbers}."


def difference(row: Any) -> str:
    """A metric of the network and of a simple model, from a row of audit.tsv."""
    sure = f", 95% interval {number(row.difference_low)} to {number(row.difference_high)}"
    sure = sure if np.isfinite(row.difference_low) else ""
    pair = f"{metric_name(row.metric)} {number(row.network)} against {number(row.value)}"
    return f"{pair} (difference {number(row.difference)}{sure})"


def verdict(results: Results) -> str:
    """The outcome of the experiment in a line, which begins with what it is not."""
    rows, parts = headline(results), []
    for row in rows.itertuples():
        bounds = interval(row.low, row.high)
        where = {"per_image": " per image", "pooled": " pooled"}.get(row.over, "")
        parts.append(
            f"{metric_name(row.metric)} = {number(row.value)}{where}"
            + (f" (95%\u00a0CI\u00a0{bounds})" if bounds else "")
        )
    sentence = f"{'Test' if results.split == 'test' else 'Validation'} {', '.join(parts)}" if parts else ""
    motif = top_motif(results)
    if motif:
        found = f"best motif matches {motif['target_name']}, p\u00a0=\u00a0{probability(motif['p_value'])}"
        sentence = f"{sentence}; {found}" if sentence else found.capitalize()
    return " ".join(filter(None, [caution(results), f"{sentence}." if sentence else ""]))
