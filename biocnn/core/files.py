"""Write files atomically: what exists is complete."""

import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from biocnn.core.errors import InputError

OWNER = ".being_written"  # file that a process keeps locked while it writes next to it


def as_path(name: str, value: Any, example: str) -> Path:
    """Return a value that was given under a name as a path; refuse what cannot be one."""
    if isinstance(value, str | os.PathLike):
        return Path(value)
    raise InputError(f"{name}: {value!r:.80} of type {type(value).__name__} is not a path", f"for example {example!r}")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; rename it to ``path`` on success, remove it on failure.

    The caller may create a file or a folder at this path, which has the name of ``path`` in a new folder that nobody
    else can write to. An existing file or link is replaced, but not the target of the link. So is a folder, unless it
    contains entries that the new one lacks, which may be the user's. Leftovers of killed processes are removed.

    Raises
    ------
    InputError
        If ``path`` is a folder with other files in it, or is to be in something that is not a folder.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path}: a file is where a folder is needed", "choose another folder") from error
    prefix = f".{path.name[:40]}."  # the name may already have the maximum length
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp", dir=path.parent))
    try:
        with open(folder / OWNER, "x") as owner:
            with suppress(OSError):  # no locks on this file system: leftovers remain
                _lock(owner)
            temporary = folder / path.name
            yield temporary
            if path.is_symlink():
                if temporary.is_dir():  # a folder cannot replace a link
                    path.unlink()
            elif path.is_dir():
                new = {entry.name for entry in temporary.iterdir()} if temporary.is_dir() else set()
                other = sorted({entry.name for entry in path.iterdir()} - new - {".snakemake_timestamp"})
                if other:
                    raise InputError(
                        f"{path}: contains other files ({other[0]})", "remove them, or choose another folder"
                    )
                shutil.rmtree(path)
            temporary.replace(path)
            for leftover in path.parent.glob(f"{glob.escape(prefix)}*.tmp"):
                if leftover != folder:
                    _remove_leftover(leftover)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftover(folder: Path) -> None:
    """Remove a temporary folder whose process has ended, which released its lock."""
    with suppress(OSError), open(folder / OWNER, "r+") as owner:
        _lock(owner)
        shutil.rmtree(folder, ignore_errors=True)


def _lock(handle: TextIO) -> None:
    """Lock an open file.

    Raises
    ------
    OSError
        If another process has locked it.
    """
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def check_file(path: Path, what: str = "file", remedy: str = "check the path") -> None:
    """Check that a path is a regular file.

    Raises
    ------
    InputError
        If nothing exists there, or it is a folder, or a pipe or device, which cannot be read twice.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # also for impossible names: too long, or with a null byte
        denied = isinstance(error, PermissionError)
        start = "" if path.is_absolute() else "; relative paths start at the current folder"
        raise InputError(
            f"{path}: {'permission denied' if denied else f'no such {what}'}", f"{remedy}{start}"
        ) from error
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "pipe or device"
        raise InputError(
            f"{path}: a {kind}, not a {what}", "give a file; write the output of a program to a file first"
        )


def read_json(path: str | Path) -> dict[str, Any]:
    """Read the mapping in a JSON file written by a step.

    Raises
    ------
    InputError
        If the file is missing, damaged, or holds anything else.
    """
    path, remedy = Path(path), "delete it and run the workflow again to recreate it"
    check_file(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})", remedy) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a JSON object", remedy)
    return content


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write a JSON file, unless it already holds the same; values of other types become text."""
    text = json.dumps(content, indent=1, default=str)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def sha256(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def exists(path: Path) -> bool:
    """Return whether a file or folder exists; False for impossible names."""
    try:
        return path.exists()
    except (OSError, ValueError):  # name too long, or with a null byte
        return False


def suffixes_of(outputs: Sequence[str]) -> list[str]:
    """Return suffixes of the files of several outputs: their names, made safe for file names."""
    plain = [re.sub(r"[^\w.+-]+", "_", name) for name in outputs]
    plain = [f"{k}-{name}" for k, name in enumerate(plain, 1)] if len(set(plain)) < len(plain) else plain
    return [f".{name}" for name in plain] if len(plain) > 1 else [""]


class TemporaryFolder:
    """A new folder, which is removed with this object, at the latest when Python ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="biocnn-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
