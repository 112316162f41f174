"""Loci: chains of overlapping windows, equal sequences, a positive and its shuffles; resampling by locus."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from tiny import sequence_facts, stored

from biocnn.core.checks import Checks
from biocnn.data.intervals import Intervals
from biocnn.data.leakage import identify
from biocnn.data.loci import loci
from biocnn.data.raw import Raw
from biocnn.data.sequences import Sequences
from biocnn.io.fasta import decode
from biocnn.metrics import auroc, bootstrap


def raw_of(codes: list[np.ndarray], **columns: object) -> Raw:
    examples = pd.DataFrame({"id": [f"s{i}" for i in range(len(codes))], **columns})
    return Raw(examples, codes.__getitem__, np.zeros((len(codes), 1), np.float32), sequence_facts())


def found(raw: Raw) -> np.ndarray:
    return loci(identify(raw), raw.examples)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-5, 60), st.integers(1, 9)), min_size=1, max_size=25))
def test_windows_connected_by_a_chain_of_overlaps_share_a_locus(windows: list[tuple[str, int, int]]) -> None:
    rng = np.random.default_rng(0)
    chrom, start, length = zip(*windows, strict=True)
    end = [a + b for a, b in zip(start, length, strict=True)]
    codes = [rng.integers(0, 4, 40).astype(np.uint8) for _ in windows]
    numbers = found(raw_of(codes, chrom=chrom, start=start, end=end))
    n = len(windows)
    near = np.array(
        [[chrom[i] == chrom[j] and start[i] < end[j] and start[j] < end[i] for j in range(n)] for i in range(n)]
    )
    reached = np.linalg.matrix_power(near.astype(float), n) > 0
    np.testing.assert_array_equal(numbers[:, None] == numbers, reached)


def test_equal_sequences_and_reverse_complements_share_a_locus() -> None:
    one = np.array([0, 1, 2, 2, 0, 1], np.uint8)
    other = np.array([3, 3, 0, 1, 2, 0], np.uint8)
    numbers = found(raw_of([one, other, 3 - one[::-1], one.copy()]))
    assert numbers.tolist() == [0, 1, 0, 0]


def test_shuffles_share_the_locus_of_their_positive(tmp_path) -> None:
    rng = np.random.default_rng(0)
    positives = [rng.integers(0, 4, 40).astype(np.uint8) for _ in range(6)]
    text = "".join(f">p{i}\n{decode(codes)}\n" for i, codes in enumerate(positives))
    (tmp_path / "p.fa").write_text(text)
    settings = {"name": "dinucleotide_shuffled", "ratio": 3}
    raw = Sequences(sequences=tmp_path / "p.fa", negatives=settings).read(1, Checks())
    names = raw.examples["id"].str.split(":").str[0]
    np.testing.assert_array_equal(found(raw), pd.factorize(names)[0])

    genome = "".join("ACGT"[i] for i in rng.integers(0, 4, 2000))
    (tmp_path / "g.fa").write_text(f">c\n{genome}\n")
    (tmp_path / "p.bed").write_text("c\t100\t140\nc\t120\t160\nc\t900\t940\n")
    source = Intervals(genome=tmp_path / "g.fa", positives=tmp_path / "p.bed", window=40, negatives=settings)
    assert found(source.read(1, Checks())).tolist() == [0, 0, 1] + [0, 0, 1] * 3


def test_a_stored_data_set_has_loci(tmp_path) -> None:
    rng = np.random.default_rng(0)
    raw = raw_of([rng.integers(0, 4, 30).astype(np.uint8) for _ in range(40)])
    raw.examples["id"] = raw.examples["group"] = [f"{i:03}" for i in range(40)]
    raw.examples["shuffled_from"] = [*[None] * 38, "000", "038"]
    raw.y[::2] = 1
    assert stored(raw, tmp_path).loci.tolist() == [*range(38), 0, 0]


def test_confidence_intervals_are_computed_over_loci() -> None:
    """Copies of examples do not narrow intervals in either kind of metric; the order of groups does not matter."""
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    p = y + rng.normal(size=100)
    groups = np.repeat(np.arange(100), 5)

    def mean_difference(p: np.ndarray, y: np.ndarray) -> float:
        return p[y == 1].mean() - p[y == 0].mean()

    for metric in (auroc, mean_difference):
        once = bootstrap(metric, p, y, seed=1)
        many = [np.repeat(values, 5) for values in (p, y)]
        np.testing.assert_allclose(bootstrap(metric, *many, seed=1, groups=groups), once)
        np.testing.assert_allclose(bootstrap(metric, p, y, seed=1, groups=np.arange(100)), once)
        low, high = bootstrap(metric, *many, seed=1)
        assert high - low < 0.6 * (once[1] - once[0])
        assert np.isnan(bootstrap(metric, *many, seed=1, groups=groups % 4)).all()  # four groups are too few
