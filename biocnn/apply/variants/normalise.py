"""One place and one pair of alleles for a variant, however a VCF writes it."""

from collections.abc import Callable, Sequence

import numpy as np

from biocnn.io.fasta import decode, encode
from biocnn.io.genome import Genome

LOOK = 64  # bases beside an indel that are looked at first; four times as many where they are all of its repeat


def normalise(
    genome: Genome, contig: np.ndarray, start: np.ndarray, ref: Sequence[str], alt: Sequence[str]
) -> tuple[np.ndarray, list[str], list[str]]:
    """Write variants so that those that make the same sequence are written the same.

    Bases that both alleles share at their ends are taken off. What is then a pure insertion or deletion takes in all
    the bases over which it may be moved without another outcome, those of a repeat, say: ``CAAAG`` to ``CAAG`` is
    ``AAA`` to ``AA``, whichever A the file says is gone. This is the "contextual allele" of SPDI.

    Parameters
    ----------
    contig, start
        Shape (N,): row of the contig in ``genome.names``, and POS - 1.
    ref, alt
        Alleles: A, C, G, T in either case, and different.

    Returns
    -------
    start, ref, alt
        As they were for substitutions of one base; else the first base that changes or may change, 0-based, and the
        alleles from there on, one of which may be empty. Of an indel the shorter one has as many bases as there are
        other places for it.

    References
    ----------
    Holmes et al., Bioinformatics 36, 1902-1907 (2020), doi:10.1093/bioinformatics/btz856.
    """
    start, ref, alt = np.array(start, np.int64), list(ref), list(alt)
    for i, (before, after) in enumerate(zip(ref, alt, strict=True)):
        if len(before) == 1 == len(after):
            continue
        shared, ref[i], alt[i] = trimmed(before, after)
        start[i] += shared
        if not ref[i] or not alt[i]:
            left, right = _movable(genome, contig[i], start[i], ref[i], alt[i])
            start[i] -= len(left)
            ref[i], alt[i] = left + ref[i] + right, left + alt[i] + right
    return start, ref, alt


def trimmed(ref: str, alt: str) -> tuple[int, str, str]:
    """Number of bases that both alleles share at the start, and what is left of both, in upper case.

    The bases they share at the end are taken off first.
    """
    ref, alt = ref.upper(), alt.upper()
    end = _shared(ref[::-1], alt[::-1])
    ref, alt = ref[: len(ref) - end], alt[: len(alt) - end]
    first = _shared(ref, alt)
    return first, ref[first:], alt[first:]


def _shared(one: str, other: str) -> int:
    """Number of equal letters at the start."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _movable(genome: Genome, contig: int, start: int, removed: str, added: str) -> tuple[str, str]:
    """The bases to the left and to the right of an indel over which it may be moved."""
    unit = encode(removed or added)
    # Moved by one base, it takes in a base at one end and gives one up at the other: these have to be equal.
    left = _run(unit[::-1], lambda n: genome.windows(np.array([contig]), np.array([start - n]), n)[0, ::-1])
    behind = start + len(removed)
    right = _run(unit, lambda n: genome.windows(np.array([contig]), np.array([behind]), n)[0])
    return decode(left[::-1]), decode(right)


def _run(unit: np.ndarray, look: Callable[[int], np.ndarray]) -> np.ndarray:
    """How a sequence goes on behind ``unit`` for as long as it repeats what was ``len(unit)`` bases before."""
    number = LOOK
    while True:
        beside = look(number)
        before = np.concatenate([unit, beside])[:number]
        ends = np.flatnonzero((beside != before) | (beside > 3))
        if len(ends):
            return beside[: ends[0]]
        number *= 4
