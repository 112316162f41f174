"""A genome as one byte a base: read once, shared by all experiments, cut into windows."""

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
    """Contigs laid end to end.

    Parameters
    ----------
    codes
        Shape (total length,), uint8: 0-3 = ACGT, 4 = unknown; an array in memory or memory-mapped.
    contigs
        Name to length in bp, in the order of ``codes``.
    descriptions
        Rest of the FASTA header, by name.
    source
        Path of the FASTA, for messages.
    """

    def __init__(self, codes: np.ndarray, contigs: dict[str, int], descriptions: dict[str, str], source: str) -> None:
        self.data, self.contigs, self.descriptions, self.source = codes, contigs, descriptions, source
        self.names = list(contigs)
        self.lengths = np.array(list(contigs.values()), np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Bases of one interval (0-based, half-open; it may reach beyond the contig): shape (end - start,), uint8."""
        return self.windows(np.array([self.names.index(chrom)]), np.array([start]), end - start)[0]

    def windows(self, contig: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        """Bases of many windows of one length.

        Parameters
        ----------
        contig
            Shape (N,): row of each window's contig in ``names``.
        starts
            Shape (N,): first base, 0-based; below zero and near the end windows reach beyond the contig.
        length
            In bp.

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
        """Stretches of the codes that begin at these places: shape (N, length)."""
        if not 0 < length <= len(self.data):
            return np.full((len(places), length), UNKNOWN, np.uint8)
        # Each stretch as one item of so many bytes, copied at once: several times faster than as a row of bytes.
        items = np.ndarray(len(self.data) - length + 1, f"V{length}", self.data, strides=(1,))
        return items[places].view(np.uint8).reshape(-1, length)


def read_genome(fasta: str | Path, iupac: Iupac = "unknown") -> Genome:
    """Encode a FASTA file (plain, gzip or bgzip) in memory: about one byte a base.

    Parameters
    ----------
    fasta
        The file.
    iupac
        What becomes of ambiguous letters; see ``biocnn.io.fasta.encode``.

    Raises
    ------
    InputError
        Where the file cannot be read, or is not a FASTA file; see ``read_fasta``.
    """
    codes = bytearray()
    contigs, descriptions = _collect(fasta, codes.extend, iupac)
    return Genome(np.frombuffer(codes, np.uint8), contigs, descriptions, str(fasta))


def write_genome(fasta: str | Path, folder: str | Path) -> None:
    """Encode a FASTA file into ``codes.bin`` (a byte a base) and ``genome.json`` (contigs, source, sha256).

    Memory holds the longest contig a few times over, never the genome.
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
    """A genome that ``write_genome`` encoded, memory-mapped.

    Raises
    ------
    InputError
        Where the folder does not hold a whole encoded genome.
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
            "give a FASTA file; a folder that a run made is made again once it is deleted",
        ) from error
    if (genome.lengths < 0).any() or genome.offsets[-1] != len(codes):
        raise InputError(f"{folder}: an encoded genome that is not whole", "delete the folder; it will be made again")
    return genome


def either_genome(path: Path) -> Genome:
    """The genome of a FASTA file, or of the folder of an encoded one; errors as in the functions for each."""
    return open_genome(path) if os.path.isdir(path) else read_genome(path)  # os: no name is too long for it


def _collect(
    fasta: str | Path, write: Callable[[bytes], object], iupac: Iupac = "unknown"
) -> tuple[dict[str, int], dict[str, str]]:
    contigs, descriptions = {}, {}
    for record in read_fasta(fasta, iupac):
        write(record.codes.tobytes())
        contigs[record.name], descriptions[record.name] = len(record.codes), record.description
    return contigs, descriptions
