"""Demonstration data, reproducible byte for byte from a seed: counts of reads of each strand around sites."""

from pathlib import Path

import numpy as np

from biocnn.io.tracks import write_bigwig
from biocnn.workflow.simulate import CONTIG_LENGTH, CONTIGS, simulate_sequences

READS, NOISE = 40.0, 0.02  # expected ends of reads around a site of average strength, and at any other base
BORDER, WIDTH, NEAR = 6, 2.0, 0.7  # bp from a site to its reads, their spread, and share before the site


def simulate_coverage(folder: str | Path, seed: int) -> None:
    """Write the genome and sites of ``simulate_sequences``, and counts of reads of each strand, as from ChIP-exo.

    ``chip.plus.bw`` and ``chip.minus.bw`` count the 5' ends of reads: those of plus lie before a site and those of
    minus behind it, 6 bp from its ends. Most lie before the site on its own strand, and more at strong sites.

    Parameters
    ----------
    folder
        Output folder, created if missing.
    seed
        Determines every byte.
    """
    simulate_sequences(folder, seed)
    rng, folder = np.random.default_rng([seed, 4]), Path(folder)
    rates = {f"chr{number}": np.full((2, CONTIG_LENGTH), NOISE) for number in range(1, CONTIGS + 1)}
    for line in (folder / "sites.bed").read_text().splitlines():
        contig, start, end, _, score, strand = line.split("\t")
        reads = READS * np.exp((float(score) - 700) / 150)
        near = NEAR if strand == "+" else 1 - NEAR
        for k, (middle, share) in enumerate(((int(start) - BORDER, near), (int(end) - 1 + BORDER, 1 - near))):
            bases = np.arange(middle - 4 * BORDER, middle + 4 * BORDER + 1)
            shape = np.exp(-(((bases - middle) / WIDTH) ** 2) / 2)
            rates[contig][k, bases] += reads * share * shape / shape.sum()
    with (
        write_bigwig(folder / "chip.plus.bw", dict.fromkeys(rates, CONTIG_LENGTH)) as plus,
        write_bigwig(folder / "chip.minus.bw", dict.fromkeys(rates, CONTIG_LENGTH)) as minus,
    ):
        for contig, rate in rates.items():
            for track, counts in zip((plus, minus), rng.poisson(rate), strict=True):
                track.add(contig, np.arange(CONTIG_LENGTH), counts, span=1, step=1)
