"""A track of natural variation: variants among yeast strains per 100 bp, for ``data.signal``.

    python -m benchmarks.yeast_variation VARIANTS.vcf.gz GENOME.fa.gz results/yeast_variation.bw

The value of a base is the number of variants in the 301 bp around it, per 100 bp. Contigs without variants have none.
"""

import sys
from pathlib import Path

import numpy as np

from biocnn.core.files import atomic
from biocnn.core.text import read_lines
from biocnn.io.contigs import find_contigs
from biocnn.io.genome import Genome, read_genome
from biocnn.io.tracks import write_bigwig

AROUND = 150  # bp on both sides of a base


def density(places: np.ndarray, length: int) -> np.ndarray:
    """Return the variants per 100 bp around each base of a contig, from their positions, 0-based: shape (length,)."""
    total = np.append(0, np.cumsum(np.bincount(places, minlength=length)))
    first, end = (np.clip(np.arange(length) + side, 0, length) for side in (-AROUND, AROUND + 1))
    return 100 * (total[end] - total[first]) / (end - first)


def variants_of(vcf: Path, genome: Genome) -> dict[str, np.ndarray]:
    """Return the positions of variants, 0-based, by contig of the genome."""
    places: dict[str, list[int]] = {}
    for line in read_lines(vcf):
        if not line.startswith("#"):
            chrom, position = line.split("\t", 2)[:2]
            places.setdefault(chrom, []).append(int(position) - 1)
    names = find_contigs(places, genome, False, vcf)
    return {names[chrom]: np.array(found) for chrom, found in places.items() if chrom in names}


def main(vcf: Path, fasta: Path, out: Path) -> None:
    """Write the track."""
    genome = read_genome(fasta)
    found = variants_of(vcf, genome)
    with atomic(out) as temporary, write_bigwig(temporary, genome.contigs) as track:
        for chrom, length in genome.contigs.items():
            if chrom in found:
                track.add(chrom, np.arange(length), density(found[chrom], length), span=1, step=1)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
