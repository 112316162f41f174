"""The chapter on performance: metrics with intervals, curves, and the examples that went best and worst."""

import numpy as np
import pandas as pd

from biocnn.metrics import labelled
from biocnn.report import curves
from biocnn.report.blocks import Section, Table, plural, table
from biocnn.report.figures import Gallery, Picture
from biocnn.report.headline import interval, metric_name, number
from biocnn.report.reliability import reliability
from biocnn.report.results import Results
from biocnn.report.segmentation import segmentation

# Of metrics at five thresholds the table shows some; a figure has the average precision at all of them.
_LEFT_OUT = {
    "instances": (
        *(f"average_precision_iou_{at}" for at in (0.6, 0.8)),
        *(f"{name}_{at}" for name in ("f1", "panoptic_quality") for at in (0.6, 0.7, 0.8, 0.9)),
        "f1",
        "panoptic_quality",
    ),
}


def performance(results: Results, gallery: Gallery) -> Section:
    """Metrics of each run and of the ensemble, and what they look like."""
    section = Section("performance", "Performance")
    if len(results.metrics):
        section.blocks.append(_metrics(results))
    if results.task in ("binary", "multilabel", "regression"):
        section.blocks.extend(_vectors(results, gallery))
    elif results.task:
        section.blocks.extend(segmentation(results, gallery))
    return section


def _metrics(results: Results) -> Table:
    """One row per run, split, way of pooling and output; one column per metric."""
    left_out = _LEFT_OUT.get(results.task, ())
    metrics = results.metrics[~results.metrics["metric"].isin(left_out)]
    found = metrics.assign(
        cell=[f"{number(row.value)}\n{interval(row.low, row.high)}".strip() for row in metrics.itertuples()]
    )
    found = pd.concat([found, _over_runs(results, metrics)], ignore_index=True)
    keys = [key for key in ("split", "run", "over", "output") if found[key].nunique() > 1 or key == "run"]
    names = list(dict.fromkeys(found["metric"]))
    found = found.assign(first=found["split"] != results.split, second=found["run"] != "ensemble")
    groups = found.sort_values(["first", "second"], kind="stable").groupby(keys, sort=False)
    rows = []
    for values, part in groups:
        cells = part.drop_duplicates("metric").set_index("metric")["cell"]
        counts = f"{part['n'].iloc[0]:,.0f}" if "n" in part else ""
        rows.append([*(str(v).replace("_", " ") for v in values), counts, *(cells.get(name, "") for name in names)])
    units = results.metrics.get("unit", pd.Series("", results.metrics.index)).fillna("")
    unit = {name: f" ({of})" if of else "" for name, of in zip(results.metrics["metric"], units, strict=True)}
    header = [*(key.capitalize() for key in keys), "n", *(metric_name(name) + unit[name] for name in names)]
    caption = (
        f"Performance by {' and '.join(keys[:2])}."
        if "split" in keys
        else f"Performance on the {found['split'].iloc[0]} split."
    )
    if found["low"].notna().any():
        over = "loci (windows that overlap, and all shuffles of a positive, are drawn together)"
        over = over if results.facts.kind == "sequence" else "groups of images"
        caption += f" Below each value: its 95% confidence interval, by bootstrap over {over}."
    undefined = metrics[(metrics["split"] == results.split) & metrics["value"].isna()]["output"].unique()
    if len(undefined):
        caption += f" Without a value, as that part has one class of them: {', '.join(undefined)}."
    if len(results.runs) > 1:
        caption += f" Mean of runs: below it, the standard deviation over {len(results.runs)} runs."
    if metrics["metric"].nunique() < results.metrics["metric"].nunique():
        caption += " More metrics: metrics.tsv."
    return table(caption, header, rows, ",".join(header[len(keys) :]), "metrics.tsv")


def _over_runs(results: Results, metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation of each metric over the runs, where there are several; rows as in metrics.tsv."""
    table_ = metrics[metrics["run"].isin(results.runs)]
    if len(results.runs) < 2:
        return table_.iloc[:0]
    keys = ["split", "output", "metric", "over"]
    found = table_.groupby(keys, sort=False).agg(mean=("value", "mean"), sd=("value", "std"), n=("n", "mean"))
    found["cell"] = [f"{number(row.mean)}\n± {number(row.sd)}" for row in found.itertuples()]
    return found.reset_index().assign(run="mean of runs")


def mean_vectors(results: Results) -> pd.DataFrame:
    """Mean prediction over the runs, of every example of the reported split, by id."""
    frames = [frame for run in results.runs if len(frame := results.vectors(run, results.split))]
    return pd.concat(frames).groupby(level=0, sort=False).mean() if frames else pd.DataFrame()


def _vectors(results: Results, gallery: Gallery) -> list[Picture | Table]:
    mean, truth = mean_vectors(results), _truth(results)
    mean = mean[mean.index.isin(truth.index)] if len(mean) else mean
    if not len(mean):
        return []
    truth = truth.loc[mean.index]
    if results.task == "regression":
        pairs = {name: _pair(truth, mean, k) for k, name in enumerate(results.outputs)}
        pairs = {name: pair for name, pair in pairs.items() if len(pair[0])}
        caption = "Predicted against measured, on held-out examples. Dotted: equality."
        return [gallery.add("agreement", curves.agreement(pairs), "Scatter of predicted against measured", caption)]
    lines = _lines(results, mean, truth)
    if not lines:
        return []
    bold = next(iter(lines))
    caption = "a, b: discrimination of held-out examples; dotted: chance. c: predicted probability of both classes" + (
        f", {bold}." if results.task == "multilabel" else "."
    )
    alt = f"ROC curve, precision-recall curve and histogram of the probability, {bold}"
    blocks: list[Picture | Table] = [gallery.add("curves", curves.discrimination(lines, bold), alt, caption)]
    blocks += reliability(results, gallery, mean, truth)
    return [*blocks, _surprises(results, mean, truth)] if results.task == "binary" else blocks


def _truth(results: Results) -> pd.DataFrame:
    """Targets by id, columns 0 to K - 1."""
    examples = results.examples
    columns = [name for name in examples.columns if name.startswith("y_")]
    return examples.set_index("id")[columns].set_axis(range(len(columns)), axis=1) if columns else pd.DataFrame()


def _pair(truth: pd.DataFrame, predicted: pd.DataFrame, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Target and prediction of one output, where the target is known."""
    return labelled(truth[k].to_numpy(), predicted[k].to_numpy())


def _lines(results: Results, mean: pd.DataFrame, truth: pd.DataFrame) -> dict[str, list]:
    """Curves to draw: the mean of the runs and each run, or each output; those with one class only are left out."""
    if results.task == "multilabel":
        lines = {name: [_pair(truth, mean, k)] for k, name in enumerate(results.outputs)}
    else:
        each = [frame for run in results.runs if len(frame := results.vectors(run, results.split))]
        name = f"mean of {plural(len(each), 'run')}" if len(each) > 1 else "test"
        lines = {name: [_pair(truth, mean, 0)]}
        if len(each) > 1:
            lines["each run"] = [_pair(_truth(results).loc[frame.index], frame, 0) for frame in each]
    varied = {name: [pair for pair in pairs if len(np.unique(pair[0])) == 2] for name, pairs in lines.items()}
    return {name: pairs for name, pairs in varied.items() if pairs}


def _surprises(results: Results, mean: pd.DataFrame, truth: pd.DataFrame, most: int = 5) -> Table:
    """The positives that look least, and the negatives that look most like positives."""
    groups = results.examples.set_index("id")["group"]
    probability, target = mean[0], truth[0]
    missed = probability[target == 1].nsmallest(most)
    false = probability[target == 0].nlargest(most)
    rows = []
    for kind, chosen in (("positive", missed), ("negative", false)):
        rows += [[kind, name, groups.get(name, ""), number(value)] for name, value in chosen.items()]
    caption = "Most surprising held-out examples: positives of low and negatives of high probability."
    return table(caption, ["Truth", "Example", "Group", "Probability"], rows, "Probability")
