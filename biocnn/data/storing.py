"""Split, measure and store the examples of a data set."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

from biocnn.config.experiment import settings_of
from biocnn.config.experiment_paths import paths_of
from biocnn.config.registry import resolve
from biocnn.config.schema import map_paths
from biocnn.config.settings import Settings, Split
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data import leakage, splits
from biocnn.data.covariates import doubts, measure
from biocnn.data.facts import checked, read_data
from biocnn.data.raw import Raw
from biocnn.data.signal import measure_signal
from biocnn.data.splits import SPLITS
from biocnn.data.stored_raw import fingerprint, hashes
from biocnn.io.ragged import Ragged, link
from biocnn.tasks import Task, make_task
from biocnn.tasks.facts import Facts, Measured
from biocnn.tasks.inputs import make_input

SETTINGS = "settings.json"  # sections of the experiment that made a data set


def store(raw: Raw, settings: Settings, folder: Path) -> Facts:
    """Split the examples of an experiment and store them, with the sections that determined them; as ``write``."""
    facts = write(raw, settings.split, settings.seed, folder)
    sections = settings.model_dump(mode="json", include={"seed", "data", "split"})
    (folder / SETTINGS).write_text(json.dumps(sections, indent=1))
    return facts


def make(data: Mapping[str, Any], split: Any, seed: int, root: Path, folder: Path, to: Path) -> None:
    """Read data as the section data of an experiment does, and store them; see ``Dataset.from_files``.

    ``folder`` holds files that were made for the reader: its name is not stored. ``to`` is the folder to write.
    """
    checks = Checks()
    checked = settings_of({"seed": seed, "data": dict(data), "split": dict(split or {})}, root)
    raw = read_data(checked, checks)

    def short(path: Path, _where: str = "") -> Path:
        return path.relative_to(folder) if path.is_relative_to(folder) else path

    files = {key: path for key, path in paths_of(checked).items() if key.startswith("data.")}
    sources = [one.model_copy(update={"path": str(short(Path(one.path)))}) for one in hashes(files)]
    raw.facts = raw.facts.model_copy(update={"sources": sources})
    store(raw, map_paths(short, checked), to)
    own = pd.read_csv(to / "checks.tsv", sep="\t", keep_default_na=False)
    pd.concat([checks.frame(), own]).to_csv(to / "checks.tsv", sep="\t", index=False)


def write(raw: Raw, split: Split, seed: int, folder: Path) -> Facts:
    """Split the examples and store them.

    Parameters
    ----------
    raw
        Examples as read.
    split
        The experiment's section split.
    seed
        Seed of the experiment.
    folder
        Output folder; must not exist yet.

    Returns
    -------
    facts
        Facts as stored in facts.json.

    Raises
    ------
    InputError
        If ``raw`` violates the contract of ``Raw``, or a split is not fit for training or evaluation.
    """
    raw = checked(raw)
    examples, checks = raw.examples.copy(), Checks()
    facts, folds = raw.facts, divide(raw, examples, split, seed, checks)
    folder.mkdir(parents=True)
    task, given = make_task(facts), make_input(facts)
    _measure_covariates(facts.covariates, examples, folds, checks)
    truths = _store_truth(raw, task, folder)
    _measure_truth(task, truths, folds, checks)
    examples = examples.assign(**task.columns(truths))
    _store(raw, "x.npy", folder / "x.npy", map(raw.x, range(len(examples))), given.dtype(facts))
    names = ["x.npy", "y.npy"]
    if raw.signal:
        names.append("signal.npy")
        _store(raw, "signal.npy", folder / "signal.npy", map(raw.signal, range(len(examples))), np.float32)
        trained = [(fold.split == "train").to_numpy() for fold in folds]
        for fold, signal in zip(folds, measure_signal(raw, trained), strict=True):
            fold.add(signal_tracks=signal)
    measured = {"decisions": facts.decisions}
    if given.measure:
        measured |= resolve(given.measure)(facts, folder, folds, seed)
    examples.to_csv(folder / "examples.tsv", sep="\t", index=False)
    checks.frame().to_csv(folder / "checks.tsv", sep="\t", index=False)
    # A table may name hundreds of images, so the hashes of the stored arrays represent them.
    stored = [fingerprint("stored", f"dataset/{name}", folder / name) for name in names]
    measured |= folds[0].facts.given() | {"sources": facts.sources + stored}
    measured |= {"folds": [fold.facts for fold in folds]} if len(folds) > 1 else {}
    facts = facts.model_copy(update=measured)
    (folder / "facts.json").write_text(json.dumps(facts.plain(), indent=1))
    return facts


@dataclass
class _Fold:
    """The split of each example, and what is measured on the splits."""

    split: pd.Series
    facts: Measured

    def add(self, **measured: Any) -> None:
        self.facts = Measured.model_validate(self.facts.given() | measured)


def divide(raw: Raw, examples: pd.DataFrame, split: Split, seed: int, checks: Checks) -> list[_Fold]:
    """Add columns to the table: split; with folds also fold, and split_1, split_2, ... for all folds but the first."""
    split, strata = _spelled(split, raw, checks), _strata(raw)
    if split.folds is None:
        found = [splits.assign(examples, seed, split, strata)]
    else:
        folds = splits.assign_folds(examples, seed, split, strata)
        found = [splits.splits_of_fold(folds, i, split.folds) for i in range(split.folds)]
        examples["fold"] = folds
    identity, folds = leakage.identify(raw), []
    for i, assigned in enumerate(found):
        assigned, leaks = leakage.account(identity, assigned, split.remove_leaks, examples["id"], checks)
        assigned = splits.set_aside(assigned, split.train_dev, seed)
        unused = (assigned == splits.TRAIN_DEV).sum()
        checks.add("split", "note", "examples like those of the training split, but not trained on", unused)
        examples[f"split_{i}" if i else "split"] = assigned
        folds.append(_Fold(assigned, Measured(n=splits.sizes(assigned), leakage=leaks)))
        for name, n in folds[-1].facts.n:
            if not n:
                raise InputError(
                    f"split.remove_leaks: leaves the {name} split empty", "put matching examples into one group"
                )
    return folds


def _strata(raw: Raw) -> pd.Series | None:
    """Return the class of each example if it has exactly one; else None."""
    if not make_task(raw.facts).exclusive:
        return None
    return pd.Series(np.nan_to_num(np.asarray(raw.y)).argmax(axis=1), index=raw.examples.index)


def _spelled(split: Split, raw: Raw, checks: Checks) -> Split:
    """Return the section split with names of groups as in the examples."""
    given = {"val": split.val, "test": split.test}
    lists = {key: [str(name) for name in names] for key, names in given.items() if isinstance(names, list)}
    if not (lists and raw.contigs and split.group in ("group", "chrom")):
        return split
    found = raw.contigs.find_groups([name for names in lists.values() for name in names])
    renamed = [f"{name} -> {group}" for name, group in found.items() if name != group]
    checks.add("split", "repaired", "contig names", len(renamed), ", ".join(renamed[:4]))
    return split.model_copy(update={key: [found.get(name, name) for name in names] for key, names in lists.items()})


def _store(raw: Raw, name: str, path: Path, arrays: Iterable[np.ndarray], dtype: DTypeLike) -> None:
    """Write arrays, or link them if they are stored already."""
    if raw.folder:
        link(raw.folder / name, path)
    else:
        Ragged.write(path, arrays, dtype)


def _store_truth(raw: Raw, task: Task, folder: Path) -> list[Any]:
    """Write targets, what they are computed from, classes and second annotations; return what the task remembers."""
    found = []

    def encoded() -> Iterator[np.ndarray]:
        for row in range(len(raw.examples)):
            truth = raw.truth(row)
            stored = task.encode_typed(truth, raw.classes(row)) if raw.classes else task.encode(truth)
            found.append(task.remember(truth, stored))
            yield stored

    task.target.write(encoded(), folder)
    if task.kept:
        labels = (raw.truth(row)[None] for row in range(len(raw.examples)))
        _store(raw, "y.npy", folder / "labels.npy", labels, task.kept)
    for name, other, dtype in (
        ("classes", raw.classes, np.int32),
        ("second", raw.second, task.kept or task.target.dtype),
    ):
        if other:
            _store(raw, f"{name}.npy", folder / f"{name}.npy", map(other, range(len(raw.examples))), dtype)
    return found


def _measure_truth(task: Task, found: list[Any], folds: list[_Fold], checks: Checks) -> None:
    """Check the splits of each fold, and measure them."""
    for place, fold in _places(folds):
        by_split = {name: [found[row] for row in np.flatnonzero(fold.split == name)] for name in SPLITS}
        for reason, output in task.check_split(by_split):
            checks.add(place, "note", reason, 1, output)
        fold.add(**task.measure(by_split))
        for (name, n), (_, known) in zip(fold.facts.n or (), fold.facts.n_known or (), strict=False):
            for output, k in task.labelled_columns.items():
                checks.add(place, "note", f"{output} is unknown in the {name} split", n - known[k])


def _measure_covariates(names: list[str], examples: pd.DataFrame, folds: list[_Fold], checks: Checks) -> None:
    """Measure the covariates of each fold, and record what the training split lacks."""
    for place, fold in _places(folds) if names else ():
        fold.add(coded=measure(examples, names, (fold.split == "train").to_numpy()))
        used = fold.split.isin(SPLITS).to_numpy()
        for reason, which in doubts(fold.facts.coded, examples):
            found = examples["id"][which & used]
            checks.add(place, "note", f"covariate {reason}", len(found), "".join(found[:1]))


def _places(folds: list[_Fold]) -> Iterator[tuple[str, _Fold]]:
    for number, fold in enumerate(folds):
        yield f"split, fold {number}" if len(folds) > 1 else "split", fold
