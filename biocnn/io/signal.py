"""Signal tracks: the mean of a bigWig file in each of many windows."""

from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.io.bigwig import read_contigs, read_sums
from biocnn.io.contigs import check_lengths, find_contigs
from biocnn.io.genome import Genome


def mean_signal(path: Path, windows: pd.DataFrame, genome: Genome, exact: bool, checks: Checks) -> np.ndarray:
    """Mean of a track over the part of each window that lies on its contig; bases without data, or NaN, count as 0.

    Parameters
    ----------
    path
        A bigWig file.
    windows
        Columns chrom, start, end; 0-based, half-open, of any strand.
    genome
        Of which the windows are.
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
        Where the file is no bigWig, a contig has another length than in the genome, none of the windows' contigs is in
        it, or a value in a window is infinite.
    """
    lengths = read_contigs(path)
    names = check_lengths(path, lengths, find_contigs(lengths, genome, exact, path), genome)
    checks.add(path.name, "read", "contigs", len(lengths), ", ".join(list(lengths)[:4]))
    renamed = [f"{theirs} -> {ours}" for theirs, ours in names.items() if ours != theirs]
    checks.add(path.name, "repaired", "contig names", len(renamed), "".join(renamed[:1]))
    chrom = windows["chrom"].map({ours: theirs for theirs, ours in names.items()})
    missing = windows["chrom"][chrom.isna()]
    if len(missing) == len(windows):
        raise InputError(
            f"{path}: has no contig named as those of the windows ({', '.join(missing.unique()[:4])}), "
            f"but {', '.join(list(lengths)[:4])}",
            "give a track of the same genome" + ", or set data.contig_names: auto" * exact,
        )
    reason = "windows on contigs of which it has no data: signal 0"
    checks.add(path.name, "note", reason, len(missing), ", ".join(missing.unique()[:4]))
    low = windows["start"].clip(lower=0).to_numpy()
    high = np.minimum(windows["end"], windows["chrom"].map(genome.contigs)).to_numpy()
    there = np.flatnonzero((low < high) & chrom.notna())
    means = np.zeros(len(windows))
    means[there] = read_sums(path, chrom.iloc[there].tolist(), low[there], high[there]) / (high - low)[there]
    for row in np.flatnonzero(~np.isfinite(means))[:1]:
        raise InputError(
            f"{path}: an infinite value in {chrom.iloc[row]}:{low[row]}-{high[row]}",
            "write the track with finite values, or without those bases; they then count as 0",
        )
    return means
