"""What exists is whole: atomic writing, also on a full disk, and the reading of plain and packed files."""

import gzip
import hashlib
from pathlib import Path

import pytest

from biocnn.errors import InputError
from biocnn.files import atomic, read_bytes, read_lines, sha256


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_atomic_writes_a_file_in_a_new_folder(tmp_path: Path) -> None:
    with atomic(tmp_path / "a" / "b.tsv") as path:
        path.write_text("new")
        assert not (tmp_path / "a" / "b.tsv").exists()
        assert path.suffix == ".tsv"
    assert tree(tmp_path) == ["a", "a/b.tsv"]
    assert (tmp_path / "a" / "b.tsv").read_text() == "new"


def test_atomic_replaces_a_folder_but_loses_nothing_of_others(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for content in ("one", "two"):
        with atomic(tmp_path / "out") as folder:
            folder.mkdir()
            (folder / "new").write_text(content)
        assert tree(tmp_path) == ["out", "out/new"]
        assert (tmp_path / "out" / "new").read_text() == content
        (tmp_path / "out" / ".snakemake_timestamp").touch()  # Snakemake puts it into folders that a rule made
    (tmp_path / "out" / ".snakemake_timestamp").unlink()
    (tmp_path / "out" / "mine").write_text("")
    for write in (Path.mkdir, Path.touch):  # neither a folder nor a file takes its place
        with pytest.raises(InputError, match=r"out: holds other things \(mine\)"), atomic(tmp_path / "out") as path:
            write(path)
    assert tree(tmp_path) == ["out", "out/mine", "out/new"]
    assert (tmp_path / "out" / "new").read_text() == "two"


@pytest.mark.parametrize("kind", ["file", "folder", "nothing yet"])
def test_failing_writer_leaves_what_was_there(tmp_path: Path, kind: str) -> None:
    (tmp_path / "out").write_text("old")

    def write(path: Path) -> None:
        if kind == "file":
            path.write_text("half")
        elif kind == "folder":
            path.mkdir()
            (path / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "out") as path:
        write(path)
    assert tree(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "old"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("text", [b"", b"one\ntwo\n", b"one\r\ntwo"])
def test_plain_and_packed_read_alike(tmp_path: Path, pack, text: bytes) -> None:
    path = tmp_path / "file.txt"  # the name says nothing
    path.write_bytes(pack(text))
    assert read_bytes(path) == text
    assert read_lines(path) == ([] if not text else ["one", "two"])


def test_gzip_members_are_joined(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert read_lines(tmp_path / "file") == ["one", "two"]


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(bytes(range(256)) * 40)
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "head": whole[:3],
        "changed": whole[:60] + b"\x00\xff" + whole[62:],
        "sum": whole[:-8] + bytes(8),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: damaged or truncated gzip") as caught:
            read_bytes(tmp_path / name)
        assert "gzip -t" in caught.value.remedy


def test_missing_file_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: no such file"):
        read_bytes(tmp_path / "gone")
    (tmp_path / "image").write_bytes(b"abc\xff")
    with pytest.raises(InputError, match=r"image: not a text file .* at byte 3"):
        read_lines(tmp_path / "image")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()
