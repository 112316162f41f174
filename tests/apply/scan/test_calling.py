"""Peaks by density: as many as expected sites, independent of order and blocks, with an estimate of precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biocnn.apply.scan import calling
from biocnn.apply.scan.calling import FALLBACK, Caller, precision

WINDOW, STRIDE = 20, 5


def called(contigs: dict[str, np.ndarray], block: int = 10_000, recall=None, **settings) -> calling.Ranked:
    bases = sum(len(values) * STRIDE for values in contigs.values())
    caller = Caller(WINDOW, settings.get("threshold"), settings.get("density"), bases)
    for chrom, values in contigs.items():
        starts = STRIDE * np.arange(len(values))
        for first in range(0, len(values), block):
            part = slice(first, first + block)
            caller.add(chrom, starts[part], values[part], STRIDE)
    return caller.end(recall)


def sites(contigs: dict[str, np.ndarray], wanted: int) -> float:
    """Return the threshold by definition: take windows from the highest, skipping those near one already taken."""
    rows = [(value, chrom, STRIDE * i) for chrom, values in contigs.items() for i, value in enumerate(values.tolist())]
    taken: list[tuple[float, str, int]] = []
    for row in sorted(rows, key=lambda row: -row[0]):
        if all(row[1] != other[1] or abs(row[2] - other[2]) >= WINDOW for other in taken):
            taken.append(row)
        if len(taken) == wanted:
            break
    return taken[-1][0]


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(3, 60), st.integers(10, 60))
def test_the_threshold_follows_the_density_in_blocks_of_any_size(seed, wanted, block, kept):
    rng = np.random.default_rng(seed)
    contigs = {name: rng.random(n) ** 4 for name, n in (("a", 150), ("b", 3), ("c", 90))}
    bases = sum(map(len, contigs.values())) * STRIDE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calling, "KEPT", kept)  # so that windows are discarded on the way
        found = called(contigs, block, density=1e6 * wanted / bases)
    assert found.threshold == sites(contigs, wanted)
    by_hand = called(contigs, threshold=found.threshold)
    assert found.peaks == by_hand.peaks
    assert 1 <= len(found.peaks) <= wanted
    values = np.array([peak.value for peak in found.peaks])
    assert sorted(found.rank.tolist()) == list(range(1, len(values) + 1))
    assert (np.diff(values[np.argsort(found.rank)]) <= 0).all()
    assert values.min() >= found.threshold


def test_without_a_density_the_threshold_is_one_half_or_the_given_one():
    values = {"a": np.array([0.1, 0.6, 0.2, 0.1, 0.1, 0.1, 0.1, 0.95])}
    assert called(values).threshold == FALLBACK == 0.5
    assert [peak.value for peak in called(values).peaks] == [0.6, 0.95]
    assert called(values).rank.tolist() == [2, 1]
    assert [peak.value for peak in called(values, threshold=0.9, density=1e6).peaks] == [0.95]
    assert np.isnan(called(values, recall=[0, 1]).precision).all()


def test_an_empty_scan_has_no_peaks():
    assert called({"a": np.zeros(0)}, density=10).peaks == []
    assert called({}, density=10).peaks == []


def test_precision_by_hand():
    """Half of 10 sites reach 0.9, and 9 of them 0.4; there are 5 peaks at 0.9, and 20 at 0.4."""
    recall = np.array([0.1, 0.4, 0.5, 0.6, 0.7, 0.9, 0.91, 0.92, 0.93, 0.94])
    values = np.array([0.95, 0.9, 0.9, 0.9, 0.9, *np.full(15, 0.4)])
    found = precision(values, 10, recall)
    np.testing.assert_allclose(found, [1] * 5 + [9 / 20] * 15)
    np.testing.assert_allclose(precision(values, 2, recall), [0.2] * 5 + [0.09] * 15)
    assert np.isnan(precision(values, np.nan, recall)).all()
    assert np.isnan(precision(values, 10, None)).all()
    assert len(precision(np.zeros(0), 10, recall)) == 0


def test_the_estimate_is_near_the_truth_if_positives_resemble_held_out_ones():
    """With 200 windows per site, most calls at 0.5 are wrong, and the estimate shows it."""
    rng = np.random.default_rng(1)
    windows = rng.beta(1, 6, 200_000)
    places = rng.choice(200_000 // 8, 1000, replace=False) * 8
    windows[places] = rng.beta(4, 2, 1000)
    density = 1e6 * 1000 / (200_000 * STRIDE)
    recall = np.quantile(rng.beta(4, 2, 3000), np.linspace(0, 1, 101))

    def truth(found: calling.Ranked) -> float:
        return np.mean([np.isin(peak.summit - WINDOW // 2, STRIDE * places) for peak in found.peaks])

    half, found = (called({"a": windows}, recall=recall, density=density, **more) for more in ({"threshold": 0.5}, {}))
    assert truth(half) < 0.35
    assert half.precision.min() == pytest.approx(truth(half), abs=0.1)
    assert truth(found) > 1.5 * truth(half)
    assert found.precision.min() == pytest.approx(truth(found), abs=0.1)
    assert 0.8 * 1000 < len(found.peaks) <= 1000
