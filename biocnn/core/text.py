"""Read user-supplied text files, plain or gzip, with clear errors for anything else."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.files import check_file

CHUNK = 1 << 24  # bytes read at a time
LONGEST = 1 << 24  # maximum bytes of a line held in memory
# Text compresses by a factor of 3 to 10. Beyond these bytes and this ratio a file is a decompression bomb.
BOMB_BYTES, BOMB_RATIO = 1 << 26, 200
# The empty block that ends every complete bgzip file.
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
SAVE = "save it as UTF-8, or plain text"
OTHERS = {
    rb"\xff\xfe|\xfe\xff": ("UTF-16 text ('Unicode' of Windows and Excel)", SAVE),
    rb"PK\x03\x04": ("a zip file or an Excel workbook", "unpack it, or save the sheet as tab-separated text"),
    rb"\xd0\xcf\x11\xe0": ("an Excel workbook", "save the sheet as tab-separated text"),
    rb"BZh[1-9]1AY&SY": ("compressed by bzip2", "unpack it (bunzip2), or compress it with gzip"),
    rb"\xfd7zXZ\x00": ("compressed by xz", "unpack it (unxz), or compress it with gzip"),
    rb"\x28\xb5\x2f\xfd": ("compressed by zstd", "unpack it (unzstd), or compress it with gzip"),
}


def unpacked(path: Path, size: int = CHUNK) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces, unpacked if its first bytes mark it as gzip or bgzip.

    Raises
    ------
    InputError
        If the file is missing, its gzip stream is truncated or damaged, or it unpacks to over 200 times its size.
    """
    check_file(path)
    with open(path, "rb") as raw:
        head = raw.read(18)
        packed = head[:2] == b"\x1f\x8b"
        if packed and head[3:4] == b"\4" and head[12:14] == b"BC":  # bgzip, which may be truncated between two blocks
            raw.seek(max(-len(END), -path.stat().st_size), 2)
            if raw.read() != END:
                raise InputError(
                    f"{path}: the final block of a bgzip file is missing: the file is truncated",
                    "copy or download it again",
                )
    most = max(BOMB_BYTES, BOMB_RATIO * path.stat().st_size)
    try:
        with gzip.open(path) if packed else open(path, "rb") as handle:
            while piece := handle.read(size):
                yield piece
                if packed and handle.tell() > most:
                    raise InputError(
                        f"{path}: unpacks to more than {BOMB_RATIO} times its size",
                        "real data do not; if this is what you want, unpack the file first",
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: damaged or truncated gzip file ({error})", "copy or download it again; `gzip -t FILE` tests it"
        ) from error


def text_of(path: Path, size: int = CHUNK) -> Iterator[bytes]:
    r"""Yield the text of a file in pieces, with every line end, ``\n``, ``\r\n`` or ``\r``, converted to ``\n``.

    Nothing else ends a line. A byte-order mark is removed.

    Raises
    ------
    InputError
        As in ``unpacked``; also if the file is not text, is UTF-16, or is compressed by other means than gzip.
    """
    held, first = b"", True
    for piece in unpacked(path, size):
        if first:
            _refuse_others(path, piece)
            piece, first = piece.removeprefix(b"\xef\xbb\xbf"), False
        piece = held + piece
        held = b"\r" if piece.endswith(b"\r") else b""  # its \n may be the next byte
        piece = piece.removesuffix(held)
        if b"\0" in piece:
            raise InputError(
                f"{path}: not text (it holds NUL bytes)", f"is it the right file, and complete? if it is UTF-16, {SAVE}"
            )
        yield piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in piece else piece
    if held:
        yield b"\n"


def read_lines(path: str | Path) -> list[str]:
    """Read the lines of a text file, plain or gzip, without line ends; for these and errors see ``text_of``."""
    path, rest = Path(path), b""
    lines: list[str] = []
    for piece in text_of(path, LONGEST):
        whole, end, rest = (rest + piece).rpartition(b"\n")
        if end:
            lines += _decoded(path, whole, len(lines) + 1).split("\n")
        if len(rest) > LONGEST:
            raise InputError(f"{path} line {len(lines) + 1}: longer than {LONGEST:,} bytes", "is it the right file?")
    return [*lines, _decoded(path, rest, len(lines) + 1)] if rest else lines


def read_cells(lines: list[str]) -> Iterator[list[str]]:
    """Split lines into cells by tabs if the first line has one, else by commas; quotes are as in CSV.

    A cell may have any length: a sequence, or all text after an unclosed quote.
    """
    csv.field_size_limit(2**31 - 1)
    return csv.reader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")


def _decoded(path: Path, text: bytes, line: int) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        line += text.count(b"\n", 0, error.start)
        raise InputError(
            f"{path} line {line}: not UTF-8 text (byte {text[error.start]:#04x})",
            f"is it the right file? if so, {SAVE}",
        ) from error


def _refuse_others(path: Path, start: bytes) -> None:
    for pattern, (what, remedy) in OTHERS.items():
        if re.match(pattern, start):
            raise InputError(f"{path}: is {what}", remedy)
