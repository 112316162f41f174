"""The chapter on a scan: how many sites were expected and called, how many are true by an estimate, and the highest."""

import pandas as pd

from biocnn.report.blocks import Section, Table, Text, table
from biocnn.report.headline import number
from biocnn.report.results import Results

_SHOWN = 15
_COLUMNS = ["chrom", "start", "end", "name", "score", "strand", "value", "p", "q", "summit"]


def scan(results: Results) -> Section:
    """The account of the scan, and the highest peaks of each output."""
    section, counts = Section("scan", "Scan"), results.table("scan/counts.tsv")
    if not len(counts):
        return section
    section.blocks.append(Text(_account(counts)))
    for path in sorted((results.folder / "scan").glob("peaks*.narrowPeak")):
        peaks = pd.read_csv(path, sep="\t", header=None, names=_COLUMNS, dtype={"chrom": str, "name": str})
        if len(peaks):
            section.blocks.append(_highest(peaks, path.name))
    return section


def _account(counts: pd.DataFrame) -> str:
    """'1,531 windows of 101 bp, every 10 bp; 137 sites of Reb1 expected, at 89.3 per Mb; 136 peaks of Reb1: ...'"""
    said = [
        f"{row.n:,} {row.reason}" + " left out" * (row.outcome == "dropped")
        for row in counts.rename(columns={"count": "n"}).itertuples()
    ]
    return (
        f"{'; '.join(said)}. The estimate takes the sites expected, the share of the positives of the validation part "
        "that reach a peak's probability, and all that was called; sites that the training data lack count as false."
    )


def _highest(peaks: pd.DataFrame, name: str) -> Table:
    rows = []
    highest = peaks.sort_values("value", ascending=False, kind="stable").head(_SHOWN)
    for rank, row in enumerate(highest.itertuples(), 1):
        share = "" if row.q < 0 else number(1 - 10**-row.q, 2)
        place = f"{row.chrom}:{row.start + row.summit + 1:,}"
        rows.append([rank, place, f"{row.end - row.start:,}", number(row.value), share])
    header = ["Rank", "Summit", "Length", "Probability", "True so far"]
    caption = (
        f"The highest of {len(peaks):,} peaks of {name}. Summit: its middle base, counted from 1; length in bp; "
        "true so far: the estimated share of true ones among this peak and those above."
    )
    return table(caption, header, rows, ",".join(header), f"scan/{name}")
