"""Text files of other people: unpacked, in lines, and named for what they are where they are no such text."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.files import check_file

CHUNK = 1 << 24  # bytes read at a time
LONGEST = 1 << 24  # bytes of a line, where lines are held
# Text packs to a third or a tenth. What unpacks to so many bytes and so many times its size was made to fill memory.
BOMB_BYTES, BOMB_RATIO = 1 << 26, 200
# The empty block that ends every whole bgzip file.
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
SAVE = "save it as UTF-8, or plain text"
OTHERS = {
    rb"\xff\xfe|\xfe\xff": ("UTF-16 text ('Unicode' of Windows and Excel)", SAVE),
    rb"PK\x03\x04": ("a zip file or an Excel workbook", "unpack it, or save the sheet as text with tabs"),
    rb"\xd0\xcf\x11\xe0": ("an Excel workbook", "save the sheet as text with tabs"),
    rb"BZh[1-9]1AY&SY": ("packed by bzip2", "unpack it (bunzip2), or pack it with gzip"),
    rb"\xfd7zXZ\x00": ("packed by xz", "unpack it (unxz), or pack it with gzip"),
    rb"\x28\xb5\x2f\xfd": ("packed by zstd", "unpack it (unzstd), or pack it with gzip"),
}


def unpacked(path: Path, size: int = CHUNK) -> Iterator[bytes]:
    """The bytes of a file, unpacked where it is gzip or bgzip (told by its first bytes, not its name), in pieces.

    Raises
    ------
    InputError
        Where the file is missing, its gzip stream is cut short or damaged, or it unpacks to 200 times its size.
    """
    check_file(path)
    with open(path, "rb") as raw:
        head = raw.read(18)
        packed = head[:2] == b"\x1f\x8b"
        if packed and head[3:4] == b"\4" and head[12:14] == b"BC":  # bgzip, which may be cut between two blocks
            raw.seek(max(-len(END), -path.stat().st_size), 2)
            if raw.read() != END:
                raise InputError(
                    f"{path}: the block that ends a bgzip file is missing, so the file is cut short",
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
                        "no data do; if these are what you want, unpack them first",
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: damaged or truncated gzip file ({error})", "copy or download it again; `gzip -t FILE` tests it"
        ) from error


def text_of(path: Path, size: int = CHUNK) -> Iterator[bytes]:
    r"""The text of a file in pieces, in which every line ends with ``\n``, also where it came with ``\r\n`` or ``\r``.

    Nothing else ends a line. A byte-order mark is left out.

    Raises
    ------
    InputError
        As of ``unpacked``; and where the file is no text, UTF-16, or packed by other means than gzip.
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
                f"{path}: not text (it holds NUL bytes)", f"is it the right file, and whole? if it is UTF-16: {SAVE}"
            )
        yield piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in piece else piece
    if held:
        yield b"\n"


def read_lines(path: str | Path) -> list[str]:
    """Lines of a text file, plain or gzip, without their ends; for what these are, and errors, see ``text_of``."""
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
    """Rows of cells, separated by tabs where the first line has one, else by commas; in quotes as in CSV.

    A cell may be of any length: a sequence, or all that follows a quote which nothing closes.
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
