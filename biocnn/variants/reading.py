"""VCF and BCF as blocks of text lines, of which nothing is lost."""

import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from biocnn.data.child import read_in_child
from biocnn.errors import InputError

RECORDS = 8192  # lines of a block, at most
CHUNK = 1 << 22  # bytes of text read at a time
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
# The empty block that ends every whole bgzip file.
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

MARK = "\ufeff"  # byte-order mark, which some editors put before UTF-8

Block = tuple[int, list[str]]  # number of the first line, counted from 1, and the lines


def read_vcf(path: str | Path) -> tuple[list[str], Iterator[Block]]:
    """The header of a variant file, and its records in blocks.

    Parameters
    ----------
    path
        VCF (plain, gzip or bgzip, told by the bytes, not the name) or BCF, whose lines are those of its text.

    Returns
    -------
    header
        Lines from ``##fileformat`` to ``#CHROM``, without line ends.
    blocks
        Lines of the records; bytes that are no UTF-8 are kept as surrogates.

    Raises
    ------
    InputError
        Where the file is missing, cut short, or not a VCF; while blocks are read, too.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file", "check the path; relative paths start at data_root")
    start = _start(path)
    if b"\r" in start and b"\n" not in start:
        raise InputError(
            f"{path}: lines end with carriage returns alone", "give it line ends: tr '\\r' '\\n' < FILE > fixed.vcf"
        )
    blocks = _blocks(read_in_child(_bcf, path) if start[:3] == b"BCF" else _chunks(path))
    header: list[str] = []
    rest: list[Block] = []
    for first, lines in blocks:
        if first == 1:
            lines[0] = lines[0].removeprefix(MARK)
        n = next((i for i, line in enumerate(lines) if line and not line.startswith("#")), len(lines))
        header += filter(None, lines[:n])
        if n < len(lines):
            rest = [(first + n, lines[n:])]
            break
    _check(path, header)
    return header, _chain(rest, blocks)


def _chain(rest: list[Block], blocks: Iterator[Block]) -> Iterator[Block]:
    yield from rest
    yield from blocks


def _check(path: Path, header: list[str]) -> None:
    remedy = "a VCF starts with '##fileformat=VCFv4.2' and names its columns in a line '#CHROM ... INFO', tabs between"
    if not header or not header[0].startswith("##fileformat=VCF"):
        raise InputError(f"{path} line 1: not a VCF", remedy)
    if tuple(header[-1].split("\t")[:8]) != COLUMNS:
        raise InputError(f"{path} line {len(header)}: the line of the columns is missing or damaged", remedy)


def _start(path: Path) -> bytes:
    """The first bytes, unpacked."""
    return next(_chunks(path, 4096), b"")


def _chunks(path: Path, size: int = CHUNK) -> Iterator[bytes]:
    with open(path, "rb") as raw:
        head = raw.read(18)
        packed = head[:2] == b"\x1f\x8b"
        if packed and head[12:14] == b"BC":  # bgzip
            raw.seek(max(-len(END), -path.stat().st_size), 2)
            if raw.read() != END:
                raise InputError(
                    f"{path}: the block that ends a bgzip file is missing, so the file is cut short",
                    "copy or download it again",
                )
    try:
        with gzip.open(path) if packed else open(path, "rb") as handle:
            while chunk := handle.read(size):
                yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: damaged or truncated gzip file ({error})", "copy or download it again; `gzip -t FILE` tests it"
        ) from error


def _blocks(chunks: Iterator[bytes]) -> Iterator[Block]:
    rest, number = b"", 1
    for chunk in chunks:
        whole, end, rest_of_it = chunk.rpartition(b"\n")
        if not end:
            rest += chunk
            continue
        whole, rest = rest + whole, rest_of_it
        for lines in _split(whole):
            yield number, lines
            number += len(lines)
    if rest:
        yield number, next(_split(rest))


def _split(text: bytes) -> Iterator[list[str]]:
    lines = text.decode("utf-8", "surrogateescape").replace("\r\n", "\n").removesuffix("\r").split("\n")
    for start in range(0, len(lines), RECORDS):
        yield lines[start : start + RECORDS]


def _bcf(path: Path) -> Iterator[bytes]:
    """The text of a BCF file. Called in a child process, for some damaged files crash their reader."""
    import pysam

    pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as handle:
            yield str(handle.header).encode("utf-8", "surrogateescape")
            while lines := [str(record) for record in islice(handle, RECORDS)]:
                yield "".join(lines).encode("utf-8", "surrogateescape")
    except (OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: damaged BCF file ({error})", "copy or download it again") from error
