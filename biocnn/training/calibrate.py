"""Trials of settings: random ones by cross-validation, as in DeepBind, or candidates; the test split is never used.

Candidates may compete in two rounds: if the best of brief trials is not clearly better than the second, both train
once more, for longer (successive halving).

References
----------
Jamieson and Talwalkar, AISTATS 2016, arXiv:1502.07943.
"""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field
from torch import nn

from biocnn import metrics
from biocnn.config.schema import Section, check
from biocnn.config.search_space import chosen, drawn, in_trial, with_values
from biocnn.config.settings import Settings, Train
from biocnn.core.errors import Collector, Diverged, InputError
from biocnn.core.files import atomic, read_json
from biocnn.data.dataset import Dataset
from biocnn.data.decisions import resolve
from biocnn.data.splits import UNUSED, balanced_folds
from biocnn.metrics.weighted import defined_mean
from biocnn.tasks.facts import Facts
from biocnn.training import batches
from biocnn.training.fingerprint import FREE
from biocnn.training.forward import predict_batches
from biocnn.training.runs import Log, train_run
from biocnn.training.state import clear
from biocnn.training.validation import validation_score

ORDER = ["round", "score", "tie"]  # sort keys of trials; score and tie as of epochs
STEPS, EPOCHS = {1: 1000, 2: 3000}, 10  # of trials that compare candidates; steps by round
CLEAR = 2  # standard errors by which the metric of a candidate must lead; else the validation loss decides
LONGER = 1.5  # least ratio of the steps of the second round to those of the first
RESAMPLES = 100  # of the validation split
FEW, FOLDS = 50, 3  # positives (of values: examples) below which one validation split does not tell candidates apart
BLANK = dict.fromkeys(("value", "score", "tie", "best_epoch", "epochs", "seconds")) | {"folds": [], "resampled": []}


def run_trial(
    settings: Settings,
    dataset: Dataset,
    trial: int,
    part: int,
    log: Log,
    state: Path | None = None,
    round: int = 1,
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
    round
        1, or 2 for a longer trial of a candidate.

    Returns
    -------
    record
        trial, part, round, digest (of all settings and of the split), settings (by dotted key), metric, value, folds
        (values of which it is the mean, if of several), score (larger is better), tie (breaks ties, larger is better),
        resampled (see ``resampled_scores``), best_epoch, epochs, seconds; value, score and tie are None if a training
        diverged or the metric is undefined.
    """
    section = settings.calibrate
    if f"trial{trial}-part{part}" not in section.names:
        allowed = f"{section.names[0]} to {section.names[-1]}" if section.names else "none without a section calibrate"
        raise InputError(f"there is no trial{trial}-part{part} in this experiment", f"allowed: {allowed}")
    inner, plan = inner_folds(settings, dataset, part), trial_plan(settings, trial, dataset.facts, round)
    record = {"trial": trial, "part": part, "round": round, "digest": _digest(plan, inner)}
    record |= {"settings": drawn(settings, trial), "metric": dataset.task.monitor or "val_loss"}
    found = []
    for fold in inner:
        found.append(_validate(plan, fold, log, state))
        if found[-1]["score"] is None:
            return {**record, **found[-1]}
    return {**record, **_combine(found)}


def _validate(plan: Settings, dataset: Dataset, log: Log, state: Path | None) -> dict[str, Any]:
    """Train once, and return the part of a record that is about this training."""
    task = dataset.task
    try:
        network, history, meta = train_run(plan, dataset, plan.seed, log=log, state=state)
    except Diverged as error:
        log(f"{error.message}: the trial ends here")
        return BLANK
    best = history[history["best"] == 1].iloc[0].to_dict()
    score, tie = validation_score(best, task)
    value = best[task.monitored]
    scores = {"value": float(value), "score": float(score), "tie": float(tie)} if math.isfinite(score) else {}
    if plan.calibrate.candidates and scores and _of_vectors(dataset) and hasattr(metrics, task.monitor):
        scores["resampled"] = resampled_scores(network, dataset, meta.precision.predict)
    counts = {"best_epoch": int(best["epoch"]), "epochs": len(history), "seconds": float(history["seconds"].sum())}
    return {**BLANK, **scores, **counts}


def _combine(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means over inner folds; times are added."""
    if len(found) == 1:
        return found[0]
    table = pd.DataFrame(found)
    resampled = pd.DataFrame(table.pop("resampled").tolist(), dtype=float).mean(skipna=False)
    counts = {key: round(table[key].mean()) for key in ("best_epoch", "epochs")}
    known = [None if math.isnan(value) else float(value) for value in resampled]
    times = {"seconds": float(table["seconds"].sum())}
    return {
        **table[["value", "score", "tie"]].mean(),
        "folds": table["value"].tolist(),
        "resampled": known,
        **counts,
        **times,
    }


def _of_vectors(dataset: Dataset) -> bool:
    return dataset.input.scanned and not dataset.task.target.spatial


def trial_plan(settings: Settings, trial: int, facts: Facts, round: int) -> Settings:
    """Return the settings of a trial; candidates train for about ``STEPS``, and no longer than the runs will."""
    section, settings = settings.calibrate, in_trial(with_values(settings, drawn(settings, trial)))
    if not section.candidates:
        return with_values(settings, {"train.epochs": section.epochs or settings.train.epochs})
    train = resolve(settings, facts)[0].train
    assert train.epochs
    assert train.batch_size
    assert facts.n
    once = -(-facts.n.train // train.batch_size)
    steps = min(once, STEPS[round] // EPOCHS, train.steps_per_epoch or once)
    epochs = section.epochs or min(train.epochs, max(EPOCHS, STEPS[round] // steps))
    return with_values(settings, {"train.epochs": epochs, "train.steps_per_epoch": steps})


def _steps(train: Train) -> int:
    assert train.epochs
    assert train.steps_per_epoch
    return train.epochs * train.steps_per_epoch


def resampled_scores(network: nn.Module, dataset: Dataset, precision: str) -> list[float | None]:
    """Return the metric for bootstrap resamples of the validation split, always the same ones; None if undefined."""
    rows, metric = dataset.rows("val"), getattr(metrics, dataset.task.monitor)
    val = batches.make(dataset, rows, next(network.parameters()).device)
    p = np.stack([*predict_batches(network, val, dataset.task, precision)])
    known = (metrics.labelled(*columns) for columns in zip(dataset.y.stacked(rows).T, p.T, strict=True))
    values = [metrics.replicates(metric, found, target, seed=0, n=RESAMPLES) for target, found in known]
    means = defined_mean(np.stack(values))
    return [float(value) if math.isfinite(value) else None for value in means]


def _digest(settings: Settings, inner: list[Dataset]) -> str:
    free = {"train": FREE | {"start_from"}}  # a file that was moved is the same file
    text = settings.model_dump_json(include={"seed", "augment", "model", "loss", "train"}, exclude=free)
    text += "".join(fold.examples[["id", "split"]].to_csv(index=False) for fold in inner)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run_trials(settings: Settings, dataset: Dataset, folder: Path, log: Log, state: Path | None = None) -> Settings:
    """Run all trials of an experiment, one after the other, and return it with the settings of the best.

    ``folder`` keeps their records, which a repetition with the same settings and data reads instead; ``state`` as for
    ``run_trial``.
    """
    section, paths = settings.calibrate, []
    for name in section.names:
        trial, part = (int(number) for number in re.findall(r"\d+", name))
        path = folder / f"{name}.json"
        digest = _digest(trial_plan(settings, trial, dataset.facts, 1), inner_folds(settings, dataset, part))
        if not (path.is_file() and read_record(path)["digest"] == digest):
            log(f"{name}: {drawn(settings, trial)}")
            record = run_trial(settings, dataset, trial, part, log, state)
            with atomic(path) as temporary:
                temporary.write_text(json.dumps(record, indent=1))
        paths.append(path)
    table, best = choose_trial(settings, dataset, paths, log, state)
    if state:
        clear(state, unfinished=True)
    log(f"trial {table['trial'].iloc[0]} is the best of {len(table)}: {best}")
    return chosen(settings, best, folder)


def choose_trial(
    settings: Settings, dataset: Dataset, paths: Sequence[Path], log: Log, state: Path | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rank the trials of an experiment; the best two candidates train for longer if neither is clearly better.

    Parameters
    ----------
    settings, dataset, log, state
        As for ``run_trial``.
    paths
        Files with the records of all trials.

    Returns
    -------
    table, settings
        As for ``rank_trials``.
    """
    records = _read_records(settings, dataset, paths)
    for trial in _rivals(records):
        brief, plan = (trial_plan(settings, trial, dataset.facts, round).train for round in STEPS)
        if _steps(plan) < LONGER * _steps(brief):
            continue  # the runs will train for little longer than the first round
        log(f"trial {trial} trains for longer, because the best two are too close to call")
        parts = range(settings.calibrate.parts)
        longer = [run_trial(settings, dataset, trial, part, log, state, round=2) for part in parts]
        records += longer if all(one["score"] is not None for one in longer) else []
    return rank_trials(records)


def _rivals(records: list[dict[str, Any]]) -> list[int]:
    """Return the best two trials, unless the metric of the first is clearly better."""
    table, tied = _ranked(_table(records))
    return table["trial"].iloc[:2].tolist() if tied > 1 else []


def inner_folds(settings: Settings, dataset: Dataset, part: int) -> list[Dataset]:
    """Return the data sets that a trial is validated on: one, or several of few examples, if candidates compete."""
    section, folds, by = settings.calibrate, settings.calibrate.parts, (settings.split.group, settings.seed)
    if section.candidates and not section.folds and _of_vectors(dataset) and _fewest(dataset) < FEW:
        groups = dataset.examples.loc[dataset.examples["split"].isin(["train", "val"]), by[0]].nunique()
        several = [inner_fold(dataset, k, FOLDS, *by) for k in range(FOLDS if groups >= FOLDS else 0)]
        if several and all(_fewest(fold) for fold in several):
            return several
    return [inner_fold(dataset, part, folds, *by)]


def _fewest(dataset: Dataset) -> int:
    """Return the number of validation examples, or of positives of the rarest output."""
    y = dataset.y.stacked(dataset.rows("val"))
    return int((y == 1).sum(0).min()) if dataset.task.family == "classification" else len(y)


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
    return dataset.with_split(split.reindex(dataset.examples.index, fill_value=UNUSED))


class _Record(Section):
    """Record of ``run_trial``."""

    trial: int
    part: int
    round: int
    digest: str
    settings: dict[Annotated[str, Field(pattern=r"^\w+(\.\w+)?$")], Any]
    metric: str
    value: float | None
    folds: list[float]
    score: float | None
    tie: float | None
    resampled: list[float | None]
    best_epoch: int | None
    epochs: int | None
    seconds: float | None


def read_record(path: Path) -> dict[str, Any]:
    """Read a record of ``run_trial`` from a file; raises an ``InputError`` if it is invalid."""
    return check(_Record, read_json(path), str(path)).model_dump()


def _read_records(settings: Settings, dataset: Dataset, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Read the records of all trials of an experiment; refuse others."""
    collector, section, found = Collector(), settings.calibrate, {}
    for path in paths:
        with collector:
            record = read_record(path)
            trial, part = record["trial"], record["part"]
            name = f"trial{trial}-part{part}"
            if name in found:
                raise InputError(f"{path}: is a second record of {name}", "give each once")
            found[name] = record
            inner = inner_folds(settings, dataset, part)
            plan = trial_plan(settings, trial, dataset.facts, 1) if name in section.names else None
            if not plan or record["digest"] != _digest(plan, inner):
                raise InputError(
                    f"{path}: {name} of another experiment, or of other settings or data",
                    "give the records that `biocnn trial` wrote for this experiment, or run it again",
                )
    if missing := [name for name in section.names if name not in found]:
        collector.faults.append(InputError(f"missing trials: {', '.join(missing)}", "run `biocnn trial` for each"))
    collector.finish()
    if not found:
        raise InputError("no trials to rank: the experiment has no section calibrate", "add calibrate: {trials: 30}")
    return list(found.values())


def rank_trials(records: list[dict[str, Any]]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rank trials by their mean score over inner folds; the loss, then the trial number break ties.

    A candidate also ties with the one of the highest score if it is at most two standard errors behind it: with few
    validation examples, the loss is more informative than a metric of ranks.

    Parameters
    ----------
    records
        Records of ``run_trial``; the second round of a trial replaces its first.

    Returns
    -------
    table, settings
        One row per trial, best first: rank, trial, metric, mean, sd, round, loss (mean), se (standard error of the
        difference from the highest score, by a paired bootstrap), part0, part1, ..., the settings by dotted key,
        best_epoch (mean), seconds (sum); a trial with a failed training has no mean and comes last. And the settings of
        the best trial.

    Raises
    ------
    InputError
        If no trial has a mean.
    """
    table = _table(records)
    if table["score"].isna().all():
        raise InputError(
            "no trial trained well in all of its folds",
            "lower train.lr in calibrate.draw, or calibrate.folds if a fold has only one class",
        )
    table, _ = _ranked(table)
    table.insert(0, "rank", range(1, len(table) + 1))
    best = next(record["settings"] for record in records if record["trial"] == table["trial"].iloc[0])
    return table.drop(columns=["score", "tie"]), best


def _ranked(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Sort the trials of the last round that tie with the first by their loss; return also their number."""
    first = table.iloc[0]
    tied = (table["round"] == first["round"]) & (first["score"] - table["score"] <= CLEAR * table["se"])
    tied |= table.index == first.name
    close = table[tied].sort_values("tie", ascending=False, kind="stable")
    return pd.concat([close, table[~tied]]), len(close)


def _table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows of ``rank_trials`` by score, with columns score and tie."""
    rows, resampled = [], []
    for trial, runs in pd.DataFrame(records).sort_values(["trial", "part"]).groupby("trial"):
        last = runs[runs["round"] == runs["round"].max()]
        found = zip(last["folds"], last["value"], strict=True)
        values = pd.Series([value for folds, mean in found for value in folds or [mean]], dtype=float)
        parts = {f"part{part}": value for part, value in enumerate(values)}
        mean = {"mean": values.mean(skipna=False), "sd": values.std(skipna=False), "round": last["round"].iloc[0]}
        mean |= last[["score", "tie"]].astype(float).mean(skipna=False).to_dict()
        mean |= {"loss": -mean["tie"], "se": np.nan}  # se is known below
        spent = {"best_epoch": last["best_epoch"].mean(), "seconds": runs["seconds"].sum()}
        given = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in last["settings"].iloc[0].items()}
        rows.append({"trial": trial, "metric": last["metric"].iloc[0], **mean, **parts, **given, **spent})
        resampled.append(pd.DataFrame(last["resampled"].tolist(), dtype=float).mean(skipna=False))
    table = pd.DataFrame(rows).sort_values(ORDER, ascending=False, kind="stable", na_position="last")
    first = resampled[table.index[0]]
    return table.assign(se=[(first - resampled[row]).std() for row in table.index])
