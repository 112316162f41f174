"""What a bigWig file says, read by a process of its own: its reader crashes on some damaged files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from biocnn.core.child import read_in_child
from biocnn.core.errors import InputError
from biocnn.core.extras import needs

DAMAGED = "is it the right file, and whole? copy or download it again"
SECONDS, SECONDS_PER_MB = 0.01, 1.0  # of CPU that a window and its bases may take; usually a thirtieth


def read_contigs(path: Path) -> dict[str, int]:
    """Lengths of the contigs that the file names, in bp.

    Raises
    ------
    InputError
        Where the file is no bigWig, or damaged.
    """
    return json.loads(b"".join(read_in_child(_contigs, path)))


def read_sums(path: Path, chrom: list[str], start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Sums of the values in stretches of contigs, where a base without a value, or with NaN, counts as 0.

    Parameters
    ----------
    path
        The file.
    chrom
        Contig of each stretch, as the file names it.
    start, end
        Shape (N,): 0-based, half-open, within the contig.

    Returns
    -------
    sums
        Shape (N,), float64; infinite or NaN where a value is infinite.

    Raises
    ------
    InputError
        Where the file is no bigWig, or damaged.
    """
    granted = SECONDS * len(chrom) + SECONDS_PER_MB * int((end - start).sum()) / 1e6
    reading = read_in_child(_sums, path, chrom, start, end, seconds=granted)
    return np.frombuffer(b"".join(reading), np.float64)


def _contigs(path: Path) -> Iterator[bytes]:
    track = _open(path)
    try:
        yield json.dumps(track.chroms()).encode()
    except (RuntimeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: damaged where it names its contigs", DAMAGED) from error


def _sums(path: Path, chrom: list[str], start: np.ndarray, end: np.ndarray) -> Iterator[bytes]:
    track, sums = _open(path), np.empty(len(chrom))
    for i, (name, low, high) in enumerate(zip(chrom, start.tolist(), end.tolist(), strict=True)):
        try:
            values = track.values(name, low, high, numpy=True)
        except RuntimeError as error:
            raise InputError(f"{path}: damaged where it has {name}:{low}-{high}", DAMAGED) from error
        # Not nansum, which leaves a warning about infinite values of either sign.
        sums[i] = np.sum(values, where=~np.isnan(values), dtype=np.float64)
    yield sums.tobytes()


def _open(path: Path) -> Any:
    with needs("genomics", f"{path}: reading bigWig"):
        import pyBigWig

    try:
        track = pyBigWig.open(str(path))
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be read as bigWig", DAMAGED) from error
    if not track.isBigWig():
        raise InputError(f"{path}: is a bigBed file", "signals are read from bigWig files")
    return track
