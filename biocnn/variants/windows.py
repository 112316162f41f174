"""The windows of both alleles of a variant, anchored at the same base."""

from collections.abc import Sequence

import numpy as np

from biocnn.data.fasta import encode
from biocnn.data.genome import Genome
from biocnn.variants.alleles import CODES


def column(window: int, offset: int) -> int:
    """Where in its window the first base of a variant lies: the middle, but for the offset."""
    return window // 2 - offset


def cut(
    genome: Genome,
    contig: np.ndarray,
    start: np.ndarray,
    ref: Sequence[str],
    alt: Sequence[str],
    window: int,
    offset: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Windows with the reference and with the alternative allele.

    Both begin at the same base of the genome, ``window // 2 - offset`` before the variant's first base (that of POS),
    and so have the same left flank. Behind the allele follows the genome, from the base after REF on, until the window
    is full: behind a deletion more of it than beside the reference, behind an insertion less. An allele that reaches
    beyond the end of the window is cut there.

    Parameters
    ----------
    contig, start
        Shape (N,): row of the contig in ``genome.names``, and POS - 1.
    ref, alt
        Alleles: A, C, G, T in either case. What the genome has in place of ``ref`` does not matter.
    window
        Length, bp.
    offset
        How far the window lies to the right of where the variant is in its middle, bp.

    Returns
    -------
    reference, alternative
        Shape (N, window), uint8: 0-3 = ACGT, 4 = unknown or beyond the end of the contig.
    """
    place = column(window, offset)
    first = np.asarray(start, np.int64) - place
    reference = genome.windows(contig, first, window)
    alternative = reference.copy()
    single = np.array([len(r) == 1 == len(a) for r, a in zip(ref, alt, strict=True)], bool)
    rows = np.flatnonzero(single)
    reference[rows, place] = [CODES[ref[i]] for i in rows]
    alternative[rows, place] = [CODES[alt[i]] for i in rows]
    rows = np.flatnonzero(~single)
    if len(rows):
        longest = max(len(ref[i]) for i in rows)
        around = genome.windows(contig[rows], first[rows], window + longest)
        for i, bases in zip(rows, around, strict=True):
            left, right = bases[:place], bases[place + len(ref[i]) :]
            reference[i] = np.concatenate([left, encode(ref[i]), right])[:window]
            alternative[i] = np.concatenate([left, encode(alt[i]), right])[:window]
    return reference, alternative
