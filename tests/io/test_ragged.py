"""Arrays of different shapes are stored in one file and read back unchanged."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from biocnn.core.errors import InputError
from biocnn.io.ragged import MAPPED, Ragged


@given(
    data=st.data(), axes=st.integers(1, 3), dtype=st.sampled_from(["uint8", "uint16", "int32", "float16", "float32"])
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, data, axes: int, dtype: str) -> None:
    shapes = array_shapes(min_dims=axes, max_dims=axes, min_side=0, max_side=4)
    elements = st.integers(0, 200)
    wanted = data.draw(st.lists(arrays(dtype, shapes, elements=elements), min_size=1, max_size=5))
    path = tmp_path_factory.mktemp("ragged") / "x.npy"
    Ragged.write(path, iter(wanted), dtype)
    found = Ragged(path)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):  # iteration ends at the last array
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no /proc")
def test_a_process_holds_few_pages_of_a_large_file(tmp_path: Path) -> None:
    wanted = np.arange(2**24).reshape(64, -1)  # 128 MB
    Ragged.write(tmp_path / "x.npy", wanted, wanted.dtype)
    found = Ragged(tmp_path / "x.npy")
    assert all((one == other).all() for one, other in zip(found, wanted, strict=True))
    _, _, mapped = Path("/proc/self/smaps").read_text().partition(f"{tmp_path}/x.npy")
    resident = next(line for line in mapped.splitlines() if line.startswith("Rss:"))
    assert int(resident.split()[1]) * 1024 < MAPPED + 2**22


DAMAGE = {
    "no shapes": lambda path: path.with_suffix(".shapes.npy").unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "other shapes": lambda path: np.save(path.with_suffix(".shapes.npy"), np.array([[2, 2], [1, 2]])),
    "negative": lambda path: np.save(path.with_suffix(".shapes.npy"), np.array([[-2, -2], [1, 1]])),
    "wrapping": lambda path: np.save(path.with_suffix(".shapes.npy"), np.array([[2**32, 2**32], [5, 1]])),
    "flat": lambda path: np.save(path.with_suffix(".shapes.npy"), np.arange(5)),
    "objects": lambda path: np.save(path, np.array([{}, {}]), allow_pickle=True),
    "header": lambda path: path.write_bytes(path.read_bytes().replace(b"{", b"(", 1)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_reported(tmp_path: Path, damage) -> None:
    Ragged.write(tmp_path / "x.npy", [np.ones((2, 2)), np.ones((1, 1))], "float32")
    damage(tmp_path / "x.npy")
    with pytest.raises(InputError, match=r"x\.(shapes\.)?npy: (damaged|cannot be read)") as caught:
        Ragged(tmp_path / "x.npy")
    assert "run the workflow again" in caught.value.remedy


def test_values_are_a_plain_npy_file(tmp_path: Path) -> None:
    Ragged.write(tmp_path / "x.npy", [np.arange(4).reshape(2, 2).T, np.array([[7]])], np.uint8)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), [0, 2, 1, 3, 7])
    np.testing.assert_array_equal(np.load(tmp_path / "x.shapes.npy"), [[2, 2], [1, 1]])


def test_read_only_and_not_in_memory(tmp_path: Path) -> None:
    Ragged.write(tmp_path / "x.npy", [np.zeros(3)], np.float32)
    found = Ragged(tmp_path / "x.npy")
    assert isinstance(found.values, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found[0][0] = 1


def test_beyond_the_end(tmp_path: Path) -> None:
    Ragged.write(tmp_path / "x.npy", [np.zeros(3)], np.float32)
    with pytest.raises(IndexError):
        Ragged(tmp_path / "x.npy")[1]


def test_arrays_are_written_one_at_a_time(tmp_path: Path) -> None:
    alive = []

    def arrays():
        for i in range(3):
            assert (tmp_path / "x.npy").exists()
            alive.append(i)
            yield np.full(2, i)

    Ragged.write(tmp_path / "x.npy", arrays(), np.uint8)
    assert alive == [0, 1, 2]
    assert Ragged(tmp_path / "x.npy").values.tolist() == [0, 0, 1, 1, 2, 2]
