"""Files that exist are complete: atomic writing, also on a full disk."""

import hashlib
import os
from pathlib import Path

import pytest

from biocnn.core.errors import InputError
from biocnn.core.files import atomic, check_file, read_json, sha256


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_atomic_writes_a_file_in_a_new_folder(tmp_path: Path) -> None:
    with atomic(tmp_path / "a" / "b.tsv") as path:
        path.write_text("new")
        assert not (tmp_path / "a" / "b.tsv").exists()
        assert path.suffix == ".tsv"
    assert tree(tmp_path) == ["a", "a/b.tsv"]
    assert (tmp_path / "a" / "b.tsv").read_text() == "new"


def test_atomic_replaces_a_folder_but_keeps_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for content in ("one", "two"):
        with atomic(tmp_path / "out") as folder:
            folder.mkdir()
            (folder / "new").write_text(content)
        assert tree(tmp_path) == ["out", "out/new"]
        assert (tmp_path / "out" / "new").read_text() == content
        (tmp_path / "out" / ".snakemake_timestamp").touch()  # Snakemake creates it in output folders
    (tmp_path / "out" / ".snakemake_timestamp").unlink()
    (tmp_path / "out" / "mine").write_text("")
    for write in (Path.mkdir, Path.touch):  # neither a folder nor a file replaces it
        with pytest.raises(InputError, match=r"out: contains other files \(mine\)"), atomic(tmp_path / "out") as path:
            write(path)
    assert tree(tmp_path) == ["out", "out/mine", "out/new"]
    assert (tmp_path / "out" / "new").read_text() == "two"


@pytest.mark.parametrize("kind", ["file", "folder", "nothing yet"])
def test_a_failing_writer_keeps_existing_files(tmp_path: Path, kind: str) -> None:
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


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_missing_files_folders_and_pipes_are_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    check_file(tmp_path / "file")
    for name, said in {
        "gone": "no such model", "a" * 300: "no such model", "a\0": "no such model", "file/a": "no such model",
        ".": "a folder, not a model", "pipe": "a pipe or device, not a model",
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=said):
            check_file(tmp_path / name, "model")


def test_only_a_damaged_json_file_is_to_be_deleted(tmp_path: Path) -> None:
    for content, remedy in ((None, "check the path"), ("{", "delete it"), ("[]", "delete it")):
        if content:
            (tmp_path / "a.json").write_text(content)
        with pytest.raises(InputError, match=r"a\.json") as caught:
            read_json(tmp_path / "a.json")
        assert caught.value.remedy.startswith(remedy)
