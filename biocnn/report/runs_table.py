"""The table of all trainings: settings that differ between experiments, state, metrics and cost."""

import csv
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from biocnn.config.settings import Settings
from biocnn.core.errors import InputError
from biocnn.data.splits import HELD_OUT
from biocnn.evaluation.learning_curve import ALL
from biocnn.report.headline import representative
from biocnn.report.results import Results, of_part

FIRST = ["id", "experiment", "run", "fold", "seed", "share", "state"]
COST = {"s": "seconds", "cpu_time": "cpu_seconds", "max_rss": "memory_mb"}  # columns of benchmarks, and of the table
LAST = ["epochs", "best_epoch", *COST.values()]
# Every run has its own seed, and these do not change what is computed.
APART = ("train.seeds", "train.learning_curve", "train.save_minutes", "train.workers")


def runs_table(experiments: list[Results]) -> pd.DataFrame:
    """Return one row per training.

    Parameters
    ----------
    experiments
        Folders ``results/{experiment}``; missing results leave cells empty.

    Returns
    -------
    rows
        Columns id, experiment, run, fold, seed, share (of the training split), state (done, unfinished or not started),
        the settings that differ between the experiments that have them, by dotted key, the main metrics of both
        held-out splits, epochs, best_epoch, and seconds, cpu_seconds and memory_mb, which Snakemake measured.
    """
    settings = [_settings(results) for results in experiments]
    keys = [key for key in differing([flat(given) for given in settings if given]) if key not in APART]
    rows = []
    for results, given in zip(experiments, settings, strict=True):
        own = flat(given) if given else {}
        differ = {key: text(own[key]) for key in keys if key in own}
        rows += [
            {**row, **differ, **_metrics(results, row), **_cost(results, row["run"])} for row in _runs(results, given)
        ]
    found = dict.fromkeys([*FIRST, *keys, *(name for row in rows for name in row if name not in LAST), *LAST])
    return pd.DataFrame(rows, columns=[*found])


def _settings(results: Results) -> Settings | None:
    """Return the settings of the last run; None if no workflow ran it, or another version of biocnn did."""
    with suppress(InputError):
        return results.frozen.settings if results.frozen else None
    return None


def text(value: Any) -> str:
    """Return a setting as YAML on one line."""
    return value if isinstance(value, str) else json.dumps(value)


def flat(value: Any, where: str = "") -> dict[str, Any]:
    """Return settings by dotted key; a list is one value."""
    value = value.model_dump(mode="json") if isinstance(value, Settings) else value
    if not isinstance(value, dict) or not value:
        return {where: value}
    inner = (flat(entry, f"{where}.{key}" if where else key) for key, entry in value.items())
    return {key: entry for found in inner for key, entry in found.items()}


def differing(settings: list[dict[str, Any]]) -> list[str]:
    """Return the dotted keys with several values among the experiments that have them."""
    values: dict[str, set[str]] = {}
    for given in settings:
        for key, value in given.items():
            values.setdefault(key, set()).add(text(value))
    return [key for key, found in values.items() if len(found) > 1]


def _runs(results: Results, given: Settings | None) -> Iterator[dict[str, Any]]:
    """Yield the runs that the settings request; those that exist if the settings are unknown."""
    names = results.runs
    if given:
        folds, train = range(given.split.folds or 1), given.train
        whole = [f"fold{fold}-seed{seed}" for fold in folds for seed in train.seeds]
        names = [*whole, *(f"{run}-share{share:g}" for share in train.learning_curve for run in whole)]
    for name in names:
        fold, seed, *share = name.split("-")
        folder = results.folder / "runs" / name
        state = (
            "done" if (folder / "model.safetensors").is_file() else "unfinished" if folder.is_dir() else "not started"
        )
        yield {
            "id": f"{results.name}/{name}", "experiment": results.name, "run": name,
            "fold": int(fold.removeprefix("fold")), "seed": int(seed.removeprefix("seed")),
            "share": float(share[0].removeprefix("share")) if share else ALL, "state": state,
        }  # fmt: skip


def _metrics(results: Results, row: dict[str, Any]) -> dict[str, float]:
    """Return the main metrics of a run, averaged over outputs, e.g. val_auroc and test_auroc."""
    table = results.metrics
    if row["share"] < ALL and len(table := results.table("learning_curve.tsv")):
        table = table[table["share"] == row["share"]]
    table = table[table["run"] == row["run"].partition("-share")[0]] if len(table) else table
    found = {}
    for split in HELD_OUT if len(table) else ():
        rows = table[table["split"] == split]
        parts = rows.groupby("part") if results.parts else [("", rows)]
        for part, each in parts:
            values = {
                of_part(name, part) if part else name: group["value"].mean() for name, group in representative(each)
            }
            found |= {f"{split}_{name}": values.get(name) for name in results.headline if name in values}
    return found


def _cost(results: Results, run: str) -> dict[str, Any]:
    """Return the number of epochs, the best one, and time and memory of a training."""
    history = _records(results.folder / f"runs/{run}/history.tsv")
    best = [int(row["epoch"]) for row in history if row.get("best") == "1"]
    measured = _records(results.folder / f"benchmarks/train-{run}.tsv")
    cost = {name: measured[-1].get(key) for key, name in COST.items()} if measured else {}
    return {"epochs": len(history) or None, "best_epoch": best[-1] if best else None, **cost}


def _records(path: Path) -> list[dict[str, str]]:
    """Read a small table; there are thousands of them, for which pandas is slow."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))
