"""Performance figures for masks, classes and objects: metrics per image, and images from the worst to the best."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from biocnn.config.registry import resolve
from biocnn.metrics.masks import IGNORE
from biocnn.report import curves, images, object_errors
from biocnn.report.blocks import Table, wrapped
from biocnn.report.figures import Gallery, Picture
from biocnn.report.headline import metric_name, number, threshold
from biocnn.report.panels import Panels, comparison, postcard
from biocnn.report.results import Results
from biocnn.tasks.object_classes import with_classes

_OBJECTS = "objects"  # output of metrics of all objects, whatever their class
_RANKED_BY = ("mean_panoptic_quality_0.5", "average_precision_iou", "dice", "iou")
_SHOWN = ("average_precision_iou_0.5", "average_precision_iou", "dice", "iou", "v_rand", "cldice", "surface_dice")


def figures(results: Results, gallery: Gallery) -> list[Picture | Table]:
    """Show distributions of metrics, sizes and counts, and images from the worst to the best."""
    scores = of_best_run(results, results.table("metrics_per_example.tsv"))
    scores = scores[scores["output"] == _OBJECTS] if len(scores) and results.task.objects else scores
    matches = of_best_run(results, results.table("matches.tsv"))
    blocks = []
    lines, spread = _precision(results), _unit_metrics(scores)
    if lines or len(spread):
        words = ["Average precision: TP / (TP + FP + FN) of objects." if lines else ""]
        words.append("Each dot is one image." if len(spread) else "")
        alt = "Segmentation quality, per image and pooled"
        blocks.append(gallery.add("segmentation", curves.detection(lines, spread), alt, " ".join(filter(None, words))))
    found = [_example(results, matches, *one) for one in from_worst_to_best(results, scores, _RANKED_BY)]
    chosen = [example for example in found if example is not None]
    if chosen:
        panels = resolve(results.task.panels)(results.outputs)
        figure = comparison(chosen, panels)
        alt = "Images with truth and prediction, from the worst to the best"
        blocks.append(gallery.add("predictions", figure, alt, _caption(results, panels, chosen), vector=False))
        gallery.thumbnail(postcard(chosen[len(chosen) // 2], panels))
    if len(matches):
        caption = (
            "Object errors. a: number of objects that are matched (one to one at an IoU of .5), missed (no predicted "
            "object), false (no true object), merged (true objects that share one prediction) or split (predictions "
            "that share one true object). b, c: number and size of objects; dotted: equality."
        )
        alt = "Numbers of matched, missed, false, merged and split objects; number and size, predicted against true"
        blocks.append(gallery.add("objects_errors", object_errors.agreement(matches), alt, caption))
    return blocks


def of_best_run(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the reported split for the ensemble or, without one, the first run."""
    if not len(table):
        return table
    table = table[table["split"] == results.split]
    runs = set(table["run"])
    return table[table["run"] == ("ensemble" if "ensemble" in runs else min(runs, default=""))]


def _caption(results: Results, panels: Panels, chosen: list[images.Example]) -> str:
    uncertain = any(example.uncertainty is not None for example in chosen)
    slices = " For volumes, the slice with the most foreground is shown." if results.facts.spatial_dims == 3 else ""
    entropy = "; entropy of the prediction (0 to 1)" if uncertain else ""
    return f"Images from worst to best. Rows from top: {panels.caption}{entropy}.{slices}"


def _precision(results: Results) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return average precision by IoU threshold, per image and pooled."""
    table = of_best_run(results, results.metrics)
    if not len(table):
        return {}
    table = table[table["output"] == _OBJECTS]
    table = table.assign(at=table["metric"].map(threshold).astype(float)).dropna(subset="at").sort_values("at")
    return {
        name.replace("_", " "): (part["at"].to_numpy(), part["value"].to_numpy())
        for name, part in table.groupby("over")
        if len(part) > 1
    }


def _unit_metrics(scores: pd.DataFrame) -> pd.DataFrame:
    """Return metrics between 0 and 1 per image, with the output in the name if there are several."""
    if not len(scores):
        return scores
    scores = scores[scores["metric"].isin(_SHOWN)]
    several = scores.groupby("metric")["output"].transform("nunique") > 1
    named = scores["metric"].map(metric_name) + " " + scores["output"]
    return scores.assign(metric=scores["metric"].where(~several, named))


def from_worst_to_best(
    results: Results, scores: pd.DataFrame, ranked_by: Sequence[str]
) -> Iterator[tuple[int, str, str]]:
    """Yield row, id and title of the two worst, the median and the best image of the reported split.

    Parameters
    ----------
    results
        Results of the experiment.
    scores
        Rows of metrics_per_example.tsv.
    ranked_by
        Metrics, of which the first one in ``scores`` ranks the images.
    """
    dataset = results.dataset
    metric = next((name for name in ranked_by if len(scores) and name in set(scores["metric"])), None)
    if dataset is None or metric is None:
        return
    ranked = scores[scores["metric"] == metric].groupby("id")["value"].mean().sort_values(kind="stable")
    places = sorted({0, min(1, len(ranked) - 1), len(ranked) // 2, len(ranked) - 1})
    rows = {name: row for row, name in enumerate(dataset.examples["id"])}
    for name, value in ranked.iloc[places].items():
        if name in rows:
            yield rows[name], name, f"{wrapped(name, 26, 2)}\n{metric_name(metric)} {number(value)}"


def _example(results: Results, matches: pd.DataFrame, row: int, name: str, title: str) -> images.Example | None:
    """Return one image with truth, prediction, errors and uncertainty; for a volume, its fullest slice.

    With classes of objects, truth and prediction are codes of ``with_classes``.
    """
    dataset, predicted = results.dataset, results.decided(name)
    if predicted is None:
        return None
    truth = dataset.truth(row)
    errors = object_errors.error_map(predicted, truth) if results.task.objects else None
    if dataset.classes is not None:
        found = matches[(matches["id"] == name) & (matches["label"] > 0)].drop_duplicates("label").sort_values("label")
        wrong = found[(found["kind"] == "matched") & found["target_class"].notna()]
        wrong = wrong[wrong["class"] != wrong["target_class"]]["label"]
        errors[np.isin(predicted, wrong)] = 1 + len(object_errors.KINDS)
        numbers = found["class"].map({kind: k for k, kind in enumerate(results.task.object_classes)})
        predicted = with_classes(predicted, np.column_stack([found["label"], numbers]))
        truth = dataset.drawn(row)
    maps = [dataset.x[row], truth, predicted, errors, results.uncertainty(name)]
    if truth.ndim == 3:
        fullest = images.fullest_slice(truth)
        maps = [None if one is None else one[..., fullest, :, :] for one in maps]
    image, truth, predicted, errors, uncertainty = maps
    if uncertainty is not None and not results.task.objects:
        uncertainty = np.ma.masked_where(truth == IGNORE, uncertainty)
    return images.Example(image, truth, predicted, title, errors, uncertainty)
