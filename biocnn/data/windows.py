"""Windows of a genome around intervals from a file: contig names, centres, bases, and what is dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.positives import EncodedExamples
from biocnn.data.sampling import overlaps
from biocnn.io.bed import read_bed
from biocnn.io.contigs import find_contigs, match_contigs
from biocnn.io.fasta import UNKNOWN, reverse_complement
from biocnn.io.genome import Genome


@dataclass
class Windows:
    """Make windows of one length around intervals.

    Parameters
    ----------
    genome
        Genome of the windows.
    window, flank
        Length of a window, and of what is kept beyond each of its ends, in bp.
    center
        What a window is centred on: summit, center, or auto.
    exact
        Whether contig names in files must equal those of the genome.
    skip_unknown
        Whether intervals on contigs that the genome lacks are dropped instead of an error.
    max_unknown
        Largest share of unknown bases in a window.
    checks
        Receives counts of what was read, repaired and dropped.
    closed
        Intervals that no window may touch: chrom, start, end.
    """

    genome: Genome
    window: int
    flank: int
    center: str
    exact: bool
    skip_unknown: bool
    max_unknown: float
    checks: Checks
    closed: pd.DataFrame

    def read(self, path: Path, columns: Sequence[int] = ()) -> pd.DataFrame:
        """Read intervals with ``read_bed``, rename contigs as in the genome, and add ``at``, the centre of windows."""
        peaks = read_bed(path, columns)
        self.checks.add(path.name, "read", "intervals", len(peaks))
        peaks = self._renamed(peaks, path)
        peaks["at"] = self._centers(peaks, path)
        self._check_ends(peaks, path)
        return peaks

    def _renamed(self, peaks: pd.DataFrame, path: Path) -> pd.DataFrame:
        lines = peaks.drop_duplicates("chrom").set_index("chrom")["line"].to_dict()
        names = find_contigs(lines, self.genome, self.exact, path)
        if not self.skip_unknown:
            names = match_contigs(lines, self.genome, self.exact, path, lines)
        if not names:
            raise InputError(
                f"{path}: none of its contigs is in {self.genome.source} ({', '.join(list(lines)[:4])})",
                "give the genome that the intervals refer to",
            )
        unknown = ~peaks["chrom"].isin(names)
        lacking = ", ".join(peaks["chrom"][unknown].unique()[:4])
        self.checks.add(path.name, "dropped", "intervals on contigs that the genome lacks", unknown.sum(), lacking)
        peaks = peaks[~unknown].reset_index(drop=True)
        renamed = {name: contig for name, contig in names.items() if name != contig}
        example = next((f"{name} -> {contig}" for name, contig in renamed.items()), "")
        self.checks.add(path.name, "repaired", "contig names (intervals)", peaks["chrom"].isin(renamed).sum(), example)
        peaks["chrom"] = peaks["chrom"].map(names)
        return peaks

    def _centers(self, peaks: pd.DataFrame, path: Path) -> pd.Series:
        middle, has_summit = (peaks["start"] + peaks["end"]) // 2, peaks["summit"] >= 0
        if self.center == "center" or (self.center == "auto" and not has_summit.any()):
            return middle
        if self.center == "summit" and not has_summit.all():
            line = peaks["line"][~has_summit].iloc[0]
            raise InputError(
                f"{path} line {line}: has no summit, but data.center is summit",
                "summits are in column 10 of a narrowPeak file; set data.center: center or auto",
            )
        self.checks.add(path.name, "note", "no summit: centred on the middle of the interval", (~has_summit).sum())
        return peaks["summit"].where(has_summit, middle)

    def _check_ends(self, peaks: pd.DataFrame, path: Path) -> None:
        length = peaks["chrom"].map(self.genome.contigs)
        for row in peaks[peaks["at"] >= length].head(1).itertuples():
            raise InputError(
                f"{path} line {row.line}: {row.start}-{row.end} lies beyond the end of contig {row.chrom!r} "
                f"({self.genome.contigs[row.chrom]} bp in {self.genome.source})",
                "are the intervals from another assembly of the genome?",
            )
        self.checks.add(path.name, "note", "interval ends beyond its contig", (peaks["end"] > length).sum())

    def around(self, peaks: pd.DataFrame, name: str) -> EncodedExamples:
        """Make one window per interval; drop duplicates, and windows with unknown bases or on closed intervals.

        Parameters
        ----------
        peaks
            Columns chrom, strand, at; all but ``at`` and the ends of the interval are kept.
        name
            Name of their source, for checks.
        """
        table = peaks.drop(columns=["end", "summit", "line", "at"], errors="ignore")
        table["start"] = peaks["at"] - self.window // 2
        table["end"] = table["start"] + self.window
        table = self._without(table, named(table)["id"].duplicated(), name, "same window as an earlier line", "")
        remedy = "check that data.blacklist is a file of regions to exclude"
        table = self._without(table, overlaps(table, self.closed), name, "overlaps the blacklist", remedy)
        codes = self.cut(table)
        unknown = (codes[:, self.flank : self.flank + self.window] == UNKNOWN).mean(axis=1) > self.max_unknown
        reason = f"more than {self.max_unknown:.0%} unknown bases"
        remedy = (
            f"check that {self.genome.source} is the right genome and not a masked one; "
            "data.max_unknown is the largest share allowed"
        )
        table = self._without(table, unknown, name, reason, remedy)
        over = (table["start"] < 0) | (table["end"] > table["chrom"].map(self.genome.contigs))
        self.checks.add(name, "note", "window beyond a contig's end: filled with unknown bases", over.sum())
        return EncodedExamples(table.reset_index(drop=True), codes[~unknown])

    def _without(
        self, table: pd.DataFrame, drop: pd.Series | np.ndarray, name: str, reason: str, remedy: str
    ) -> pd.DataFrame:
        drop = np.asarray(drop)
        if drop.all():
            raise InputError(f"{name}: all windows ({len(table)}): {reason}", remedy)
        self.checks.add(name, "dropped", reason, drop.sum(), "".join(table["id"][drop].head(1)))
        return table[~drop]

    def cut(self, table: pd.DataFrame) -> np.ndarray:
        """Return the bases of windows with flanks, (N, window + 2 flank), uint8; reverse complement on strand "-"."""
        contig = table["chrom"].map({name: i for i, name in enumerate(self.genome.names)}).to_numpy()
        codes = self.genome.windows(contig, table["start"].to_numpy() - self.flank, self.window + 2 * self.flank)
        minus = (table["strand"] == "-").to_numpy()
        codes[minus] = reverse_complement(codes[minus])
        return codes


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Add an ``id`` with the position of each window."""
    position = table["chrom"] + ":" + table["start"].astype(str) + "-" + table["end"].astype(str)
    table["id"] = position + "(" + table["strand"] + ")"
    return table
