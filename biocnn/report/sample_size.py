"""Samples that are too small for firm conclusions: recognised here, and named beside the numbers."""

import pandas as pd

from biocnn.core.plurals import plural
from biocnn.report.results import Results

IMAGES = 10  # images with a mask, boxes or points, below which a split is small
EXAMPLES = 50  # other examples, and positives of an output
CALIBRATED = 30  # examples below which there is no reliability diagram
FEW = 5  # examples below which there are no confidence intervals
FOLDS = 5


def split_sizes(results: Results) -> pd.Series:
    """Return the number of predicted examples, by split."""
    seen = _seen(results)
    return seen["split"].value_counts() if len(seen) else pd.Series(dtype=int)


def positives(results: Results) -> dict[str, int]:
    """Return the number of predicted positives of the rarest output, by split; none if outputs are not yes or no."""
    columns = [name for name in results.examples if name.startswith("y_")]
    seen = _seen(results)
    if not (results.task and results.task.positives and columns and len(seen)):
        return {}
    seen = seen.merge(results.examples[["id", *columns]], on="id")
    return (seen[columns] == 1).groupby(seen["split"]).sum().min(axis=1).to_dict()


def least(results: Results) -> int:
    """Return the number of examples below which a split is small."""
    pixels = results.task and results.task.target.spatial and results.input and not results.input.at_loci
    return IMAGES if pixels else EXAMPLES


def small(results: Results) -> str:
    """Return how small the reported split is, as in "only 6 test images"; empty if it is large enough."""
    if not results.input:
        return ""
    where = "test" if results.split == "test" else "validation"
    count, found = int(split_sizes(results).get(results.split, 0)), positives(results).get(results.split)
    if 0 < count < least(results):
        return f"only {count} {where} {results.input.examples if count > 1 else results.input.name}"
    if found is not None and found < EXAMPLES:
        return f"only {plural(found, 'positive')} of {count:,} {where} {results.input.examples}"
    return ""


def scarce(results: Results) -> str:
    """Return sentences if the reported split is small, or a class has no or few examples in it; else nothing."""
    words, classes = small(results), _classes(results)
    if not words and not classes:
        return ""
    where = "test" if results.split == "test" else "validation"
    found = [f"{words[:1].upper()}{words[1:]}: other examples may give different numbers."] if words else []
    found += [f"The {where} split has {classes}."] if classes else []
    groups = results.examples["group"].nunique() if "group" in results.examples else 0
    if not results.facts.folds and groups >= 3:
        folds = f"split: {{folds: {min(FOLDS, groups)}}}"
        found.append(f"With folds ({folds}), each of the {len(results.examples):,} examples is tested once.")
    return " ".join(found)


def _classes(results: Results) -> str:
    """List the classes with no or few examples in the reported split."""
    table = results.examples
    columns = [name for name in table if name.startswith("y_")]
    if not (results.task and results.task.family == "classification" and columns and "split" in table):
        return ""
    numbers = (table.loc[table["split"] == results.split, columns] == 1).sum().tolist()
    pairs = list(zip(results.outputs, numbers, strict=False))
    none = [f"none of {name}" for name, number in pairs if number == 0]
    few = [f"{name} ({number})" for name, number in pairs if 0 < number < FEW]
    return ", ".join([*none, *([f"few of {', '.join(few)}"] if few else [])])


def _seen(results: Results) -> pd.DataFrame:
    """Return id and split of all predicted examples; in folds, each is in the test split once."""
    tables = [found[1] for run in results.runs if (found := results.predictions(run))]
    if tables:
        return pd.concat(tables)[["id", "split"]].drop_duplicates()
    return results.examples[["id", "split"]] if "split" in results.examples else pd.DataFrame()
