"""Windows of a genome with a class for each base, from the intervals of BED files."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.intervals import LONGEST
from biocnn.data.raw import Raw
from biocnn.data.windows import Windows, named
from biocnn.io.contigs import Contigs, match_contigs
from biocnn.io.fasta import UNKNOWN, reverse_complement
from biocnn.io.genome import Genome, open_genome, read_genome
from biocnn.metrics.masks import IGNORE
from biocnn.tasks.facts import Facts

BACKGROUND = "background"
MOST = 254  # classes; 255 marks unknown bases
TABLE = ["id", "group", "chrom", "start", "end", "strand"]
NOWHERE = pd.DataFrame({"chrom": pd.Series(dtype=object), "start": np.empty(0, int), "end": np.empty(0, int)})


class AnnotatedGenome:
    """Predict for each base of a genome whether it lies in a site, an exon, a repeat, etc.

    Parameters
    ----------
    genome
        FASTA: plain, gzip or bgzip.
    classes
        BED files with the intervals of each class, by the name of the class; the other bases are background. A single
        file is one class. Strands of the intervals are not used.
    extend
        Bases added at both ends of each interval, for example to files of positions.
    overlaps
        How to treat a base in intervals of two classes: as an error, as the class that is listed first, or as unknown.
    regions
        BED file of the regions whose bases are annotated; None: everywhere. Regions that overlap are merged, and
        windows on strand "-" are reverse-complemented.
    contigs
        Contigs to use; None: all.
    ignore
        BED file of regions whose bases are unknown: neither learned nor judged.
    window
        Bases of a window with a class, in bp. Each region, or contig, is covered by adjacent windows.
    context
        Further bases at both ends of each window, which the model sees but whose classes do not count, in bp.
    contig_names
        auto: ignore differences in prefix (chr1, 1), number (chrI, chr1), organelle (chrM, MT) and accession if a name
        then matches exactly one contig.
    unknown_contigs
        Whether intervals on contigs that the genome lacks are an error or skipped.
    block
        Groups, which a split never cuts, are contigs; with ``block``, they are blocks of this many bp.
    max_unknown
        Windows with a larger share of unknown bases (N, or beyond a contig's end) are dropped.
    iupac
        Whether R, Y, S, W, K, M, B, D, H and V are unknown bases, mixed (R is half A, half G, etc.), or an error.
    """

    def __init__(
        self,
        *,
        genome: Path,
        classes: Path | dict[str, Path],
        extend: int = 0,
        overlaps: Literal["error", "first", "unknown"] = "error",
        regions: Path | None = None,
        contigs: list[str] | None = None,
        ignore: Path | None = None,
        window: int = 512,
        context: int = 128,
        contig_names: Literal["auto", "exact"] = "auto",
        unknown_contigs: Literal["error", "skip"] = "error",
        block: int | None = None,
        max_unknown: float = 0.5,
        iupac: Literal["unknown", "mixed", "error"] = "unknown",
    ) -> None:
        for name, value, least in (("window", window, 1), ("context", context, 0), ("extend", extend, 0),
                                   ("block", block, window)):  # fmt: skip
            if value is not None and value < least:
                raise InputError(f"data.{name}: {value} is too small", f"allowed: {least} bp or more")
        if window + 2 * context > LONGEST:
            size = f"data.window: {window} bp, with {context} bp of context at both ends"
            raise InputError(size, f"at most {LONGEST:,} bp together")
        if not 0 <= max_unknown < 1:
            raise InputError(f"data.max_unknown: {max_unknown} is not a fraction", "allowed: 0 to below 1")
        self.classes = dict(classes) if isinstance(classes, dict) else {Path(classes).name.split(".")[0]: classes}
        if not self.classes or len(self.classes) > MOST:
            raise InputError(
                f"data.classes: names {len(self.classes)} classes",
                f"1 to {MOST} files of intervals, for example classes: {{site: sites.bed}}",
            )
        for name in self.classes:
            if not name.strip() or not name.isprintable():
                raise InputError(f"data.classes: {name!r} as name of a class", "give a name, for example site")
        if contigs == []:
            raise InputError("data.contigs: an empty list", "name contigs, or leave it out to use all")
        if BACKGROUND in self.classes:
            raise InputError(f"data.classes: {BACKGROUND} is what lies in no interval", "leave it out, or rename it")
        self.genome, self.regions, self.ignore, self.contigs = Path(genome), regions, ignore, contigs
        self.extend, self.overlaps, self.window, self.context = extend, overlaps, window, context
        self.contig_names, self.unknown_contigs = contig_names, unknown_contigs
        self.block, self.max_unknown, self.iupac = block, max_unknown, iupac

    def read(self, seed: int, checks: Checks, genome_folder: Path | None = None) -> Raw:
        """Read genome and intervals, and place the windows.

        Parameters
        ----------
        seed
            Unused: nothing is drawn.
        checks
            Receives counts of what was read, repaired and dropped.
        genome_folder
            Genome encoded by ``write_genome``, without ambiguous letters; None: encode the FASTA in memory.

        Returns
        -------
        raw
            Examples id, group, chrom, start, end (of the window, without context), strand; x of shape (window + 2
            context,); y of the same shape, with 0 for the background, the number of the class, or 255: unknown, outside
            the regions, or context.
        """
        stored = genome_folder and self.iupac == "unknown"
        genome = open_genome(genome_folder) if stored else read_genome(self.genome, self.iupac)
        genome.source = str(self.genome)
        checks.add(self.genome.name, "read", "contigs", len(genome.names), ", ".join(genome.names[:4]))
        exact = self.contig_names == "exact"
        files = Windows(
            genome, self.window, 0, "center", exact, self.unknown_contigs == "skip", self.max_unknown, checks, NOWHERE
        )
        bases = _Bases(self, files, self._chosen(genome, exact, checks))
        table = self._windows(bases, checks)
        shared = f"bases in intervals of two classes: {self.overlaps}"
        checks.add("data.classes", "note", shared, sum(bases.shared.values()))
        for name, number in zip([BACKGROUND, *self.classes], bases.counted.tolist(), strict=True):
            checks.add(self.genome.name, "read", f"bases of class {name}", number)
            if not number:
                raise InputError(
                    f"{self.classes.get(name, self.genome)}: no known base is of class {name}",
                    "check data.classes, data.regions, data.contigs and data.ignore",
                )
        outputs = [*self.classes]
        facts = Facts(
            kind="sequence",
            task="mask" if len(outputs) == 1 else "classes",
            spatial_dims=1,
            in_channels=4,
            out_channels=len(outputs) + (len(outputs) > 1),
            outputs=outputs if len(outputs) == 1 else [BACKGROUND, *outputs],
            alphabet="ACGT",
            iupac=self.iupac,
            window=self.window + 2 * self.context,
            context=self.context,
        )
        x, y = bases.rows(table)
        return Raw(table, x, y, facts, Contigs(genome.contigs, genome.descriptions, genome.source, exact))

    def _chosen(self, genome: Genome, exact: bool, checks: Checks) -> list[str]:
        """Return the contigs to use, in the order of the genome."""
        if self.contigs is None:
            return genome.names
        found = match_contigs(self.contigs, genome, exact, "data.contigs")
        renamed = [f"{name} -> {contig}" for name, contig in found.items() if name != contig]
        checks.add("data.contigs", "repaired", "contig names", len(renamed), ", ".join(renamed[:4]))
        return [name for name in genome.names if name in found.values()]

    def _windows(self, bases: "_Bases", checks: Checks) -> pd.DataFrame:
        """Place the windows; drop those without enough known bases."""
        parts = [part for chrom in bases.contigs for part in bases.tiled(chrom)]
        if not parts:
            raise InputError(f"{self.regions}: no region lies on {', '.join(bases.contigs[:4])}", "check data.contigs")
        table = pd.concat(parts, ignore_index=True)
        name = Path(self.regions or self.genome).name
        checks.add(name, "made", f"windows of {self.window} bp", len(table))
        for reason, drop in (
            (f"more than {self.max_unknown:.0%} unknown bases", table["unknown"] > self.max_unknown * self.window),
            ("no base with a known class", table["known"] == 0),
        ):
            drop &= table["keep"]
            table.loc[drop, "keep"] = False
            checks.add(name, "dropped", reason, int(drop.sum()), "".join(named(table[drop].head(1).copy())["id"]))
        if not table["keep"].any():
            raise InputError(
                f"{name}: all {len(table)} windows have too many unknown bases",
                "check data.ignore, and that the genome is not a masked one; data.max_unknown is the share allowed",
            )
        table = named(table[table["keep"]].reset_index(drop=True))
        blocks = "" if self.block is None else ":" + (table["start"] // self.block).clip(lower=0).astype(str)
        return table.assign(group=table["chrom"] + blocks)[TABLE]


class _Bases:
    """The classes of all bases, one contig at a time."""

    def __init__(self, settings: AnnotatedGenome, files: Windows, contigs: list[str]) -> None:
        self.settings, self.genome, self.checks, self.contigs = settings, files.genome, files.checks, contigs
        self.files = dict(enumerate(settings.classes.values(), start=1))
        self.sets = {number: self._read(files, Path(path)) for number, path in self.files.items()}
        self.regions = files.read(Path(settings.regions)) if settings.regions else None
        self.ignored = files.read(Path(settings.ignore)) if settings.ignore else None
        self.counted = np.zeros(1 + len(self.sets), np.int64)
        self.shared: dict[str, int] = {}  # by contig, bases in intervals of two classes
        self.codes, self.painted = lru_cache(1)(self._codes), lru_cache(1)(self._painted)

    def _read(self, files: Windows, path: Path) -> pd.DataFrame:
        table, extend = files.read(path), self.settings.extend
        table = table.assign(start=table["start"] - extend, end=table["end"] + extend)
        empty = table["start"] == table["end"]
        self.checks.add(path.name, "dropped", "intervals without a base", int(empty.sum()))
        elsewhere = ~table["chrom"].isin(self.contigs)
        self.checks.add(path.name, "note", "intervals outside the chosen contigs", int(elsewhere.sum()))
        return table[~empty & ~elsewhere]

    def _codes(self, chrom: str) -> np.ndarray:
        return self.genome.codes(chrom, 0, self.genome.contigs[chrom])

    def _painted(self, chrom: str) -> np.ndarray:
        """Return the class of each base of a contig: shape (length,), uint8; 255: unknown."""
        classes, self.shared[chrom] = np.zeros(self.genome.contigs[chrom], np.uint8), 0
        for number, table in self.sets.items():
            for start, end, line in _on(table, chrom, "line"):
                part = classes[max(0, start) : end]
                taken = (part != 0) & (part != number)
                if taken.any() and self.settings.overlaps == "error":
                    self._refuse(number, int(part[taken][0]), f"line {line}: {chrom}:{start}-{end}")
                self.shared[chrom] += int(taken.sum())
                part[part == 0] = number
                part[taken] = IGNORE if self.settings.overlaps == "unknown" else part[taken]
        classes[self.codes(chrom) == UNKNOWN] = IGNORE
        for start, end in _on(self.ignored, chrom):
            classes[max(0, start) : end] = IGNORE
        if self.regions is not None:
            outside = np.ones(len(classes), bool)
            for start, end in _on(self.regions, chrom):
                outside[max(0, start) : end] = False
            classes[outside] = IGNORE
        return classes

    def _refuse(self, number: int, other: int, where: str) -> None:
        names = list(self.settings.classes)
        raise InputError(
            f"{self.files[number]} {where} ({names[number - 1]}) overlaps an interval of class {names[other - 1]}",
            "a base has one class: correct the files, or set data.overlaps: first (the class listed first counts), or "
            "unknown",
        )

    def tiled(self, chrom: str) -> Iterator[pd.DataFrame]:
        """Cover each region of a contig with adjacent windows; count the bases of each class, and the unknown ones."""
        size, length = self.settings.window, self.genome.contigs[chrom]
        known = np.append(0, np.cumsum(self.painted(chrom) != IGNORE))
        read = np.append(0, np.cumsum(self.codes(chrom) != UNKNOWN))
        found = np.bincount(self.painted(chrom), minlength=256)[: len(self.counted)]
        self.counted += found
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

    def rows(self, table: pd.DataFrame) -> tuple[Callable[[int], np.ndarray], Callable[[int], np.ndarray]]:
        """Return functions of the row of a window: its bases, and their classes, both with context."""
        context = self.settings.context
        chroms, minus = table["chrom"].tolist(), (table["strand"] == "-").tolist()
        starts, ends = table["start"].tolist(), table["end"].tolist()

        def bases(row: int) -> np.ndarray:
            codes = self.genome.codes(chroms[row], starts[row] - context, ends[row] + context)
            return reverse_complement(codes) if minus[row] else codes

        def classes(row: int) -> np.ndarray:
            painted, start, end = self.painted(chroms[row]), starts[row], ends[row]
            found = np.full(end - start + 2 * context, IGNORE, np.uint8)
            low, high = max(0, start), min(end, len(painted))
            found[context + low - start : context + high - start] = painted[low:high]
            return found[::-1].copy() if minus[row] else found

        return bases, classes


def _on(table: pd.DataFrame | None, chrom: str, *more: str) -> Iterator[tuple]:
    """Iterate over start, end and further columns of the intervals on a contig."""
    if table is not None:
        here = table[table["chrom"] == chrom]
        yield from zip(*(here[name].tolist() for name in ("start", "end", *more)), strict=True)
