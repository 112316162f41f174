"""Read bigWig files in a separate process, because the reader crashes on some damaged files."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biocnn.core.child import read_in_child
from biocnn.core.errors import InputError
from biocnn.core.extras import needs

DAMAGED = "is it the right file, and complete? copy or download it again"
PIECE = 2**20  # bases read at a time
SECONDS, SECONDS_PER_MB = 0.01, 1.0  # CPU time allowed per window and per Mb; typically 30 times less is needed


def read_contigs(path: Path) -> dict[str, int]:
    """Read the names of the contigs and their lengths in bp.

    Raises
    ------
    InputError
        If the file is damaged or is not a bigWig file.
    """
    return json.loads(b"".join(read_in_child(_contigs, path)))


def read_sums(path: Path, chrom: list[str], start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Sum the values within intervals; bases without a value or with NaN count as 0.

    Parameters
    ----------
    path
        bigWig file.
    chrom
        Contig of each interval, as named in the file.
    start, end
        Shape (N,): 0-based, half-open, in bp, within the contig.

    Returns
    -------
    sums
        Shape (N,), float64; infinite or NaN if a value is infinite.

    Raises
    ------
    InputError
        If the file is damaged or is not a bigWig file.
    """
    granted = SECONDS * len(chrom) + SECONDS_PER_MB * int((end - start).sum()) / 1e6
    reading = read_in_child(_sums, path, chrom, start, end, seconds=granted)
    return np.frombuffer(b"".join(reading), np.float64)


def read_values(path: Path, intervals: Sequence[tuple[str, int, int]]) -> np.ndarray:
    """Read the value of each base of intervals.

    Parameters
    ----------
    path
        bigWig file.
    intervals
        Contig, as named in the file, start and end: 0-based, half-open, in bp, within the contig.

    Returns
    -------
    values
        Those of all intervals in their order, (bases,), float32; NaN for bases without a value.

    Raises
    ------
    InputError
        If the file is damaged or is not a bigWig file.
    """
    granted = SECONDS * len(intervals) + SECONDS_PER_MB * sum(end - start for _, start, end in intervals) / 1e6
    return np.frombuffer(b"".join(read_in_child(_values, path, intervals, seconds=granted)), np.float32)


def _contigs(path: Path) -> Iterator[bytes]:
    track = _open(path)
    try:
        yield json.dumps(track.chroms()).encode()
    except (RuntimeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: damaged: its contig names cannot be read", DAMAGED) from error


def _sums(path: Path, chrom: list[str], start: np.ndarray, end: np.ndarray) -> Iterator[bytes]:
    track, sums = _open(path), np.empty(len(chrom))
    for i, interval in enumerate(zip(chrom, start.tolist(), end.tolist(), strict=True)):
        values = _read(track, path, *interval)
        # Not nansum, which warns about infinities of opposite sign.
        sums[i] = np.sum(values, where=~np.isnan(values), dtype=np.float64)
    yield sums.tobytes()


def _values(path: Path, intervals: Sequence[tuple[str, int, int]]) -> Iterator[bytes]:
    track = _open(path)
    for chrom, start, end in intervals:
        for low in range(start, end, PIECE):
            yield _read(track, path, chrom, low, min(end, low + PIECE)).astype(np.float32).tobytes()


def _read(track: Any, path: Path, chrom: str, start: int, end: int) -> np.ndarray:
    try:
        values = track.values(chrom, start, end, numpy=True)
    except RuntimeError as error:
        raise InputError(f"{path}: damaged: {chrom}:{start}-{end} cannot be read", DAMAGED) from error
    return values if len(values) else np.full(end - start, np.nan)  # nothing is read from a file without any value


def _open(path: Path) -> Any:
    with needs("genomics", f"{path}: reading bigWig"):
        import pyBigWig

    try:
        track = pyBigWig.open(str(path))
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be read as a bigWig file", DAMAGED) from error
    if not track.isBigWig():
        raise InputError(f"{path}: is a bigBed file", "signals must be bigWig files")
    return track
