"""The windows of both alleles of a variant."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from biocnn.apply.variants.alleles import CODES
from biocnn.io.fasta import encode
from biocnn.io.genome import Genome

Kept = Literal["left", "right"]
BOTH: tuple[Kept, Kept] = ("left", "right")


def column(window: int, offset: int, kept: Kept) -> int:
    """Where in its window a single base lies: the middle, but for the offset."""
    return (window - 1) // 2 - offset if kept == "left" else window // 2 - offset


def one_pair(ref: Sequence[str], alt: Sequence[str], window: int) -> np.ndarray:
    """Of which variants both ways to cut are the same: substitutions that can be in the middle of the window."""
    return np.array([len(r) == len(a) and (window - len(r)) % 2 == 0 for r, a in zip(ref, alt, strict=True)], bool)


def cut(
    genome: Genome,
    contig: np.ndarray,
    start: np.ndarray,
    ref: Sequence[str],
    alt: Sequence[str],
    window: int,
    offset: int = 0,
    kept: Kept = "left",
) -> tuple[np.ndarray, np.ndarray]:
    """Windows with the reference and with the alternative allele.

    The reference allele is in the middle of its window. Where that cannot be to the base, it is half a base left of it
    for ``left``, and right of it for ``right``. An alternative of another length keeps the flank ``kept``: both windows
    begin, or end, at the same base of the genome, and at the other end it has more or less of the genome. Read from
    the other strand, either way is the other one, so that the mean over both depends on no strand.

    Parameters
    ----------
    contig, start
        Shape (N,): row of the contig in ``genome.names``, and first base of the alleles, 0-based.
    ref, alt
        Alleles as ``normalise`` gives them. What the genome has in place of ``ref`` does not matter.
    window
        Length, bp.
    offset
        How far the window lies to the right of where the variant is in its middle, bp.
    kept
        Which flank is the same in both windows.

    Returns
    -------
    reference, alternative
        Shape (N, window), uint8: 0-3 = ACGT, 4 = unknown or beyond the end of the contig.
    """
    start = np.asarray(start, np.int64)
    length = np.array([len(allele) for allele in ref], np.int64)
    longer = np.array([len(allele) for allele in alt], np.int64) - length
    flank = (window - length) // 2
    first = start - flank + offset if kept == "left" else start + length + flank + offset - window
    same = np.zeros(len(start), np.int64)
    return (
        _haplotype(genome, contig, first, start, ref, same, window),
        _haplotype(genome, contig, first if kept == "left" else first + longer, start, alt, longer, window),
    )


def _haplotype(
    genome: Genome,
    contig: np.ndarray,
    first: np.ndarray,
    start: np.ndarray,
    allele: Sequence[str],
    longer: np.ndarray,
    window: int,
) -> np.ndarray:
    """Windows of a genome that has ``allele`` at ``start``, which makes it ``longer``; ``first`` counts its bases."""
    codes = genome.windows(contig, first, window)
    place = start - first
    single = np.array([len(bases) == 1 for bases in allele], bool) & (longer == 0) & (place >= 0) & (place < window)
    rows = np.flatnonzero(single)
    codes[rows, place[rows]] = [CODES[allele[i]] for i in rows]
    rows = np.flatnonzero(~single)
    behind = genome.windows(contig[rows], first[rows] - longer[rows], window)
    for i, bases in zip(rows, behind, strict=True):
        here, end = place[i], place[i] + len(allele[i])
        codes[i, max(here, 0) :] = bases[max(here, 0) :]
        codes[i, max(here, 0) : max(end, 0)] = encode(allele[i])[max(-here, 0) : max(window - here, 0)]
    return codes
