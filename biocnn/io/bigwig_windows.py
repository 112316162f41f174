"""Read the mean of a bigWig file in windows."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.io.bigwig import read_contigs, read_sums
from biocnn.io.contigs import check_lengths, find_contigs
from biocnn.io.genome import Genome


def mean_signal(path: Path, windows: pd.DataFrame, genome: Genome, exact: bool, checks: Checks) -> np.ndarray:
    """Average a track over each window, clipped to its contig; bases without data or with NaN count as 0.

    Parameters
    ----------
    path
        bigWig file.
    windows
        Columns chrom, start, end (0-based, half-open, bp).
    genome
        Genome of the windows.
    exact
        Whether contig names must be identical; otherwise they are matched as in ``find_contigs``.
    checks
        Records the number of windows on contigs missing from the file, whose signal is 0.

    Returns
    -------
    means
        Shape (N,), float64.

    Raises
    ------
    InputError
        If the file is not bigWig, a contig has a different length in the genome, the file has none of the windows'
        contigs, or a value in a window is infinite.
    """
    chrom = windows["chrom"].map(contigs_in(path, windows["chrom"].unique(), genome, exact, checks))
    missing = windows["chrom"][chrom.isna()]
    reason = "windows on contigs without data: signal 0"
    checks.add(path.name, "note", reason, len(missing), ", ".join(missing.unique()[:4]))
    low = windows["start"].clip(lower=0).to_numpy()
    high = np.minimum(windows["end"], windows["chrom"].map(genome.contigs)).to_numpy()
    there = np.flatnonzero((low < high) & chrom.notna())
    means = np.zeros(len(windows))
    means[there] = read_sums(path, chrom.iloc[there].tolist(), low[there], high[there]) / (high - low)[there]
    for row in np.flatnonzero(~np.isfinite(means))[:1]:
        raise InputError(
            f"{path}: an infinite value in {chrom.iloc[row]}:{low[row]}-{high[row]}",
            "write the track with finite values, or omit those bases, which then count as 0",
        )
    return means


def contigs_in(path: Path, contigs: Iterable[str], genome: Genome, exact: bool, checks: Checks) -> dict[str, str]:
    """Return the name in a bigWig file of each contig of the genome that it has.

    Parameters
    ----------
    path
        bigWig file.
    contigs
        Contigs of the genome, of which the file must have one or more.
    genome, exact, checks
        As for ``mean_signal``.

    Raises
    ------
    InputError
        If the file is not bigWig, a contig has a different length in the genome, or the file has none of the contigs.
    """
    lengths = read_contigs(path)
    names = check_lengths(path, lengths, find_contigs(lengths, genome, exact, path), genome)
    checks.add(path.name, "read", "contigs", len(lengths), ", ".join(list(lengths)[:4]))
    renamed = [f"{theirs} -> {ours}" for theirs, ours in names.items() if ours != theirs]
    checks.add(path.name, "repaired", "contig names", len(renamed), "".join(renamed[:1]))
    wanted, found = list(contigs), {ours: theirs for theirs, ours in names.items()}
    if found.keys().isdisjoint(wanted):
        raise InputError(
            f"{path}: has none of the windows' contigs ({', '.join(wanted[:4])}), only {', '.join(list(lengths)[:4])}",
            "give a track of the same genome" + ", or set data.contig_names: auto" * exact,
        )
    return found
