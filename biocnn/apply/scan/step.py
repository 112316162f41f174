"""Scan a genome with models, some windows at a time: bigWig, peaks and counts."""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from biocnn.apply.scan.bases import scan_bases
from biocnn.apply.scan.calling import Caller
from biocnn.config.schema import options
from biocnn.config.settings import Scan
from biocnn.config.strands import RNA
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.files import suffixes_of
from biocnn.core.progress import Progress
from biocnn.data.signal import Signal
from biocnn.io.contigs import match_contigs
from biocnn.io.fasta import UNKNOWN
from biocnn.io.genome import Genome, either_genome
from biocnn.io.tracks import BigWig, narrowpeak, write_bigwig
from biocnn.prediction.compatibility import agree
from biocnn.prediction.model import Model
from biocnn.prediction.new_signal import open_signal

MAX_UNKNOWN = 0.5  # maximum fraction of unknown bases in a window, unless set in training
ROWS = 1 << 14  # windows per batch

log = logging.getLogger("biocnn")


def scan_files(
    genome: Path,
    models: Sequence[Path],
    folder: Path,
    *,
    signal: Mapping[str, Path] | None = None,
    trust: Sequence[str] = (),
    **settings: Any,
) -> None:
    """Run ``scan_genome`` on model files and a genome, a FASTA file or a folder of ``write_genome``."""
    options(settings, Scan)
    loaded = [Model(model, trust=trust) for model in models]
    agree(loaded, "sequence")
    torch.set_num_threads(loaded[0].meta.experiment.train.threads)
    began, opened = time.monotonic(), either_genome(genome)
    checks = scan_genome(opened, loaded, folder, signal=signal, **settings)
    checks.frame().to_csv(folder / "counts.tsv", sep="\t", index=False)
    for line in checks.lines():
        log.info(line)
    log.info("in %.0f s", time.monotonic() - began)


def scan_genome(
    genome: Genome, models: Sequence[Model], folder: Path, *, signal: Mapping[str, Path] | None = None, **settings: Any
) -> Checks:
    """Scan contigs with one or more models: write tracks of the mean probability, and peaks named by rank.

    Models of bases write a value for each base and, of classes, stretches instead of peaks: see `scan_bases`.

    Windows with more unknown bases than allowed in training are omitted.

    Parameters
    ----------
    genome
        Genome from ``open_genome``, which is memory-mapped, or ``read_genome``.
    models
        Ensemble of models with the same window and outputs.
    folder
        Existing folder for ``scan.bw`` (the probability, on ``stride`` bp around the centre of each window) and
        ``peaks.narrowPeak``, if there is a threshold; with several outputs ``scan.NAME.bw`` and
        ``peaks.NAME.narrowPeak`` for each.
    signal
        bigWig files, by name, of the tracks that models trained with ``data.signal`` need.
    **settings
        Options of `biocnn scan`, with the defaults of ``Scan`` in ``biocnn.config.settings``; see below.

    Other Parameters
    ----------------
    contigs
        Contigs to scan, matched as in ``biocnn.io.contigs``; None for all.
    stride
        Distance between windows in bp.
    threshold
        Smallest probability of a window in a peak; overlapping windows form one peak. None: derived from ``density`` so
        that about as many peaks as expected sites are called; if no density is known, 0.5 for probabilities, whereas
        values and classes have no default threshold, and no peaks are called.
    density
        Sites per Mb of each output; None for the density of the positives in training.

    Returns
    -------
    counts
        Numbers of windows read and omitted, peaks, expected sites, and estimated true peaks.

    Raises
    ------
    InputError
        If models differ or have no window, contigs are missing from the genome or all too short, or the density is not
        above 0.
    """
    (scan,) = options(settings, Scan)
    checks = Checks()
    beside = open_signal(models[0], signal, genome, genome.names, checks)
    window, stride = _agreed(models, genome, scan.stride, beside), scan.stride
    chosen = _chosen(genome, None if scan.contigs == "all" else scan.contigs, window, checks)
    trained = models[0].meta.experiment.data.max_unknown
    share = MAX_UNKNOWN if trained is None else trained
    task = models[0].task
    if task.target.spatial:
        names = [*task.classes()] if task.target.labelled else task.outputs
        suffixes = dict(zip(names, suffixes_of(names), strict=True))
        scan_bases(genome, models, folder, chosen, suffixes, scan.threshold, checks, beside)
        return checks
    counts: Counter[str] = Counter()
    if models[0].facts.alphabet == RNA:
        checks.add("scan", "note", "contigs of which models of RNA read only the + strand", len(chosen))
    bases = sum(genome.contigs[name] for name in chosen)
    suffixes, densities = suffixes_of(models[0].outputs), _densities(models, scan.density)
    with ExitStack() as files:
        tracks = []
        for name, suffix, sites in zip(models[0].outputs, suffixes, densities, strict=True):
            bigwig = files.enter_context(write_bigwig(folder / f"scan{suffix}.bw", genome.contigs))
            decidable = models[0].task.positives or scan.threshold is not None or sites is not None
            caller = Caller(window, scan.threshold, sites, bases) if decidable else None
            tracks.append(Track(name, bigwig, caller, window, stride))
        progress = Progress("bases", bases)
        for chrom in chosen:
            for starts, probability in _mean(models, genome, chrom, stride, beside):
                known = _unknown(genome, chrom, starts, window) <= share
                counts.update(scanned=int(known.sum()), dropped=int((~known).sum()))
                for track, values in zip(tracks, probability.T, strict=True):
                    track.add(chrom, starts[known], values[known])
                progress.add(len(starts) * stride)
    checks.add("scan", "read", f"windows of {window} bp, every {stride} bp", counts.total())
    checks.add("scan", "dropped", f"more than {share:.0%} unknown bases", counts["dropped"])
    for k, (track, suffix) in enumerate(zip(tracks, suffixes, strict=True)):
        track.write_peaks(folder / f"peaks{suffix}.narrowPeak", _recall(models, k), checks)
    return checks


class Track:
    """The bigWig and, with a caller, the peaks of one output being written."""

    def __init__(self, name: str, bigwig: BigWig, caller: Caller | None, window: int, stride: int) -> None:
        self.name, self.caller, self.window, self.stride, self._bigwig = name, caller, window, stride, bigwig

    def add(self, chrom: str, starts: np.ndarray, values: np.ndarray) -> None:
        """Add the next windows of a contig, and their values."""
        span = min(self.stride, self.window)
        self._bigwig.add(chrom, starts + (self.window - span) // 2, values, span=span, step=self.stride)
        if self.caller:
            self.caller.add(chrom, starts, values, self.stride)

    def write_peaks(self, path: Path, recall: Sequence[float] | None, checks: Checks) -> None:
        """Call peaks, write them in order, named by rank, and record their number; call after the last window."""
        caller = self.caller
        if not caller:
            reason = f"output without peaks, because values and classes have no default threshold ({self.name})"
            checks.add("scan", "note", f"{reason}: set threshold, or density in sites per Mb", 1)
            return
        found = caller.end(recall)
        with open(path, "w", encoding="utf-8") as bed:
            for peak, rank, share in zip(found.peaks, found.rank, found.precision, strict=True):
                bed.write(narrowpeak(peak, f"{self.name}-{rank}", share))
        count = len(found.peaks)
        checks.add("scan", "made", f"peaks of {self.name}: windows of {found.threshold:.4g} or more", count)
        if caller.density is not None:
            reason = f"expected sites of {self.name}, at {caller.density:.4g} per Mb"
            checks.add("scan", "note", reason, round(caller.expected))
        if count and not np.isnan(found.precision[0]):
            true = round(found.precision.min() * count)
            checks.add("scan", "note", f"estimated true peaks of {self.name}", true)
        elif not caller.given:
            reason = f"peaks of {self.name} with unknown precision: set density, in sites per Mb"
            checks.add("scan", "note", reason, count)


def _agreed(models: Sequence[Model], genome: Genome, stride: int, signal: Signal | None) -> int:
    """Return the common window of the models, or 1 if they predict each base."""
    agree(models, "sequence")
    # This refuses models without a window, and an invalid stride.
    models[0].scan(genome, genome.names[0], stride=stride, signal=signal)
    return 1 if models[0].task.target.spatial else models[0].facts.window


def _chosen(genome: Genome, contigs: Sequence[str] | None, window: int, checks: Checks) -> list[str]:
    """Return the contigs to scan, in the order of the genome."""
    found = match_contigs(genome.names if contigs is None else contigs, genome, False, "scan.contigs")
    renamed = [f"{name} -> {contig}" for name, contig in found.items() if name != contig]
    checks.add("scan", "repaired", "contig names", len(renamed), ", ".join(renamed[:4]))
    chosen = [name for name in genome.names if name in found.values()]
    if all(genome.contigs[name] < window for name in chosen):
        raise InputError(f"all contigs are shorter than a window of {window} bp", f"chosen: {', '.join(chosen[:12])}")
    return chosen


def _densities(models: Sequence[Model], given: float | None) -> list[float | None]:
    """Return the sites per Mb of each output: as given, or as in the training data of the first model."""
    outputs = len(models[0].outputs)
    return [given] * outputs if given else models[0].facts.density or [None] * outputs


def _recall(models: Sequence[Model], output: int) -> np.ndarray | None:
    """Return the values reached by held-out positives, averaged over models; None if unknown for any."""
    every = [model.meta.recall for model in models]
    known = all(levels and levels[output] for levels in every)
    return np.mean([levels[output] for levels in every], axis=0) if known else None


def _mean(
    models: Sequence[Model], genome: Genome, chrom: str, stride: int, signal: Signal | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the mean probabilities of the models, some windows at a time."""
    window = models[0].facts.window
    starts = range(0, genome.contigs[chrom] - window + 1, stride)
    for first in range(0, len(starts), ROWS):
        block = starts[first : first + ROWS]
        place = genome, chrom, block[0], block[-1] + window
        scans = [model.scan(*place, stride=stride, signal=signal) for model in models]
        yield np.array(block), np.mean([np.concatenate([p for _, p in scan]) for scan in scans], axis=0)


def _unknown(genome: Genome, chrom: str, starts: np.ndarray, window: int) -> np.ndarray:
    """Return the fraction of unknown bases in each window."""
    first = int(starts[0])
    total = np.concatenate([[0], np.cumsum(genome.codes(chrom, first, int(starts[-1]) + window) == UNKNOWN)])
    return (total[starts - first + window] - total[starts - first]) / window
