"""The section on a scan: expected and called sites, the estimated fraction of true ones, and the highest peaks."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from biocnn.core.plurals import plural
from biocnn.report.blocks import Section, Table, Text, table
from biocnn.report.figures import SERIES, Gallery, letter, new_figure
from biocnn.report.headline import number
from biocnn.report.results import Results

_SHOWN, _POINTS = 100, 400  # peaks in the table, points of a curve
_NAMES = {"chrom": str, "name": str}
_COLUMNS = ["chrom", "start", "end", "name", "score", "strand", "value", "p", "q", "summit"]


def scan(results: Results, gallery: Gallery) -> Section:
    """Describe the scan, draw the values and estimated true fractions of peaks, and list the highest of each output."""
    section, counts = Section("scan", "Scan"), results.table("scan/counts.tsv")
    if not len(counts):
        return section
    section.blocks.append(Text(_account(counts)))
    paths = sorted((results.folder / "scan").glob("peaks*.narrowPeak"))
    every = {path.name: pd.read_csv(path, sep="\t", header=None, names=_COLUMNS, dtype=_NAMES) for path in paths}
    found = {name: peaks.sort_values("value", ascending=False, kind="stable") for name, peaks in every.items()}
    found = {name: peaks for name, peaks in found.items() if len(peaks)}
    if any(len(peaks) > 1 for peaks in found.values()):
        caption = (
            f"Peaks, the highest first. a: {results.predicted}. b: estimated fraction of true peaks among a peak and "
            "all above it."
        )
        figure = _ranked(found, results.predicted.capitalize())
        section.blocks.append(gallery.add("scan", figure, "Values and true fractions of peaks by rank", caption))
    section.blocks.extend(_highest(peaks, name, results.predicted) for name, peaks in found.items())
    return section


def _ranked(found: dict[str, pd.DataFrame], predicted: str) -> Figure:
    """Draw values, and estimated true fractions where they are known, of peaks by rank."""
    figure = new_figure(2.2)
    left, right = figure.subplots(1, 2)
    for (name, peaks), colour in zip(list(found.items())[: len(SERIES)], SERIES, strict=False):
        rank = np.unique(np.linspace(1, len(peaks), _POINTS).astype(int))
        value, q = peaks["value"].to_numpy()[rank - 1], peaks["q"].to_numpy()[rank - 1]
        label = name.removeprefix("peaks").removesuffix(".narrowPeak").lstrip(".")
        left.plot(rank, value, color=colour, label=label or None)
        right.plot(rank[q >= 0], 1 - 10.0 ** -q[q >= 0], color=colour)
    letter(left, "a", predicted)
    letter(right, "b", "True fraction")
    for axes in (left, right):
        axes.set_xlabel("Rank")
    right.set_ylim(-0.02, 1.02)
    if len(found) > 1:
        left.legend()
    return figure


def _account(counts: pd.DataFrame) -> str:
    """Format counts: '17 contigs in atac.bw; 1,531 windows of 101 bp, every 10 bp; 137 expected sites of Reb1; ...'."""
    parts = [
        (f"{row.n:,} excluded ({row.reason})" if row.outcome == "dropped" else f"{row.n:,} {row.reason}")
        + f" in {row.source}" * (row.source != "scan")
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
    for rank, row in enumerate(peaks.head(_SHOWN).itertuples(), 1):
        share = "" if row.q < 0 else number(1 - 10**-row.q, 2)
        place = f"{row.chrom}:{row.start + row.summit + 1:,}"
        rows.append([rank, place, f"{row.end - row.start:,}", number(row.value), share])
    header = ["Rank", "Summit", "Length", predicted.capitalize(), "True fraction"]
    caption = (
        f"Highest of {plural(len(peaks), 'peak')} in {name}. Summit: its middle base (1-based). Length: in bp. True "
        "fraction: estimated fraction of true peaks among this peak and those above it."
    )
    return table(caption, header, rows, ",".join(header), f"scan/{name}")
