"""The worst examples, and the reasons that a user writes for them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.errors import InputError, nearest
from biocnn.data.dataset import Dataset
from biocnn.data.image_pairs import read_rows
from biocnn.evaluation.audit import by_split
from biocnn.evaluation.evaluate import ENSEMBLE, rows_of
from biocnn.metrics import ERRORS
from biocnn.prediction.stored_predictions import read_predictions

MOST = 100  # examples listed
SPLIT = "test"


def worst_examples(dataset: Dataset, runs: Sequence[Path], per_example: pd.DataFrame) -> pd.DataFrame:
    """List the test examples that the ensemble of all runs predicts worst.

    Parameters
    ----------
    dataset
        Data set with the truth.
    runs
        Folders with predictions.
    per_example
        Metrics of each example, see `Evaluation`; used for maps and boxes.

    Returns
    -------
    table
        At most 100 rows, the worst first, with the columns id; for vectors target and prediction in words; metric: the
        loss, or for maps and boxes the main metric that images have, as a mean over outputs; value; and an empty column
        reason.
    """
    if dataset.task.target.spatial:
        table = per_example[per_example["split"] == SPLIT]
        table = table[table["run"] == (ENSEMBLE if len(runs) > 1 else runs[0].name)]
        known, task = set(table["metric"]), dataset.task
        metric = next((name for name in (task.worst_by, *task.headline, *task.metrics, *ERRORS) if name in known), "")
        values = table[table["metric"] == metric].groupby("id", sort=False)["value"].mean()
        found = pd.DataFrame({"id": values.index, "metric": metric, "value": values.to_numpy()})
        found = found.sort_values("value", ascending=metric not in ERRORS, kind="stable")
    else:
        task = dataset.task
        found = by_split(task, [read_predictions(run / "predictions") for run in runs])[SPLIT]
        y = dataset.y.stacked(rows_of(dataset, found.index.to_series()))
        p = found.to_numpy()[:, : y.shape[1]]  # without intervals
        loss = task.losses_of(p, y)
        order = np.argsort(-loss, kind="stable")[: int(min(MOST, np.isfinite(loss).sum()))]  # nan: unknown target
        words = {
            "target": [task.words(y[i]) for i in order],
            "prediction": [task.predicted_words(p[i]) for i in order],
        }
        found = pd.DataFrame({"id": found.index[order], **words, "metric": "loss", "value": loss[order]})
    return found.head(MOST).assign(reason="")


def read_reasons(path: Path, ids: pd.Series) -> pd.Series:
    """Read the reasons of a copy of errors.tsv that a user has filled in, by id; examples without one are left out.

    Parameters
    ----------
    path
        Table separated by commas or tabs with the columns id and reason; other columns are ignored. Semicolons separate
        several reasons of one example.
    ids
        Names of all examples.

    Raises
    ------
    InputError
        If a column is missing, an id is unknown or duplicate, or no row has a reason.
    """
    rows = read_rows(path)
    for column in ("id", "reason"):
        if column not in rows:
            raise InputError(
                f"report.errors: {path} line 1: no column {column!r} (columns: {', '.join(rows)})",
                "copy errors.tsv from the folder of results, and fill in its column reason",
            )
    known = set(ids)
    for line, name in rows["id"].items():
        if name not in known:
            raise InputError(f"report.errors: {path} line {line}: no example {name!r}", nearest(name, sorted(known)))
    if (twice := rows["id"].duplicated()).any():
        line = twice.idxmax()
        raise InputError(
            f"report.errors: {path} line {line}: duplicate id {rows.at[line, 'id']!r}",
            "keep one line, and separate several reasons by semicolons",
        )
    found = rows.set_index("id")["reason"].str.strip("; ")
    if not (found != "").any():
        raise InputError(
            f"report.errors: {path}: the column reason is empty", "write what is wrong, for example blurred"
        )
    return found[found != ""]


def shares(reasons: pd.Series) -> pd.DataFrame:
    """Count reasons, the most frequent first: columns reason, number, and share of the examples with any reason.

    Reasons that differ only in case are one, written as it is first.
    """
    each = reasons.str.split(";").explode().str.strip()
    each = each.groupby(each.str.casefold()).transform("first")
    counts = each[each != ""].groupby(level=0).unique().explode().value_counts()
    return pd.DataFrame(
        {"reason": counts.index, "number": counts.to_numpy(), "share": counts.to_numpy() / len(reasons)}
    )
