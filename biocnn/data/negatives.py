"""Negative examples for positives: from elsewhere in the genome, shuffled, or given."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.loci import FROM
from biocnn.data.parts import Part, Positives, Site
from biocnn.data.sampling import BINS, Apart, Background, crowded, gc_percent, overlaps
from biocnn.data.shuffle import shuffle_windows
from biocnn.io.fasta import UNKNOWN
from biocnn.io.padded import first_alike, stack

__all__ = ["dinucleotide_shuffled", "flanking", "gc_matched", "given", "random"]

SOURCE = "negatives"  # in checks
TRIES = 10  # to find another order of a sequence's dinucleotides
MOST = 1000  # negatives for each positive
STEPS = 10  # windows to try on either side of a positive


def random(
    positives: Positives, rng: np.random.Generator, checks: Checks, *, ratio: float = 1.0, distance: int = 300
) -> Part:
    """Windows from anywhere in the group of their positives (contig or block), drawn evenly.

    They do not overlap each other while there is room; those that do are counted in checks.

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

    They do not overlap each other while there are such windows of the wanted GC content; those that do are counted in
    checks. Where too few windows of a GC content are found, the nearest are taken; checks say how far apart the
    histograms are.

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


def flanking(
    positives: Positives, rng: np.random.Generator, checks: Checks, *, ratio: float = 1.0, distance: int = 300
) -> Part:
    """Windows beside the positives, upstream or downstream; where one is taken, the next one further away.

    The nearest that overlap no peak, no positive and no other negative are taken, the side being drawn.

    Parameters
    ----------
    ratio
        Negatives for each positive, in every group.
    distance
        From the end of a positive window to its first negative, in bp; further ones follow end to end.
    """
    site = _site(positives, distance)
    length = positives.window.stop - positives.window.start
    table = positives.examples.drop(columns=["id", "score"], errors="ignore").reset_index(drop=True)
    need = np.zeros(len(table), np.int64)
    for _, members, wanted in _groups(positives, ratio):
        need[rng.permutation(members)] = np.diff(np.linspace(0, wanted, len(members) + 1).astype(int))
    asked, near = int(need.sum()), pd.concat([site.occupied, site.closed], ignore_index=True)
    first_side, found = rng.integers(0, 2, len(table)), []
    for step, second in np.ndindex(STEPS, 2):
        rows = np.flatnonzero(need)
        away = distance + length * (step + 1)
        beside = table.iloc[rows].assign(start=table["start"] + np.where(first_side ^ second, away, -away))
        beside["end"] = beside["start"] + length
        inside = (beside["start"] >= 0) & (beside["end"] <= beside["chrom"].map(site.genome.contigs))
        beside = beside[inside & ~overlaps(beside, near)]
        beside = beside[_known(site, beside, positives.window)]
        beside = beside[_first_apart(beside, length)]
        need[beside.index] -= 1
        near = pd.concat([near, beside[["chrom", "start", "end"]]], ignore_index=True)
        found.append(beside)
    return _made(positives, site, pd.concat(found, ignore_index=True), asked, "beside the positives", checks)


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
    examples[FROM] = examples["id"]
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
        Intervals whose window overlaps a peak or the window of a positive, and sequences equal to one (or, of DNA, to
        its reverse complement), are dropped and counted.
    """
    part = positives.read(Path(path))
    if positives.site:
        clash = overlaps(part.examples, positives.site.occupied)
    else:
        clash = first_alike(stack(positives.codes, part.codes), positives.both_strands)[len(positives.codes) :]
        clash = clash < len(positives.codes)
    if clash.all():
        raise InputError(f"{path}: every negative is or overlaps a positive", "give another data.negatives.path")
    checks.add(SOURCE, "dropped", "is or overlaps a positive", clash.sum(), _first(part.examples["id"], clash))
    part = part.only(~clash)
    checks.add(SOURCE, "made", f"given in {Path(path).name}", len(part.codes))
    if positives.site:
        _count_crowded(part.examples, checks)
    return part


def _groups(positives: Positives, ratio: float) -> Iterator[tuple[str, np.ndarray, int]]:
    """Each group: its name, rows of its positives, how many negatives it should have."""
    groups = positives.examples.groupby("group", sort=False).indices
    wanted = _how_many([len(members) for members in groups.values()], ratio)
    for (group, members), share in zip(groups.items(), wanted, strict=True):
        yield group, members, share


def _how_many(sizes: list[int], ratio: float) -> list[int]:
    """How many negatives for so many positives: each share is right to one, and so is the sum."""
    if not 0 < ratio <= MOST:
        raise InputError(f"data.negatives.ratio: {ratio:g}", f"negatives for each positive: above 0, at most {MOST:,}")
    wanted = np.diff(np.rint(ratio * np.cumsum([0, *sizes])).astype(int)).tolist()
    if not sum(wanted):
        raise InputError(
            f"data.negatives.ratio: {ratio} asks for no negative of {sum(sizes)} positives",
            "negatives for each positive, for example 1",
        )
    return wanted


def _site(positives: Positives, distance: int) -> Site:
    if positives.site is None:
        raise InputError(
            "data.negatives: sequences have no genome to draw windows from",
            "allowed for Sequences: dinucleotide_shuffled, given; Intervals draws from the genome",
        )
    if distance < 0:
        raise InputError(f"data.negatives.distance: {distance} is below 0", "bp between a negative and the next peak")
    return positives.site


def _background(positives: Positives, distance: int) -> tuple[Site, Background]:
    site, window = _site(positives, distance), positives.window
    near = site.occupied.assign(start=site.occupied["start"] - distance, end=site.occupied["end"] + distance)
    closed = pd.concat([near, site.closed], ignore_index=True)
    return site, Background(site.genome, closed, window.stop - window.start, site.max_unknown)


def _known(site: Site, table: pd.DataFrame, window: slice) -> np.ndarray:
    """Which windows have few enough unknown bases."""
    return (site.cut(table)[:, window] == UNKNOWN).mean(axis=1) <= site.max_unknown


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
    return _made(positives, site, pd.concat(tables, ignore_index=True), asked, "of the genome", checks)


def _made(positives: Positives, site: Site, table: pd.DataFrame, asked: int, where: str, checks: Checks) -> Part:
    """Examples at windows that were found, and the account of them."""
    if table.empty:
        raise InputError(
            f"data.negatives: no window {where} is far enough from all peaks",
            "lower data.negatives.distance, or set data.negatives: dinucleotide_shuffled",
        )
    table["end"] = table["start"] + (positives.window.stop - positives.window.start)
    checks.add(SOURCE, "made", f"windows {where} ({asked} asked for)", len(table))
    checks.add(SOURCE, "note", "fewer than asked for: no more room far enough from all peaks", asked - len(table))
    _count_crowded(table, checks)
    return Part(table, site.cut(table))


def _count_crowded(table: pd.DataFrame, checks: Checks) -> None:
    found = crowded(table)
    places = table["chrom"] + ":" + table["start"].astype(str) + "-" + table["end"].astype(str)
    reason = f"overlap another negative, {found.mean():.1%} of all: evidence for less than their number"
    checks.add(SOURCE, "note", reason, found.sum(), _first(places, found))


def _first_apart(table: pd.DataFrame, length: int) -> np.ndarray:
    """Which windows overlap none of those before them that are taken: shape (N,), bool."""
    taken: dict[str, Apart] = {}
    found = np.zeros(len(table), bool)
    for row, (chrom, start) in enumerate(zip(table["chrom"], table["start"].tolist(), strict=True)):
        apart = taken.setdefault(chrom, Apart(length))
        if apart.fits(start):
            apart.add(start)
            found[row] = True
    return found


def _histogram(percent: np.ndarray) -> np.ndarray:
    return np.bincount(percent, minlength=BINS) / len(percent)


def _first(names: pd.Series, chosen: np.ndarray) -> str:
    return str(names.to_numpy()[chosen][0]) if chosen.any() else ""
