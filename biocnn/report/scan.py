"""The section on a scan: expected and called sites, the estimated fraction of true ones, and the highest peaks."""

import pandas as pd

from biocnn.report.blocks import Section, Table, Text, table
from biocnn.report.headline import number
from biocnn.report.results import Results

_SHOWN = 15
_COLUMNS = ["chrom", "start", "end", "name", "score", "strand", "value", "p", "q", "summit"]


def scan(results: Results) -> Section:
    """Describe the scan, and list the highest peaks of each output."""
    section, counts = Section("scan", "Scan"), results.table("scan/counts.tsv")
    if not len(counts):
        return section
    section.blocks.append(Text(_account(counts)))
    for path in sorted((results.folder / "scan").glob("peaks*.narrowPeak")):
        peaks = pd.read_csv(path, sep="\t", header=None, names=_COLUMNS, dtype={"chrom": str, "name": str})
        if len(peaks):
            section.blocks.append(_highest(peaks, path.name, results.predicted))
    return section


def _account(counts: pd.DataFrame) -> str:
    """Format counts: '1,531 windows of 101 bp, every 10 bp; 137 sites of Reb1 expected, at 89.3 per Mb; ...'."""
    parts = [
        f"{row.n:,} {row.reason}" + " excluded" * (row.outcome == "dropped")
        for row in counts.rename(columns={"count": "n"}).itertuples()
    ]
    text = f"{'; '.join(parts)}."
    if counts["reason"].str.startswith("estimated").any():
        text += (
            " The estimate is based on the expected number of sites, the fraction of positives in the validation split "
            "that reach the probability of a peak, and the number of calls; sites that are missing from the training "
            "data count as false."
        )
    return text


def _highest(peaks: pd.DataFrame, name: str, predicted: str) -> Table:
    rows = []
    highest = peaks.sort_values("value", ascending=False, kind="stable").head(_SHOWN)
    for rank, row in enumerate(highest.itertuples(), 1):
        share = "" if row.q < 0 else number(1 - 10**-row.q, 2)
        place = f"{row.chrom}:{row.start + row.summit + 1:,}"
        rows.append([rank, place, f"{row.end - row.start:,}", number(row.value), share])
    header = ["Rank", "Summit", "Length", predicted.capitalize(), "True fraction"]
    caption = (
        f"Highest of {len(peaks):,} peaks in {name}. Summit: its middle base (1-based). Length: in bp. True fraction: "
        "estimated fraction of true peaks among this peak and those above it."
    )
    return table(caption, header, rows, ",".join(header), f"scan/{name}")
