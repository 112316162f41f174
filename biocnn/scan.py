"""Windows along a chromosome, predicted in order, holding some at a time."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from biocnn.data.genome import Genome
from biocnn.errors import InputError, nearest


def scan(
    predict: Callable[[Sequence[np.ndarray]], np.ndarray],
    genome: Genome,
    chrom: str,
    start: int = 0,
    end: int | None = None,
    *,
    window: int,
    stride: int,
    rows: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Predict every window of an interval.

    Parameters
    ----------
    predict
        Codes of windows, (window,) each, to probabilities (n, K).
    genome
        From ``read_genome`` (a FASTA file) or ``open_genome`` (an encoded folder, of which only what is needed is
        read).
    chrom, start, end
        The interval, in bp, 0-based and half-open; all of the contig by default. Beyond the contig's ends bases are
        unknown.
    window
        Length of a window, in bp. The first begins at ``start``, and none reaches beyond ``end``.
    stride
        From one window to the next, in bp.
    rows
        Windows at a time.

    Yields
    ------
    starts, probability
        First base of each window, (n,), and what is predicted of it, (n, K), for up to ``rows`` windows. Nothing where
        the interval is shorter than a window.

    Raises
    ------
    InputError
        For a contig that the genome lacks, or a stride below 1.
    """
    if chrom not in genome.contigs:
        raise InputError(f"{genome.source} has no contig {chrom!r}", nearest(chrom, genome.names))
    if stride < 1:
        raise InputError(f"stride is {stride}", "give a whole number of bp from 1")
    contig, end = genome.names.index(chrom), genome.contigs[chrom] if end is None else end
    return _blocks(predict, genome, contig, range(start, end - window + 1, stride), window, rows)


def _blocks(
    predict: Callable[[Sequence[np.ndarray]], np.ndarray],
    genome: Genome,
    contig: int,
    starts: range,
    window: int,
    rows: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for first in range(0, len(starts), rows):
        block = np.array(starts[first : first + rows])
        yield block, predict(list(genome.windows(np.full(len(block), contig), block, window)))
