"""All bases of a genome: a bigWig of each class or track and, for classes, a BED file of called stretches."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.progress import Progress
from biocnn.data.signal import Signal
from biocnn.io.fasta import UNKNOWN
from biocnn.io.genome import Genome
from biocnn.io.tracks import write_bigwig
from biocnn.prediction.model import Model

PART = 1 << 18  # bases at a time


def scan_bases(
    genome: Genome,
    models: Sequence[Model],
    folder: Path,
    contigs: Sequence[str],
    suffixes: dict[str, str],
    threshold: float | None,
    checks: Checks,
    signal: Signal | None,
) -> None:
    """Write ``scan.bw`` for each class or track and, for classes, ``stretches.bed``, from the mean of the models.

    Parameters
    ----------
    genome
        Genome to scan; its unknown bases have no value.
    models
        Ensemble of models with the same window and outputs.
    folder
        Existing folder.
    contigs
        Contigs to scan, in the order of the genome.
    suffixes
        Suffix of the files of each class or track.
    threshold
        Smallest probability of a called base; None: a base is called as its likeliest class.
    checks
        Receives numbers of bases and stretches.
    signal
        Tracks that the models need; None: none.

    Raises
    ------
    InputError
        If the threshold is not a probability, or given for values.
    """
    task, counts = models[0].task, Counter()
    classes = task.classes() if task.target.labelled else {}
    if threshold is not None and not classes:
        raise InputError(f"scan.threshold: {threshold:g}, but bases have values", "leave it out: nothing is called")
    if threshold is not None and not 0 < threshold <= 1:
        raise InputError(f"scan.threshold: {threshold:g}", "allowed: a probability, above 0 and up to 1, e.g. 0.5")
    with ExitStack() as files:
        tracks = {name: files.enter_context(write_bigwig(folder / f"scan{end}.bw", genome.contigs))
                  for name, end in suffixes.items()}  # fmt: skip
        beds = {
            name: Stretches(
                files.enter_context(open(folder / f"stretches{suffixes[name]}.bed", "w", encoding="utf-8")), name
            )
            for name in classes
        }
        progress = Progress("bases", sum(genome.contigs[name] for name in contigs))
        for chrom in contigs:
            length = genome.contigs[chrom]
            for start in range(0, length, PART):
                end = min(length, start + PART)
                scans = [model.scan(genome, chrom, start, end, stride=1, signal=signal) for model in models]
                p = task.combine([np.concatenate([values for _, values in scan]) for scan in scans]).T
                known = genome.codes(chrom, start, end) != UNKNOWN
                counts.update(read=len(known), dropped=int((~known).sum()))
                values, place = task.distribution(p) if classes else p, start + np.flatnonzero(known)
                for k, (name, track) in enumerate(tracks.items()):
                    track.add(chrom, place, values[classes.get(name, k)][known], span=1, step=1)
                decided = task.likeliest(p) if classes else None
                for name, k in classes.items():
                    called = (decided == k if threshold is None else values[k] >= threshold) & known
                    beds[name].add(chrom, start, values[k], called)
                progress.add(end - start)
        for bed in beds.values():
            bed.end()
    checks.add("scan", "read", "bases", counts["read"])
    checks.add("scan", "dropped", "unknown bases, which have no value", counts["dropped"])
    rule = "bases whose likeliest class it is" if threshold is None else f"bases of {threshold:g} or more"
    for name, bed in beds.items():
        checks.add("scan", "made", f"stretches of {name}: {rule}", bed.number)
        checks.add("scan", "made", f"bases in stretches of {name}", bed.bases)


@dataclass
class Stretches:
    """Writes runs of called bases, added in order, as lines of a BED file; the score is 1000 times the mean value."""

    file: TextIO
    name: str
    number: int = 0
    bases: int = 0
    _open: tuple[str, int, int, float] | None = None  # contig, start, end, sum of the values

    def add(self, chrom: str, start: int, values: np.ndarray, called: np.ndarray) -> None:
        """Add the next bases of a contig, from ``start`` on."""
        edges = np.flatnonzero(np.diff(np.concatenate([[0], called.astype(np.int8), [0]])))
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            total = float(values[first:last].sum(dtype=float))
            if self._open and self._open[0] == chrom and self._open[2] == start + first:
                self._open = (chrom, self._open[1], start + last, self._open[3] + total)
                continue
            self.end()
            self._open = (chrom, start + first, start + last, total)

    def end(self) -> None:
        """Write the open stretch, if any."""
        if self._open:
            chrom, start, end, total = self._open
            self.number, self.bases, self._open = self.number + 1, self.bases + end - start, None
            score = min(1000, round(1000 * total / (end - start)))
            self.file.write(f"{chrom}\t{start}\t{end}\t{self.name}-{self.number}\t{score}\t.\n")
