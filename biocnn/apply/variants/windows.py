"""Cut the windows of both alleles of variants."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from biocnn.apply.variants.alleles import CODES
from biocnn.data.signal import Signal
from biocnn.io.fasta import encode
from biocnn.io.genome import Genome

Kept = Literal["left", "right"]
BOTH: tuple[Kept, Kept] = ("left", "right")


def column(window: int, offset: int, kept: Kept) -> int:
    """Return the column of a single base in its window: the middle minus the offset."""
    return (window - 1) // 2 - offset if kept == "left" else window // 2 - offset


def one_pair(ref: Sequence[str], alt: Sequence[str], window: int) -> np.ndarray:
    """Return for which variants both ways to cut agree: substitutions that can be centred in the window."""
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
    """Cut the windows of the reference and the alternative allele.

    The reference allele is centred in its window; if it cannot be centred exactly, it is half a base to the left for
    ``left``, and to the right for ``right``. An alternative of another length keeps the flank ``kept``: both windows
    start, or end, at the same base of the genome, and the other end covers more or less of the genome. On the other
    strand the two ways are exchanged, so their mean does not depend on the strand.

    Parameters
    ----------
    contig, start
        Shape (N,): index of the contig in ``genome.names``, and first base of the alleles, 0-based.
    ref, alt
        Normalised alleles, from ``normalise``. The bases of the genome at ``ref`` do not matter.
    window
        Length in bp.
    offset
        Shift in bp of the window to the right of the position centred on the variant.
    kept
        Flank that is the same in both windows.

    Returns
    -------
    reference, alternative
        Shape (N, window), uint8: 0-3 = ACGT, 4 = unknown or beyond the end of the contig.
    """
    start = np.asarray(start, np.int64)
    first, other, longer = _starts(start, ref, alt, window, offset, kept)
    return (
        _haplotype(genome, contig, first, start, ref, np.zeros(len(start), np.int64), window),
        _haplotype(genome, contig, other, start, alt, longer, window),
    )


def signal_of(
    signal: Signal, contig: np.ndarray, start: np.ndarray, ref: Sequence[str], alt: Sequence[str], window: int,
    offset: int = 0, kept: Kept = "left",
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the tracks of the windows that ``cut`` returns for the same parameters: shape (N, S, window) each.

    Each base keeps the value that it has in the genome. Removed bases lose theirs; the bases of an alternative allele
    have those of the reference allele from its first base on, and any more bases the last of these.
    """
    first, behind, longer = _starts(start, ref, alt, window, offset, kept)
    reference = _read(signal, contig, first, window)
    alternative = reference.copy()
    rows = np.flatnonzero(longer)
    left, right = (_read(signal, contig[rows], (behind - gone)[rows], window) for gone in (0 * longer, longer))
    for i, row in enumerate(rows):
        here, bases = start[row] - behind[row], len(alt[row])
        column = np.arange(window)
        source = np.minimum(column, here + len(ref[row]) - 1).clip(0)
        within = np.where(column < here, left[i], left[i][:, source])
        alternative[row] = np.where(column < here + bases, within, right[i])
    return reference, alternative


def _read(signal: Signal, contig: np.ndarray, first: np.ndarray, window: int) -> np.ndarray:
    names = np.array(signal.genome.names, object)[contig]
    return signal.windows(pd.DataFrame({"chrom": names, "start": first, "end": first + window, "strand": "+"}))


def _starts(
    start: np.ndarray, ref: Sequence[str], alt: Sequence[str], window: int, offset: int, kept: Kept
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first base of the windows of both alleles, and by how much the alternative is longer."""
    start = np.asarray(start, np.int64)
    length = np.array([len(allele) for allele in ref], np.int64)
    longer = np.array([len(allele) for allele in alt], np.int64) - length
    flank = (window - length) // 2
    first = start - flank + offset if kept == "left" else start + length + flank + offset - window
    return first, first if kept == "left" else first + longer, longer


def _haplotype(
    genome: Genome,
    contig: np.ndarray,
    first: np.ndarray,
    start: np.ndarray,
    allele: Sequence[str],
    longer: np.ndarray,
    window: int,
) -> np.ndarray:
    """Cut windows from a genome with ``allele`` at ``start``, which makes it ``longer``, from its base ``first``."""
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
