"""Substitutions propagated through DeepBind equal predictions for the mutated windows."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from small import DEEPBIND, model_of

from biocnn.apply.variants.scoring import Ensemble
from biocnn.apply.variants.substitutions import Substitutions, supports

PLACE = 12


def windows(n: int = 60, length: int = 31, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return windows, some with unknown bases, and the same with one other base."""
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 4, (n, length)).astype(np.uint8)
    reference[::5, :8] = 4
    alternative = reference.copy()
    alternative[:, PLACE] = (reference[:, PLACE] + rng.integers(1, 4, n)) % 4
    return reference, alternative


@pytest.mark.parametrize(
    ("strands", "combine", "pool", "size"),
    [*product(["single", "both"], ["max", "mean"], ["max", "both"], [7]), ("both", "max", "both", 40)],
)
def test_propagated_substitutions_equal_predictions(
    tmp_path: Path, strands: str, combine: str, pool: str, size: int
) -> None:
    network = DEEPBIND | {"strands": strands, "combine": combine, "pool": pool, "kernel_size": size}
    model = model_of(tmp_path, network, temperature=1.7, outputs=["a", "b"], out_channels=2)
    assert supports(model)
    reference, alternative = windows()
    found = Substitutions(model).logits(reference, np.arange(60), alternative[:, PLACE], PLACE)
    for logits, codes in zip(found, (reference, alternative), strict=True):
        np.testing.assert_allclose(logits, model.logits(codes), atol=2e-6 * np.abs(logits).max(), rtol=1e-5)


@pytest.mark.parametrize("place", [0, 3, 30])
def test_at_the_ends_of_windows(tmp_path: Path, place: int) -> None:
    model = model_of(tmp_path)
    reference, _ = windows()
    reference = reference[reference[:, place] < 4]
    alternative = reference.copy()
    alternative[:, place] ^= 2
    _, found = Substitutions(model).logits(reference, np.arange(len(reference)), alternative[:, place], place)
    np.testing.assert_allclose(found, model.logits(alternative), rtol=1e-5, atol=1e-5)


def test_several_in_one_window_and_windows_without_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biocnn.apply.variants.substitutions.VALUES", 2000)  # several batches
    model = model_of(tmp_path)
    reference, _ = windows()
    rows = np.repeat(np.arange(60), np.arange(60) % 4)
    new = ((reference[rows, PLACE] + 1 + np.arange(len(rows)) % 3) % 4).astype(np.uint8)
    mutants = reference[rows].copy()
    mutants[:, PLACE] = new
    _, found = Substitutions(model).logits(reference, rows, new, PLACE)
    np.testing.assert_allclose(found, model.logits(mutants), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "network",
    [DEEPBIND, {"name": "Basset", "channels": [4, 4], "kernel_size": [5, 3], "pool": [2, 2], "hidden": 4}],
)
def test_mixed_pairs_keep_their_order(tmp_path: Path, network: dict) -> None:
    models = [model_of(tmp_path, network, seed=seed) for seed in (1, 2)]
    reference, alternative = windows()
    alternative[::3] = np.roll(reference[::3], 1, axis=1)  # e.g. indels
    reference[7], alternative[7] = reference[11], alternative[11]
    alternative[13] = reference[13]
    for turn in ("single", "both"):
        found = Ensemble(models, strands=turn).pairs(reference, alternative, PLACE)
        for logits, codes in zip(found, (reference, alternative), strict=True):
            wanted = Ensemble(models, strands=turn).logits(codes)
            np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-5)


def test_a_wrong_result_is_noticed(tmp_path: Path) -> None:
    ensemble = Ensemble([model_of(tmp_path)])
    ensemble.followed[0].difference += 1.0
    with pytest.raises(RuntimeError, match="are wrong by"):
        ensemble.pairs(*windows(), PLACE)
