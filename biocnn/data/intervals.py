"""Windows of a genome around the intervals of a BED file, and windows that are none of them."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from biocnn.data.bed import read_bed
from biocnn.data.checks import Checks
from biocnn.data.contigs import match_contigs
from biocnn.data.fasta import UNKNOWN, reverse_complement
from biocnn.data.genome import Genome, open_genome, read_genome
from biocnn.data.negatives import Part, Positives, Site
from biocnn.data.raw import Raw
from biocnn.data.sampling import Stretch
from biocnn.errors import InputError
from biocnn.schema import Choice, build

PROVENANCE = ["id", "group", "chrom", "start", "end", "strand", "kind", "score"]


class Intervals:
    """Is this window of the genome one of the intervals?

    Parameters
    ----------
    genome
        FASTA: plain, gzip or bgzip.
    positives
        Intervals: BED3 to BED6 or narrowPeak, plain or gzip. A window on strand "-" is reverse-complemented.
    window
        Length seen by the model, in bp; where it reaches beyond a contig's end, it is filled with unknown bases.
    center
        What the window is centred on; auto: the summit where the file is a narrowPeak that has them, else the center.
    flank
        Further bases kept at each end of the window, in bp, for shifts in training.
    negatives
        How windows that are not bound are found.
    contig_names
        auto: see through differences in prefix (chr1, 1), number (chrI, chr1), mitochondrion (chrM, MT) and accession,
        where every name then finds exactly one contig.
    block
        A group, never cut by a split, is a contig; with ``block``, a stretch of a contig of so many bp.
    max_unknown
        Windows with a larger share of unknown bases are dropped.
    """

    def __init__(
        self,
        *,
        genome: Path,
        positives: Path,
        window: int = 101,
        center: Literal["auto", "summit", "center"] = "auto",
        flank: int = 16,
        negatives: Choice["negatives"] = "gc_matched",  # noqa: F821 (a kind, no type)
        contig_names: Literal["auto", "exact"] = "auto",
        block: int | None = None,
        max_unknown: float = 0.5,
    ) -> None:
        for name, value, least in (("window", window, 1), ("flank", flank, 0), ("block", block, window + 2 * flank)):
            if value is not None and value < least:
                raise InputError(f"data.{name}: {value} is too small", f"allowed: {least} bp or more")
        if not 0 <= max_unknown < 1:
            raise InputError(f"data.max_unknown: {max_unknown} is not a share", "allowed: 0 to below 1")
        self.genome, self.positives = Path(genome), Path(positives)
        self.window, self.center, self.flank, self.block = window, center, flank, block
        self.negatives = {"name": negatives} if isinstance(negatives, str) else negatives
        self.contig_names, self.max_unknown = contig_names, max_unknown

    def read(self, seed: int, checks: Checks, genome_folder: Path | None = None) -> Raw:
        """Read genome and intervals, and find negatives.

        Parameters
        ----------
        seed
            Of the negatives.
        checks
            Gets the account of what was read, repaired, dropped and made.
        genome_folder
            The genome as ``write_genome`` encoded it; None: encode the FASTA in memory.

        Returns
        -------
        raw
            Examples id, group, chrom, start, end (of the window, without flanks), strand, kind (positive, negative),
            score; x of shape (window + 2 flank,); y of shape (N, 1).
        """
        genome = open_genome(genome_folder) if genome_folder else read_genome(self.genome)
        genome.source = str(self.genome)
        checks.add(self.genome.name, "read", "contigs", len(genome.names), ", ".join(genome.names[:4]))
        positives = self._positives(genome, checks)
        negatives = build("negatives", self.negatives, positives, np.random.default_rng([seed, *b"negatives"]), checks)
        return self._raw(positives, negatives)

    def _positives(self, genome: Genome, checks: Checks) -> Positives:
        peaks = self._read_bed(self.positives, genome, checks)
        part = self._windows(peaks, self.positives, genome, checks)
        table = part.examples
        table["group"], stretches = self._groups(table, genome)
        occupied = pd.concat([peaks[["chrom", "start", "end"]], table[["chrom", "start", "end"]]], ignore_index=True)

        def cut(windows: pd.DataFrame) -> np.ndarray:
            return self._cut(windows, genome)

        def read(path: Path) -> Part:
            return self._windows(self._read_bed(path, genome, checks), path, genome, checks)

        site = Site(genome, self.flank, self.max_unknown, stretches, occupied, cut)
        return Positives(table, part.codes, read, site)

    def _read_bed(self, path: Path, genome: Genome, checks: Checks) -> pd.DataFrame:
        """Intervals with the genome's own contig names and the position to centre a window on."""
        peaks = read_bed(path)
        checks.add(path.name, "read", "intervals", len(peaks))
        contigs = peaks.groupby("chrom", sort=False)
        names = match_contigs(
            contigs["end"].max().to_dict(),
            genome,
            self.contig_names == "exact",
            path,
            contigs["line"].first().to_dict(),
        )
        renamed = {name: contig for name, contig in names.items() if name != contig}
        example = next((f"{name} -> {contig}" for name, contig in renamed.items()), "")
        checks.add(path.name, "repaired", "contig names (intervals)", peaks["chrom"].isin(renamed).sum(), example)
        peaks["chrom"] = peaks["chrom"].map(names)
        peaks["at"] = self._centers(peaks, path, checks)
        self._check_ends(peaks, path, genome, checks)
        return peaks

    def _centers(self, peaks: pd.DataFrame, path: Path, checks: Checks) -> pd.Series:
        middle, has_summit = (peaks["start"] + peaks["end"]) // 2, peaks["summit"] >= 0
        if self.center == "center" or (self.center == "auto" and not has_summit.any()):
            return middle
        if self.center == "summit" and not has_summit.all():
            line = peaks["line"][~has_summit].iloc[0]
            raise InputError(
                f"{path} line {line}: has no summit, and data.center is summit",
                "summits are column 10 of a narrowPeak file; set data.center: center or auto",
            )
        checks.add(path.name, "note", "no summit: centred on the middle of the interval", (~has_summit).sum())
        return peaks["summit"].where(has_summit, middle)

    def _check_ends(self, peaks: pd.DataFrame, path: Path, genome: Genome, checks: Checks) -> None:
        length = peaks["chrom"].map(genome.contigs)
        for row in peaks[peaks["at"] >= length].head(1).itertuples():
            raise InputError(
                f"{path} line {row.line}: {row.start}-{row.end} lies beyond the end of contig {row.chrom!r} "
                f"({genome.contigs[row.chrom]} bp in {genome.source})",
                "are the intervals from another assembly of the genome?",
            )
        checks.add(path.name, "note", "interval ends beyond its contig", (peaks["end"] > length).sum())

    def _windows(self, peaks: pd.DataFrame, path: Path, genome: Genome, checks: Checks) -> Part:
        """One window for each interval, but for duplicates and windows of unknown bases."""
        table = peaks[["chrom", "strand", "score"]].copy()
        table["start"] = peaks["at"] - self.window // 2
        table["end"] = table["start"] + self.window
        _name(table)
        twice = table["id"].duplicated()
        checks.add(
            path.name, "dropped", "same window as an earlier line", twice.sum(), "".join(table["id"][twice].head(1))
        )
        table = table[~twice]
        codes = self._cut(table, genome)
        unknown = (codes[:, self.flank : self.flank + self.window] == UNKNOWN).mean(axis=1)
        drop = unknown > self.max_unknown
        if drop.all():
            raise InputError(
                f"{path}: all {len(table)} windows have more than {self.max_unknown:.0%} unknown bases in "
                f"{genome.source}",
                "is it the right genome, and not a masked one? data.max_unknown is the largest share allowed",
            )
        reason = f"more than {self.max_unknown:.0%} unknown bases"
        checks.add(path.name, "dropped", reason, drop.sum(), "".join(table["id"][drop].head(1)))
        over = (table["start"] < 0) | (table["end"] > table["chrom"].map(genome.contigs))
        checks.add(path.name, "note", "window over a contig's end: filled with unknown", (over & ~drop).sum())
        return Part(table[~drop].reset_index(drop=True), codes[~drop])

    def _cut(self, table: pd.DataFrame, genome: Genome) -> np.ndarray:
        contig = table["chrom"].map({name: i for i, name in enumerate(genome.names)}).to_numpy()
        codes = genome.windows(contig, table["start"].to_numpy() - self.flank, self.window + 2 * self.flank)
        minus = (table["strand"] == "-").to_numpy()
        codes[minus] = reverse_complement(codes[minus])
        return codes

    def _groups(self, table: pd.DataFrame, genome: Genome) -> tuple[pd.Series, dict[str, Stretch]]:
        """Contig or block of each window, and where each group lies; windows that overlap share a group."""
        if self.block is None:
            used = table["chrom"].unique()
            return table["chrom"], {name: Stretch(name, 0, genome.contigs[name]) for name in used}
        order = table.sort_values(["chrom", "start"])
        gap = order["start"] - order["end"].shift(fill_value=0) >= 2 * self.flank
        new = gap | (order["chrom"] != order["chrom"].shift())
        # A run of overlapping windows belongs to the block that it starts in.
        index = (order["start"].where(new).ffill() // self.block).clip(lower=0).astype(int)
        group = order["chrom"] + ":" + index.astype(str)
        stretches = {
            name: Stretch(chrom, i * self.block, min((i + 1) * self.block, genome.contigs[chrom]))
            for name, chrom, i in zip(group, order["chrom"], index, strict=True)
        }
        return group.reindex(table.index), stretches

    def _raw(self, positives: Positives, negatives: Part) -> Raw:
        kind = negatives.examples.get("kind", "negative")
        tables = [positives.examples.assign(kind="positive"), negatives.examples.assign(kind=kind)]
        table = pd.concat(tables, ignore_index=True)
        if "id" not in negatives.examples:
            made = table["kind"] == "negative"
            table.loc[made, "id"] = _name(table[made].copy())["id"]
        # Once more for all: negatives may come from anywhere, and must not overlap an example of another group.
        table["group"], _ = self._groups(table, positives.site.genome)
        codes = np.concatenate([positives.codes, negatives.codes])
        y = (table["kind"] == "positive").to_numpy(np.float32)[:, None]
        facts = {
            "kind": "sequence",
            "task": "binary",
            "spatial_dims": 1,
            "in_channels": 4,
            "out_channels": 1,
            "outputs": [self.positives.name.split(".")[0]],
            "alphabet": "ACGT",
            "window": self.window,
            "flank": self.flank,
        }
        return Raw(table[PROVENANCE], codes.__getitem__, y, facts)


def _name(table: pd.DataFrame) -> pd.DataFrame:
    position = table["chrom"] + ":" + table["start"].astype(str) + "-" + table["end"].astype(str)
    table["id"] = position + "(" + table["strand"] + ")"
    return table
