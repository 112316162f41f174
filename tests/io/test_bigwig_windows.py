"""Mean signal of bigWig tracks in windows."""

import struct
import zlib

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.io.bigwig_windows import mean_signal
from biocnn.io.genome import Genome

LENGTHS = {"chr1": 1000, "chr2": 500, "chrM": 80}


def genome(**contigs):
    return Genome(np.zeros(0, np.uint8), contigs, {}, "genome.fa")


GENOME = genome(**LENGTHS)


@pytest.fixture
def track(tmp_path):
    """Return a track with values on half of the bases of chr1 and none on chr2."""
    values = np.where(np.arange(1000) // 10 % 2, np.random.default_rng(0).normal(3, 2, 1000), np.nan)
    values = values.astype(np.float32).astype(float)
    there = np.flatnonzero(~np.isnan(values))
    path = tmp_path / "track.bw"
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader([("chr1", 1000), ("chr2", 500)])
        handle.addEntries(
            ["chr1"] * len(there), there.tolist(), ends=(there + 1).tolist(), values=values[there].tolist()
        )
    return path, values


def windows(*places, chrom="chr1"):
    return pd.DataFrame(places, columns=["start", "end"]).assign(chrom=chrom, strand="-")


def test_means_count_missing_bases_as_0(track):
    path, values = track
    rng = np.random.default_rng(1)
    start = rng.integers(0, 900, 50)
    places = [*zip(start, start + rng.integers(1, 100, 50), strict=True), (0, 1000), (0, 5)]
    wanted = [np.nan_to_num(values[s:e]).mean() for s, e in places]
    np.testing.assert_allclose(
        mean_signal(path, windows(*places), GENOME, True, Checks()), wanted, rtol=1e-6, atol=1e-7
    )
    assert wanted[-1] == 0


def test_only_bases_on_the_contig_count(track):
    path, values = track
    found = mean_signal(path, windows((-50, 30), (950, 1200), (-20, 0)), GENOME, True, Checks())
    wanted = [np.nan_to_num(values[:30]).mean(), np.nan_to_num(values[950:]).mean(), 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_contig_names_are_reconciled_and_counted(track):
    path, _ = track
    checks, plain = Checks(), genome(**{"1": 1000, "2": 500})
    wanted = mean_signal(path, windows((10, 60)), GENOME, True, Checks())
    assert mean_signal(path, windows((10, 60), chrom="1"), plain, False, checks) == wanted
    assert checks.frame().set_index("outcome").loc["repaired", ["count", "example"]].tolist() == [2, "chr1 -> 1"]
    for target, exact, chrom in ((plain, True, "1"), (genome(chr1=1000, chrX=30), False, "chrX")):
        with pytest.raises(InputError, match=rf"none of the windows' contigs \({chrom}\), only chr1, chr2"):
            mean_signal(path, windows((10, 60), chrom=chrom), target, exact, Checks())


def test_one_common_name_does_not_stop_matching_the_others(tmp_path):
    with pyBigWig.open(str(tmp_path / "x.bw"), "w") as handle:
        handle.addHeader([("chrM", 80), ("1", 1000), ("2", 500)])
        for chrom, value in (("chrM", 1.0), ("1", 2.0), ("2", 3.0)):
            handle.addEntries(chrom, 0, values=[value] * 50, span=1, step=1)
    table = pd.concat([windows((10, 30), chrom=chrom) for chrom in LENGTHS], ignore_index=True)
    assert mean_signal(tmp_path / "x.bw", table, GENOME, False, Checks()).tolist() == [2, 3, 1]


@pytest.mark.parametrize("chrom", ["chr1", "1"])
def test_another_build_is_refused_because_of_any_contig(tmp_path, chrom):
    with pyBigWig.open(str(tmp_path / "x.bw"), "w") as handle:
        handle.addHeader([(chrom, 999), ("chr2", 500)])
        handle.addEntries("chr2", 0, values=[1.0] * 50, span=1, step=1)
    with pytest.raises(
        InputError, match=r"x\.bw: made with another genome build than genome\.fa .*has 999 bp, not 1000\)"
    ):
        mean_signal(tmp_path / "x.bw", windows((0, 10), chrom="chr2"), GENOME, False, Checks())


def test_a_stored_nan_is_a_base_without_data(tmp_path):
    values = np.ones(100)
    values[17] = np.nan
    with pyBigWig.open(str(tmp_path / "x.bw"), "w") as handle:
        handle.addHeader([("chr1", 1000)])
        handle.addEntries("chr1", 0, values=values, span=1, step=1)
    means = mean_signal(tmp_path / "x.bw", windows((0, 80), (17, 18), (20, 40)), GENOME, True, Checks())
    np.testing.assert_allclose(means, [79 / 80, 0, 1], rtol=1e-12)


def test_infinity_is_refused(tmp_path):
    path = tmp_path / "x.bw"
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader([("chr1", 1000)])
        handle.addEntries("chr1", 0, values=[1.0] * 90 + [7.5] + [1.0] * 9, span=1, step=1)
    # pyBigWig cannot write infinity, others can: replace the block of values and its entry in the index.
    content = path.read_bytes()
    first = struct.unpack_from("<Q", content, 16)[0] + 8
    packer = zlib.decompressobj()
    block = packer.decompress(content[first:]).replace(struct.pack("<f", 7.5), struct.pack("<f", np.inf))
    old, block = len(content) - first - len(packer.unused_data), zlib.compress(block)
    at = content.rindex(struct.pack("<QQ", first, old))
    path.write_bytes(content[:at] + struct.pack("<QQ", len(content), len(block)) + content[at + 16 :] + block)
    assert mean_signal(path, windows((0, 80)), GENOME, True, Checks()) == 1
    with pytest.raises(InputError, match=r"x\.bw: an infinite value in chr1:80-100"):
        mean_signal(path, windows((0, 80), (80, 100)), GENOME, True, Checks())


def test_contigs_without_data_count_as_0_and_are_reported(track):
    path, _ = track
    checks, table = Checks(), pd.concat([windows((10, 60)), windows((0, 50), (5, 55), chrom="chrM")])
    assert mean_signal(path, table, GENOME, False, checks)[1:].tolist() == [0, 0]
    note = checks.frame().set_index("outcome").loc["note"]
    assert (note["count"], note["example"]) == (2, "chrM")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.bw").write_text("chr1\t1\t2\t3\n")
    with pytest.raises(InputError, match=r"x\.bw: cannot be read as a bigWig file"):
        mean_signal(tmp_path / "x.bw", windows((0, 10)), GENOME, True, Checks())
