"""An image stored with another scale is converted to that of training, or refused if the scale is unknown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biocnn.core.errors import InputError
from biocnn.io.intensity import intensity_percentiles, values_in_bands
from biocnn.io.scales import scale_factor, step_of
from biocnn.prediction.images import InMemory

rng = np.random.default_rng(3)
PICTURE = np.clip(rng.normal(90, 40, (1, 64, 80)), 0, 255).astype(np.uint8)
TWELVE = np.clip(rng.normal(1500, 600, (1, 64, 80)), 0, 4095).astype(np.uint16)


def factor(image: np.ndarray, trained: np.ndarray) -> tuple[float, str]:
    return scale_factor(values_in_bands(InMemory(image)), trained.dtype.name, intensity_percentiles([trained]), "a.tif")


WIDE = PICTURE.astype(np.uint16)


@pytest.mark.parametrize(
    ("image", "trained", "wanted"),
    [
        (PICTURE, PICTURE, 1),
        (WIDE, PICTURE, 1),
        (PICTURE, WIDE, 1),
        (PICTURE.astype(np.float32), PICTURE, 1),
        (WIDE * 257, PICTURE, 1 / 257),
        ((WIDE * 257).astype(np.float32), PICTURE, 1 / 257),
        (WIDE * 256, PICTURE, 1 / 256),
        (WIDE * 16, PICTURE, 1 / 16),
        (PICTURE / np.float32(255), PICTURE, 255),
        ((PICTURE / np.float32(255)).astype(np.float16).astype(np.float32), PICTURE, 255),
        (PICTURE, PICTURE / np.float32(255), 1 / 255),
        (PICTURE, WIDE * 257, 257),
        (PICTURE / np.float32(255), WIDE * 257, 65535),
        (TWELVE * 16, TWELVE, 1 / 16),
        (TWELVE, TWELVE * 16, 16),
        (TWELVE.astype(np.int32), TWELVE, 1),
        (TWELVE.astype(np.float32) - 1000, TWELVE.astype(np.int16) - 1000, 1),
        (np.where(PICTURE > 100, 255, 0).astype(np.uint16) * 257, PICTURE, 1 / 257),
        (np.where(PICTURE > 100, 255, 0).astype(np.uint16) * 16, PICTURE, 1 / 16),
        (np.full((1, 20, 20), 257 * 9, np.uint16), PICTURE, 1 / 257),  # an empty field
        (np.zeros((1, 20, 20), np.uint16), PICTURE, 1),
    ],
)
def test_a_certain_scale_is_found(image: np.ndarray, trained: np.ndarray, wanted: float) -> None:
    found, said = factor(image, trained)
    assert found == pytest.approx(wanted)
    assert bool(said) == (image.dtype != trained.dtype or wanted != 1)


@pytest.mark.parametrize(
    ("image", "trained"),
    [
        (TWELVE, PICTURE),  # true 12 bits: how they became 8 depends on who converted the training images
        (PICTURE, TWELVE),
        (rng.random((1, 64, 80), np.float32), PICTURE),
        (PICTURE, rng.random((1, 64, 80), np.float32)),
        (TWELVE * 16, PICTURE),
    ],
)
def test_an_unknown_scale_is_refused(image: np.ndarray, trained: np.ndarray) -> None:
    with pytest.raises(
        InputError, match=f"a.tif: {image.dtype.name} from .* trained on {trained.dtype.name}"
    ) as caught:
        factor(image, trained)
    assert "apply.intensity" in caught.value.remedy


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 20]), st.floats(0.02, 1))
def test_a_dim_image_with_the_data_type_of_training_is_unchanged(seed: int, least: int, share: float) -> None:
    noise = np.random.default_rng(seed).integers(0, max(2, int(255 * share)), (1, 40, 40)) + least
    image = np.clip(noise, 0, 255).astype(np.uint8)
    assert factor(image, PICTURE)[0] == 1


def test_another_range_in_the_same_type_is_reported() -> None:
    assert "times as wide" in factor((PICTURE // 100).astype(np.uint8), PICTURE)[1]
    assert factor(PICTURE // 2, PICTURE)[1] == ""


def test_steps() -> None:
    assert step_of(np.array([0, 514, 771])) == 257
    assert step_of(np.array([-6, 4])) == 2
    assert step_of(np.array([0.5, 3.0], np.float32)) == 0
    assert step_of(np.array([0, 51, 102], np.float32) / 255) == pytest.approx(51 / 255)
    assert step_of(np.zeros(3)) == 0
