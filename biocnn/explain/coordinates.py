"""Genome coordinates of positions in windows."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from biocnn.data.loci import FROM

PLACE = ["chrom", "start", "end", "strand"]


def located(examples: pd.DataFrame, lengths: np.ndarray) -> pd.DataFrame:
    """Return the examples whose bases are those of an interval of a genome.

    Parameters
    ----------
    examples
        Table with id and, for windows of a genome, chrom, start, end (0-based, half-open) and strand; others, shuffled
        sequences, and those whose length differs from their interval are left out.
    lengths
        Length of each sequence in bp, shape (N,).

    Returns
    -------
    windows
        Columns chrom, start, end, strand ("-" if the bases are the reverse complement), by id.
    """
    if not {"chrom", "start", "end"} <= {*examples}:
        return pd.DataFrame(columns=PLACE)
    place = examples[["chrom", "start", "end"]].assign(strand=examples.get("strand"), id=examples["id"])
    place["strand"] = place["strand"].fillna(".")
    ends = place[["start", "end"]].apply(pd.to_numeric, errors="coerce")
    known = place["chrom"].notna() & ends.notna().all(axis=1) & (ends["end"] - ends["start"] == lengths)
    known &= examples[FROM].isna() | (examples[FROM] == "") if FROM in examples else True
    place = place.assign(start=ends["start"], end=ends["end"])[known].set_index("id")
    return place.astype({"chrom": str, "start": np.int64, "end": np.int64})


def on_genome(sites: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """Convert sites from positions in windows to those in the genome; sites of other sequences are left out.

    Parameters
    ----------
    sites
        Columns id (of the window), start, end (0-based, half-open, as the window is read), strand, and any others.
    windows
        Windows from ``located``.

    Returns
    -------
    sites
        The same columns and chrom, with start, end and strand in the genome.
    """
    sites = sites[sites["id"].isin(windows.index)].reset_index(drop=True)
    around = windows.loc[sites["id"]].reset_index(drop=True)
    minus, start, end = around["strand"] == "-", sites["start"].astype(int), sites["end"].astype(int)
    opposite = sites["strand"].map({"+": "-", "-": "+"}).fillna(sites["strand"])
    return sites.assign(
        chrom=around["chrom"],
        start=(around["start"] + start).where(~minus, around["end"] - end),
        end=(around["start"] + end).where(~minus, around["end"] - start),
        strand=sites["strand"].where(~minus, opposite),
    )


def clipped(table: pd.DataFrame, contigs: Mapping[str, int] | None) -> pd.DataFrame:
    """Clip intervals (chrom, start, end) to their contigs, of which without a genome only the start is known.

    Intervals outside are left out.
    """
    end = table["end"] if contigs is None else np.minimum(table["end"], table["chrom"].map(contigs))
    table = table.assign(start=table["start"].clip(lower=0), end=end)
    return table[table["start"] < table["end"]]
