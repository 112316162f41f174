"""Motifs from attributions: stretches that speak for a prediction (seqlets), aligned and gathered into motifs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biocnn.explain.alignment import COMPARED, Group, gather
from biocnn.explain.motifs import count
from biocnn.io.meme import Motif, information

CORE = 15  # bp of a seqlet
WINDOW = 31  # bp around it among which it is aligned
FLANK = 10  # bp on either side of the compared stretch that a motif may reach
FALSE = 0.05  # share of the seqlets that may be false
MOST = 3000  # seqlets that are compared
TRIM = 0.1  # a motif ends where columns contribute less than this share of what the best one does

COLUMNS = ("motif", "rank", "n_sites", "information_content", "frequency", "contribution")
SITE_COLUMNS = ("id", "start", "end", "strand", "motif", "score")


@dataclass
class SeqletMotifs:
    """Motifs of seqlets.

    Parameters
    ----------
    motifs
        In order of rank; ids seqlets1, seqlets2, ...
    table
        One row a motif: motif (id), rank (1 = first, by the summed contributions of all its sites), n_sites,
        information_content (bits, over all columns), frequency (share of the sequences with a site), contribution
        (mean over the sites of their score).
    sites
        One row a seqlet: id (of the sequence), start, end (0-based, half-open, in the window), strand, motif, score
        (summed contributions of 15 bp, in units of the logit). Those of no motif have their 15 bp, strand . and no
        motif.
    contributions
        Shape (L, 4) for each motif: at its columns, the mean contribution of the bases that are present.
    """

    motifs: list[Motif]
    table: pd.DataFrame
    sites: pd.DataFrame
    contributions: dict[str, np.ndarray]


def seqlet_motifs(
    codes: np.ndarray, contributions: np.ndarray, background: np.ndarray, ids: np.ndarray, *, both_strands: bool = True
) -> SeqletMotifs:
    """Find what speaks for (or against) a prediction again and again.

    Seqlets (see ``find_seqlets``) are aligned by their contributions, absent bases included, and gathered (see
    ``alignment.gather``). The bases at the sites of a group are counted, and ends trimmed that contribute, on
    average, less than 10% of what the best column does.

    Parameters
    ----------
    codes
        Shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    contributions
        Shape (N, 4, L): of every base at every position, such as those of ``deep_lift`` or ``base_contributions``.
    background
        Shape (M, L): contributions of the bases that are present in shuffled sequences (see ``present``).
    ids
        Names of the N sequences.
    both_strands
        Whether a motif may lie on either strand, as in DNA.

    References
    ----------
    The steps, though not the methods, are those of TF-MoDISco: Shrikumar et al., arXiv:1811.00416.
    """
    values = present(codes, contributions)
    example, start, score = find_seqlets(values, background)
    ahead = (WINDOW - CORE) // 2
    centred = contributions - contributions.mean(axis=1, keepdims=True)
    windows = _cut(centred, example, start - ahead, WINDOW)
    sites = pd.DataFrame({"id": ids[example], "start": start, "end": start + CORE, "strand": ".", "motif": ""})
    sites["score"] = score
    found = []
    for group in gather(windows, both_strands):
        first = start[group.rows] - ahead + group.offset - FLANK
        found.append(_Found(codes, values, example[group.rows], first, group))
    found.sort(key=lambda one: -abs(score[one.group.rows].sum()))
    rows, motifs, means = [], [], {}
    for rank, one in enumerate(found, 1):
        name, members = f"seqlets{rank}", one.group.rows
        motifs.append(Motif(name, name, one.pfm, len(members)))
        means[name] = one.contributions
        frequency = len(np.unique(example[members])) / len(codes)
        rows.append((name, rank, len(members), information(one.pfm).sum(), frequency, score[members].mean()))
        ends = np.clip([one.start, one.start + len(one.pfm)], 0, codes.shape[1])
        sites.loc[members, "start"], sites.loc[members, "end"] = ends
        sites.loc[members, "strand"] = np.where(one.group.reverse, "-", "+")
        sites.loc[members, "motif"] = name
    return SeqletMotifs(motifs, pd.DataFrame(rows, columns=list(COLUMNS)), sites[list(SITE_COLUMNS)], means)


def present(codes: np.ndarray, contributions: np.ndarray) -> np.ndarray:
    """Contributions of the bases that are there, (N, 4, L) to (N, L); zero at unknown bases and padding."""
    there = np.take_along_axis(contributions, np.minimum(codes, 3)[:, None].astype(np.int64), axis=1)[:, 0]
    return np.where(codes < 4, there, 0.0).astype(np.float32)


def find_seqlets(values: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stretches of 15 bp whose contributions stand out from those in shuffled sequences.

    A seqlet's sum is larger in magnitude than that of every other stretch within 15 bp, and reaches the least threshold
    at which the expected share of false ones, judged by the shuffled sequences (one more than were found there, as so
    few are uncertain), is at most 5%. It is then moved by up to 7 bp, so that what contributes most lies in its middle.

    Parameters
    ----------
    values
        Shape (N, L): contributions of the bases that are present.
    background
        Shape (M, L): the same of shuffled sequences.

    Returns
    -------
    example, start, score
        Of each seqlet, in the order of the sequences: its row, first position and sum. Of more than 3,000 those of
        largest magnitude.
    """
    example, start, score = _peaks(values)
    size, false = np.abs(score), np.sort(np.abs(_peaks(background)[2]))
    order = np.argsort(-size, kind="stable")
    above = len(false) - np.searchsorted(false, size[order], side="left")
    share = (above + 1) * (len(values) / max(len(background), 1)) / np.arange(1, len(order) + 1)
    kept = np.flatnonzero(share <= FALSE)
    chosen = np.sort(order[: kept[-1] + 1 if len(kept) else 0][:MOST])
    return example[chosen], _centred(values, example[chosen], start[chosen]), score[chosen]


class _Found:
    """A motif of a group whose aligned windows begin at ``first``."""

    def __init__(
        self,
        codes: np.ndarray,
        values: np.ndarray,
        example: np.ndarray,
        first: np.ndarray,
        group: Group,
    ) -> None:
        width = COMPARED + 2 * FLANK
        letters = _cut(codes[:, None, :], example, first, width, fill=5)[:, 0]
        shown = _cut(values[:, None, :], example, first, width)[:, 0]
        turned = group.reverse[:, None]
        letters = np.where(turned, letters[:, ::-1], letters)
        letters = np.where(turned & (letters < 4), 3 - letters, letters)
        shown = np.where(turned, shown[:, ::-1], shown)
        mean = ((letters[:, :, None] == np.arange(4)) * shown[:, :, None]).mean(axis=0)
        size = np.abs(mean.sum(axis=1))
        matters = np.flatnonzero(size >= TRIM * size.max())
        begin, end = int(matters[0]), int(matters[-1]) + 1
        self.group, self.pfm, self.contributions = group, count(letters[:, begin:end]), mean[begin:end]
        self.start = first + np.where(group.reverse, width - end, begin)


def _peaks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, first positions and sums of the stretches of 15 bp whose sum is the largest within 15 bp."""
    sums = _sums(values, CORE)
    size = np.pad(np.abs(sums), ((0, 0), (CORE, CORE)), constant_values=-1.0)
    around, n = np.lib.stride_tricks.sliding_window_view(size, CORE, axis=1), sums.shape[1]  # (N, ., 15)
    before, after = around[:, :n].max(axis=2), around[:, CORE + 1 : CORE + 1 + n].max(axis=2)
    size = np.abs(sums)
    example, start = np.nonzero((size > before) & (size >= after) & (size > 0))
    return example, start, sums[example, start]


def _centred(values: np.ndarray, example: np.ndarray, start: np.ndarray) -> np.ndarray:
    """First positions moved to where the sum with triangular weights is largest in magnitude."""
    half = (CORE + 1) // 2
    weighted = np.abs(_sums(_sums(values, half), half))  # sums of sums have triangular weights
    places = start[:, None] + np.arange(1 - half, half)
    inside = (places >= 0) & (places < weighted.shape[1])
    found = weighted[example[:, None], np.clip(places, 0, weighted.shape[1] - 1)]
    return start + 1 - half + np.where(inside, found, -1.0).argmax(axis=1)


def _sums(values: np.ndarray, width: int) -> np.ndarray:
    """Sums of neighbours, shape (N, L - width + 1)."""
    if values.shape[1] < width:
        return np.zeros((len(values), 0))
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    return total[:, width:] - total[:, :-width]


def _cut(array: np.ndarray, example: np.ndarray, start: np.ndarray, width: int, fill: float = 0) -> np.ndarray:
    """Windows of an array (N, C, L) that may hang over its ends: shape (M, C, width)."""
    place = start[:, None] + np.arange(width)
    inside = (place >= 0) & (place < array.shape[2])
    windows = array[example[:, None], :, np.clip(place, 0, array.shape[2] - 1)]  # (M, width, C)
    return np.where(inside[:, None], windows.transpose(0, 2, 1), np.asarray(fill, dtype=array.dtype))
