"""Writing files so that what exists is whole."""

import fcntl
import glob
import hashlib
import json
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from biocnn.core.errors import InputError

OWNER = ".being_written"  # file that a process keeps locked while it writes beside it


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; rename it to ``path`` on success, remove it on failure.

    The caller may make a file or a folder of that name, which is that of ``path`` in a new folder that nobody else can
    write to. A file is replaced, or a link, but not what it leads to; so is a folder, unless anything is in it that the
    new one lacks, for that may be what the user made. What processes that were killed left behind is removed.

    Raises
    ------
    InputError
        Where ``path`` is a folder with other things in it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name[:40]}."  # a name may be nearly as long as names can be
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp", dir=path.parent))
    try:
        with open(folder / OWNER, "x") as owner:
            with suppress(OSError):  # a file system without locks: what is left behind stays
                _lock(owner)
            temporary = folder / path.name
            yield temporary
            if path.is_symlink():
                if temporary.is_dir():  # which cannot replace what is no folder
                    path.unlink()
            elif path.is_dir():
                new = {entry.name for entry in temporary.iterdir()} if temporary.is_dir() else set()
                other = sorted({entry.name for entry in path.iterdir()} - new - {".snakemake_timestamp"})
                if other:
                    raise InputError(
                        f"{path}: holds other things ({other[0]})", "remove them, or choose another folder"
                    )
                shutil.rmtree(path)
            temporary.replace(path)
            for left in path.parent.glob(f"{glob.escape(prefix)}*.tmp"):
                if left != folder:
                    _remove_left(left)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left(folder: Path) -> None:
    """Remove a temporary folder whose process is gone: the system has taken its lock away."""
    with suppress(OSError), open(folder / OWNER, "r+") as owner:
        _lock(owner)
        shutil.rmtree(folder, ignore_errors=True)


def _lock(handle: TextIO) -> None:
    """Lock an open file.

    Raises
    ------
    OSError
        Where another process has locked it.
    """
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def check_file(path: Path, what: str = "file", remedy: str = "relative paths start at data_root") -> None:
    """Make sure that a path is that of a file.

    Raises
    ------
    InputError
        Where there is nothing, or something else: a folder, or a pipe, which cannot be read twice.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # also of names that no file can have: too long, or with a zero byte
        denied = isinstance(error, PermissionError)
        raise InputError(
            f"{path}: {'permission denied' if denied else f'no such {what}'}", f"check the path; {remedy}"
        ) from error
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "pipe or device"
        raise InputError(f"{path}: a {kind}, not a {what}", "give a file; write what a program says into one first")


def read_json(path: str | Path) -> dict[str, Any]:
    """The mapping in a JSON file that a step has written.

    Raises
    ------
    InputError
        Where the file is missing, damaged, or holds anything else.
    """
    path, remedy = Path(path), "delete it, and run the workflow again: it is made anew"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})", remedy) from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no names with values", remedy)
    return found


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
