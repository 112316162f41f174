"""Negative examples for positives: from elsewhere in the genome, shuffled, or given."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.data.checks import Checks
from biocnn.data.genome import Genome
from biocnn.data.sampling import BINS, Background, Stretch, gc_percent, overlaps
from biocnn.data.shuffle import shuffle_windows
from biocnn.errors import InputError

__all__ = ["dinucleotide_shuffled", "gc_matched", "given", "random"]

SOURCE = "negatives"  # in checks
TRIES = 10  # to find another order of a sequence's dinucleotides


@dataclass(frozen=True)
class Part:
    """Some examples: their table, and their bases of shape (N, L), uint8, padded with 5 where lengths vary."""

    examples: pd.DataFrame
    codes: np.ndarray

    def only(self, chosen: np.ndarray) -> "Part":
        """The examples at these rows (numbers, or true where chosen)."""
        return Part(self.examples[chosen] if chosen.dtype == bool else self.examples.iloc[chosen], self.codes[chosen])


@dataclass(frozen=True)
class Site:
    """What windows of a genome have beyond their bases.

    Parameters
    ----------
    genome
        Where the windows are from.
    flank
        Bases at both ends of ``codes`` that are not part of the window.
    max_unknown
        Largest share of unknown bases in a window.
    stretches
        For each group, where its negatives may lie.
    occupied
        All peaks and windows: chrom, start, end.
    cut
        Table of windows (chrom, start, strand) to their bases, flanks included.
    """

    genome: Genome
    flank: int
    max_unknown: float
    stretches: dict[str, Stretch]
    occupied: pd.DataFrame
    cut: Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Positives(Part):
    """What negatives are made from.

    Parameters
    ----------
    examples
        id and group; for windows of a genome also chrom, start, end (without flanks), strand.
    codes
        Shape (N, L), uint8, flanks included.
    read
        Reads examples of the same kind from a file.
    site
        Where windows of a genome come from; None for sequences.
    """

    read: Callable[[Path], Part]
    site: Site | None = field(default=None)

    @property
    def window(self) -> slice:
        """The columns of ``codes`` without flanks."""
        flank = self.site.flank if self.site else 0
        return slice(flank, self.codes.shape[1] - flank)


def random(
    positives: Positives, rng: np.random.Generator, checks: Checks, *, ratio: float = 1.0, distance: int = 300
) -> Part:
    """Windows from anywhere in the group of their positives (contig or block), each with the same probability.

    Parameters
    ----------
    ratio
        Negatives for each positive, in every group.
    distance
        From any peak and any positive window, in bp.
    """
    site, background = _background(positives, distance)
    found = {}
    for group, _, wanted in _groups(positives, ratio):
        found[group] = background.draw(site.stretches[group], wanted, rng)
    return _windows(positives, site, found, ratio, rng, checks)


def gc_matched(
    positives: Positives, rng: np.random.Generator, checks: Checks, *, ratio: float = 1.0, distance: int = 300
) -> Part:
    """Windows from the group of their positives (contig or block) with the same distribution of GC content, to 1%.

    Where too few windows of a GC content are found, the nearest are taken; checks say how far apart the histograms are.

    Parameters
    ----------
    ratio
        Negatives for each positive, in every group.
    distance
        From any peak and any positive window, in bp.
    """
    site, background = _background(positives, distance)
    content = gc_percent(positives.codes[:, positives.window])
    found = {}
    for group, members, wanted in _groups(positives, ratio):
        # Each positive's GC content is asked for as often as any other's, give or take one.
        goal = np.bincount(content[np.resize(rng.permutation(members), wanted)], minlength=BINS)
        found[group] = background.draw_gc(site.stretches[group], goal, rng)
    part = _windows(positives, site, found, ratio, rng, checks)
    theirs = gc_percent(part.codes[:, positives.window])
    apart = np.abs(_histogram(content) - _histogram(theirs)).sum() / 2
    checks.add(
        SOURCE,
        "note",
        f"GC content {content.mean():.1f}% (positives) and {theirs.mean():.1f}% (negatives); "
        f"their histograms differ by {apart:.3f} (0 = equal, 1 = apart)",
        len(theirs),
    )
    return part


def dinucleotide_shuffled(
    positives: Positives, rng: np.random.Generator, checks: Checks, *, ratio: float = 1.0, fresh: bool = True
) -> Part:
    """Each positive's own bases, shuffled so that every dinucleotide keeps its count exactly.

    The window and its two flanks are shuffled one by one, so that the counts are those of the window that is seen.

    Parameters
    ----------
    ratio
        Negatives for each positive, whose group they share.
    fresh
        Whether those of the training part are shuffled anew each epoch; validation and test always see the same ones.
    """
    count = len(positives.codes)
    (total,) = _how_many([count], ratio)
    # Whole rounds over all positives, then a random choice of them.
    row = np.concatenate([np.tile(np.arange(count), total // count), rng.permutation(count)[: total % count]])
    original, window = positives.codes[row], positives.window
    codes, same = original.copy(), np.arange(total)
    for _ in range(TRIES):
        codes[same] = shuffle_windows(original[same], window, rng)
        same = same[(codes[same][:, window] == original[same][:, window]).all(axis=1)]
    examples = positives.examples.drop(columns="score", errors="ignore").iloc[row].reset_index(drop=True)
    examples["id"] += [f":shuffled{1 + i // count}" for i in range(total)]
    examples["kind"] = "shuffled" if fresh else "negative"
    changed = ~np.isin(np.arange(total), same)
    checks.add(SOURCE, "dropped", "its dinucleotides have no other order", len(same), _first(examples["id"], ~changed))
    if not changed.any():
        raise InputError(
            "data.negatives: no positive has another order of its dinucleotides", "give negatives or labels instead"
        )
    checks.add(SOURCE, "made", "dinucleotides of a positive, shuffled", changed.sum())
    return Part(examples, codes).only(changed)


def given(positives: Positives, rng: np.random.Generator, checks: Checks, *, path: Path) -> Part:
    """Negatives from a file of the kind of the positives: BED or narrowPeak for intervals, FASTA for sequences.

    Parameters
    ----------
    path
        Intervals whose window overlaps that of a positive, and sequences equal to one, are dropped and counted.
    """
    part = positives.read(Path(path))
    if positives.site:
        clash = overlaps(part.examples, positives.examples)
    else:
        taken = {_bases(codes) for codes in positives.codes}
        clash = np.array([_bases(codes) in taken for codes in part.codes], bool)
    if clash.all():
        raise InputError(f"{path}: every negative is or overlaps a positive", "give another data.negatives.path")
    checks.add(SOURCE, "dropped", "is or overlaps a positive", clash.sum(), _first(part.examples["id"], clash))
    checks.add(SOURCE, "made", f"given in {Path(path).name}", (~clash).sum())
    return part.only(~clash)


def _groups(positives: Positives, ratio: float) -> Iterator[tuple[str, np.ndarray, int]]:
    """Each group: its name, rows of its positives, how many negatives it should have."""
    groups = positives.examples.groupby("group", sort=False).indices
    wanted = _how_many([len(members) for members in groups.values()], ratio)
    for (group, members), share in zip(groups.items(), wanted, strict=True):
        yield group, members, share


def _how_many(sizes: list[int], ratio: float) -> list[int]:
    """How many negatives for so many positives: each share is right to one, and so is the sum."""
    if not (math.isfinite(ratio) and ratio > 0):
        raise InputError(f"data.negatives.ratio: {ratio} is not above 0", "negatives for each positive, for example 1")
    return np.diff(np.rint(ratio * np.cumsum([0, *sizes])).astype(int)).tolist()


def _background(positives: Positives, distance: int) -> tuple[Site, Background]:
    site, window = positives.site, positives.window
    if site is None:
        raise InputError(
            "data.negatives: sequences have no genome to draw windows from",
            "allowed for Sequences: dinucleotide_shuffled, given; Intervals draws from the genome",
        )
    if distance < 0:
        raise InputError(f"data.negatives.distance: {distance} is below 0", "bp between a negative and the next peak")
    return site, Background(site.genome, site.occupied, distance, window.stop - window.start, site.max_unknown)


def _windows(
    positives: Positives,
    site: Site,
    found: dict[str, np.ndarray],
    ratio: float,
    rng: np.random.Generator,
    checks: Checks,
) -> Part:
    """Examples from the starts of windows found for each group; strands are drawn from those of its positives."""
    tables, asked = [], 0
    strands = positives.examples["strand"].to_numpy()
    for group, members, wanted in _groups(positives, ratio):
        asked += wanted
        strand = rng.permutation(np.resize(strands[members], len(found[group])))
        tables.append(pd.DataFrame({"start": found[group], "strand": strand, "group": group}))
        tables[-1]["chrom"] = site.stretches[group].chrom
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        raise InputError(
            "data.negatives: no window of the genome is far enough from all peaks",
            "lower data.negatives.distance, or set data.negatives: dinucleotide_shuffled",
        )
    table["end"] = table["start"] + (positives.window.stop - positives.window.start)
    checks.add(SOURCE, "made", f"windows of the genome ({asked} asked for)", len(table))
    checks.add(SOURCE, "note", "fewer than asked for: no more room far enough from all peaks", asked - len(table))
    return Part(table, site.cut(table))


def _histogram(percent: np.ndarray) -> np.ndarray:
    return np.bincount(percent, minlength=BINS) / len(percent)


def _bases(codes: np.ndarray) -> bytes:
    return codes.tobytes().rstrip(b"\x05")


def _first(names: pd.Series, chosen: np.ndarray) -> str:
    return str(names.to_numpy()[chosen][0]) if chosen.any() else ""
