"""Baselines of counts know the mean, and a line on brightness, and nothing about places."""

from pathlib import Path

import numpy as np
import pytest
from tiny import counted, stored

from biocnn.evaluation.count_baselines import baselines


def test_baselines_are_the_mean_and_a_line_on_brightness(tmp_path: Path) -> None:
    raw = counted(24, outputs=("a", "b"))
    x = [np.round(20 + 10 * raw.y(i).sum(axis=(1, 2))[:, None, None] * np.ones((2, 48, 48))) for i in range(24)]
    raw.x = [one.astype(np.uint8) for one in x].__getitem__  # brightness is 20 plus 10 for each object
    dataset = stored(raw, tmp_path)
    mean, line = baselines(dataset)
    train = np.stack([dataset.truth(row).sum(axis=(1, 2)) for row in dataset.rows("train")]).mean(axis=0)
    for row in dataset.rows("test"):
        p = mean.predict(dataset.x[row])
        assert p.shape == (2, 48, 48)
        assert np.ptp(p[0]) == 0
        np.testing.assert_allclose(p.sum(axis=(1, 2)), train, rtol=1e-4)
        np.testing.assert_allclose(
            line.predict(dataset.x[row]).sum(axis=(1, 2)), dataset.truth(row).sum(axis=(1, 2)), rtol=1e-3
        )
    assert line.predict(np.zeros((2, 9, 9), np.uint8)).min() == pytest.approx(0)
