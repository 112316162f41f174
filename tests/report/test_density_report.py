"""The report on counts states in words what the numbers show; points and densities are drawn where they are."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from biocnn.report.density import DensityPanels, counts, described


def table(error: np.ndarray, true: np.ndarray, **more: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"count": true + error, "true_count": true, **more}, index=[f"i{i}" for i in range(len(true))])


def of_bias(value: float, low: float, high: float) -> pd.DataFrame:
    return pd.DataFrame({"value": [value], "low": [low], "high": [high]}, index=["count_bias"])


TRUE = np.arange(10, 110, 10).astype(float)


def test_errors_in_words() -> None:
    words = described("", table(np.full(10, 2.0), TRUE, coverage90=[1.0] * 9 + [0.0]), of_bias(2.0, 1.5, 2.5))
    assert words.startswith("Counts of 10 images with 10 to 100 objects are off by 2.00 on average")
    assert "On average they are 2.00 too high (3.6%; 95% CI 1.50 to 2.50)." in words
    assert "The 90% intervals contain 9 of 10 true counts (90%)." in words
    assert "counted compared" not in words


@pytest.mark.parametrize(("slope", "word"), [(-0.1, "undercounted"), (0.1, "overcounted")])
def test_errors_that_grow_with_the_count_are_named(slope: float, word: str) -> None:
    words = described("cell", table(slope * (TRUE - TRUE.mean()), TRUE), of_bias(0.0, -1.0, 1.0))
    assert words.startswith("Cell: counts of 10 images")
    assert "which is no clear bias." in words
    assert f"Images with many objects are {word} compared with those with few." in words


def test_counts_of_several_classes_are_drawn() -> None:
    found = {"a": table(np.ones(10), TRUE), "b": table(-np.ones(10), TRUE, low=TRUE - 5, high=TRUE + 5)}
    left, right = counts(found).axes
    assert "a: MAE 1.00, r 1.000" in left.texts[0].get_text()
    assert [line.get_ydata().tolist() for line in right.lines[:2]] == [[1.0] * 10, [-1.0] * 10]


def test_points_are_drawn_as_points_and_densities_as_colours() -> None:
    dots = np.zeros((2, 8, 9), np.float32)
    dots[1, 3, 5] = 1
    left, right = Figure().subplots(1, 2)
    panels = DensityPanels(["a", "b"])
    panels.draw_truth(left, dots)
    assert [line.get_xydata().tolist() for line in left.lines] == [[], [[5, 3]]]
    panels.draw_truth(right, dots / 40)
    assert len(right.images) == 2
    assert right.images[1].get_array()[3, 5] == pytest.approx(1 / 40)
    assert [handle.get_label() for handle in panels.truth_handles()] == ["a", "b"]
