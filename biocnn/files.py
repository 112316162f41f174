"""Writing files so that what exists is whole."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from biocnn.errors import InputError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; rename it to ``path`` on success, remove it on failure.

    The caller may make a file or a folder of that name. A file is replaced; so is a folder, unless anything is in it
    that the new one lacks, for that may be what the user made.

    Raises
    ------
    InputError
        Where ``path`` is a folder with other things in it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        if path.is_dir():
            new = {entry.name for entry in temporary.iterdir()} if temporary.is_dir() else set()
            other = sorted({entry.name for entry in path.iterdir()} - new - {".snakemake_timestamp"})
            if other:
                raise InputError(f"{path}: holds other things ({other[0]})", "remove them, or choose another folder")
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


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
