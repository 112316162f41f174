"""Signal tracks: the mean of a bigWig file in each of many windows."""

from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.data.checks import Checks
from biocnn.data.contigs import UnknownContig, match_contigs
from biocnn.data.genome import Genome
from biocnn.errors import InputError


def mean_signal(path: Path, windows: pd.DataFrame, exact: bool, checks: Checks) -> np.ndarray:
    """Mean of a track over the part of each window that lies on its contig; bases without data count as 0.

    Parameters
    ----------
    path
        A bigWig file.
    windows
        Columns chrom, start, end; 0-based, half-open, of any strand.
    exact
        Whether contigs must be named alike; otherwise they are reconciled as those of intervals are.
    checks
        Gets the number of windows on contigs of which the file has nothing, which count as 0.

    Returns
    -------
    means
        Shape (N,), float64.

    Raises
    ------
    InputError
        Where the file is no bigWig, or none of the contigs is in it.
    """
    with _open(path) as track:
        lengths = track.chroms()
        names = _contigs(path, windows, lengths, exact)
        checks.add(path.name, "read", "contigs", len(lengths), ", ".join(list(lengths)[:4]))
        renamed = [f"{ours} -> {theirs}" for ours, theirs in names.items() if ours != theirs]
        checks.add(path.name, "repaired", "contig names", len(renamed), "".join(renamed[:1]))
        missing = ~windows["chrom"].isin(names)
        reason = "windows on contigs of which it has no data: signal 0"
        checks.add(path.name, "note", reason, missing.sum(), "".join(windows["chrom"][missing].head(1)))
        means = np.zeros(len(windows))
        for i, (chrom, start, end) in enumerate(zip(windows["chrom"], windows["start"], windows["end"], strict=True)):
            if chrom in names:
                low, high = max(start, 0), min(end, lengths[names[chrom]])
                (total,) = track.stats(names[chrom], low, high, type="sum", exact=True) if low < high else [None]
                means[i] = (total or 0.0) / max(high - low, 1)
    return means


def _open(path: Path):
    import pyBigWig

    try:
        track = pyBigWig.open(str(path))
    except RuntimeError as error:
        raise InputError(
            f"{path}: cannot be read as bigWig", "check that the file is whole; `file` names it"
        ) from error
    if not track.isBigWig():
        raise InputError(f"{path}: is a bigBed file", "signals are read from bigWig files")
    return track


def _contigs(path: Path, windows: pd.DataFrame, lengths: dict[str, int], exact: bool) -> dict[str, str]:
    """The track's name of each contig; a track may lack contigs on which it has no data."""
    last = windows.groupby("chrom", sort=False)["start"].max().clip(lower=0).to_dict()
    known = {name: name for name in last if name in lengths}
    if known:
        return known
    there = Genome(np.empty(0, np.uint8), dict(lengths), {}, str(path))
    try:
        return match_contigs(last, there, exact, path, dict.fromkeys(last, 0))
    except UnknownContig as error:
        raise InputError(
            f"{path}: has no contig named as those of the windows ({', '.join(list(last)[:4])}), "
            f"but {', '.join(there.names[:4])}",
            "give a track of the same genome" + ", or set data.contig_names: auto" * exact,
        ) from error
