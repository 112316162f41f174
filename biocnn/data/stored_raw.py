"""Raw data, stored as read: ``check`` reads files and writes this, ``dataset`` splits and measures it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.core.files import read_json, sha256
from biocnn.data.raw import Raw
from biocnn.io.contigs import Contigs
from biocnn.io.ragged import Ragged
from biocnn.tasks import make_task
from biocnn.tasks.facts import Source, read_facts
from biocnn.tasks.inputs import make_input


def write_raw(raw: Raw, files: dict[str, Path], folder: Path) -> None:
    """Store examples as read, one at a time: x.npy, y.npy, facts.json, raw.json (the table) and, if there are any,
    classes.npy (of objects), second.npy (of a second annotator) and signal.npy (tracks beside the bases).

    Parameters
    ----------
    raw
        Validated examples from a reader.
    files
        Raw files by dotted key; their hashes are added to the facts.
    folder
        Output folder; must not exist yet.
    """
    folder.mkdir(parents=True)
    task, rows = make_task(raw.facts), range(len(raw.examples))
    Ragged.write(folder / "x.npy", map(raw.x, rows), make_input(raw.facts).dtype(raw.facts))
    truths = (raw.truth(row)[None] if task.target.spatial else raw.truth(row) for row in rows)
    Ragged.write(folder / "y.npy", truths, task.kept or task.target.dtype)
    if raw.classes:
        Ragged.write(folder / "classes.npy", map(raw.classes, rows), np.int32)
    if raw.second:
        Ragged.write(folder / "second.npy", map(raw.second, rows), task.kept or task.target.dtype)
    if raw.signal:
        Ragged.write(folder / "signal.npy", map(raw.signal, rows), np.float32)
    facts = raw.facts.model_copy(update={"sources": hashes(files)})
    (folder / "facts.json").write_text(json.dumps(facts.plain(), indent=1))
    table = [_plain(raw.examples[name]) for name in raw.examples]
    about = {"examples": table, "contigs": asdict(raw.contigs) if raw.contigs else None}
    (folder / "raw.json").write_text(json.dumps(about, default=str))


def open_raw(folder: Path) -> Raw:
    """Read examples from ``write_raw``.

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """
    facts, about = read_facts(folder / "facts.json"), read_json(folder / "raw.json")
    x, y = Ragged(folder / "x.npy"), Ragged(folder / "y.npy")
    columns = {name: pd.Series(values, dtype=dtype) for name, dtype, values in about["examples"]}
    spatial = make_task(facts).target.spatial
    classes, second, signal = (
        Ragged(path).__getitem__ if (path := folder / f"{name}.npy").is_file() else None
        for name in ("classes", "second", "signal")
    )
    return Raw(
        pd.DataFrame(columns),
        x.__getitem__,
        (lambda row: y[row][0]) if spatial else y.stacked(np.arange(len(y))),
        facts,
        Contigs(**about["contigs"]) if about["contigs"] else None,
        classes,
        folder,
        second,
        signal,
    )


def _plain(column: pd.Series) -> tuple[Any, str, list[Any]]:
    """Return name, type and values of a column, which JSON preserves exactly, unlike a text table."""
    return column.name, str(column.dtype), column.astype(object).where(column.notna(), None).tolist()


def hashes(files: dict[str, Path]) -> list[Source]:
    """Return path, SHA-256 and size of raw files; for a folder, its number of files."""
    found = []
    for key, path in files.items():
        if path.is_file():
            found.append(fingerprint(key, str(path), path))
        else:
            found.append(Source(key=key, path=str(path), files=sum(p.is_file() for p in path.rglob("*"))))
    return found


def fingerprint(key: str, name: str, path: Path) -> Source:
    """Return hash and size of a file, under its name in the facts."""
    return Source(key=key, path=name, sha256=sha256(path), bytes=path.stat().st_size)
