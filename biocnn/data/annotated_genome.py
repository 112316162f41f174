"""Windows of a genome with a class for each base, from the intervals of BED files."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.ranges import Count
from biocnn.data.raw import Raw
from biocnn.data.tiles import Tiles, Tiling, on
from biocnn.metrics.masks import IGNORE
from biocnn.tasks.facts import Facts

BACKGROUND = "background"
MOST = 254  # classes; 255 marks unknown bases


@dataclass(kw_only=True)
class AnnotatedGenome(Tiling):
    """Predict for each base of a genome whether it lies in a site, an exon, a repeat, etc.

    Parameters
    ----------
    classes
        BED files with the intervals of each class, by the name of the class; the other bases are background. A single
        file is one class. Strands of the intervals are not used.
    extend
        Bases added at both ends of each interval, for example to files of positions.
    overlaps
        How to treat a base in intervals of two classes: as an error, as the class that is listed first, or as unknown.
    """

    classes: Path | dict[str, Path]
    extend: Count = 0
    overlaps: Literal["error", "first", "unknown"] = "error"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.classes, dict):
            self.classes = {Path(self.classes).name.split(".")[0]: self.classes}
        if not self.classes or len(self.classes) > MOST:
            raise InputError(
                f"data.classes: names {len(self.classes)} classes",
                f"1 to {MOST} files of intervals, for example classes: {{site: sites.bed}}",
            )
        for name in self.classes:
            if not name.strip() or not name.isprintable():
                raise InputError(f"data.classes: {name!r} as name of a class", "give a name, for example site")
        if BACKGROUND in self.classes:
            raise InputError(
                f"data.classes: {BACKGROUND} is the class of bases in no interval", "leave it out, or rename it"
            )

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
        tiles = Tiles(self, checks, genome_folder)
        bases = _Bases(self, tiles)
        table = tiles.table(bases.count)
        shared = f"bases in intervals of two classes: {self.overlaps}"
        checks.add("data.classes", "note", shared, sum(bases.shared.values()))
        genome = self.genome
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
            iupac=self.iupac,
            window=self.window + 2 * self.context,
            context=self.context,
        )
        y = tiles.targets(table, bases.along, IGNORE, lambda classes: classes[::-1].copy())
        return self.with_signal(Raw(table, tiles.bases(table), y, facts, tiles.names()), tiles.genome, checks)


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
