"""The stored data set of an experiment: written once, read by every later step."""

import json
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.config.settings import Split
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.files import read_json, sha256
from biocnn.data import leakage, splits
from biocnn.data.decisions import decide
from biocnn.data.facts import checked
from biocnn.data.foreground import write_places
from biocnn.data.loci import FROM, loci
from biocnn.data.measured import diameters, measure_objects, measure_sizes
from biocnn.data.raw import Raw
from biocnn.data.splits import PARTS
from biocnn.io.intensity import decide_normalise, image_ranges, intensity_percentiles
from biocnn.io.ragged import REMEDY, Ragged
from biocnn.tasks import Task, make_task
from biocnn.tasks.inputs import Input, make_input
from biocnn.tasks.instance_targets import instance_targets


class Dataset:
    """Examples, arrays and facts under one folder.

    Parameters
    ----------
    folder
        What ``write`` made.
    fold
        Whose split and facts are wanted, from 0; without folds there is one.

    Raises
    ------
    InputError
        Where there is no such fold, or a file is missing or damaged.
    """

    def __init__(self, folder: str | Path, fold: int = 0) -> None:
        self.folder, self.fold = Path(folder), fold
        folder = self.folder
        self.examples = read_examples(folder / "examples.tsv")
        self.facts: dict[str, Any] = read_json(folder / "facts.json")
        folds = self.facts.pop("folds", [{}])
        if fold >= len(folds):
            raise InputError(f"{folder}: has no fold {fold}", f"folds are counted from 0 to {len(folds) - 1}")
        self.facts |= folds[fold]
        self.folds = len(folds)
        if fold:
            self.examples["split"] = self.examples[f"split_{fold}"]
        self.x = Ragged(folder / "x.npy")
        self.y = self.task.target.open(folder)
        self.labels = Ragged(folder / "labels.npy") if (folder / "labels.npy").exists() else None
        for name, stored in (("x", self.x), ("y", self.y), ("labels", self.labels)):
            if stored is not None and len(stored) != len(self.examples):
                said = f"{len(self.examples)} rows, but {name}.npy has {len(stored)} arrays"
                raise InputError(f"{folder / 'examples.tsv'}: {said}", REMEDY)

    @cached_property
    def ranges(self) -> np.ndarray:
        """The intensities that become 0 and 1 in each image: shape (N, 2, C), float32."""
        if self.facts["normalise"] == "image":
            return np.load(self.folder / "ranges.npy")
        common = [self.facts["intensity"][key] for key in ("low", "high")]
        return np.tile(np.array(common, np.float32), (len(self.examples), 1, 1))

    @cached_property
    def loci(self) -> np.ndarray:
        """The locus of each sequence, see ``biocnn.data.loci``: shape (N,)."""
        raw = Raw(self.examples, self.x.__getitem__, self.y.__getitem__, self.facts)
        return loci(leakage.identify(raw), self.examples)

    @cached_property
    def task(self) -> Task:
        """What is asked of these examples."""
        return make_task(self.facts)

    @cached_property
    def input(self) -> Input:
        """What the examples are."""
        return make_input(self.facts)

    def divided(self, split: pd.Series) -> "Dataset":
        """The same examples with other parts; what was measured on the training part stays as it was."""
        other = copy(self)
        other.examples = self.examples.assign(split=split)
        other.facts = {**self.facts, "n": {part: int((split == part).sum()) for part in PARTS}}
        return other

    def rows(self, *parts: str) -> np.ndarray:
        """Row numbers of the examples in these parts."""
        return np.flatnonzero(self.examples["split"].isin(parts))


def read_examples(path: str | Path) -> pd.DataFrame:
    """A table with the columns id, split and perhaps group, where NA, say, is a name and nothing missing.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    names = {"id": str, "group": str, "split": str, FROM: str}
    try:
        others = [column for column in pd.read_csv(path, sep="\t", nrows=0) if column not in names]
        table = pd.read_csv(path, sep="\t", dtype=names, keep_default_na=False, na_values={c: [""] for c in others})
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})", REMEDY) from error
    if missing := {"id", "split"} - set(table.columns):
        raise InputError(f"{path}: has no column {min(missing)}", REMEDY)
    return table


def write(raw: Raw, split: Split, seed: int, files: dict[str, Path], folder: Path) -> dict[str, Any]:
    """Split the examples and store them.

    Parameters
    ----------
    raw
        Examples as read.
    split
        The experiment's section split.
    seed
        The experiment's seed.
    files
        The raw files by dotted key; their hashes go into the facts.
    folder
        Must not exist yet.

    Returns
    -------
    facts
        As stored in facts.json.

    Raises
    ------
    InputError
        Where ``raw`` is not what ``Raw`` says, or the parts of the split are not fit to learn from and to judge by.
    """
    raw = checked(raw)
    examples, checks = raw.examples.copy(), Checks()
    facts = dict(raw.facts, decisions={}, sources=hashes(files))
    for key, reason in facts.pop("reasons", {}).items():
        facts["decisions"][key] = {"value": facts[key], "reason": reason}
    folds = _divide(raw, examples, split, seed, checks)
    folder.mkdir(parents=True)
    rows = range(len(examples))
    if facts["kind"] == "sequence":
        _store_vectors(raw, examples, facts, folder, folds, checks)
        Ragged.write(folder / "x.npy", (raw.x(i) for i in rows), np.uint8)
    else:
        Ragged.write(folder / "x.npy", (raw.x(i) for i in rows), facts["dtype"])
        _store_masks(raw, facts, folder, folds)
        write_places(Ragged(folder / "y.npy"), folder / "foreground.npy", seed)
        _measure_intensity(facts, folder, folds)
        _decide(facts, folder, folds)
    facts |= folds[0].facts
    if len(folds) > 1:
        facts["folds"] = [fold.facts for fold in folds]
    examples.to_csv(folder / "examples.tsv", sep="\t", index=False)
    checks.frame().to_csv(folder / "checks.tsv", sep="\t", index=False)
    # A table names images by the hundred: what was stored of them stands for all.
    facts["sources"] += [_fingerprint("stored", f"dataset/{name}", folder / name) for name in ("x.npy", "y.npy")]
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))
    return facts


@dataclass
class _Fold:
    """The part of each example, and what is measured on the parts."""

    split: pd.Series
    facts: dict[str, Any]


def _divide(raw: Raw, examples: pd.DataFrame, split: Split, seed: int, checks: Checks) -> list[_Fold]:
    """Add columns to the table: split; with folds also fold, and split_1, split_2, ... for all but the first."""
    split = _spelled(split, raw, checks)
    if split.folds is None:
        found = [splits.assign(examples, seed, split)]
    else:
        folds = splits.assign_folds(examples, seed, split)
        found = [splits.parts_of_fold(folds, i, split.folds) for i in range(split.folds)]
        examples["fold"] = folds
    identity, folds = leakage.identify(raw), []
    for i, parts in enumerate(found):
        parts, leaks = leakage.account(identity, parts, split.remove_leaks, examples["id"], checks)
        examples[f"split_{i}" if i else "split"] = parts
        folds.append(_Fold(parts, {"n": {part: int((parts == part).sum()) for part in PARTS}, "leakage": leaks}))
        for part, n in folds[-1].facts["n"].items():
            if not n:
                raise InputError(
                    f"split.remove_leaks: leaves the {part} part empty", "put examples that are alike into one group"
                )
    return folds


def _spelled(split: Split, raw: Raw, checks: Checks) -> Split:
    """The section split with the names of groups as the examples have them."""
    given = {"val": split.val, "test": split.test}
    lists = {part: [str(name) for name in names] for part, names in given.items() if isinstance(names, list)}
    if not (lists and raw.find_groups and split.group in ("group", "chrom")):
        return split
    found = raw.find_groups([name for names in lists.values() for name in names])
    renamed = [f"{name} -> {group}" for name, group in found.items() if name != group]
    checks.add("split", "repaired", "contig names", len(renamed), ", ".join(renamed[:4]))
    return split.model_copy(update={part: [found.get(name, name) for name in names] for part, names in lists.items()})


def hashes(files: dict[str, Path]) -> list[dict[str, Any]]:
    """Path, SHA-256 and size of raw files; of a folder, its number of files."""
    found = []
    for key, path in files.items():
        if path.is_file():
            found.append(_fingerprint(key, str(path), path))
        else:
            found.append({"key": key, "path": str(path), "files": sum(p.is_file() for p in path.iterdir())})
    return found


def _fingerprint(key: str, name: str, path: Path) -> dict[str, Any]:
    return {"key": key, "path": name, "sha256": sha256(path), "bytes": path.stat().st_size}


def _store_vectors(
    raw: Raw, examples: pd.DataFrame, facts: dict[str, Any], folder: Path, folds: list[_Fold], checks: Checks
) -> None:
    y = np.asarray(raw.y, dtype=np.float32)
    for number, fold in enumerate(folds):
        _judge_labels(y, fold.split, facts, checks, f"split, fold {number}" if len(folds) > 1 else "split")
        found = {part: y[fold.split == part] for part in PARTS}
        fold.facts["n_known"] = {part: (~np.isnan(values)).sum(axis=0).tolist() for part, values in found.items()}
        if facts["task"] != "regression":
            fold.facts["n_positive"] = {part: (values == 1).sum(axis=0).tolist() for part, values in found.items()}
            fold.facts["positives"] = np.nanmean(found["train"], axis=0).tolist()
    make_task(facts).target.write(y, folder)
    for k in range(y.shape[1]):
        examples[f"y_{k}"] = y[:, k]


def _judge_labels(y: np.ndarray, split: pd.Series, facts: dict[str, Any], checks: Checks, source: str) -> None:
    """Refuse outputs of which nothing can be learned, and parts by which none can be chosen or judged; name others."""
    numbers = facts["task"] == "regression"
    for part in PARTS:
        values = y[(split == part).to_numpy()]
        found = [np.unique(column[~np.isnan(column)]) for column in values.T]
        alike = {
            name: "no known value" if not len(seen) else f"only one {'value' if numbers else 'class'} ({seen[0]:g})"
            for name, seen in zip(facts["outputs"], found, strict=True)
            if len(seen) < 2
        }
        if alike and (part == "train" or (len(alike) == len(facts["outputs"]) and not numbers)):
            raise InputError(
                f"split: the {part} part has " + "; ".join(f"{what} of {name!r}" for name, what in alike.items()),
                f"choose other groups or a larger fraction in split.{part}",
            )
        for name, what in alike.items():
            checks.add(source, "note", f"the {part} part has {what} of an output: not in its metrics", 1, name)


def _store_masks(raw: Raw, facts: dict[str, Any], folder: Path, folds: list[_Fold]) -> None:
    """Masks as (1, *spatial); labels as maps to learn, (2, *spatial), and as they are; class shares in train."""
    rows = range(len(raw.examples))
    objects = facts["task"] == "instances"
    classes = max(2, facts["out_channels"] - objects)
    counts = np.zeros((len(rows), classes + 1), dtype=np.int64)  # the last: all but what is ignored
    sizes: list[np.ndarray] = []  # of the objects of each image

    def maps() -> Any:
        for i in rows:
            y = raw.y(i)
            stored = instance_targets(y) if objects else y[None]
            found = np.bincount(stored[0].ravel(), minlength=256)
            counts[i] = [*found[:classes], found[:255].sum()]
            sizes.append(diameters(y) if objects else np.zeros(0))
            yield stored

    make_task(facts).target.write(maps(), folder)
    if objects:
        Ragged.write(folder / "labels.npy", (raw.y(i)[None] for i in rows), np.int32)
    for fold in folds:
        train = np.flatnonzero(fold.split == "train")
        *shares, known = counts[train].sum(axis=0)
        fold.facts["class_shares"] = [float(share / max(known, 1)) for share in shares]
        fold.facts["objects"] = measure_objects([sizes[i] for i in train])


def _measure_intensity(facts: dict[str, Any], folder: Path, folds: list[_Fold]) -> None:
    """Percentiles of each image and of the training part, which decides which of them are used."""
    x = Ragged(folder / "x.npy")
    ranges = image_ranges(x[i] for i in range(len(x)))
    np.save(folder / "ranges.npy", ranges)
    for fold in folds:
        train = np.flatnonzero(fold.split == "train")
        fold.facts["intensity"] = intensity_percentiles(x[i] for i in train)
        fold.facts["normalise"], reason = decide_normalise(facts.get("normalise", "auto"), ranges[train])
        fold.facts["decisions"] = {"normalise": {"value": fold.facts["normalise"], "reason": reason}}


def _decide(facts: dict[str, Any], folder: Path, folds: list[_Fold]) -> None:
    """What each fold leaves to the data, as measured on its training part."""
    shapes = np.load(folder / "x.shapes.npy")
    facts["sizes"] = measure_sizes(shapes)
    for fold in folds:
        fold.facts["pixels"] = int(shapes[(fold.split == "train").to_numpy(), 1:].prod(axis=1).sum())
        fold.facts["decisions"] = facts["decisions"] | fold.facts["decisions"] | decide(facts | fold.facts)
