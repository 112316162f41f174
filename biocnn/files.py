"""Reading and writing files so that what exists is whole."""

import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def read_bytes(path: str | Path) -> bytes:
    """The contents of a file, unpacked where it is gzip or bgzip (told by its first bytes, not its name).

    Raises
    ------
    InputError
        Where the file is missing, or its gzip stream is cut short or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file", "check the path; relative paths start at data_root")
    with open(path, "rb") as handle:
        if handle.read(2) != b"\x1f\x8b":
            return path.read_bytes()
    try:
        # Streams: gzip.decompress copies all that is left at each of the many members of a bgzip file.
        with gzip.open(path) as handle:
            return handle.read()
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"{path}: damaged or truncated gzip file ({error})", "copy or download it again; `gzip -t FILE` tests it"
        ) from error


def read_lines(path: str | Path) -> list[str]:
    """Lines of a text file, plain or gzip, without line ends."""
    try:
        return read_bytes(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not a text file ({error.reason} at byte {error.start})", "is it the right file?"
        ) from error


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
