"""Would more training examples help? Verdicts on curves that are known."""

import numpy as np
import pandas as pd
import pytest

from biocnn.evaluation.learning_curve import trend


def curve(means: list[float], noise: float, runs: int = 3, seed: int = 0) -> pd.DataFrame:
    """Return errors of runs on shares that double up to 800 examples."""
    rng = np.random.default_rng(seed)
    rows = [
        (
            f"fold0-seed{run}",
            2.0 ** (place - len(means) + 1),
            800 >> (len(means) - 1 - place),
            mean + rng.normal(0, noise),
        )
        for run in range(runs)
        for place, mean in enumerate(means)
    ]
    return pd.DataFrame(rows, columns=["run", "share", "n_train", "error"])


@pytest.mark.parametrize(
    ("means", "noise", "verdict"),
    [
        ([0.4, 0.3, 0.2], 0.002, "yes"),
        ([0.4, 0.2, 0.2], 0.0005, "little"),
        ([0.4, 0.21, 0.2], 0.05, "unclear"),
        ([0.4, 0.2, 0.22], 0.0005, "little"),
    ],
)
def test_verdicts(means: list[float], noise: float, verdict: str) -> None:
    assert trend(curve(means, noise)).verdict == verdict


def test_the_rate_is_for_twice_as_many_examples() -> None:
    found = trend(curve([0.4, 0.3], 0).replace({"n_train": {400: 200}}))
    assert (found.start, found.end) == (200, 800)
    assert found.before - found.after == pytest.approx(0.1)
    assert found.doubling == pytest.approx(0.05)


def test_what_all_runs_of_a_seed_have_in_common_is_no_noise() -> None:
    errors = curve([0.4, 0.3, 0.25], 0)
    errors["error"] += errors["run"].str[-1].astype(float)
    assert trend(errors).noise == pytest.approx(0)
    assert trend(errors).verdict == "yes"


def test_one_run_gives_no_verdict() -> None:
    found = trend(curve([0.4, 0.3, 0.2], 0, runs=1))
    assert np.isnan(found.noise)
    assert found.verdict == "unclear"
