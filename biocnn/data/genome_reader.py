"""Settings that all readers of windows of a genome share."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.ranges import BelowOne, check_fields
from biocnn.data.raw import Raw
from biocnn.data.signal import Signal
from biocnn.io.genome import Genome, open_genome, read_genome

LONGEST = 10_000_000  # most bp of an example


@dataclass(kw_only=True)
class GenomeReader:
    """Settings of a reader of windows of a genome.

    Parameters
    ----------
    genome
        FASTA: plain, gzip or bgzip.
    contig_names
        auto: ignore differences in prefix (chr1, 1), number (chrI, chr1), organelle (chrM, MT) and accession if a name
        then matches exactly one contig.
    unknown_contigs
        Whether intervals on contigs that the genome lacks are an error or skipped.
    block
        Groups, which a split never cuts, are contigs; with ``block``, they are blocks of this many bp.
    max_unknown
        Windows with a larger share of unknown bases (N, or beyond a contig's end) are dropped.
    signal
        bigWig files, by name, whose values at each base the network receives beside the bases: ``{atac: atac.bw}``.
        Bases without a value count as the mean of the training split.
    signal_scale
        ``log1p``: the network receives log(1 + value), which suits coverage, whose highest values are few and far above
        the others.
    iupac
        Whether R, Y, S, W, K, M, B, D, H and V are unknown bases, mixed (R is half A, half G, etc.), or an error.
    """

    genome: Path
    contig_names: Literal["auto", "exact"] = "auto"
    unknown_contigs: Literal["error", "skip"] = "error"
    block: Annotated[int, Field(ge=1)] | None = None
    max_unknown: BelowOne = 0.5
    signal: dict[str, Path] | None = None
    signal_scale: Literal["none", "log1p"] = "none"
    iupac: Literal["unknown", "mixed", "error"] = "unknown"

    def __post_init__(self) -> None:
        check_fields(self, "data")
        if self.signal == {}:
            raise InputError("data.signal: names no file", "for example signal: {atac: atac.bw}; or leave it out")
        if self.signal_scale != "none" and not self.signal:
            raise InputError(
                f"data.signal_scale: {self.signal_scale}, but there is no data.signal", "leave it out, or add signal"
            )
        for name in self.signal or ():
            if not name.strip() or not name.isprintable() or set(name) & set("=,"):
                raise InputError(f"data.signal: {name!r} as name of a track", "give a name, for example atac")

    def check_signal(self, targets: Iterable[object]) -> None:
        """Refuse tracks that are read as targets, too."""
        for name, path in (self.signal or {}).items():
            if path in targets:
                raise InputError(
                    f"data.signal.{name}: {path} is a target", "leave it out: a network would only copy it"
                )

    def check_lengths(self, seen: int, words: str, shortest_block: int) -> None:
        """Refuse examples of too many bp, described by ``words``, and blocks that are too short."""
        if seen > LONGEST:
            raise InputError(
                f"data.window: {words}",
                f"at most {LONGEST:,} bp together, because each base takes memory in each example",
            )
        if self.block is not None and self.block < shortest_block:
            raise InputError(f"data.block: {self.block} is too small", f"allowed: {shortest_block} bp or more")

    def with_signal(self, raw: Raw, genome: Genome, checks: Checks) -> Raw:
        """Add the tracks of the windows of examples, which include flanks or context, if any are given."""
        if not self.signal:
            return raw
        tracks = self.open_signal(genome, raw.examples["chrom"].unique(), checks)
        read = tracks.of(raw.examples, raw.facts.flank + raw.facts.context)
        told = {"signal": [*self.signal], "in_channels": raw.facts.in_channels + len(self.signal)}
        told |= {"signal_scale": self.signal_scale} if self.signal_scale != "none" else {}
        return replace(raw, signal=read, facts=raw.facts.model_copy(update=told))

    def open_signal(self, genome: Genome, contigs: Iterable[str], checks: Checks) -> Signal:
        """Open the tracks beside the bases of windows on some contigs."""
        return Signal(self.signal or {}, genome, self.contig_names == "exact", contigs, checks)

    def read_genome(self, folder: Path | None) -> Genome:
        """Open the genome that was encoded in a folder, unless ambiguous letters count; None: encode the FASTA."""
        genome = (
            open_genome(folder) if folder and self.iupac == "unknown" else read_genome(Path(self.genome), self.iupac)
        )
        genome.source = str(self.genome)
        return genome
