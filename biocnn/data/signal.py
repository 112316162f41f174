"""Signal tracks: the mean of a bigWig file in each of many windows."""

from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.data.bigwig import read_contigs, read_sums
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
    lengths = read_contigs(path)
    names = _contigs(path, windows, lengths, exact)
    checks.add(path.name, "read", "contigs", len(lengths), ", ".join(list(lengths)[:4]))
    renamed = [f"{ours} -> {theirs}" for ours, theirs in names.items() if ours != theirs]
    checks.add(path.name, "repaired", "contig names", len(renamed), "".join(renamed[:1]))
    missing = ~windows["chrom"].isin(names)
    reason = "windows on contigs of which it has no data: signal 0"
    checks.add(path.name, "note", reason, missing.sum(), "".join(windows["chrom"][missing].head(1)))
    chrom = windows["chrom"].map(names)
    low = windows["start"].clip(lower=0).to_numpy()
    high = np.minimum(windows["end"].to_numpy(), chrom.map(lengths).fillna(0).to_numpy(int))
    there = np.flatnonzero(low < high)
    means = np.zeros(len(windows))
    sums = read_sums(path, chrom.iloc[there].tolist(), low[there], high[there])
    means[there] = sums / (high - low)[there]
    return means


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
