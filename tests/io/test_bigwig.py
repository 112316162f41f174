"""A bigWig file, intact or damaged, is read or refused; it never crashes the reading process."""

import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from biocnn.core.errors import InputError
from biocnn.io.bigwig import read_contigs, read_sums

VALUES = np.random.default_rng(0).random(1000).astype(np.float32)


@pytest.fixture
def track(tmp_path: Path) -> Path:
    with pyBigWig.open(str(tmp_path / "track.bw"), "w") as handle:
        handle.addHeader([("chr1", 1000), ("chr2", 50)])
        handle.addEntries("chr1", 0, values=VALUES.astype(float), span=1, step=1)
    return tmp_path / "track.bw"


def read(path: Path) -> np.ndarray:
    chrom, length = zip(*read_contigs(path).items(), strict=True)
    return read_sums(path, list(chrom), np.zeros(len(chrom), int), np.array(length))


def test_contigs_and_sums(track: Path) -> None:
    assert read_contigs(track) == {"chr1": 1000, "chr2": 50}
    sums = read_sums(track, ["chr1", "chr2", "chr1"], np.array([0, 0, 10]), np.array([1000, 50, 11]))
    np.testing.assert_allclose(sums, [VALUES.sum(dtype=float), 0, VALUES[10]], rtol=1e-12)


def put(content: bytes, place: int, layout: str, value: int) -> bytes:
    """Return the bytes with one number replaced."""
    return content[:place] + struct.pack(layout, value) + content[place + struct.calcsize(layout) :]


@pytest.mark.parametrize("where", ["zoom levels", "size of names", "contigs"])
def test_damage_that_crashes_the_reader_is_refused(track: Path, where: str) -> None:
    content = track.read_bytes()
    (tree,) = struct.unpack_from("<Q", content, 8)
    places = {"zoom levels": (6, "<H", 0xFFFF), "size of names": (tree + 8, "<I", 0), "contigs": (tree + 34, "<H", 99)}
    track.write_bytes(put(content, *places[where]))
    code = "import sys, pyBigWig; pyBigWig.open(sys.argv[1]).chroms()"
    alone = subprocess.run([sys.executable, "-c", code, str(track)], capture_output=True, check=False)
    with pytest.raises(InputError, match=r"track\.bw: ") as refused:
        read(track)
    if alone.returncode < 0:
        assert "the program that reads it crashed" in refused.value.message


def test_random_damage_is_refused_or_read(track: Path) -> None:
    content, rng = track.read_bytes(), np.random.default_rng(4)
    for _ in range(4):
        damaged = content
        for place in rng.integers(0, 700, 3):
            damaged = put(damaged, int(place), "<B", int(rng.integers(256)))
        track.write_bytes(damaged)
        with suppress(InputError):
            assert len(read(track))
