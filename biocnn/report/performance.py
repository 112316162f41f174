"""The section on performance: metrics with confidence intervals, and the figures of the task."""

import pandas as pd

from biocnn.config.registry import resolve
from biocnn.data.splits import SPLITS
from biocnn.metrics import ERRORS
from biocnn.metrics.resampling import FEWEST
from biocnn.report.blocks import Section, Table, table
from biocnn.report.figures import Gallery
from biocnn.report.headline import best_rows, interval, metric_name, number
from biocnn.report.results import Results
from biocnn.tasks import conformal

_OF_INTERVALS = ("coverage90", "interval_width")


def performance(results: Results, gallery: Gallery) -> Section:
    """Show the metrics of each run and the ensemble, and the figures of the task."""
    section = Section("performance", "Performance")
    if len(results.metrics) and not results.parts:
        section.blocks.append(_metrics(results))
    if results.task:
        section.blocks.extend(resolve(results.task.figures)(results, gallery))
    return section


def _metrics(results: Results) -> Table:
    """Make a table with one row per run, split, averaging and output, and one column per metric."""
    left_out = results.task.left_out if results.task else ()
    metrics = results.metrics[~results.metrics["metric"].isin(left_out)]
    if results.task and (results.task.exclusive or results.task.detects):  # classes have a table of their own
        metrics = metrics[metrics["output"] == "all"]
    if results.task and results.task.objects:
        metrics = metrics[metrics["output"] == "objects"]
    found = metrics.assign(
        cell=[f"{number(row.value)}\n{interval(row.low, row.high)}".strip() for row in metrics.itertuples()]
    )
    found = pd.concat([found, _over_runs(results, metrics)], ignore_index=True)
    several, folds = len(results.runs) > 1, bool(results.dataset and results.dataset.folds > 1)
    if several:
        found = found[(found["split"] == results.split) | ~found["run"].isin(results.runs)]
    keys = [key for key in ("split", "run", "over", "output") if found[key].nunique() > 1 or key == "run"]
    names = list(dict.fromkeys(found["metric"]))
    found = found.assign(first=found["split"] != results.split, second=found["run"] != "ensemble")
    groups = found.sort_values(["first", "second"], kind="stable").groupby(keys, sort=False)
    rows = []
    for values, part in groups:
        cells = part.drop_duplicates("metric").set_index("metric")["cell"]
        counts = f"{part['n'].iloc[0]:,.0f}" if "n" in part else ""
        named = [str(v).replace("_", " ").replace("ensemble", "all folds" if folds else "ensemble") for v in values]
        rows.append([*named, counts, *(cells.get(name, "") for name in names)])
    units = results.metrics.get("unit", pd.Series("", results.metrics.index)).fillna("")
    unit = {name: f" ({of})" if of else "" for name, of in zip(results.metrics["metric"], units, strict=True)}
    header = [*(key.capitalize() for key in keys), "n", *(metric_name(name) + unit[name] for name in names)]
    caption = (
        f"Performance by {' and '.join(keys[:2])}."
        if "split" in keys
        else f"Performance on the {found['split'].iloc[0]} split."
    )
    over = results.input.resampled if results.input else ""
    groups = (
        results.examples["group"][results.examples["split"] == results.split] if "group" in results.examples else []
    )
    if 0 < len({*groups}) < FEWEST and over and found["low"].isna().all():
        caption += f" There are no confidence intervals, because the split has fewer than five {over}."
    if found["low"].notna().any() and over:
        caption += f" Small print: 95% confidence intervals by bootstrap over {over}"
        known = metrics[metrics["value"].notna()]
        few = known["low"].isna().groupby(known["split"]).all().any()
        caption += ", if there are five or more." if few else "."
    undefined = metrics[(metrics["split"] == results.split) & metrics["value"].isna()]
    caption += _missing(undefined, results)
    if folds:
        caption += " All folds: each example is predicted by the networks that were not trained on it."
    if several:
        caption += f" ±: standard deviation over {len(results.runs)} runs."
    more = ["metrics"] * (metrics["metric"].nunique() < results.metrics["metric"].nunique())
    more += ["splits of runs"] * several
    if more:
        caption += f" More {' and '.join(more)} are in metrics.tsv."
    return table(caption, header, rows, ",".join(header[len(keys) :]), "metrics.tsv")


def _missing(undefined: pd.DataFrame, results: Results) -> str:
    """State why metrics have no value, in sentences that begin with a blank."""
    task, why = results.task, "absent from this split, or never predicted"
    if task and task.family == "classification":
        why = "only one class, or no known label, in this split"
    elif task and task.scale != "logit":
        why = "no known values in this split, or all the same"
    without = undefined["metric"].isin(_OF_INTERVALS)
    words = ""
    for rows, what, reason in (
        (undefined[without], "90% intervals", f"fewer than {conformal.FEWEST} validation examples with a known value"),
        (undefined[~without], "value", why),
    ):
        outputs = [name for name in rows["output"].unique() if name != "all"]
        words += f" No {what}{' for ' * bool(outputs)}{', '.join(outputs)}: {reason}." * bool(len(rows))
    return words


def _over_runs(results: Results, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard deviation of each metric over several runs, as rows of metrics.tsv."""
    table_ = metrics[metrics["run"].isin(results.runs)]
    if len(results.runs) < 2:
        return table_.iloc[:0]
    keys = ["split", "output", "metric", "over"]
    found = table_.groupby(keys, sort=False).agg(mean=("value", "mean"), sd=("value", "std"), n=("n", "mean"))
    found.loc[found["sd"] < 1e-6 * found["mean"].abs(), "sd"] = 0  # rounding
    spread = found["sd"].map(number)
    found["cell"] = found["mean"].map(number) + ("\n± " + spread).where(spread != "–", "")
    return found.reset_index().assign(run="mean of runs")


def of_parts(results: Results, gallery: Gallery) -> list[Table]:
    """List the parts: what is predicted, the known examples, the main metrics, and the best baseline."""
    rows, given = [], False
    for part in results.parts:
        known = part.examples["split"]
        about = [part.name, _asked(part), " / ".join(f"{(known == split).sum():,}" for split in SPLITS)]
        metrics = {row.metric: row for row in best_rows(part).itertuples()}
        for name, row in ((name, metrics[name]) for name in part.headline if name in metrics):
            between = interval(row.low, row.high)
            given |= bool(between)
            value = f"{number(row.value)}\n{between}".strip()
            rows.append([*about, metric_name(name), value, _best(part, name)])
            about = [""] * len(about)
    if not rows:
        return []
    header = ["Output", "Predicted", "Known: train / val / test", "Metric", "Value", "Best baseline"]
    caption = (
        f"What one network predicts for each example, with the main metrics on the {results.split} split. Unknown "
        "targets count neither in training nor here." + " Small print: 95% confidence intervals." * given
    )
    return [table(caption, header, rows, "Value", "metrics.tsv")]


def _asked(part: Results) -> str:
    if part.task and part.task.exclusive:
        return ", ".join(part.outputs)
    return part.task.label.format(one=part.input.name) if part.task and part.input else ""


def _best(part: Results, metric: str) -> str:
    """Return name and value of the best baseline."""
    found = part.audit
    found = found[(found["metric"] == metric) & (found["split"] == part.split)] if len(found) else found
    means = found.groupby("baseline", sort=False)["value"].mean().dropna() if len(found) else found
    if not len(means):
        return ""
    best = means.idxmin() if metric in ERRORS else means.idxmax()
    return f"{best}: {number(means[best])}"
