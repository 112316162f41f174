"""Read VCF and BCF as blocks of text lines, without loss."""

import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from biocnn.core.child import read_in_child
from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.core.text import text_of, unpacked

RECORDS = 8192  # maximum number of lines in a block
CHUNK = 1 << 22  # bytes of text read at a time
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
LONGEST = 1 << 28  # maximum bytes of a line

Block = tuple[int, list[str]]  # number of the first line, from 1, and the lines


class Blocks(Iterator[Block]):
    """Lines of a text in blocks; after the last one, ``whole`` is False if the last line has no line end."""

    def __init__(self, path: Path, chunks: Iterator[bytes]) -> None:
        self.whole = True
        self._left = self._read(path, chunks)

    def __next__(self) -> Block:
        return next(self._left)

    def put_back(self, first: int, lines: list[str]) -> None:
        """Return these lines again, before all others."""
        self._left = chain([(first, lines)], self._left)

    def _read(self, path: Path, chunks: Iterator[bytes]) -> Iterator[Block]:
        rest, number = b"", 1
        for chunk in chunks:
            whole, end, rest = (rest + chunk).rpartition(b"\n")
            if end:
                for lines in _split(whole):
                    yield number, lines
                    number += len(lines)
            if len(rest) > LONGEST:
                raise InputError(f"{path} line {number}: longer than {LONGEST:,} bytes", "is it a VCF?")
        if rest:
            self.whole = False
            yield number, next(_split(rest))


def read_vcf(path: str | Path) -> tuple[list[str], Blocks]:
    """Read the header of a variant file, and its records in blocks.

    Parameters
    ----------
    path
        VCF (plain, gzip or bgzip, recognised by content, not name) or BCF, converted to VCF text.

    Returns
    -------
    header
        Lines from ``##fileformat`` to ``#CHROM``, without line ends.
    blocks
        Lines of the records; bytes that are not UTF-8 are kept as surrogates.

    Raises
    ------
    InputError
        If the file is missing, truncated, or not a VCF; also while blocks are read.
    """
    path = Path(path)
    binary = next(unpacked(path, 4096), b"")[:3] == b"BCF"
    blocks = Blocks(path, read_in_child(_bcf, path) if binary else text_of(path, CHUNK))
    header: list[str] = []
    for first, lines in blocks:
        n = next((i for i, line in enumerate(lines) if line and not line.startswith("#")), len(lines))
        header += filter(None, lines[:n])
        if n < len(lines):
            blocks.put_back(first + n, lines[n:])
            break
    _check(path, header)
    return header, blocks


def readable(text: str) -> str:
    """Return text of a VCF for tables and figures: bytes that are not UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def header_contigs(header: list[str]) -> dict[str, int | None]:
    """Return the contigs in lines ``##contig`` of a header, with their lengths in bp or None."""
    contigs: dict[str, int | None] = {}
    for line in header:
        name, length = (re.search(rf"[<,]{key}=([^,>]+)", line) for key in ("ID", "length"))
        if line.startswith("##contig=") and name:
            contigs[name[1]] = int(length[1]) if length and re.fullmatch("[0-9]{1,18}", length[1]) else None
    return contigs


def _check(path: Path, header: list[str]) -> None:
    remedy = "a VCF starts with '##fileformat=VCFv4.2' and has a tab-separated line of column names, '#CHROM ... INFO'"
    if not header or not header[0].startswith("##fileformat=VCF"):
        raise InputError(f"{path} line 1: not a VCF", remedy)
    if tuple(header[-1].split("\t")[:8]) != COLUMNS:
        raise InputError(f"{path} line {len(header)}: the line of column names is missing or damaged", remedy)


def _split(text: bytes) -> Iterator[list[str]]:
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    for start in range(0, len(lines), RECORDS):
        yield lines[start : start + RECORDS]


def _bcf(path: Path) -> Iterator[bytes]:
    """Yield the text of a BCF file. Run in a child process, because some damaged files crash the reader."""
    with needs("genomics", f"{path}: reading BCF"):
        import pysam

    pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as handle:
            yield str(handle.header).encode("utf-8", "surrogateescape")
            while lines := [str(record) for record in islice(handle, RECORDS)]:
                yield "".join(lines).encode("utf-8", "surrogateescape")
    except (OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: damaged BCF file ({error})", "copy or download it again") from error
