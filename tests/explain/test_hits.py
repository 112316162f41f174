"""Sites of known motifs in attributions of an example."""

import numpy as np
import pytest

from biocnn.explain.contributions import worst
from biocnn.explain.hits import find_sites

SITE = np.array([2, 0, 3, 0, 0, 2, 1])  # GATAAGC
OTHER = np.array([1, 1, 0, 2, 3, 1])


def example(weights: dict[int, tuple[np.ndarray, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return random bases, and contributions of sites that start at given positions."""
    codes = np.random.default_rng(1).integers(0, 4, 80).astype(np.uint8)
    values = np.random.default_rng(2).normal(0, 0.02, (4, 80))
    for start, (site, weight) in weights.items():
        codes[start : start + len(site)] = site
        values[site, range(start, start + len(site))] += weight
    return codes, values


@pytest.mark.parametrize("both", [True, False])
def test_sites_are_found_where_they_contribute(both: bool) -> None:
    motifs = {"gata": np.eye(4)[SITE], "other": -np.eye(4)[OTHER]}
    sites = {5: (SITE, 1.0), 20: (3 - SITE[::-1], 0.8), 40: (OTHER, -1.0), 55: (SITE, 0.3), 66: (OTHER, 1.0)}
    found = find_sites(*example(sites), motifs, both)
    wanted = [[5, 12, "+", "gata"], [20, 27, "-", "gata"], [40, 46, "+", "other"]]  # the rest: weak, other sign
    assert found[["start", "end", "strand", "motif"]].to_numpy().tolist() == [w for w in wanted if both or w[2] == "+"]
    assert found["score"].iloc[0] == pytest.approx(7, abs=0.2)


def test_bases_alone_are_no_site() -> None:
    assert not len(find_sites(*example({30: (SITE, 0.0)}), {"gata": np.eye(4)[SITE]}, True))
    assert not len(find_sites(np.zeros(5, np.uint8), np.ones((4, 5)), {"gata": np.eye(4)[SITE]}, True))


def test_the_worst_predictions_are_negatives_with_high_and_positives_with_low_ones() -> None:
    target = np.array([[1, 0], [0, 1], [0, np.nan], [1, 0]], float)
    predicted = np.array([[0.9, 0.7], [0.8, 0.2], [0.1, 0.99], [0.4, 0.0]])
    rows, outputs, kind = worst(target, predicted, 3)
    assert [*zip(rows.tolist(), outputs.tolist(), kind.tolist(), strict=True)] == [
        (1, 0, "over"), (0, 1, "over"), (2, 0, "over"), (1, 1, "under"), (3, 0, "under"), (0, 0, "under"),
    ]  # fmt: skip
    values, unknown = np.array([[1.0], [2.0], [6.0]]), np.full((3, 1), np.nan)
    rows, _, kind = worst(values, np.array([[3.0], [2.0], [1.0]]), 5)
    assert (rows.tolist(), kind.tolist()) == ([0, 2], ["over", "under"])
    assert not len(worst(unknown, values, 5)[0])
