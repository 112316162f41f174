"""Text files are read with any line ends, and other files are reported with their kind."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biocnn.core.errors import InputError
from biocnn.core.text import LONGEST, read_lines, text_of, unpacked

ODD = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"  # where only str.splitlines splits


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("text", [b"", b"one\ntwo\n", b"one\r\ntwo", b"one\rtwo\r", b"\xef\xbb\xbfone\ntwo"])
def test_plain_and_compressed_files_give_the_same(tmp_path: Path, pack, text: bytes) -> None:
    path = tmp_path / "file.txt"  # the suffix does not matter
    path.write_bytes(pack(text))
    assert b"".join(unpacked(path)) == text
    assert read_lines(path) == ([] if not text else ["one", "two"])


@given(
    st.lists(st.text("ab\t " + ODD, min_size=0, max_size=4)), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 9)
)
def test_lines_end_only_at_line_ends(tmp_path_factory, lines: list[str], end: str, size: int) -> None:
    path = tmp_path_factory.mktemp("text") / "file"
    path.write_bytes("".join(line + end for line in lines).encode())
    assert read_lines(path) == lines
    assert b"".join(text_of(path, 3 + size)).decode() == "".join(line + "\n" for line in lines)


@pytest.mark.parametrize("name", ["EBBC.bed", "abBC"])
def test_a_name_in_the_gzip_header_is_not_bgzip(tmp_path: Path, name: str) -> None:
    with open(tmp_path / "file", "wb") as raw, gzip.GzipFile(name, "wb", fileobj=raw) as packed:
        packed.write(b"one\n")
    assert read_lines(tmp_path / "file") == ["one"]


def test_gzip_members_are_joined(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert read_lines(tmp_path / "file") == ["one", "two"]


def test_damaged_gzip_is_reported(tmp_path: Path) -> None:
    whole = gzip.compress(bytes(range(1, 256)) * 40)
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "head": whole[:3],
        "changed": whole[:60] + b"\x00\xff" + whole[62:],
        "sum": whole[:-8] + bytes(8),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: damaged or truncated gzip") as caught:
            list(unpacked(tmp_path / name))
        assert "gzip -t" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc\nd\xff", r"line 2: not UTF-8 text \(byte 0xff\)"),
        ("a\tb\n".encode("utf-16"), "is UTF-16 text"),
        ("a\tb\n".encode("utf-16-le"), "not text .it holds NUL bytes"),
        (b"a\tb\n\0\0\0", "not text .it holds NUL bytes"),
        (b"PK\x03\x04rest", "is a zip file or an Excel workbook"),
        (b"BZh91AY&SY", "is compressed by bzip2"),
        (b"a" * (LONGEST + 2), "line 1: longer than"),
    ],
)
def test_files_that_are_not_text_are_reported(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=f"file:? {message}"):
        read_lines(tmp_path / "file")


def test_a_missing_file_is_sought_from_the_current_folder(tmp_path: Path) -> None:
    for path, remedy in (
        (tmp_path / "gone", "check the path"),
        (Path("gone"), "check the path; relative paths start at the current folder"),
    ):
        with pytest.raises(InputError, match="gone: no such file") as caught:
            read_lines(path)
        assert caught.value.remedy == remedy


def test_a_decompression_bomb_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(10_000_000)) * 30)
    pieces = []
    with pytest.raises(InputError, match="bomb: unpacks to more than 200 times its size"):
        pieces.extend(map(len, unpacked(tmp_path / "bomb")))
    assert sum(pieces) < 100_000_000, "of 300 MB"
