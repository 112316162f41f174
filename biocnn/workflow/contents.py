"""Digests of the content of files: they depend on the bytes alone, not on the location or the time of change.

A file of known size and times is not read again; one that was touched or moved is. So a dry run reads only what
changed, and the first one reads nothing: ``settle`` reads new files when a run starts, which reads them anyway.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError
from biocnn.core.files import atomic, sha256
from biocnn.core.text import read_cells, read_lines

# Next to Snakemake's record of what results were made from, so that both are lost together.
STORE = Path(".snakemake/biocnn/contents.json")
TABLES = (".csv", ".tsv", ".tab", ".txt")
LONGEST = 4096  # characters of a path


class Contents:
    """Digests of the content of files and folders.

    Parameters
    ----------
    store
        File that keeps the digests from one invocation to the next.
    """

    def __init__(self, store: Path = STORE) -> None:
        self.store = store
        self._states: dict[str, list[Any]] = {}  # by real path: size and times, digest
        self._words: dict[str, str] = {}  # digests by hash; kept, so that a change can be reverted
        with suppress(OSError, ValueError):
            found = json.loads(store.read_text(encoding="utf-8"))
            self._states, self._words = found["states"], found["words"]
        self._like = {(os.path.basename(real), state[0]) for real, (state, _) in self._states.items()}
        self._new: dict[str, str] = {}  # by real path: the hash, "" if not known yet

    def of(self, path: str, table: bool = False) -> str:
        """Return a digest of a file, or of a folder and all its files; for a table, also of the files that it names.

        Names of files count, but not those of parent folders. Files with the extension of a table are tables, too.
        """
        found = [(name, self._word(file)) for name, file in files_of(path, table)]
        return f"{os.path.basename(os.path.normpath(path))} {_digest(*sorted(found))}"

    def settle(self) -> None:
        """Hash new files, so that they are recognised when touched or moved, and save all digests."""
        for real in [real for real, text in self._new.items() if not text]:
            state, word = self._states[real]
            with suppress(OSError):
                text = sha256(real)
                if _state(real) == state:  # otherwise it changed meanwhile, which the next invocation detects
                    self._words[text] = word
        if self._new:
            self._write()

    def keep(self) -> None:
        """Save the digests if any file was hashed."""
        if any(self._new.values()):
            self._write()

    def _write(self) -> None:
        with suppress(OSError), atomic(self.store) as path:
            path.write_text(json.dumps({"states": self._states, "words": self._words}), encoding="utf-8")

    def _word(self, path: str) -> str:
        real = os.path.realpath(path)
        try:
            state = _state(real)
        except OSError:
            return "absent"
        if real not in self._states or self._states[real][0] != state:
            # Times alone are not enough: of two files that were unpacked in one second, one may replace the other.
            text = sha256(real) if (os.path.basename(real), state[0]) in self._like else ""
            word = self._words.setdefault(text, text[:24]) if text else _digest(real, *state)
            self._states[real] = [state, word]
            self._new[real] = text
        return self._states[real][1]


def files_of(path: str, table: bool = False) -> Iterator[tuple[str, str]]:
    """Yield a file, under the name "", and those that it names if it is a table; or the files in a folder."""
    if not os.path.isfile(path):
        yield from _inside(path)
        return
    yield "", path
    if table or path.lower().removesuffix(".gz").endswith(TABLES):
        yield from _named(path)


def _named(table: str) -> Iterator[tuple[str, str]]:
    """Yield the files that cells of a table name, relative to its folder, and those in folders that cells name."""
    base = os.path.dirname(table) or "."
    here = set(os.listdir(base))  # list once, rather than ask the file system about each cell
    cells: set[str] = set()
    with suppress(InputError):  # the step that reads the table reports what is wrong
        lines = [line for line in read_lines(table) if line.strip()]
        cells = {_file_of(cell.strip()) for row in read_cells(lines) for cell in row if len(cell) <= LONGEST}
    for cell in sorted(cells):
        first, path = cell.split("/")[0], os.path.join(base, cell)
        if first in here or (first in ("", ".", "..") and cell.strip("./")):
            if os.path.isdir(path):
                yield from ((f"{cell}/{name}", file) for name, file in _inside(path))
            elif os.path.isfile(path):
                yield cell, path


def _file_of(cell: str) -> str:
    """Return the .npz file of an image in one, such as file.npz/test_images[0]; any other cell unchanged."""
    folder = os.path.dirname(cell)
    return folder if folder.lower().endswith(".npz") else cell


def _inside(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the files in a folder and its subfolders, except hidden ones, but including those of Zarr."""
    seen = set()
    for base, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(base)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        for name in [] if real in seen else names:
            if name.startswith(".z") or not name.startswith("."):
                file = os.path.join(base, name)
                yield os.path.relpath(file, folder), file
        seen.add(real)


def _state(path: str) -> list[int]:
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
