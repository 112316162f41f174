"""Negative examples: from elsewhere in the genome, shuffled, or given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.core.ranges import Count
from biocnn.data.loci import FROM
from biocnn.data.positives import EncodedExamples, GenomeContext, Positives
from biocnn.data.sampling import BINS, Apart, Background, crowded, gc_percent, overlaps
from biocnn.data.shuffle import shuffle_windows
from biocnn.io.fasta import UNKNOWN
from biocnn.io.padded import first_alike, stack

__all__ = ["dinucleotide_shuffled", "flanking", "gc_matched", "given", "random"]

SOURCE = "negatives"  # name in checks
TRIES = 10  # attempts to find another order of a sequence's dinucleotides
STEPS = 10  # windows to try on either side of a positive


def random(
    positives: Positives,
    rng: np.random.Generator,
    checks: Checks,
    *,
    ratio: Annotated[float, Field(gt=0, le=1000)] = 1.0,
    distance: Count = 300,
) -> EncodedExamples:
    """Draw windows uniformly from the group (contig or block) of their positives.

    They do not overlap each other while there is room; overlaps are counted in checks.

    Parameters
    ----------
    ratio
        Negatives per positive, in each group.
    distance
        Smallest distance from any peak and any positive window, in bp.
    """
    context, background = _background(positives, distance)
    found = {}
    for group, _, wanted in _groups(positives, ratio):
        found[group] = background.draw(context.stretches[group], wanted, rng)
    return _windows(positives, context, found, ratio, rng, checks)


def gc_matched(
    positives: Positives,
    rng: np.random.Generator,
    checks: Checks,
    *,
    ratio: Annotated[float, Field(gt=0, le=1000)] = 1.0,
    distance: Count = 300,
) -> EncodedExamples:
    """Draw windows from the group (contig or block) of their positives with the same GC distribution, to 1%.

    They do not overlap each other while windows of the required GC content are available; overlaps are counted in
    checks. If too few windows of a GC content exist, the nearest are used; checks report how much the histograms
    differ.

    Parameters
    ----------
    ratio
        Negatives per positive, in each group.
    distance
        Smallest distance from any peak and any positive window, in bp.
    """
    context, background = _background(positives, distance)
    content = gc_percent(positives.codes[:, positives.window])
    found = {}
    for group, members, wanted in _groups(positives, ratio):
        # Each positive's GC content is requested equally often, within one.
        goal = np.bincount(content[np.resize(rng.permutation(members), wanted)], minlength=BINS)
        found[group] = background.draw_gc(context.stretches[group], goal, rng)
    part = _windows(positives, context, found, ratio, rng, checks)
    theirs = gc_percent(part.codes[:, positives.window])
    apart = np.abs(_histogram(content) - _histogram(theirs)).sum() / 2
    checks.add(
        SOURCE,
        "note",
        f"GC content {content.mean():.1f}% (positives) and {theirs.mean():.1f}% (negatives); "
        f"their histograms differ by {apart:.3f} (0 = equal, 1 = disjoint)",
        len(theirs),
    )
    return part


def flanking(
    positives: Positives,
    rng: np.random.Generator,
    checks: Checks,
    *,
    ratio: Annotated[float, Field(gt=0, le=1000)] = 1.0,
    distance: Count = 300,
) -> EncodedExamples:
    """Take windows next to the positives, upstream or downstream; if one is not available, the next one further away.

    The nearest ones that overlap no peak, no positive and no other negative are taken; the side is random.

    Parameters
    ----------
    ratio
        Negatives per positive, in each group.
    distance
        From the end of a positive window to its first negative, in bp; further ones follow end to end.
    """
    context = _context(positives, distance)
    length = positives.window.stop - positives.window.start
    table = positives.examples.drop(columns=["id", "score"], errors="ignore").reset_index(drop=True)
    need = np.zeros(len(table), np.int64)
    for _, members, wanted in _groups(positives, ratio):
        need[rng.permutation(members)] = np.diff(np.linspace(0, wanted, len(members) + 1).astype(int))
    asked, near = int(need.sum()), pd.concat([context.occupied, context.closed], ignore_index=True)
    first_side, found = rng.integers(0, 2, len(table)), []
    for step, second in np.ndindex(STEPS, 2):
        rows = np.flatnonzero(need)
        away = distance + length * (step + 1)
        beside = table.iloc[rows].assign(start=table["start"] + np.where(first_side ^ second, away, -away))
        beside["end"] = beside["start"] + length
        inside = (beside["start"] >= 0) & (beside["end"] <= beside["chrom"].map(context.genome.contigs))
        beside = beside[inside & ~overlaps(beside, near)]
        beside = beside[_known(context, beside, positives.window)]
        beside = beside[_first_apart(beside, length)]
        need[beside.index] -= 1
        near = pd.concat([near, beside[["chrom", "start", "end"]]], ignore_index=True)
        found.append(beside)
    return _made(positives, context, pd.concat(found, ignore_index=True), asked, "next to the positives", checks)


def dinucleotide_shuffled(
    positives: Positives,
    rng: np.random.Generator,
    checks: Checks,
    *,
    ratio: Annotated[float, Field(gt=0, le=1000)] = 1.0,
    fresh: bool = True,
) -> EncodedExamples:
    """Shuffle the bases of each positive such that all dinucleotide counts are preserved exactly.

    The window and its two flanks are shuffled separately, so the counts are those of the window that the model sees.

    Parameters
    ----------
    ratio
        Negatives per positive, whose group they share.
    fresh
        Whether those of the training split are redrawn each epoch; val and test never change.
    """
    count = len(positives.codes)
    (total,) = _how_many([count], ratio)
    # Complete rounds over all positives, then a random subset of them.
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
    checks.add(SOURCE, "dropped", "no other order of its dinucleotides", len(same), _first(examples["id"], ~changed))
    if not changed.any():
        raise InputError(
            "data.negatives: no positive has another order of its dinucleotides", "give negatives or labels instead"
        )
    checks.add(SOURCE, "made", "shuffled dinucleotides of a positive", changed.sum())
    return EncodedExamples(examples, codes).only(changed)


def given(positives: Positives, rng: np.random.Generator, checks: Checks, *, path: Path) -> EncodedExamples:
    """Read negatives from a file: BED or narrowPeak for intervals, FASTA for sequences.

    Parameters
    ----------
    path
        Intervals whose window overlaps a peak or a positive window, and sequences equal to a positive (or, for DNA, to
        its reverse complement), are dropped and counted.
    """
    part = positives.read(Path(path))
    if positives.context:
        clash = overlaps(part.examples, positives.context.occupied)
    else:
        clash = first_alike(stack(positives.codes, part.codes), positives.both_strands)[len(positives.codes) :]
        clash = clash < len(positives.codes)
    if clash.all():
        raise InputError(f"{path}: every negative equals or overlaps a positive", "give another data.negatives.path")
    checks.add(SOURCE, "dropped", "equals or overlaps a positive", clash.sum(), _first(part.examples["id"], clash))
    part = part.only(~clash)
    checks.add(SOURCE, "made", f"given in {Path(path).name}", len(part.codes))
    if positives.context:
        _count_crowded(part.examples, checks)
    return part


def _groups(positives: Positives, ratio: float) -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield each group: its name, rows of its positives, and number of negatives."""
    groups = positives.examples.groupby("group", sort=False).indices
    wanted = _how_many([len(members) for members in groups.values()], ratio)
    for (group, members), share in zip(groups.items(), wanted, strict=True):
        yield group, members, share


def _how_many(sizes: list[int], ratio: float) -> list[int]:
    """Return the number of negatives per group: each is correct to within one, and so is the sum."""
    wanted = np.diff(np.rint(ratio * np.cumsum([0, *sizes])).astype(int)).tolist()
    if not sum(wanted):
        raise InputError(
            f"data.negatives.ratio: {ratio} gives no negative for {plural(sum(sizes), 'positive')}",
            "negatives per positive, for example 1",
        )
    return wanted


def _context(positives: Positives, distance: int) -> GenomeContext:
    if positives.context is None:
        raise InputError(
            "data.negatives: Sequences have no genome to draw windows from",
            "allowed for Sequences: dinucleotide_shuffled, given; Intervals can draw from the genome",
        )
    return positives.context


def _background(positives: Positives, distance: int) -> tuple[GenomeContext, Background]:
    context, window = _context(positives, distance), positives.window
    near = context.occupied.assign(start=context.occupied["start"] - distance, end=context.occupied["end"] + distance)
    closed = pd.concat([near, context.closed], ignore_index=True)
    return context, Background(context.genome, closed, window.stop - window.start, context.max_unknown)


def _known(context: GenomeContext, table: pd.DataFrame, window: slice) -> np.ndarray:
    """Find the windows with few enough unknown bases."""
    return (context.cut(table)[:, window] == UNKNOWN).mean(axis=1) <= context.max_unknown


def _windows(
    positives: Positives,
    context: GenomeContext,
    found: dict[str, np.ndarray],
    ratio: float,
    rng: np.random.Generator,
    checks: Checks,
) -> EncodedExamples:
    """Make examples from the window starts of each group; strands are drawn from those of its positives."""
    tables, asked = [], 0
    strands = positives.examples["strand"].to_numpy()
    for group, members, wanted in _groups(positives, ratio):
        asked += wanted
        strand = rng.permutation(np.resize(strands[members], len(found[group])))
        tables.append(pd.DataFrame({"start": found[group], "strand": strand, "group": group}))
        tables[-1]["chrom"] = context.stretches[group].chrom
    return _made(positives, context, pd.concat(tables, ignore_index=True), asked, "of the genome", checks)


def _made(
    positives: Positives, context: GenomeContext, table: pd.DataFrame, asked: int, where: str, checks: Checks
) -> EncodedExamples:
    """Make examples from windows, and count them in checks."""
    if table.empty:
        raise InputError(
            f"data.negatives: no window {where} is far enough from all peaks",
            "lower data.negatives.distance, or set data.negatives: dinucleotide_shuffled",
        )
    table["end"] = table["start"] + (positives.window.stop - positives.window.start)
    checks.add(SOURCE, "made", f"windows {where} ({asked} requested)", len(table))
    checks.add(SOURCE, "note", "fewer than requested: no more room far enough from all peaks", asked - len(table))
    _count_crowded(table, checks)
    return EncodedExamples(table, context.cut(table))


def _count_crowded(table: pd.DataFrame, checks: Checks) -> None:
    found = crowded(table)
    places = table["chrom"] + ":" + table["start"].astype(str) + "-" + table["end"].astype(str)
    reason = f"overlap another negative, {found.mean():.1%} of all: they are not independent"
    checks.add(SOURCE, "note", reason, found.sum(), _first(places, found))


def _first_apart(table: pd.DataFrame, length: int) -> np.ndarray:
    """Select windows one by one unless they overlap a selected one: shape (N,), bool."""
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
