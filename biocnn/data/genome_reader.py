"""Settings that all readers of windows of a genome share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from biocnn.core.errors import InputError
from biocnn.core.ranges import BelowOne, check_fields
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
    iupac
        Whether R, Y, S, W, K, M, B, D, H and V are unknown bases, mixed (R is half A, half G, etc.), or an error.
    """

    genome: Path
    contig_names: Literal["auto", "exact"] = "auto"
    unknown_contigs: Literal["error", "skip"] = "error"
    block: Annotated[int, Field(ge=1)] | None = None
    max_unknown: BelowOne = 0.5
    iupac: Literal["unknown", "mixed", "error"] = "unknown"

    def __post_init__(self) -> None:
        check_fields(self, "data")

    def check_lengths(self, seen: int, words: str, shortest_block: int) -> None:
        """Refuse examples of too many bp, described by ``words``, and blocks that are too short."""
        if seen > LONGEST:
            raise InputError(
                f"data.window: {words}",
                f"at most {LONGEST:,} bp together, because each base takes memory in each example",
            )
        if self.block is not None and self.block < shortest_block:
            raise InputError(f"data.block: {self.block} is too small", f"allowed: {shortest_block} bp or more")

    def read_genome(self, folder: Path | None) -> Genome:
        """Open the genome that was encoded in a folder, unless ambiguous letters count; None: encode the FASTA."""
        genome = (
            open_genome(folder) if folder and self.iupac == "unknown" else read_genome(Path(self.genome), self.iupac)
        )
        genome.source = str(self.genome)
        return genome
