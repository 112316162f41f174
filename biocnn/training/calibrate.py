"""Random settings tried by cross-validation, as DeepBind's authors did; the test part is never looked at."""

import math
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from biocnn.config.schema import Section, check
from biocnn.config.search_space import drawn, with_values
from biocnn.config.settings import Settings
from biocnn.core.errors import Diverged, InputError
from biocnn.core.files import read_json
from biocnn.data.dataset import Dataset
from biocnn.data.splits import balanced_folds
from biocnn.training.runs import Log, train_run
from biocnn.training.validation import validation_score

ORDER = ["score", "tie"]  # of trials, as of epochs


def run_trial(
    settings: Settings, dataset: Dataset, trial: int, part: int, log: Log, state: Path | None = None
) -> dict[str, Any]:
    """Train with the settings of one trial on all inner folds but one, and validate on that one.

    Parameters
    ----------
    settings
        An experiment with all defaults; its section calibrate says what is drawn, and how many inner folds there are.
    dataset
        Its stored data set, of one (outer) fold.
    trial
        From 0, the experiment's own settings.
    part
        The inner fold that validates, from 0.
    log
        Takes one line at a time.
    state
        As for ``train_run``.

    Returns
    -------
    record
        trial, part, settings (by dotted key), metric, value, score (larger is better) and tie (likewise, of equal
        scores); these three None where the training diverged, or the metric is not defined; best_epoch, epochs,
        seconds.
    """
    section, values = settings.calibrate, drawn(settings, trial)
    settings = with_values(settings, {**values, "train.epochs": section.epochs or settings.train.epochs})
    inner = inner_fold(dataset, part, section.folds, settings.split.group, settings.seed)
    task = inner.task
    record = {"trial": trial, "part": part, "settings": values, "metric": task.monitor or "val_loss"}
    blank = {"value": None, "score": None, "tie": None, "best_epoch": None, "epochs": None, "seconds": None}
    try:
        _, history, _ = train_run(settings, inner, settings.seed, log=log, state=state)
    except Diverged as error:
        log(f"{error.message}: the trial ends here")
        return {**record, **blank}
    best = history[history["best"] == 1].iloc[0].to_dict()
    score, tie = validation_score(best, task)
    value = best[task.monitored]
    found = {"value": float(value), "score": float(score), "tie": float(tie)} if math.isfinite(score) else {}
    counts = {"best_epoch": int(best["epoch"]), "epochs": len(history), "seconds": float(history["seconds"].sum())}
    return {**record, **blank, **found, **counts}


def inner_fold(dataset: Dataset, part: int, folds: int, group: str, seed: int) -> Dataset:
    """The data set without its test part: one fold of the groups in train and val validates, the others train.

    Parameters
    ----------
    dataset
        As stored.
    part
        The fold that validates, from 0.
    folds
        How many.
    group
        Column whose values are never cut.
    seed
        Of the folds.
    """
    rows = dataset.examples[dataset.examples["split"].isin(["train", "val"])]
    numbers = balanced_folds(rows[group].astype(str), folds, seed)
    split = numbers.map(lambda number: "val" if number == part else "train")
    return dataset.with_split(split.reindex(dataset.examples.index, fill_value="not used"))


class _Record(Section):
    """What ``run_trial`` gives."""

    trial: int
    part: int
    settings: dict[Annotated[str, Field(pattern=r"^\w+\.\w+$")], Any]
    metric: str
    value: float | None
    score: float | None
    tie: float | None
    best_epoch: int | None
    epochs: int | None
    seconds: float | None


def read_record(path: Path) -> dict[str, Any]:
    """What ``run_trial`` gave, from a file; an ``InputError`` where it cannot be."""
    return check(_Record, read_json(path), str(path)).model_dump()


def rank_trials(records: list[dict[str, Any]]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Which settings are best: the mean over their inner folds decides, of equal ones the loss, then the first trial.

    Parameters
    ----------
    records
        From ``run_trial``.

    Returns
    -------
    table, settings
        One row a trial, the best first: rank, trial, metric, mean, sd, part0, part1, ..., the settings by dotted key,
        best_epoch (mean), seconds (sum); a trial of which one training failed has no mean, and comes last. And the
        settings of the best.

    Raises
    ------
    InputError
        Where no trial has a mean.
    """
    rows = []
    for trial, found in pd.DataFrame(records).sort_values(["trial", "part"]).groupby("trial"):
        values = found["value"].astype(float)
        parts = {f"part{part}": value for part, value in zip(found["part"], values, strict=True)}
        mean = {"mean": values.mean(skipna=False), "sd": values.std(skipna=False)}
        mean |= found[ORDER].astype(float).mean(skipna=False).to_dict()
        spent = {"best_epoch": found["best_epoch"].mean(), "seconds": found["seconds"].sum()}
        rows.append(
            {"trial": trial, "metric": found["metric"].iloc[0], **mean, **parts, **found["settings"].iloc[0], **spent}
        )
    table = pd.DataFrame(rows).sort_values(ORDER, ascending=False, kind="stable", na_position="last")
    if table["score"].isna().all():
        raise InputError(
            "calibrate: no trial trained well in all of its folds",
            "lower train.lr in calibrate.draw; or calibrate.folds, if a fold has one class only",
        )
    table.insert(0, "rank", range(1, len(table) + 1))
    best = next(record["settings"] for record in records if record["trial"] == table["trial"].iloc[0])
    return table.drop(columns=ORDER), best
