"""Match learned motifs to known ones with the p-values of Tomtom, in NumPy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biocnn.io.meme import Motif

COLUMNS = (
    *("motif", "target_id", "target_name", "strand", "offset", "overlap", "similarity"),
    *("p_value", "e_value", "q_value"),
)
# Number of bins of the column scores of a query, as in Tomtom.
BINS = 100
SMALLEST = np.finfo(float).tiny


def match_motifs(
    motifs: Sequence[Motif], database: Iterable[Motif], *, best: int = 1, reverse_complement: bool = True
) -> pd.DataFrame:
    """Find the most similar motifs of a database for each motif.

    The score of an alignment is the sum over the motif's columns of the negative Euclidean distance to the target's
    column, minus its median over all columns of the database; overhanging columns count zero. The p-value is the
    probability that the best alignment with a target of this length, made of random columns of the database, scores as
    high. P-values thus depend on the database: with fewer than 25 targets they are rough.

    Parameters
    ----------
    motifs
        Learned motifs.
    database
        Known motifs: the values returned by ``read_meme``.
    best
        Number of targets per motif, smallest p-value first.
    reverse_complement
        Whether to compare with the reverse complement of each target, as appropriate for DNA but not RNA.

    Returns
    -------
    matches
        Columns motif (id), target_id, target_name, strand (of the target), offset (first column of the target, in
        columns of the motif), overlap (columns), similarity (cosine of the aligned frequencies minus 0.25; 1 for equal
        motifs), p_value, e_value (p-value x number of targets), q_value (Benjamini & Hochberg over all pairs of motif
        and target). Motifs in the given order; no rows for an empty database.

    References
    ----------
    Gupta et al., Genome Biology 8, R24 (2007), doi:10.1186/gb-2007-8-2-r24; the "complete score" is that of
    Tanaka et al., Bioinformatics 27, 1603-1609 (2011), doi:10.1093/bioinformatics/btr257.
    """
    targets = list(database)
    if not targets or not len(motifs):
        return pd.DataFrame(columns=list(COLUMNS))
    aligned = [_align(motif.pfm, _Database.of(targets, len(motif.pfm), reverse_complement)) for motif in motifs]
    p = np.stack([a.p for a in aligned])
    q = _benjamini_hochberg(p)
    rows = []
    for i, (motif, a) in enumerate(zip(motifs, aligned, strict=True)):
        for j in np.argsort(p[i], kind="stable")[:best]:
            target, strand, offset = targets[j], "-" if a.reverse[j] else "+", int(a.offset[j])
            overlap = min(len(motif.pfm), offset + len(target.pfm)) - max(offset, 0)
            similarity = _cosine(motif.pfm, target.pfm[::-1, ::-1] if a.reverse[j] else target.pfm, offset)
            chances = p[i, j], p[i, j] * len(targets), q[i, j]
            rows.append((motif.id, target.id, target.name, strand, offset, overlap, similarity, *chances))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _cosine(pfm: np.ndarray, target: np.ndarray, offset: int) -> float:
    """Similarity of two aligned motifs, weighted by information; overhanging columns do not count."""
    query, known = pfm - 0.25, target - 0.25
    start, end = max(offset, 0), min(len(query), offset + len(known))
    scale = np.linalg.norm(query) * np.linalg.norm(known)
    return float((query[start:end] * known[start - offset : end - offset]).sum() / scale) if scale > 0 else 0.0


@dataclass
class _Database:
    """All targets on one line (followed by their reverse complements), with gaps for overhanging queries."""

    columns: np.ndarray  # (total columns, 4)
    places: np.ndarray  # (total columns,) position of each column on the line
    starts: np.ndarray  # (targets x strands,) position of each target
    lengths: np.ndarray  # (targets x strands,)
    n_targets: int
    size: int

    @staticmethod
    def of(targets: list[Motif], width: int, reverse_complement: bool) -> "_Database":
        pfms = [target.pfm for target in targets]
        pfms += [pfm[::-1, ::-1] for pfm in pfms] if reverse_complement else []
        lengths = np.array([len(pfm) for pfm in pfms])
        gap = width - 1
        starts = gap + np.concatenate([[0], np.cumsum(lengths + gap)[:-1]])
        places = np.concatenate([start + np.arange(length) for start, length in zip(starts, lengths, strict=True)])
        return _Database(np.concatenate(pfms), places, starts, lengths, len(targets), int(places[-1]) + width)


@dataclass
class _Alignment:
    """Best alignment of a query with each target."""

    p: np.ndarray
    offset: np.ndarray
    reverse: np.ndarray


def _align(pfm: np.ndarray, database: _Database) -> _Alignment:
    scores = _column_scores(pfm, database.columns)
    width = len(pfm)
    total = np.zeros(database.size - width + 1, dtype=np.int64)
    for i, row in enumerate(scores):
        line = np.zeros(database.size, dtype=np.int64)
        line[database.places] = row
        total += line[i : i + len(total)]
    # A query starts between width - 1 columns before a target and the target's last column; these ranges tile the line.
    begins = database.starts - (width - 1)
    highest = np.maximum.reduceat(total, begins)
    first = np.array(
        [total[b : s + n].argmax() for b, s, n in zip(begins, database.starts, database.lengths, strict=True)]
    )
    log_missed = _log_chance_below(scores, highest, database.lengths)
    shape = (-1, database.n_targets)  # (strands, targets)
    offset, log_missed = (width - 1 - first).reshape(shape), log_missed.reshape(shape)
    strand = log_missed.argmax(axis=0)
    chosen = np.arange(database.n_targets)
    smallest = log_missed[strand, chosen] * len(log_missed)
    return _Alignment(np.clip(-np.expm1(smallest), SMALLEST, 1.0), offset[strand, chosen], strand == 1)


def _column_scores(pfm: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Similarity of each query column to each database column, in integer bins with median 0."""
    similarity = -np.sqrt(((pfm[:, None, :] - columns[None, :, :]) ** 2).sum(axis=2))
    similarity -= np.median(similarity, axis=1, keepdims=True)
    step = np.ptp(similarity) / BINS
    return np.rint(similarity / step).astype(np.int64) if step > 0 else np.zeros(similarity.shape, dtype=np.int64)


def _log_chance_below(scores: np.ndarray, observed: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Log probability that no alignment with a random target of this length reaches the observed score.

    Alignments with a target are treated as independent, as in Tomtom.
    """
    width, low = len(scores), int(scores.min())
    columns = [np.bincount(row - low, minlength=int(scores.max()) - low + 1) / scores.shape[1] for row in scores]
    log_below: dict[tuple[int, int], np.ndarray] = {}
    for start in range(width):
        chance = np.ones(1)
        for end in range(start + 1, width + 1):
            chance = np.convolve(chance, columns[end - 1])
            # Summing from the small end keeps full relative precision in the tail.
            at_least = np.minimum(np.cumsum(chance[::-1])[::-1], 1 - 1e-15)
            index = np.clip(observed - low * (end - start), 0, len(chance))
            log_below[start, end] = np.log1p(-np.append(at_least, 0.0)[index])
    result = np.zeros(len(observed))
    for length in np.unique(lengths):
        rows = lengths == length
        for offset in range(1 - length, width):
            result[rows] += log_below[max(offset, 0), min(offset + length, width)][rows]
    return result


def _benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p, axis=None)[::-1]
    ranks = np.arange(p.size, 0, -1)
    q = np.empty(p.size)
    q[order] = np.minimum.accumulate(np.minimum(p.ravel()[order] * p.size / ranks, 1.0))
    return q.reshape(p.shape)
