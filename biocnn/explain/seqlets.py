"""Find motifs in attributions: seqlets, segments that support a prediction, aligned and grouped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from biocnn.explain.alignment import gather
from biocnn.explain.motifs import composition, count
from biocnn.explain.similarity import grouped, placed
from biocnn.io.meme import Motif, information

CORE = 15  # bp; length of a seqlet
SHIFT = 10  # bp; range of offsets at which seqlets are aligned
FLANK = 10  # bp on either side of the compared segment that a motif may include
FALSE = 0.05  # tolerated fraction of false seqlets
MOST = 3000  # maximum number of seqlets compared
# Sites of RNA are shorter (4-8 nt) and denser than those of DNA, so that wide windows align neighbouring sites.
COMPARED, COMPARED_RNA = 21, 11  # bp of seqlets compared
TRIM, TRIM_RNA = 0.1, 0.25  # ends are trimmed below this fraction of the contribution of the best column
TRIM_BITS_RNA = 0.1  # and below this fraction of the information of the best one, relative to the composition

COLUMNS = ("motif", "rank", "n_sites", "information_content", "frequency", "contribution")
SITE_COLUMNS = ("id", "start", "end", "strand", "motif", "score")


@dataclass
class SeqletMotifs:
    """Motifs of seqlets.

    Parameters
    ----------
    motifs
        Motifs by rank; ids seqlets1, seqlets2, ...
    table
        One row per motif: motif (id), rank (1 = first, by the summed contributions of all its sites), n_sites,
        information_content (bits, over all columns), frequency (fraction of sequences with a site), contribution (mean
        score of the sites).
    sites
        One row per seqlet: id (of the sequence), start, end (0-based, half-open, in the window), strand, motif, score
        (summed contributions of 15 bp, in units of the logit). Seqlets without a motif have their 15 bp, strand "." and
        an empty motif.
    contributions
        Mean contribution of the bases present at each column of each motif, shape (L, 4).
    """

    motifs: list[Motif]
    table: pd.DataFrame
    sites: pd.DataFrame
    contributions: dict[str, np.ndarray]


def seqlet_motifs(
    codes: np.ndarray,
    contributions: np.ndarray,
    background: np.ndarray,
    ids: np.ndarray,
    *,
    both_strands: bool = True,
    rna: bool = False,
) -> SeqletMotifs:
    """Find recurrent patterns that support (or oppose) a prediction.

    Seqlets (see ``find_seqlets``) are aligned by their contributions, including absent bases, and grouped (see
    ``alignment.gather``) by 21 bp. The bases at the sites of a group are counted, and ends that contribute on average
    less than 10% of the best column are trimmed. RNA has short sites close to each other: 11 bp are compared, and ends
    are trimmed below 25% of the contribution or 10% of the information of the best column. Groups whose motifs are
    similar (see ``similarity.grouped``) are aligned and joined.

    Parameters
    ----------
    codes
        Shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    contributions
        Shape (N, 4, L): contributions of all bases at all positions, e.g. from ``deep_lift``.
    background
        Shape (M, L): contributions of the bases present (see ``present``) in sequences without sites, e.g. shuffles.
    ids
        Names of the N sequences.
    both_strands
        Whether a motif may lie on either strand.
    rna
        Whether the sequences are RNA.

    References
    ----------
    The steps, but not the methods, follow TF-MoDISco: Shrikumar et al., arXiv:1811.00416.
    """
    values = present(codes, contributions)
    example, start, score = find_seqlets(values, background)
    compared, frequencies = (COMPARED_RNA, composition(codes, both_strands)) if rna else (COMPARED, None)
    window = compared + SHIFT
    ahead = (window - CORE) // 2
    centred = contributions - contributions.mean(axis=1, keepdims=True)
    windows = _cut(centred, example, start - ahead, window)
    sites = pd.DataFrame({"id": ids[example], "start": start, "end": start + CORE, "strand": ".", "motif": ""})
    sites["score"] = score
    make = partial(_Candidate, codes, values, example, score, compared=compared, frequencies=frequencies)
    candidates = []
    for group in gather(windows, both_strands, compared):
        first = start[group.rows] - ahead + group.offset - FLANK
        candidates.append(make(group.rows, first, group.reverse))
    candidates.sort(key=lambda one: -one.weight)
    alike = grouped([one.pfm for one in candidates], both_strands)
    parts = [[candidates[i] for i in np.flatnonzero(alike == first)] for first in np.unique(alike)]
    candidates = sorted((_joined(part, make, both_strands) for part in parts), key=lambda one: -one.weight)
    rows, motifs, means = [], [], {}
    for rank, one in enumerate(candidates, 1):
        name, members = f"seqlets{rank}", one.rows
        motifs.append(Motif(name, name, one.pfm, len(members)))
        means[name] = one.contributions
        frequency = len(np.unique(example[members])) / len(codes)
        rows.append((name, rank, len(members), information(one.pfm).sum(), frequency, score[members].mean()))
        ends = np.clip([one.start, one.start + len(one.pfm)], 0, codes.shape[1])
        sites.loc[members, "start"], sites.loc[members, "end"] = ends
        sites.loc[members, "strand"] = np.where(one.reverse, "-", "+")
        sites.loc[members, "motif"] = name
    sites = sites.drop(index=np.concatenate([[], *(one.again for one in candidates)])).reset_index(drop=True)
    return SeqletMotifs(motifs, pd.DataFrame(rows, columns=list(COLUMNS)), sites[list(SITE_COLUMNS)], means)


def join_outputs(found: Sequence[SeqletMotifs], outputs: Sequence[str]) -> SeqletMotifs:
    """Join the motifs of several outputs, numbered consecutively; both tables get a column output with its name."""
    motifs, tables, places, contributions = [], [], [], {}
    for one, output in zip(found, outputs, strict=True):
        names = {motif.id: f"seqlets{i}" for i, motif in enumerate(one.motifs, len(motifs) + 1)}
        motifs += [replace(motif, id=names[motif.id], name=names[motif.id]) for motif in one.motifs]
        tables.append(one.table.assign(motif=one.table["motif"].replace(names), output=output))
        places.append(one.sites.assign(motif=one.sites["motif"].replace(names), output=output))
        contributions |= {names[name]: columns for name, columns in one.contributions.items()}
    table, sites = (pd.concat(parts, ignore_index=True) for parts in (tables, places))
    return SeqletMotifs(motifs, table, sites, contributions)


def present(codes: np.ndarray, contributions: np.ndarray) -> np.ndarray:
    """Return the contributions of the bases present, (N, 4, L) to (N, L); zero for unknown bases and padding."""
    there = np.take_along_axis(contributions, np.minimum(codes, 3)[:, None].astype(np.int64), axis=1)[:, 0]
    return np.where(codes < 4, there, 0.0).astype(np.float32)


def find_seqlets(values: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find 15 bp segments whose contributions exceed those in sequences of the background.

    The sum of a seqlet is larger in magnitude than that of every other segment within 15 bp, and reaches the smallest
    threshold at which the expected fraction of false ones, estimated from the background (plus one, since small
    counts are uncertain), is at most 5%. It is then shifted by up to 7 bp to centre the largest contributions.

    Parameters
    ----------
    values
        Shape (N, L): contributions of the bases present.
    background
        Shape (M, L): the same for sequences of the background.

    Returns
    -------
    example, start, score
        Row, first position and sum of each seqlet, in the order of the sequences; at most the 3,000 of largest
        magnitude.
    """
    example, start, score = _peaks(values)
    size, false = np.abs(score), np.sort(np.abs(_peaks(background)[2]))
    order = np.argsort(-size, kind="stable")
    above = len(false) - np.searchsorted(false, size[order], side="left")
    share = (above + 1) * (len(values) / max(len(background), 1)) / np.arange(1, len(order) + 1)
    kept = np.flatnonzero(share <= FALSE)
    chosen = np.sort(order[: kept[-1] + 1 if len(kept) else 0][:MOST])
    return example[chosen], _centred(values, example[chosen], start[chosen]), score[chosen]


class _Candidate:
    """The motif of seqlets whose aligned windows start at ``first``; of RNA if frequencies of the bases are given."""

    def __init__(
        self,
        codes: np.ndarray,
        values: np.ndarray,
        example: np.ndarray,
        score: np.ndarray,
        rows: np.ndarray,
        first: np.ndarray,
        reverse: np.ndarray,
        *,
        compared: int,
        frequencies: np.ndarray | None,
    ) -> None:
        self.rows, self.first, self.reverse, self.width = rows, first, reverse, compared + 2 * FLANK
        self.again = rows[:0]  # further seqlets at the same sites
        self.example, self.weight = example[rows], np.abs(score[rows].sum())
        letters = _cut(codes[:, None, :], self.example, first, self.width, fill=5)[:, 0]
        shown = _cut(values[:, None, :], self.example, first, self.width)[:, 0]
        turned = reverse[:, None]
        letters = np.where(turned, letters[:, ::-1], letters)
        letters = np.where(turned & (letters < 4), 3 - letters, letters)
        shown = np.where(turned, shown[:, ::-1], shown)
        mean = ((letters[:, :, None] == np.arange(4)) * shown[:, :, None]).mean(axis=0)
        pfm, size = count(letters), np.abs(mean.sum(axis=1))
        matters = size >= (TRIM if frequencies is None else TRIM_RNA) * size.max()
        if frequencies is not None:
            bits = (pfm * np.log2(pfm / frequencies)).sum(axis=1)
            matters &= bits >= TRIM_BITS_RNA * bits[matters].max()
        kept = np.flatnonzero(matters)
        self.begin, end = int(kept[0]), int(kept[-1]) + 1
        self.pfm, self.contributions = pfm[self.begin : end], mean[self.begin : end]
        self.start = first + np.where(reverse, self.width - end, self.begin)


def _joined(parts: Sequence[_Candidate], make: Callable[..., _Candidate], both_strands: bool) -> _Candidate:
    """Align candidates with the first one, and join them; a site found by two of them is a member once."""
    head, *others = parts
    if not others:
        return head
    rows, first, reverse = [head.rows], [head.first], [head.reverse]
    for one in others:
        column, turned = placed(head.pfm, one.pfm, both_strands)
        begin = one.width - one.begin - len(one.pfm) if turned else one.begin
        shift = head.begin + column - begin  # column of the first window at which the other one starts
        rows.append(one.rows)
        reverse.append(one.reverse ^ turned)
        first.append(one.first + np.where(reverse[-1], shift, -shift))
    joined = [np.concatenate(part) for part in (rows, first, reverse)]
    places = np.stack([np.concatenate([one.example for one in parts]), joined[1]])
    once = np.sort(np.unique(places, axis=1, return_index=True)[1])
    found = make(*(part[once] for part in joined))
    found.again = np.setdiff1d(joined[0], found.rows)
    return found


def _peaks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, first positions and sums of the 15 bp segments whose sum is the largest within 15 bp."""
    sums = _sums(values, CORE)
    size = np.pad(np.abs(sums), ((0, 0), (CORE, CORE)), constant_values=-1.0)
    around, n = np.lib.stride_tricks.sliding_window_view(size, CORE, axis=1), sums.shape[1]  # (N, ., 15)
    before, after = around[:, :n].max(axis=2), around[:, CORE + 1 : CORE + 1 + n].max(axis=2)
    size = np.abs(sums)
    example, start = np.nonzero((size > before) & (size >= after) & (size > 0))
    return example, start, sums[example, start]


def _centred(values: np.ndarray, example: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Shift first positions to the largest magnitude of the sum with triangular weights."""
    half = (CORE + 1) // 2
    weighted = np.abs(_sums(_sums(values, half), half))  # sums of sums have triangular weights
    places = start[:, None] + np.arange(1 - half, half)
    inside = (places >= 0) & (places < weighted.shape[1])
    nearby = weighted[example[:, None], np.clip(places, 0, weighted.shape[1] - 1)]
    return start + 1 - half + np.where(inside, nearby, -1.0).argmax(axis=1)


def _sums(values: np.ndarray, width: int) -> np.ndarray:
    """Return sliding sums, shape (N, L - width + 1)."""
    if values.shape[1] < width:
        return np.zeros((len(values), 0))
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    return total[:, width:] - total[:, :-width]


def _cut(array: np.ndarray, example: np.ndarray, start: np.ndarray, width: int, fill: float = 0) -> np.ndarray:
    """Cut windows from an array (N, C, L), which may extend beyond its ends: shape (M, C, width)."""
    place = start[:, None] + np.arange(width)
    inside = (place >= 0) & (place < array.shape[2])
    windows = array[example[:, None], :, np.clip(place, 0, array.shape[2] - 1)]  # (M, width, C)
    return np.where(inside[:, None], windows.transpose(0, 2, 1), np.asarray(fill, dtype=array.dtype))
