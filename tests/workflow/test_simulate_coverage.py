"""Simulated counts of reads lie beside the sites, more before those on their strand."""

from pathlib import Path

import numpy as np
import pyBigWig

from biocnn.workflow.simulate import CONTIG_LENGTH
from biocnn.workflow.simulate_coverage import BORDER, NOISE, simulate_coverage


def test_reads_of_each_strand_lie_on_their_side_of_a_site(tmp_path: Path) -> None:
    simulate_coverage(tmp_path, 1)
    tracks = [pyBigWig.open(str(tmp_path / f"chip.{strand}.bw")) for strand in ("plus", "minus")]
    counts = {name: [track.values(name, 0, CONTIG_LENGTH, numpy=True) for track in tracks] for name in ("chr1", "chr8")}
    found = {"+": np.zeros((2, 101)), "-": np.zeros((2, 101))}
    for line in (tmp_path / "sites.bed").read_text().splitlines():
        contig, start, end, _, _, strand = line.split("\t")
        if contig in counts:
            places = int(start), int(end) - 1
            found[strand] += [one[at - 50 : at + 51] for one, at in zip(counts[contig], places, strict=True)]
    for strand, (plus, minus) in found.items():
        assert abs(plus.argmax() - (50 - BORDER)) <= 1
        assert abs(minus.argmax() - (50 + BORDER)) <= 1
        assert (plus.sum() > 1.5 * minus.sum()) == (strand == "+")
    assert 0.9 * NOISE < np.median([one.mean() for one in counts["chr1"]]) < 5 * NOISE
    for track in tracks:
        track.close()
