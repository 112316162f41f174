"""Mean signal of bigWig tracks in windows."""

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from biocnn.data.checks import Checks
from biocnn.data.signal import mean_signal
from biocnn.errors import InputError


@pytest.fixture
def track(tmp_path):
    """Values on half of the bases of chr1, none on chr2."""
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


def test_means_are_those_of_the_bases_with_missing_ones_as_0(track):
    path, values = track
    rng = np.random.default_rng(1)
    start = rng.integers(0, 900, 50)
    places = [*zip(start, start + rng.integers(1, 100, 50), strict=True), (0, 1000), (0, 5)]
    wanted = [np.nan_to_num(values[s:e]).mean() for s, e in places]
    np.testing.assert_allclose(mean_signal(path, windows(*places), True, Checks()), wanted, rtol=1e-6, atol=1e-7)
    assert wanted[-1] == 0


def test_over_a_contigs_end_only_what_lies_on_it_counts(track):
    path, values = track
    found = mean_signal(path, windows((-50, 30), (950, 1200), (-20, 0)), True, Checks())
    wanted = [np.nan_to_num(values[:30]).mean(), np.nan_to_num(values[950:]).mean(), 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_contig_names_are_reconciled_and_counted(track):
    path, _ = track
    checks = Checks()
    wanted = mean_signal(path, windows((10, 60)), True, Checks())
    assert mean_signal(path, windows((10, 60), chrom="1"), False, checks) == wanted
    assert checks.frame().set_index("outcome").loc["repaired", ["count", "example"]].tolist() == [1, "1 -> chr1"]
    for exact, chrom in ((True, "1"), (False, "chrX")):
        with pytest.raises(InputError, match=rf"no contig named as those of the windows \({chrom}\), but chr1, chr2"):
            mean_signal(path, windows((10, 60), chrom=chrom), exact, Checks())


def test_contigs_without_data_count_as_0_and_are_said(track):
    path, _ = track
    checks, table = Checks(), pd.concat([windows((10, 60)), windows((0, 50), (5, 55), chrom="chrM")])
    assert mean_signal(path, table, False, checks)[1:].tolist() == [0, 0]
    note = checks.frame().set_index("outcome").loc["note"]
    assert (note["count"], note["example"]) == (2, "chrM")


def test_what_is_no_bigwig_is_refused(tmp_path):
    (tmp_path / "x.bw").write_text("chr1\t1\t2\t3\n")
    with pytest.raises(InputError, match=r"x\.bw: cannot be read as bigWig"):
        mean_signal(tmp_path / "x.bw", windows((0, 10)), True, Checks())
