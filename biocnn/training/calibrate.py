"""Trials of settings: random ones by cross-validation, as in DeepBind, or candidates; the test split is never used."""

import json
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
from biocnn.data.decisions import resolve
from biocnn.data.splits import balanced_folds
from biocnn.tasks.facts import Facts
from biocnn.training.runs import Log, train_run
from biocnn.training.validation import validation_score

ORDER = ["score", "tie"]  # sort keys of trials, as of epochs
STEPS, EPOCHS = 1000, 10  # of a trial that compares candidates


def run_trial(
    settings: Settings, dataset: Dataset, trial: int, part: int, log: Log, state: Path | None = None
) -> dict[str, Any]:
    """Train with the settings of one trial on all inner folds except one, and validate on that one.

    Parameters
    ----------
    settings
        Settings of the experiment, including defaults; section calibrate sets what is drawn and the number of inner
        folds.
    dataset
        Stored data set of one (outer) fold.
    trial
        Number of the trial, from 0, which uses the experiment's own settings.
    part
        Inner fold to validate on, from 0.
    log
        Called with each log line.
    state
        As for ``train_run``.

    Returns
    -------
    record
        trial, part, settings (by dotted key), metric, value, score (larger is better) and tie (breaks ties, larger is
        better); value, score and tie are None if the training diverged or the metric is undefined; best_epoch, epochs,
        seconds.
    """
    section = settings.calibrate
    if f"trial{trial}-part{part}" not in section.names:
        allowed = f"{section.names[0]} to {section.names[-1]}" if section.names else "none without a section calibrate"
        raise InputError(f"there is no trial{trial}-part{part} in this experiment", f"allowed: {allowed}")
    values = drawn(settings, trial)
    settings = with_values(settings, values)
    length = _brief(settings, dataset.facts) if section.candidates else {"train.epochs": settings.train.epochs}
    length |= {"train.epochs": section.epochs} if section.epochs else {}
    settings = with_values(settings, length | {"train.words": "none"})
    inner = inner_fold(dataset, part, section.parts, settings.split.group, settings.seed)
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
    scores = {"value": float(value), "score": float(score), "tie": float(tie)} if math.isfinite(score) else {}
    counts = {"best_epoch": int(best["epoch"]), "epochs": len(history), "seconds": float(history["seconds"].sum())}
    return {**record, **blank, **scores, **counts}


def _brief(settings: Settings, facts: Facts) -> dict[str, int]:
    """Return the length of a trial that compares candidates: that of the training, or about ``STEPS`` steps."""
    train = resolve(settings, facts)[0].train
    assert train.epochs
    assert train.batch_size
    assert facts.n
    once = -(-facts.n.train // train.batch_size)
    steps = min(once, STEPS // EPOCHS, train.steps_per_epoch or once)
    return {"train.epochs": min(train.epochs, max(EPOCHS, STEPS // steps)), "train.steps_per_epoch": steps}


def inner_fold(dataset: Dataset, part: int, folds: int, group: str, seed: int) -> Dataset:
    """Split the train and val examples into inner folds: one becomes val, the others train; test is not used.

    A single inner fold is the data set as it is split.

    Parameters
    ----------
    dataset
        Data set as stored.
    part
        Inner fold to validate on, from 0.
    folds
        Number of inner folds.
    group
        Column of groups, which are never divided between folds.
    seed
        Seed of the folds.
    """
    if folds == 1:
        return dataset
    rows = dataset.examples[dataset.examples["split"].isin(["train", "val"])]
    numbers = balanced_folds(rows[group].astype(str), folds, seed)
    split = numbers.map(lambda number: "val" if number == part else "train")
    return dataset.with_split(split.reindex(dataset.examples.index, fill_value="not used"))


class _Record(Section):
    """Record of ``run_trial``."""

    trial: int
    part: int
    settings: dict[Annotated[str, Field(pattern=r"^\w+(\.\w+)?$")], Any]
    metric: str
    value: float | None
    score: float | None
    tie: float | None
    best_epoch: int | None
    epochs: int | None
    seconds: float | None


def read_record(path: Path) -> dict[str, Any]:
    """Read a record of ``run_trial`` from a file; raises an ``InputError`` if it is invalid."""
    return check(_Record, read_json(path), str(path)).model_dump()


def rank_trials(records: list[dict[str, Any]]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rank trials by their mean score over inner folds; the loss, then the trial number break ties.

    Parameters
    ----------
    records
        Records of ``run_trial``.

    Returns
    -------
    table, settings
        One row per trial, best first: rank, trial, metric, mean, sd, part0, part1, ..., the settings by dotted key,
        best_epoch (mean), seconds (sum); a trial with a failed training has no mean and comes last. And the settings of
        the best trial.

    Raises
    ------
    InputError
        If there is no trial, or none has a mean.
    """
    if not records:
        raise InputError("no trials to rank", "name the files that `biocnn trial` wrote")
    rows = []
    for trial, runs in pd.DataFrame(records).sort_values(["trial", "part"]).groupby("trial"):
        values = runs["value"].astype(float)
        parts = {f"part{part}": value for part, value in zip(runs["part"], values, strict=True)}
        mean = {"mean": values.mean(skipna=False), "sd": values.std(skipna=False)}
        mean |= runs[ORDER].astype(float).mean(skipna=False).to_dict()
        spent = {"best_epoch": runs["best_epoch"].mean(), "seconds": runs["seconds"].sum()}
        values = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in runs["settings"].iloc[0].items()}
        rows.append({"trial": trial, "metric": runs["metric"].iloc[0], **mean, **parts, **values, **spent})
    table = pd.DataFrame(rows).sort_values(ORDER, ascending=False, kind="stable", na_position="last")
    if table["score"].isna().all():
        raise InputError(
            "no trial trained well in all of its folds",
            "lower train.lr in calibrate.draw, or calibrate.folds if a fold has only one class",
        )
    table.insert(0, "rank", range(1, len(table) + 1))
    best = next(record["settings"] for record in records if record["trial"] == table["trial"].iloc[0])
    return table.drop(columns=ORDER), best
