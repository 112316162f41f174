"""Windows of a genome with a class for each base, from the intervals of BED files."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.raw import Raw
from biocnn.data.tiles import Tiles, Tiling, on
from biocnn.metrics.masks import IGNORE
from biocnn.tasks.facts import Facts

BACKGROUND = "background"
MOST = 254  # classes; 255 marks unknown bases


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
        self.tiling = Tiling(
            genome, regions, contigs, ignore, window, context, contig_names, unknown_contigs, block, max_unknown, iupac
        )
        if extend < 0:
            raise InputError(f"data.extend: {extend} is too small", "allowed: 0 bp or more")
        self.classes = dict(classes) if isinstance(classes, dict) else {Path(classes).name.split(".")[0]: classes}
        if not self.classes or len(self.classes) > MOST:
            raise InputError(
                f"data.classes: names {len(self.classes)} classes",
                f"1 to {MOST} files of intervals, for example classes: {{site: sites.bed}}",
            )
        for name in self.classes:
            if not name.strip() or not name.isprintable():
                raise InputError(f"data.classes: {name!r} as name of a class", "give a name, for example site")
        if BACKGROUND in self.classes:
            raise InputError(f"data.classes: {BACKGROUND} is what lies in no interval", "leave it out, or rename it")
        self.extend, self.overlaps = extend, overlaps

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
        tiles = Tiles(self.tiling, checks, genome_folder)
        bases = _Bases(self, tiles)
        table = tiles.table(bases.count)
        shared = f"bases in intervals of two classes: {self.overlaps}"
        checks.add("data.classes", "note", shared, sum(bases.shared.values()))
        genome = self.tiling.genome
        for name, number in zip([BACKGROUND, *self.classes], bases.counted.tolist(), strict=True):
            checks.add(Path(genome).name, "read", f"bases of class {name}", number)
            if not number:
                raise InputError(
                    f"{self.classes.get(name, genome)}: no known base is of class {name}",
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
            iupac=self.tiling.iupac,
            window=self.tiling.window + 2 * self.tiling.context,
            context=self.tiling.context,
        )
        y = tiles.targets(table, bases.along, IGNORE, lambda classes: classes[::-1].copy())
        return Raw(table, tiles.bases(table), y, facts, tiles.names())


class _Bases:
    """The classes of all bases, one contig at a time."""

    def __init__(self, settings: AnnotatedGenome, tiles: Tiles) -> None:
        self.settings, self.tiles = settings, tiles
        self.files = dict(enumerate(settings.classes.values(), start=1))
        self.sets = {number: self._read(Path(path)) for number, path in self.files.items()}
        self.counted = np.zeros(1 + len(self.sets), np.int64)
        self.shared: dict[str, int] = {}  # by contig, bases in intervals of two classes
        self.painted = lru_cache(1)(self._painted)

    def _read(self, path: Path) -> pd.DataFrame:
        table, extend, checks = self.tiles.read(path), self.settings.extend, self.tiles.checks
        table = table.assign(start=table["start"] - extend, end=table["end"] + extend)
        empty = table["start"] == table["end"]
        checks.add(path.name, "dropped", "intervals without a base", int(empty.sum()))
        elsewhere = ~table["chrom"].isin(self.tiles.contigs)
        checks.add(path.name, "note", "intervals outside the chosen contigs", int(elsewhere.sum()))
        return table[~empty & ~elsewhere]

    def _painted(self, chrom: str) -> np.ndarray:
        """Return the class of each base of a contig: shape (length,), uint8; 255: unknown."""
        classes, self.shared[chrom] = np.zeros(self.tiles.genome.contigs[chrom], np.uint8), 0
        for number, table in self.sets.items():
            for start, end, line in on(table, chrom, "line"):
                part = classes[max(0, start) : end]
                taken = (part != 0) & (part != number)
                if taken.any() and self.settings.overlaps == "error":
                    self._refuse(number, int(part[taken][0]), f"line {line}: {chrom}:{start}-{end}")
                self.shared[chrom] += int(taken.sum())
                part[part == 0] = number
                part[taken] = IGNORE if self.settings.overlaps == "unknown" else part[taken]
        classes[self.tiles.hidden(chrom)] = IGNORE
        return classes

    def _refuse(self, number: int, other: int, where: str) -> None:
        names = list(self.settings.classes)
        raise InputError(
            f"{self.files[number]} {where} ({names[number - 1]}) overlaps an interval of class {names[other - 1]}",
            "a base has one class: correct the files, or set data.overlaps: first (the class listed first counts), or "
            "unknown",
        )

    def count(self, chrom: str) -> np.ndarray:
        """Count the bases of each class of a contig; return which bases are known."""
        self.counted += np.bincount(self.painted(chrom), minlength=256)[: len(self.counted)]
        return self.painted(chrom) != IGNORE

    def along(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Return the classes of an interval."""
        return self.painted(chrom)[start:end]
