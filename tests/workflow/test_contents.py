"""Digests of file contents: different for other bytes, equal for equal bytes at any place and time."""

import gzip
import os
import shutil
from pathlib import Path

import pytest

from biocnn.workflow.contents import Contents


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in (
        "images/a.tif",
        "images/b.tif",
        "masks/a.tif",
        "series/1",
        "volume.zarr/.zarray",
        "volume.zarr/0/0",
        "a.npz",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode().ljust(40))
    (folder / "cells.csv").write_text(
        'image,mask,note\nimages/a.tif,masks/a.tif,"one, two"\nimages/b.tif,series,.\nvolume.zarr,gone.tif,x\n'
        "a.npz/images[3],,\n"
    )
    return folder


def words(data: Path, store: Path, *names: str, settle: bool = True) -> list[str]:
    """Return digests like an invocation that knows the results of previous ones."""
    contents = Contents(store)
    found = [contents.of(str(data / name)) for name in names]
    if settle:
        contents.settle()
    return found


FILES = ["images/a.tif", "masks/a.tif", "series/1", "volume.zarr/.zarray", "volume.zarr/0/0", "a.npz"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("settle", [True, False], ids=["after a run", "after a dry run"])
def test_a_table_represents_the_bytes_of_its_files(data: Path, tmp_path: Path, file: str, settle: bool) -> None:
    before = words(data, tmp_path / "store", "cells.csv", settle=settle)
    assert words(data, tmp_path / "store", "cells.csv") == before
    path, content, state = data / file, (data / file).read_bytes(), (data / file).stat()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert words(data, tmp_path / "store", "cells.csv") != before


@pytest.mark.parametrize("name", ["cells.csv.gz", "cells.list", "cells"])
def test_a_table_with_any_name(data: Path, tmp_path: Path, name: str) -> None:
    text = b"\n" + (data / "cells.csv").read_bytes().replace(b"f,", b"f\t").replace(b",", b"\t")
    (data / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    found = [Contents(tmp_path / "store").of(str(data / name), table=True)]
    (data / "images/a.tif").write_bytes(b"other")
    found.append(Contents(tmp_path / "store").of(str(data / name), table=True))
    assert len(set(found)) == 2


def test_a_table_with_cells_of_any_length(data: Path, tmp_path: Path) -> None:
    """A long sequence, and an unclosed quote."""
    for cell in ("A" * 200_000, '"5 end' + "\nb\tACGT" * 30_000):
        (data / "reads.tsv").write_text(f"id\tsequence\na\t{cell}\n")
        assert words(data, tmp_path / "store", "reads.tsv")


def test_touched_moved_linked_or_restored_files_are_the_same(data: Path, tmp_path: Path) -> None:
    names, store = ("cells.csv", "images", "volume.zarr", "masks/a.tif"), tmp_path / "store"
    before = words(data, store, *names)
    for path in data.rglob("*.tif"):
        path.touch()
    assert words(data, store, *names) == before
    (data / "images/a.tif").write_bytes(b"other")
    assert words(data, store, *names)[:2] != before[:2]
    (data / "images/a.tif").write_bytes(b"images/a.tif".ljust(40))
    assert words(data, store, *names) == before, "changed and changed back"
    shutil.copytree(data, tmp_path / "copy")
    (tmp_path / "link").symlink_to(tmp_path / "copy")
    assert words(tmp_path / "link" / "." / "..", store, *(f"link/{name}" for name in names)) == before


def test_files_of_equal_size_and_time_are_distinguished(data: Path, tmp_path: Path) -> None:
    one, other = data / "images/a.tif", data / "images/b.tif"
    for path in (one, other):
        os.utime(path, (1, 1))
    before = words(data, tmp_path / "store", "images")
    shutil.copy2(other, one)
    assert words(data, tmp_path / "store", "images") != before


def test_names_count_but_hidden_files_do_not(data: Path, tmp_path: Path) -> None:
    before = words(data, tmp_path / "store", "images")
    (data / "images/.DS_Store").touch()
    (data / "images/.cache").mkdir()
    (data / "images/.cache/x").touch()
    assert words(data, tmp_path / "store", "images") == before
    (data / "images/b.tif").rename(data / "images/c.tif")
    assert words(data, tmp_path / "store", "images") != before


def test_a_file_that_changes_at_the_start_of_a_run_is_read_again(data: Path, tmp_path: Path) -> None:
    contents = Contents(tmp_path / "store")
    before = contents.of(str(data / "masks/a.tif"))
    (data / "masks/a.tif").write_bytes(b"x" * 40)
    contents.settle()
    (data / "masks/a.tif").write_bytes(b"x" * 40)
    assert words(data, tmp_path / "store", "masks/a.tif") != [before]


def test_a_dry_run_neither_reads_new_files_nor_stores_digests(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("biocnn.workflow.contents.sha256", lambda path: pytest.fail(f"{path} was read"))
    contents = Contents(tmp_path / "store")
    contents.of(str(data / "images"))
    contents.keep()
    assert not (tmp_path / "store").exists()


def test_folders_that_contain_each_other_are_handled(data: Path, tmp_path: Path) -> None:
    (data / "images/loop").symlink_to(data)
    assert words(data, tmp_path / "store", "images") == words(data, tmp_path / "store", "images")


def test_a_table_that_names_itself(data: Path, tmp_path: Path) -> None:
    (data / "self.csv").write_text("self.csv\n/\n..\n")
    assert words(data, tmp_path / "store", "self.csv") == words(data, tmp_path / "store", "self.csv")


def test_a_damaged_store_is_replaced(data: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("{")
    assert words(data, tmp_path / "store", "images") == words(data, tmp_path / "store", "images")
