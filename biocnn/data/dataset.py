"""The stored data set of an experiment: written once, read by all later steps."""

import json
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

from biocnn.config.registry import resolve
from biocnn.config.settings import Split
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.files import check_file
from biocnn.data import leakage, splits
from biocnn.data.covariates import PREFIX, doubts, encode_covariates, measure
from biocnn.data.facts import checked
from biocnn.data.loci import FROM, loci
from biocnn.data.raw import Raw
from biocnn.data.splits import SPLITS
from biocnn.data.stored_raw import fingerprint
from biocnn.io.padded import pad
from biocnn.io.ragged import REMEDY, Ragged, link
from biocnn.tasks import Task, make_task
from biocnn.tasks.facts import BySplit, Facts, Measured, read_facts
from biocnn.tasks.inputs import Input, make_input
from biocnn.tasks.object_classes import with_classes
from biocnn.tasks.task import PartTask


class Dataset:
    """Read the examples, arrays and facts in a folder.

    Parameters
    ----------
    folder
        Folder from ``write``.
    fold
        Fold whose split and facts to use, from 0; a data set without folds has one.

    Attributes
    ----------
    trained
        Whether each fold trains on each example, shape (N, folds).
    share
        Arguments of ``with_share`` that made it, by name; empty if all of the training split is used.

    Raises
    ------
    InputError
        If there is no such fold, or a file is missing or damaged.
    """

    def __init__(self, folder: str | Path, fold: int = 0) -> None:
        self.folder, self.fold = Path(folder), fold
        self.share: dict[str, Any] = {}
        folder = self.folder
        facts = read_facts(folder / "facts.json")
        self.examples = read_examples(folder / "examples.tsv", [PREFIX + name for name in _words(facts)])
        self.folds = len(facts.folds) or 1
        if fold >= self.folds:
            raise InputError(f"{folder}: has no fold {fold}", f"folds are counted from 0 to {self.folds - 1}")
        self.facts = facts.of_fold(fold)
        columns = ["split", *(f"split_{other}" for other in range(1, self.folds))]
        self.trained = (self.examples[columns] == "train").to_numpy()
        self.examples["split"] = self.examples[columns[fold]]
        self.x = Ragged(folder / "x.npy")
        self.y = self.task.target.open(folder)
        self.labels, self.classes, self.second = (
            Ragged(path) if (path := folder / f"{name}.npy").exists() else None
            for name in ("labels", "classes", "second")
        )
        for name in ("x", "y", "labels", "classes", "second"):
            stored = getattr(self, name)
            if stored is not None and len(stored) != len(self.examples):
                counts = f"{len(self.examples)} rows, but {name}.npy has {len(stored)} arrays"
                raise InputError(f"{folder / 'examples.tsv'}: {counts}", REMEDY)

    @cached_property
    def ranges(self) -> np.ndarray:
        """Return the intensities that map to 0 and 1 in each image: shape (N, 2, C), float32."""
        if self.facts.normalise == "image":
            return np.load(self.folder / "ranges.npy")
        common = np.array([self.facts.intensity.low, self.facts.intensity.high], np.float32)
        return np.tile(common, (len(self.examples), 1, 1))

    @cached_property
    def covariates(self) -> np.ndarray:
        """Return the covariates as the network receives them: shape (N, Z), float32; Z is 0 if there are none."""
        return encode_covariates(self.facts.coded, self.examples)

    @cached_property
    def loci(self) -> np.ndarray:
        """Return the locus of each sequence, see ``biocnn.data.loci``: shape (N,)."""
        raw = Raw(self.examples, self.x.__getitem__, self.y.__getitem__, self.facts)
        return loci(leakage.identify(raw), self.examples)

    @cached_property
    def task(self) -> Task:
        """Return the task of the data set."""
        return make_task(self.facts)

    @cached_property
    def input(self) -> Input:
        """Return the kind of input of the data set."""
        return make_input(self.facts)

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes of sequences with their flanks, padded to equal length: shape (N, L), uint8."""
        return self.x.stacked(rows) if self.facts.window else pad([self.x[row] for row in rows])

    def windows(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes of sequences without their flanks: shape (N, L), uint8."""
        codes, flank = self.padded(rows), self.facts.flank
        return codes[:, flank : codes.shape[1] - flank]

    def groups(self, column: str) -> np.ndarray:
        """Return the resampling unit of each example, (N,): its locus, or its value in this column."""
        if self.input.at_loci:
            return self.loci
        return self.examples.get(column, self.examples["id"]).to_numpy()

    def truth(self, row: int) -> np.ndarray:
        """Return the ground truth of an example: boxes; values, (K, *spatial); or classes or labels, (*spatial)."""
        if self.labels is not None:
            return self.labels[row][0]
        return self.y[row][0] if self.task.target.labelled else self.y[row]

    def drawn(self, row: int) -> np.ndarray:
        """Return the ground truth of an example to draw; with classes of objects, codes of ``with_classes``."""
        truth = self.truth(row)
        return truth if self.classes is None else with_classes(truth, self.classes[row])

    def with_covariates(self, z: np.ndarray) -> "Dataset":
        """Return the same examples with other covariates, as coded: shape (N, Z)."""
        other = copy(self)
        other.covariates = z
        return other

    def with_split(self, split: pd.Series) -> "Dataset":
        """Return the same examples with other splits; measurements of the training split are kept."""
        other = copy(self)
        other.examples = self.examples.assign(split=split)
        other.facts = self.facts.model_copy(update={"n": _sizes(split)})
        return other

    def of_part(self, part: PartTask) -> "Dataset":
        """Return the same examples with the targets of one part only, some of which may be unknown (nan)."""
        other = copy(self)
        other.facts, other.y = part.task.facts, Columns(self.y, part.targets)
        other.__dict__["task"] = part.task
        return other

    def with_share(self, share: float, group: str, seed: int) -> "Dataset":
        """Return the same data set with a share of its training split; measurements of the whole split are kept.

        Parameters
        ----------
        share, seed
            As for ``splits.with_share``.
        group
            Column of groups, which are never divided.
        """
        groups = self.examples.get(group, self.examples["id"]).astype(str)
        other = self.with_split(splits.with_share(self.examples["split"], groups, share, seed, self._classes()))
        other.trained, other.share = self.trained.copy(), {"share": share, "group": group, "seed": seed}
        other.trained[:, self.fold] = other.examples["split"] == "train"
        other.__dict__.pop("task", None)  # it holds the facts of the whole split
        return other

    def _classes(self) -> pd.Series | None:
        """Return the class of each example; of several labels, the rarest one. None if it has no classes."""
        if not (self.task.exclusive or self.task.positives):
            return None
        y = np.nan_to_num(self.y.stacked(np.arange(len(self.examples)))) > 0
        rarest = np.argsort(y.sum(axis=0), kind="stable")
        return pd.Series(np.where(y.any(axis=1), rarest[y[:, rarest].argmax(axis=1)], -1), index=self.examples.index)

    def rows(self, *names: str) -> np.ndarray:
        """Return the row numbers of the examples in these splits."""
        return np.flatnonzero(self.examples["split"].isin(names))


def _words(facts: Facts) -> set[str]:
    """Return the names of the covariates that are words."""
    return {one.name for measured in (facts, *facts.folds) for one in measured.coded if one.levels}


class Columns(Sequence):
    """Some columns of the targets (K,) of all examples."""

    def __init__(self, y: Ragged, columns: slice) -> None:
        self.y, self.columns = y, columns

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: Any) -> np.ndarray:
        return self.y[row][self.columns]

    def stacked(self, rows: np.ndarray) -> np.ndarray:
        """Stack the targets of these rows: shape (N, K)."""
        return self.y.stacked(rows)[:, self.columns]


def read_examples(path: str | Path, words: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table with the columns id, split and optionally group, in which text such as NA is a name.

    Columns in ``words`` are text that may be missing.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    names = {"id": str, "group": str, "split": str, FROM: str}
    check_file(Path(path))
    try:
        others = [column for column in pd.read_csv(path, sep="\t", nrows=0) if column not in names]
        types = names | dict.fromkeys(words, str)
        table = pd.read_csv(path, sep="\t", dtype=types, keep_default_na=False, na_values={c: [""] for c in others})
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})", REMEDY) from error
    if missing := {"id", "split"} - set(table.columns):
        raise InputError(f"{path}: has no column {min(missing)}", REMEDY)
    return table


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
    measured = {"decisions": facts.decisions}
    if given.measure:
        measured |= resolve(given.measure)(facts, folder, folds, seed)
    examples.to_csv(folder / "examples.tsv", sep="\t", index=False)
    checks.frame().to_csv(folder / "checks.tsv", sep="\t", index=False)
    # A table may name hundreds of images, so the hashes of the stored arrays represent them.
    stored = [fingerprint("stored", f"dataset/{name}", folder / name) for name in ("x.npy", "y.npy")]
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


def _sizes(split: pd.Series) -> BySplit[int]:
    return BySplit[int](**{name: int((split == name).sum()) for name in SPLITS})


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
        folds.append(_Fold(assigned, Measured(n=_sizes(assigned), leakage=leaks)))
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
    """Write targets, what they are computed from, classes, and second masks; return what the task remembers of each."""
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
    for name, other, dtype in (("classes", raw.classes, np.int32), ("second", raw.second, np.uint8)):
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
