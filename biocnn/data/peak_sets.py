"""Windows with one label per set of peaks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from biocnn.data.sampling import overlaps


def merge_peaks(sets: Sequence[pd.DataFrame], window: int) -> pd.DataFrame:
    """Choose centres of windows such that each peak of each set has one nearby.

    Along each contig, the first peak centre not yet covered and all those within half a window of it are merged into
    one place, midway between the first and the last of them. So each centre lies in the middle half of a window.
    Strands matter only if every peak has one: then peaks on different strands are never merged.

    Parameters
    ----------
    sets
        Peaks with columns chrom, strand, at.
    window
        Length of the windows, in bp.

    Returns
    -------
    places
        Columns chrom, strand, at; sorted.
    """
    peaks = pd.concat([peaks[["chrom", "strand", "at"]] for peaks in sets], ignore_index=True)
    if not _stranded(sets):
        peaks["strand"] = "."
    peaks = peaks.sort_values(["chrom", "strand", "at"], kind="stable")
    places = []
    for (chrom, strand), at in peaks.groupby(["chrom", "strand"], sort=False)["at"]:
        at, first = at.to_numpy(), 0
        while first < len(at):
            beyond = np.searchsorted(at, at[first] + window // 2, side="right")
            places.append((chrom, strand, int(at[first] + at[beyond - 1]) // 2))
            first = beyond
    return pd.DataFrame(places, columns=["chrom", "strand", "at"])


def label_windows(windows: pd.DataFrame, sets: Sequence[pd.DataFrame]) -> np.ndarray:
    """Return the sets that each window is bound in: shape (N, K), float32, of 0 and 1.

    A window is bound if it contains the centre of a peak, or if a peak covers at least half of it (on the same strand,
    if every peak has one).

    Parameters
    ----------
    windows
        Columns chrom, start, end, strand; all of the same length.
    sets
        Peaks with columns chrom, start, end, strand, at.
    """
    by_strand = _stranded(sets)
    columns = [_bound(_placed(windows, by_strand), _placed(peaks, by_strand)) for peaks in sets]
    return np.stack(columns, axis=1).astype(np.float32)


def _bound(windows: pd.DataFrame, peaks: pd.DataFrame) -> np.ndarray:
    half = -(-(windows["end"] - windows["start"]) // 2)
    long = peaks[peaks["end"] - peaks["start"] >= half.iloc[0]]
    # A peak of at least half a window covers half of it if it touches the window's middle.
    middle = windows.assign(start=windows["start"] + half - 1, end=windows["end"] - half + 1)
    centres = peaks.assign(start=peaks["at"], end=peaks["at"] + 1)
    return overlaps(windows, centres) | overlaps(middle, long)


def _stranded(sets: Sequence[pd.DataFrame]) -> bool:
    return all((peaks["strand"] != ".").all() for peaks in sets)


def _placed(table: pd.DataFrame, by_strand: bool) -> pd.DataFrame:
    """Return the table with the strand appended to contig names, if strands matter."""
    return table.assign(chrom=table["chrom"] + table["strand"]) if by_strand else table
