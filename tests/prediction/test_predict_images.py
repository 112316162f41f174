"""Views, blended patches and constant regions: methods for large images do not change predictions."""

import numpy as np
import pytest
import torch
from nn.test_fuse_batchnorm import with_statistics
from tiny import image_facts
from torch import Tensor

from biocnn.io.intensity import image_ranges, range_of
from biocnn.io.scales import Intensity
from biocnn.models import UNet
from biocnn.nn.fuse_batchnorm import fuse_batchnorm
from biocnn.nn.views import averaged, views
from biocnn.prediction.blending import Blend, gaussian
from biocnn.prediction.compatibility import as_it_is
from biocnn.prediction.images import ImagePredictor, InMemory

CPU = torch.device("cpu")
FACTS = image_facts(task="classes", outputs=["a", "b", "c"], intensity=Intensity(low=[10.0], high=[200.0]))


def predictor(dims: int = 2, kind: str = "none", blend: Blend | None = None) -> ImagePredictor:
    """Return a U-Net with running statistics whose probabilities differ by channel."""
    torch.manual_seed(0)
    network = fuse_batchnorm(with_statistics(UNet(dims, 1, 3, channels=[2, 3, 4])))
    facts = FACTS.model_copy(update={"spatial_dims": dims})
    return ImagePredictor(network, lambda x: network(x).sigmoid(), facts, CPU, views(dims, kind), blend)


def image(*size: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (1, *size), np.uint8)


def whole_views(found: ImagePredictor, x: np.ndarray) -> np.ndarray:
    """Return the mean over views of the whole image, by ``views.averaged``."""
    scaled = (torch.from_numpy(x).float() - 10) / 190
    with torch.inference_mode():
        return averaged(found.predict_probability, found.every)(scaled[None])[0].numpy()


@pytest.mark.parametrize("kind", ["none", "flips", "all"])
@pytest.mark.parametrize("size", [(203, 149), (128, 160)])
def test_views_in_tiles_equal_views_of_the_whole(kind: str, size: tuple[int, int]) -> None:
    found, x = predictor(kind=kind), image(*size)
    small = 60**2 * found._bytes_per_pixel * 1.5 / 1e9
    assert len(found.open(as_it_is(InMemory(x)), "array", small).regions) > 4
    np.testing.assert_allclose(found.predict(x, "array", small), whole_views(found, x), atol=1e-5)


def test_views_of_a_volume_in_tiles_equal_views_of_the_whole() -> None:
    found, x = predictor(3, "all"), image(19, 90, 50)
    small = 44**3 * found._bytes_per_pixel * 1.5 / 1e9
    assert len(found.open(as_it_is(InMemory(x)), "array", small).regions) > 1
    np.testing.assert_allclose(found.predict(x, "array", small), whole_views(found, x), atol=1e-5)


@pytest.mark.parametrize(("dims", "size"), [(2, (150, 97)), (2, (64, 64)), (3, (18, 21, 26))])
@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_blended_patches_equal_those_of_monai(dims: int, size: tuple[int, ...], overlap: float) -> None:
    from monai.inferers import sliding_window_inference

    patch = (64, 48) if dims == 2 else (16, 16, 16)
    x, found = image(*size), predictor(dims, blend=Blend(patch, overlap))
    scaled = ((torch.from_numpy(x).float() - 10) / 190)[None]
    with torch.inference_mode():
        wanted = sliding_window_inference(scaled, patch, 1, found.predict_probability, overlap, mode="gaussian")[
            0
        ].numpy()
    np.testing.assert_allclose(found.predict(x, "array", 2.0), wanted, atol=1e-5)
    small = 1e-9 * np.prod(size) * 4
    assert len(found.open(as_it_is(InMemory(x)), "array", small).regions) > 1
    np.testing.assert_allclose(found.predict(x, "array", small), wanted, atol=1e-5)


def test_weights_are_highest_in_the_middle_and_never_zero() -> None:
    weight = gaussian((9, 33))
    assert weight[4, 16] == weight.max() == 1
    assert weight.min() == np.float32(1e-3)
    np.testing.assert_array_equal(weight, weight[::-1, ::-1])


def test_a_constant_region_is_predicted_once_with_the_output_of_the_network() -> None:
    found, x = predictor(), image(400, 64)
    x[:, 70:380] = 7
    calls = []
    predict = found.predict_probability

    def counted(x: Tensor) -> Tensor:
        calls.append(x.shape)
        return predict(x)

    small = 64 * 48 * found._bytes_per_pixel * 1.5 / 1e9
    found.predict_probability = counted
    tiles = len(found.open(as_it_is(InMemory(x)), "array", small).regions)
    calls.clear()
    once = found.predict(x, "array", small)
    assert 0 < len(calls) < tiles - 2
    np.testing.assert_allclose(once, whole_views(found, x), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_the_range_of_an_image_in_bands_equals_that_of_the_whole(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biocnn.io.intensity._BAND", 5000)
    monkeypatch.setattr("biocnn.io.intensity._PER_IMAGE", 999)
    x = (np.random.default_rng(1).gamma(2, 20, (2, 301, 77)) % 250).astype(dtype)
    for image in (x, np.full((1, 40, 30), 3, dtype)):
        np.testing.assert_array_equal(range_of(InMemory(image), None), image_ranges([image])[0])
