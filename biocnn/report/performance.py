"""The chapter on performance: metrics with intervals, curves, and the examples that went best and worst."""

import numpy as np
import pandas as pd

from biocnn.report import curves, images
from biocnn.report.blocks import Section, Table, plural, table
from biocnn.report.figures import Gallery, Picture
from biocnn.report.headline import interval, metric_name, number, threshold
from biocnn.report.reliability import reliability
from biocnn.report.results import Results

_RANKED_BY = ("average_precision_iou", "dice", "iou")


def performance(results: Results, gallery: Gallery) -> Section:
    """Metrics of each run and of the ensemble, and what they look like."""
    section = Section("performance", "Performance")
    if len(results.metrics):
        section.blocks.append(_metrics(results))
    if results.task in ("binary", "multilabel", "regression"):
        section.blocks.extend(_vectors(results, gallery))
    elif results.task:
        section.blocks.extend(_maps(results, gallery))
    return section


def _metrics(results: Results) -> Table:
    """One row per run, split, way of pooling and output; one column per metric."""
    found = results.metrics.assign(
        cell=[f"{number(row.value)}\n{interval(row.low, row.high)}".strip() for row in results.metrics.itertuples()]
    )
    found = pd.concat([found, _over_runs(results)], ignore_index=True)
    keys = [key for key in ("split", "run", "over", "output") if found[key].nunique() > 1 or key == "run"]
    names = list(dict.fromkeys(found["metric"]))
    found = found.assign(first=found["split"] != results.split, second=found["run"] != "ensemble")
    groups = found.sort_values(["first", "second"], kind="stable").groupby(keys, sort=False)
    rows = []
    for values, part in groups:
        cells = part.drop_duplicates("metric").set_index("metric")["cell"]
        counts = f"{part['n'].iloc[0]:,.0f}" if "n" in part else ""
        rows.append([*(str(v).replace("_", " ") for v in values), counts, *(cells.get(name, "") for name in names)])
    header = [*(key.capitalize() for key in keys), "n", *map(metric_name, names)]
    caption = (
        f"Performance by {' and '.join(keys[:2])}."
        if "split" in keys
        else f"Performance on the {found['split'].iloc[0]} split."
    )
    if found["low"].notna().any():
        caption += " Below each value: its 95% confidence interval, by bootstrap over examples."
    if len(results.runs) > 1:
        caption += f" Mean of runs: below it, the standard deviation over {len(results.runs)} runs."
    return table(caption, header, rows, ",".join(header[len(keys) :]), "metrics.tsv")


def _over_runs(results: Results) -> pd.DataFrame:
    """Mean and standard deviation of each metric over the runs, where there are several; rows as in metrics.tsv."""
    table_ = results.metrics[results.metrics["run"].isin(results.runs)]
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
    target, values = truth[k].to_numpy(), predicted[k].to_numpy()
    known = np.isfinite(target)
    return target[known], values[known]


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


def _maps(results: Results, gallery: Gallery) -> list[Picture]:
    scores = results.table("metrics_per_example.tsv")
    if len(scores):
        scores = scores[scores["split"] == results.split]
        scores = scores[scores["run"] == ("ensemble" if "ensemble" in set(scores["run"]) else scores["run"].iloc[0])]
    blocks = []
    lines, spread = _precision(results), _unit_metrics(scores)
    if lines or len(spread):
        words = ["Average precision: TP / (TP + FP + FN) of objects." if lines else ""]
        words.append("Each dot is one image." if len(spread) else "")
        caption = " ".join(filter(None, words))
        alt = "Quality of the segmentation, per image and pooled"
        blocks.append(gallery.add("segmentation", curves.detection(lines, spread), alt, caption))
    chosen = _chosen(results, scores)
    if chosen:
        caption = "From worst to best: " + {
            "instances": "outlines of true and predicted objects.",
            "mask": "agreement of prediction and truth, pixel by pixel.",
        }.get(results.task, "true and predicted classes.")
        figure = images.comparison(chosen, results.task, results.outputs)
        alt = "Images with the truth and the prediction, from the worst to the best"
        blocks.append(gallery.add("predictions", figure, alt, caption, vector=False))
        gallery.thumbnail(images.postcard(chosen[len(chosen) // 2], results.task))
    return blocks


def _precision(results: Results) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Average precision by IoU threshold, per image and pooled."""
    table_ = results.metrics
    if not len(table_):
        return {}
    table_ = table_[table_["split"] == results.split]
    table_ = table_[table_["run"] == ("ensemble" if "ensemble" in set(table_["run"]) else table_["run"].iloc[0])]
    table_ = table_.assign(at=table_["metric"].map(threshold).astype(float)).dropna(subset="at").sort_values("at")
    return {
        name.replace("_", " "): (part["at"].to_numpy(), part["value"].to_numpy())
        for name, part in table_.groupby("over")
        if len(part) > 1
    }


def _unit_metrics(scores: pd.DataFrame) -> pd.DataFrame:
    """Metrics between 0 and 1, per image: average precision at .5 and mean, Dice, IoU."""
    if not len(scores):
        return scores
    return scores[scores["metric"].isin(("average_precision_iou_0.5", "average_precision_iou", "dice", "iou"))]


def _chosen(results: Results, scores: pd.DataFrame) -> list[images.Example]:
    """Two bad, the median and the best image of the reported split, with their predictions."""
    dataset = results.dataset
    metric = next((name for name in _RANKED_BY if len(scores) and name in set(scores["metric"])), None)
    if dataset is None or metric is None or results.facts.get("spatial_dims") != 2:
        return []
    ranked = scores[scores["metric"] == metric].groupby("id")["value"].mean().sort_values(kind="stable")
    places = sorted({0, min(1, len(ranked) - 1), len(ranked) // 2, len(ranked) - 1})
    rows = {name: row for row, name in enumerate(dataset.examples["id"])}
    source = dataset.y if dataset.labels is None else dataset.labels
    found = []
    for name, value in ranked.iloc[places].items():
        predicted = _predicted(results, name)
        if predicted is not None and name in rows:
            title = f"{str(name)[:16]}   {metric_name(metric)} {number(value)}"
            found.append(images.Example(dataset.x[rows[name]], source[rows[name]][0], predicted, title))
    return found


def _predicted(results: Results, name: str) -> np.ndarray | None:
    """Objects, mask or classes of one image, from the mean probability of the runs; shape (H, W)."""
    from biocnn.predict import decide

    maps, settings = [], {}
    for run in results.runs:
        predictions = results.predictions(run)
        if predictions is None:
            continue
        places = np.flatnonzero((predictions[1]["id"] == name) & (predictions[1]["split"] == results.split))
        if len(places):
            maps.append(np.asarray(predictions[0][places[0]], np.float32))
            settings = settings or results.metadata(run).get("postprocess") or {}
    return decide(np.mean(maps, axis=0), results.task, settings) if maps else None
