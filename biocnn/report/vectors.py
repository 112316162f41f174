"""Performance figures for classification: curves, calibration, and the most surprising examples."""

import numpy as np
import pandas as pd

from biocnn.config.registry import resolve
from biocnn.core.plurals import plural
from biocnn.metrics import labelled
from biocnn.report import curves
from biocnn.report.blocks import Table, Text, table
from biocnn.report.figures import Gallery, Picture
from biocnn.report.headline import number
from biocnn.report.reliability import reliability
from biocnn.report.results import Results

_SPLITS = {"test": "test", "val": "validation"}


def classification(results: Results, gallery: Gallery) -> list[Picture | Table | Text]:
    """Show classification curves, calibration and, for a single output, the most surprising examples."""
    mean, truth = held_out(results)
    lines = _lines(results, mean, truth) if len(mean) else {}
    if not lines:
        return []
    bold, several = next(iter(lines)), len(results.outputs) > 1
    caption = "a, b: discrimination on held-out examples; dotted: chance. c: predicted probability of both classes" + (
        f", {bold}." if several else "."
    )
    alt = f"ROC curve, precision-recall curve and histogram of the probability, {bold}"
    blocks: list[Picture | Table | Text] = [gallery.add("curves", curves.discrimination(lines, bold), alt, caption)]
    blocks += reliability(results, gallery, mean, truth)
    if results.input and results.input.best_and_worst:
        return [*blocks, *resolve(results.input.best_and_worst)(results, gallery, mean, truth)]
    return blocks if several else [*blocks, _surprises(results, mean, truth)]


def held_out(results: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the mean prediction over runs and the truth of each example of the reported split, by id."""
    mean, truth = mean_vectors(results), _truth(results)
    mean = mean[mean.index.isin(truth.index)] if len(mean) else mean
    return mean, truth.loc[mean.index] if len(mean) else truth


def mean_vectors(results: Results) -> pd.DataFrame:
    """Return the mean prediction over runs for each example of the reported split, by id."""
    frames = [frame for run in results.runs if len(frame := results.vectors(run, results.split))]
    return pd.concat(frames).groupby(level=0, sort=False).mean() if frames else pd.DataFrame()


def _truth(results: Results) -> pd.DataFrame:
    """Return the targets by id, columns 0 to K - 1."""
    examples = results.examples
    columns = [name for name in examples.columns if name.startswith("y_")]
    return examples.set_index("id")[columns].set_axis(range(len(columns)), axis=1) if columns else pd.DataFrame()


def _pair(truth: pd.DataFrame, predicted: pd.DataFrame, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return target and prediction of one output for examples with a known target."""
    return labelled(truth[k].to_numpy(), predicted[k].to_numpy())


def _lines(results: Results, mean: pd.DataFrame, truth: pd.DataFrame) -> dict[str, list]:
    """Return the curves to draw: the mean of all runs and each run, or each output, if both classes occur."""
    if len(results.outputs) > 1:
        lines = {name: [_pair(truth, mean, k)] for k, name in enumerate(results.outputs)}
    else:
        each = [frame for run in results.runs if len(frame := results.vectors(run, results.split))]
        name = f"mean of {plural(len(each), 'run')}" if len(each) > 1 else _SPLITS[results.split]
        name = "all folds" if results.facts.folds else name
        lines = {name: [_pair(truth, mean, 0)]}
        if len(each) > 1:
            lines["each run"] = [_pair(_truth(results).loc[frame.index], frame, 0) for frame in each]
    varied = {name: [pair for pair in pairs if len(np.unique(pair[0])) == 2] for name, pairs in lines.items()}
    return {name: pairs for name, pairs in varied.items() if pairs}


def _surprises(results: Results, mean: pd.DataFrame, truth: pd.DataFrame, most: int = 5) -> Table:
    """List the positives with the lowest and the negatives with the highest probability."""
    groups = results.examples.set_index("id")["group"]
    probability, target = mean[0], truth[0]
    missed = probability[target == 1].nsmallest(most)
    false = probability[target == 0].nlargest(most)
    rows = []
    for kind, chosen in (("positive", missed), ("negative", false)):
        rows += [[kind, name, groups.get(name, ""), number(value)] for name, value in chosen.items()]
    caption = "Most surprising held-out examples: positives with a low probability and negatives with a high one."
    return table(caption, ["Truth", "Example", "Group", "Probability"], rows, "Probability")
