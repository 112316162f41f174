"""The stored data set of an experiment: written once, read by every later step."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.data.intensity import intensity_percentiles
from biocnn.data.ragged import Ragged
from biocnn.data.raw import Raw
from biocnn.data.splits import PARTS, assign
from biocnn.data.targets import instance_targets
from biocnn.errors import InputError
from biocnn.files import sha256

MAX_PATCH = 256


class Dataset:
    """Examples, arrays and facts under one folder.

    Parameters
    ----------
    folder
        What ``write`` made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = folder = Path(folder)
        self.examples = read_examples(folder / "examples.tsv")
        self.facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
        self.x = Ragged(folder / "x.npy")
        self.y = Ragged(folder / "y.npy")
        self.labels = Ragged(folder / "labels.npy") if (folder / "labels.npy").exists() else None

    def rows(self, *parts: str) -> np.ndarray:
        """Row numbers of the examples in these parts."""
        return np.flatnonzero(self.examples["split"].isin(parts))


def read_examples(path: str | Path) -> pd.DataFrame:
    """A table with the columns id, split and perhaps group, where NA, say, is a name and nothing missing."""
    names = {"id": str, "group": str, "split": str}
    others = [column for column in pd.read_csv(path, sep="\t", nrows=0) if column not in names]
    return pd.read_csv(path, sep="\t", dtype=names, keep_default_na=False, na_values={c: [""] for c in others})


def write(raw: Raw, split: dict[str, Any], seed: int, files: dict[str, str], folder: Path) -> dict[str, Any]:
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
    """
    examples = raw.examples.copy()
    examples["split"] = assign(examples, seed, **split)
    facts = dict(raw.facts, decisions={}, sources=hashes(files))
    for key, reason in facts.pop("reasons", {}).items():
        facts["decisions"][key] = {"value": facts[key], "reason": reason}
    facts["n"] = {part: int((examples["split"] == part).sum()) for part in PARTS}
    folder.mkdir(parents=True)
    rows = range(len(examples))
    if facts["kind"] == "sequence":
        examples = _store_vectors(raw, examples, facts, folder)
        Ragged.write(folder / "x.npy", (raw.x(i) for i in rows), np.uint8)
    else:
        Ragged.write(folder / "x.npy", (raw.x(i) for i in rows), facts["dtype"])
        train = np.flatnonzero(examples["split"] == "train")
        _store_masks(raw, facts, folder, set(train.tolist()))
        facts["intensity"] = intensity_percentiles(raw.x(i) for i in train)
        _decide_patch(facts, folder)
    examples.to_csv(folder / "examples.tsv", sep="\t", index=False)
    # A table names images by the hundred: what was stored of them stands for all.
    facts["sources"] += [_fingerprint("stored", f"dataset/{name}", folder / name) for name in ("x.npy", "y.npy")]
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))
    return facts


def hashes(files: dict[str, str]) -> list[dict[str, Any]]:
    """Path, SHA-256 and size of raw files; of a folder, its number of files."""
    found = []
    for key, name in files.items():
        path = Path(name)
        if path.is_file():
            found.append(_fingerprint(key, name, path))
        else:
            found.append({"key": key, "path": name, "files": sum(p.is_file() for p in path.iterdir())})
    return found


def _fingerprint(key: str, name: str, path: Path) -> dict[str, Any]:
    return {"key": key, "path": name, "sha256": sha256(path), "bytes": path.stat().st_size}


def _store_vectors(raw: Raw, examples: pd.DataFrame, facts: dict[str, Any], folder: Path) -> pd.DataFrame:
    y = np.asarray(raw.y, dtype=np.float32)
    if facts["task"] in ("binary", "multilabel"):
        _refuse_one_class(y, examples["split"], facts["outputs"])
        facts["positives"] = y[examples["split"] == "train"].mean(axis=0).tolist()
    Ragged.write(folder / "y.npy", y, np.float32)
    return examples.assign(**{f"y_{k}": y[:, k] for k in range(y.shape[1])})


def _refuse_one_class(y: np.ndarray, split: pd.Series, outputs: list[str]) -> None:
    for part in PARTS:
        values = y[(split == part).to_numpy()]
        for k, name in enumerate(outputs):
            if len(np.unique(values[:, k])) < 2:
                raise InputError(
                    f"split: the {part} part has only one class ({values[0, k]:g}) of {name!r}",
                    f"choose other groups or a larger fraction in split.{part}",
                )


def _store_masks(raw: Raw, facts: dict[str, Any], folder: Path, train: set[int]) -> None:
    """Masks as (1, *spatial); labels as maps to learn, (2, *spatial), and as they are; class shares in train."""
    rows = range(len(raw.examples))
    counts = np.zeros(256, dtype=np.int64)
    objects = facts["task"] == "instances"

    def maps() -> Any:
        for i in rows:
            y = raw.y(i)
            stored = instance_targets(y) if objects else y[None]
            if i in train:
                counts[:] += np.bincount(stored[0].ravel(), minlength=256)
            yield stored

    Ragged.write(folder / "y.npy", maps(), np.uint8)
    if objects:
        Ragged.write(folder / "labels.npy", (raw.y(i)[None] for i in rows), np.int32)
    known = counts[:255].sum()
    facts["class_shares"] = (counts[: max(2, facts["out_channels"] - objects)] / max(known, 1)).tolist()


def _decide_patch(facts: dict[str, Any], folder: Path) -> None:
    sides = np.load(folder / "x.shapes.npy")[:, 1:]
    smallest = int(np.median(sides.min(axis=1)))
    side = max(16, min(MAX_PATCH, smallest) // 16 * 16)
    reason = f"the largest multiple of 16 up to {MAX_PATCH} that fits the median image (shorter side {smallest} px)"
    facts["decisions"]["patch"] = {"value": [side] * facts["spatial_dims"], "reason": reason}
