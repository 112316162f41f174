"""Normalise variants to one position and pair of alleles, however a VCF represents them."""

from collections.abc import Callable, Sequence

import numpy as np

from biocnn.io.fasta import decode, encode
from biocnn.io.genome import Genome

LOOK = 64  # bases next to an indel examined first; four times as many while they belong to its repeat


def normalise(
    genome: Genome, contig: np.ndarray, start: np.ndarray, ref: Sequence[str], alt: Sequence[str]
) -> tuple[np.ndarray, list[str], list[str]]:
    """Normalise variants so that those producing the same sequence are identical.

    Bases shared by both alleles at their ends are trimmed. A remaining pure insertion or deletion is then extended over
    all bases across which it may be shifted with the same result, e.g. those of a repeat: ``CAAAG`` to ``CAAG`` becomes
    ``AAA`` to ``AA``, whichever A the file removes. This is the "contextual allele" of SPDI.

    Parameters
    ----------
    contig, start
        Shape (N,): index of the contig in ``genome.names``, and POS - 1.
    ref, alt
        Different alleles of A, C, G, T in either case.

    Returns
    -------
    start, ref, alt
        Unchanged for single-base substitutions; otherwise the first base that changes or may change, 0-based, and the
        alleles from there on, one of which may be empty. The shorter allele of an indel has as many bases as there are
        other positions for it.

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
    """Return the number of bases shared by both alleles at the start, and the remainders in upper case.

    Bases shared at the end are trimmed first.
    """
    ref, alt = ref.upper(), alt.upper()
    end = _shared(ref[::-1], alt[::-1])
    ref, alt = ref[: len(ref) - end], alt[: len(alt) - end]
    first = _shared(ref, alt)
    return first, ref[first:], alt[first:]


def _shared(one: str, other: str) -> int:
    """Return the number of equal letters at the start."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _movable(genome: Genome, contig: int, start: int, removed: str, added: str) -> tuple[str, str]:
    """Return the bases left and right of an indel across which it may be shifted."""
    unit = encode(removed or added)
    # A shift by one base adds a base at one end and removes one at the other, which must be equal.
    left = _run(unit[::-1], lambda n: genome.windows(np.array([contig]), np.array([start - n]), n)[0, ::-1])
    behind = start + len(removed)
    right = _run(unit, lambda n: genome.windows(np.array([contig]), np.array([behind]), n)[0])
    return decode(left[::-1]), decode(right)


def _run(unit: np.ndarray, look: Callable[[int], np.ndarray]) -> np.ndarray:
    """Return the continuation of a sequence after ``unit`` as long as it repeats with period ``len(unit)``."""
    number = LOOK
    while True:
        around = look(number)
        before = np.concatenate([unit, around])[:number]
        ends = np.flatnonzero((around != before) | (around > 3))
        if len(ends):
            return around[: ends[0]]
        number *= 4
