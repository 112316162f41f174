"""A genome encoded as one byte per base: read once and shared by all experiments."""

import json
import operator
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError
from biocnn.core.files import atomic, sha256
from biocnn.io.fasta import UNKNOWN, Iupac, read_fasta


class Genome:
    """Concatenated contigs.

    Parameters
    ----------
    codes
        Shape (total length,), uint8: 0-3 = ACGT, 4 = unknown; in memory or memory-mapped.
    contigs
        Length in bp by name, in the order of ``codes``.
    descriptions
        Rest of the FASTA header by name.
    source
        Path of the FASTA file, for messages.
    """

    def __init__(self, codes: np.ndarray, contigs: dict[str, int], descriptions: dict[str, str], source: str) -> None:
        self.data, self.contigs, self.descriptions, self.source = codes, contigs, descriptions, source
        self.names = list(contigs)
        self.lengths = np.array(list(contigs.values()), np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Return the bases of an interval (0-based, half-open, may exceed the contig): shape (end - start,)."""
        return self.windows(np.array([self.names.index(chrom)]), np.array([start]), end - start)[0]

    def windows(self, contig: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        """Return the bases of windows of equal length.

        Parameters
        ----------
        contig
            Shape (N,): index of each window's contig in ``names``.
        starts
            Shape (N,): first base, 0-based; windows may extend beyond the contig at either end.
        length
            Window length in bp.

        Returns
        -------
        codes
            Shape (N, length), uint8: 0-3 = ACGT, 4 = unknown or beyond the end.
        """
        contig, starts = np.asarray(contig, np.int64), np.asarray(starts, np.int64)
        inside = (starts >= 0) & (starts + length <= self.lengths[contig])
        codes = self._gather(np.where(inside, self.offsets[contig] + starts, 0), length)
        for row in np.flatnonzero(~inside):
            first, last = np.clip([starts[row], starts[row] + length], 0, self.lengths[contig[row]])
            offset = self.offsets[contig[row]]
            codes[row] = UNKNOWN
            codes[row, first - starts[row] : last - starts[row]] = self.data[offset + first : offset + last]
        return codes

    def _gather(self, places: np.ndarray, length: int) -> np.ndarray:
        """Gather the codes that start at ``places``: shape (N, length)."""
        if not 0 < length <= len(self.data):
            return np.full((len(places), length), UNKNOWN, np.uint8)
        # Each window is copied as a single item of ``length`` bytes: several times faster than byte by byte.
        items = np.ndarray(len(self.data) - length + 1, f"V{length}", self.data, strides=(1,))
        return items[places].view(np.uint8).reshape(-1, length)


def read_genome(fasta: str | Path, iupac: Iupac = "unknown") -> Genome:
    """Encode a FASTA file (plain, gzip or bgzip) in memory, at about one byte per base.

    Parameters
    ----------
    fasta
        FASTA file.
    iupac
        How to encode ambiguous letters; see ``biocnn.io.fasta.encode``.

    Raises
    ------
    InputError
        If the file cannot be read or is not FASTA; see ``read_fasta``.
    """
    codes = bytearray()
    contigs, descriptions = _collect(fasta, codes.extend, iupac)
    return Genome(np.frombuffer(codes, np.uint8), contigs, descriptions, str(fasta))


def write_genome(fasta: str | Path, folder: str | Path) -> None:
    """Encode a FASTA file into ``codes.bin`` (one byte per base) and ``genome.json`` (contigs, source, sha256).

    Memory use is a few times the longest contig, never the whole genome.
    """
    with atomic(folder) as temporary:
        temporary.mkdir()
        with open(temporary / "codes.bin", "wb") as handle:
            contigs, descriptions = _collect(fasta, handle.write)
        facts = {
            "source": str(fasta),
            "sha256": sha256(fasta),
            "bytes": Path(fasta).stat().st_size,
            "contigs": contigs,
            "descriptions": descriptions,
        }
        (temporary / "genome.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def open_genome(folder: str | Path) -> Genome:
    """Memory-map a genome encoded by ``write_genome``.

    Raises
    ------
    InputError
        If the folder does not hold a complete encoded genome.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / "genome.json").read_text(encoding="utf-8"))
        codes = np.memmap(folder / "codes.bin", np.uint8, "r")
        contigs = {name: operator.index(length) for name, length in facts["contigs"].items()}
        descriptions = {name: str(facts["descriptions"].get(name, "")) for name in contigs}
        genome = Genome(codes, contigs, descriptions, str(facts["source"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{folder}: not an encoded genome ({error})",
            "give a FASTA file; delete a folder made by an earlier run and it is made again",
        ) from error
    if (genome.lengths < 0).any() or genome.offsets[-1] != len(codes):
        raise InputError(f"{folder}: the encoded genome is incomplete", "delete the folder; it will be made again")
    return genome


def either_genome(path: Path, iupac: Iupac = "unknown") -> Genome:
    """Open a FASTA file or the folder of an encoded genome; see ``read_genome`` and ``open_genome``."""
    # Unlike pathlib, os accepts names of any length.
    return open_genome(path) if os.path.isdir(path) else read_genome(path, iupac)


def _collect(
    fasta: str | Path, write: Callable[[bytes], object], iupac: Iupac = "unknown"
) -> tuple[dict[str, int], dict[str, str]]:
    contigs, descriptions = {}, {}
    for record in read_fasta(fasta, iupac):
        write(record.codes.tobytes())
        contigs[record.name], descriptions[record.name] = len(record.codes), record.description
    return contigs, descriptions
