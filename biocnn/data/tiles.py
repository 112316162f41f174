"""Adjacent windows that cover a genome, or regions of it, for targets of each base."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.genome_reader import GenomeReader
from biocnn.data.windows import Windows, named
from biocnn.io.contigs import Contigs, match_contigs
from biocnn.io.fasta import UNKNOWN, reverse_complement

TABLE = ["id", "group", "chrom", "start", "end", "strand"]
NOWHERE = pd.DataFrame({"chrom": pd.Series(dtype=object), "start": np.empty(0, int), "end": np.empty(0, int)})


@dataclass(kw_only=True)
class Tiling(GenomeReader):
    """Settings of a reader that cuts a genome into windows.

    Parameters
    ----------
    regions
        BED file of the regions to use; None: everywhere. Regions that overlap are merged, and windows on strand "-" are
        reverse-complemented.
    contigs
        Contigs to use; None: all.
    ignore
        BED file of regions whose bases are unknown: neither learned nor judged.
    window
        Bases of a window with a target, in bp. Each region, or contig, is covered by adjacent windows.
    context
        Further bases at both ends of each window, which the model sees but whose targets do not count, in bp.

    Raises
    ------
    InputError
        If settings do not fit together.
    """

    regions: Path | None = None
    contigs: list[str] | None = None
    ignore: Path | None = None
    window: Annotated[int, Field(ge=1)] = 512
    context: Annotated[int, Field(ge=0)] = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        words = f"{self.window} bp, with {self.context} bp of context at both ends"
        self.check_lengths(self.window + 2 * self.context, words, shortest_block=self.window)
        if self.contigs == []:
            raise InputError("data.contigs: an empty list", "name contigs, or leave it out to use all")


class Tiles:
    """The windows of a genome.

    Parameters
    ----------
    settings
        Settings of the reader.
    checks
        Receives counts of what was read, repaired and dropped.
    folder
        Genome encoded by ``write_genome``, without ambiguous letters; None: encode the FASTA in memory.

    Attributes
    ----------
    contigs
        Contigs to use, in the order of the genome.
    """

    def __init__(self, settings: Tiling, checks: Checks, folder: Path | None) -> None:
        self.settings, self.checks = settings, checks
        self.genome = settings.read_genome(folder)
        names = self.genome.names
        checks.add(Path(settings.genome).name, "read", "contigs", len(names), ", ".join(names[:4]))
        self.exact, skip = settings.contig_names == "exact", settings.unknown_contigs == "skip"
        self._files = Windows(
            self.genome, settings.window, 0, "center", self.exact, skip, settings.max_unknown, checks, NOWHERE
        )
        self.contigs = self._chosen()
        self.regions, self.ignored = (
            self.read(Path(path)) if path else None for path in (settings.regions, settings.ignore)
        )
        self.codes, self.hidden = lru_cache(1)(self._codes), lru_cache(1)(self._hidden)

    def read(self, path: Path) -> pd.DataFrame:
        """Read intervals, with contigs named as in the genome."""
        return self._files.read(path)

    def _chosen(self) -> list[str]:
        if self.settings.contigs is None:
            return self.genome.names
        found = match_contigs(self.settings.contigs, self.genome, self.exact, "data.contigs")
        renamed = [f"{name} -> {contig}" for name, contig in found.items() if name != contig]
        self.checks.add("data.contigs", "repaired", "contig names", len(renamed), ", ".join(renamed[:4]))
        return [name for name in self.genome.names if name in found.values()]

    def _codes(self, chrom: str) -> np.ndarray:
        return self.genome.codes(chrom, 0, self.genome.contigs[chrom])

    def _hidden(self, chrom: str) -> np.ndarray:
        """Return which bases of a contig are unknown, ignored, or outside the regions: shape (length,)."""
        hidden = self.codes(chrom) == UNKNOWN
        for start, end in on(self.ignored, chrom):
            hidden[max(0, start) : end] = True
        if self.regions is not None:
            outside = np.ones(len(hidden), bool)
            for start, end in on(self.regions, chrom):
                outside[max(0, start) : end] = False
            hidden |= outside
        return hidden

    def table(self, known: Callable[[str], np.ndarray]) -> pd.DataFrame:
        """Place the windows; drop those without enough known bases.

        Parameters
        ----------
        known
            Function of a contig that returns which of its bases have a target, (length,); called once for each contig.
        """
        settings, checks = self.settings, self.checks
        parts = [part for chrom in self.contigs for part in self._tiled(chrom, known(chrom))]
        if not parts:
            raise InputError(
                f"{settings.regions}: no region lies on {', '.join(self.contigs[:4])}", "check data.contigs"
            )
        table = pd.concat(parts, ignore_index=True)
        name = Path(settings.regions or settings.genome).name
        checks.add(name, "made", f"windows of {settings.window} bp", len(table))
        for reason, drop in (
            (f"more than {settings.max_unknown:.0%} unknown bases",
             table["unknown"] > settings.max_unknown * settings.window),
            ("no base with a known target", table["known"] == 0),
        ):  # fmt: skip
            drop &= table["keep"]
            table.loc[drop, "keep"] = False
            checks.add(name, "dropped", reason, int(drop.sum()), "".join(named(table[drop].head(1).copy())["id"]))
        if not table["keep"].any():
            raise InputError(
                f"{name}: all windows ({len(table)}) have too many unknown bases, or no known target",
                "check data.ignore, that the files of targets cover these windows, and that the genome is not a masked "
                "one; data.max_unknown is the share allowed",
            )
        table = named(table[table["keep"]].reset_index(drop=True))
        blocks = "" if settings.block is None else ":" + (table["start"] // settings.block).clip(lower=0).astype(str)
        return table.assign(group=table["chrom"] + blocks)[TABLE]

    def _tiled(self, chrom: str, known: np.ndarray) -> Iterator[pd.DataFrame]:
        """Cover each region of a contig with adjacent windows; count the bases with a target, and the unknown ones."""
        size, length = self.settings.window, self.genome.contigs[chrom]
        known, read = (np.append(0, np.cumsum(each)) for each in (known, self.codes(chrom) != UNKNOWN))
        for strand, start, end in self._merged(chrom):
            number = -(-(end - start) // size)
            first = start - (number * size - (end - start)) // 2  # the excess is split between both ends
            starts = first + size * np.arange(number)
            low, high = np.clip(starts, 0, length), np.clip(starts + size, 0, length)
            table = pd.DataFrame({"chrom": chrom, "start": starts, "end": starts + size, "strand": strand})
            yield table.assign(known=known[high] - known[low], unknown=size - (read[high] - read[low]), keep=True)

    def _merged(self, chrom: str) -> Iterator[tuple[str, int, int]]:
        """Yield strand, start and end of the regions of a contig, merged where they touch on a strand."""
        if self.regions is None:
            yield "+", 0, self.genome.contigs[chrom]
            return
        here = self.regions[self.regions["chrom"] == chrom]
        for strand, part in here.groupby(here["strand"].replace(".", "+")):
            part = part[part["end"] > part["start"]].sort_values("start")
            reach = part["end"].cummax()
            number = (part["start"] > reach.shift(fill_value=-1)).cumsum()
            for _, run in part.groupby(number):
                yield strand, max(0, run["start"].min()), min(run["end"].max(), self.genome.contigs[chrom])

    def bases(self, table: pd.DataFrame) -> Callable[[int], np.ndarray]:
        """Return a function of the row of a window: its bases, with context."""
        context = self.settings.context

        def bases(chrom: str, start: int, end: int) -> np.ndarray:
            return self.genome.codes(chrom, start - context, end + context)

        return _of_rows(table, bases, reverse_complement)

    def targets(
        self,
        table: pd.DataFrame,
        along: Callable[[str, int, int], np.ndarray],
        unknown: float,
        turn: Callable[[np.ndarray], np.ndarray],
    ) -> Callable[[int], np.ndarray]:
        """Return a function of the row of a window: its targets, with context, which is unknown.

        Parameters
        ----------
        table
            Windows.
        along
            Function of contig, start and end, within the contig, that returns targets (..., end - start).
        unknown
            Target of unknown bases.
        turn
            Function that turns targets of a window for the other strand.
        """
        context = self.settings.context

        def targets(chrom: str, start: int, end: int) -> np.ndarray:
            low, high = max(0, start), min(end, self.genome.contigs[chrom])
            inside = along(chrom, low, high)
            beside = [(0, 0)] * (inside.ndim - 1) + [(low - start + context, end - high + context)]
            return np.pad(inside, beside, constant_values=unknown)

        return _of_rows(table, targets, turn)

    def names(self) -> Contigs:
        """Return the facts about the contigs."""
        return Contigs(self.genome.contigs, self.genome.descriptions, self.genome.source, self.exact)


def _of_rows(
    table: pd.DataFrame, get: Callable[[str, int, int], np.ndarray], turn: Callable[[np.ndarray], np.ndarray]
) -> Callable[[int], np.ndarray]:
    """Return a function of the row of a window that turns what lies on the other strand."""
    chroms, minus = table["chrom"].tolist(), (table["strand"] == "-").tolist()
    starts, ends = table["start"].tolist(), table["end"].tolist()

    def of_row(row: int) -> np.ndarray:
        found = get(chroms[row], starts[row], ends[row])
        return turn(found) if minus[row] else found

    return of_row


def on(table: pd.DataFrame | None, chrom: str, *more: str) -> Iterator[tuple]:
    """Iterate over start, end and further columns of the intervals on a contig."""
    if table is not None:
        here = table[table["chrom"] == chrom]
        yield from zip(*(here[name].tolist() for name in ("start", "end", *more)), strict=True)
