"""Raw data are stored exactly as read, and not stored again in the data set."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import images, sequences

from biocnn.config.settings import Split
from biocnn.core.errors import InputError
from biocnn.data.facts import checked
from biocnn.data.raw import Raw
from biocnn.data.stored_raw import open_raw, write_raw
from biocnn.data.storing import write
from biocnn.io.contigs import Contigs

SPLIT = Split(val=0.25, test=0.25)
KINDS = [
    lambda: sequences(40),
    lambda: sequences(lengths=range(20, 60), task="regression"),
    *[lambda task=task: images(12, task=task, channels=2) for task in ("mask", "classes", "instances")],
]


def reopened(raw: Raw, folder: Path) -> Raw:
    write_raw(checked(raw), {}, folder)
    return open_raw(folder)


@pytest.mark.parametrize("make", KINDS)
def test_the_data_set_is_bit_identical(make: Callable[[], Raw], tmp_path: Path) -> None:
    write(make(), SPLIT, 1, tmp_path / "direct")
    write(reopened(make(), tmp_path / "raw"), SPLIT, 1, tmp_path / "stored")
    files = sorted(path.name for path in (tmp_path / "direct").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "stored").iterdir())
    for name in files:
        assert (tmp_path / "direct" / name).read_bytes() == (tmp_path / "stored" / name).read_bytes(), name


def test_images_and_labels_are_stored_once(tmp_path: Path) -> None:
    write(reopened(images(12, task="instances"), tmp_path / "raw"), SPLIT, 1, tmp_path / "dataset")
    assert (tmp_path / "raw/x.npy").samefile(tmp_path / "dataset/x.npy")
    assert (tmp_path / "raw/y.npy").samefile(tmp_path / "dataset/labels.npy")


def test_the_table_keeps_types_and_missing_values(tmp_path: Path) -> None:
    raw = sequences(4)
    raw.examples = raw.examples.assign(
        patient=["001", "NA", "", None],
        score=[0.1 + 0.2, np.nan, 1e-300, -0.0],
        depth=np.array([1, 2, 3, 2**53 + 1]),
        half=np.array([0.1, 2, 3, np.nan], np.float32),
        treated=[True, False, True, True],
        odd=["a\tb", 'say "x"', "two\nlines", "µ"],
    )
    found = reopened(raw, tmp_path / "raw").examples
    pd.testing.assert_frame_equal(found, checked(raw).examples, check_exact=True)
    assert found["patient"].isna().tolist() == [False, False, False, True]


def test_spellings_of_contigs_are_kept(tmp_path: Path) -> None:
    raw = sequences(4)
    raw.contigs = Contigs({"chrI": 100, "chrII": 90}, {"chrI": "", "chrII": ""}, "yeast.fa", False)
    found = reopened(raw, tmp_path / "raw").contigs
    assert found == raw.contigs
    assert found.find_groups(["1:3", "II", "7"]) == {"1:3": "chrI:3", "II": "chrII"}


def test_raw_files_are_hashed_when_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nACGT\n")
    write_raw(checked(sequences(40)), {"data.sequences": tmp_path / "a.fa"}, tmp_path / "raw")
    (tmp_path / "a.fa").unlink()
    write(open_raw(tmp_path / "raw"), SPLIT, 1, tmp_path / "dataset")
    sources = json.loads((tmp_path / "dataset/facts.json").read_text())["sources"]
    assert [source["key"] for source in sources] == ["data.sequences", "stored", "stored"]
    assert sources[0]["bytes"] == 8


@pytest.mark.parametrize("name", ["facts.json", "raw.json", "x.npy", "y.shapes.npy"])
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    reopened(sequences(4), tmp_path / "raw")
    (tmp_path / "raw" / name).write_bytes(b"{")
    with pytest.raises(InputError, match=name) as caught:
        open_raw(tmp_path / "raw")
    assert "to recreate it" in caught.value.remedy
