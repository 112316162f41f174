"""Baselines of images from images: the input itself, or interpolated, and a classical filter or a linear map."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage

from biocnn.data.dataset import Dataset
from biocnn.evaluation.map_baselines import Apply, Baseline
from biocnn.tasks.image_to_image import ImageToImage

SIGMAS = (0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # of Gaussian filters, in pixels
SIDES = (3, 5, 7)  # of median filters, in pixels
STRENGTHS = (0.6, 0.8, 1.0, 1.5, 2.0, 3.0)  # of non-local means, in standard deviations of the noise
CHOSEN_ON = 24  # most validation images on which the filter is chosen
LONGEST = 512  # largest side of their central part that is filtered for the choice, in pixels
SAMPLED = 2**14  # pixels of each training image to which a linear map is fitted


def baselines(dataset: Dataset) -> list[Baseline]:
    """Return the baselines; a filter is chosen on the validation split, a linear map fitted to the training split.

    A filter is chosen by the first headline metric, on the central part of at most 24 images; without targets to learn
    from, like the network by the error of hidden pixels.
    """
    task, upscale = dataset.task, dataset.facts.upscale
    assert isinstance(task, ImageToImage)
    if not task.like_input:
        what = "the best linear combination of the input's channels, pixel by pixel"
        return [Baseline("linear map", what, linear_map(dataset))]
    if upscale > 1:
        found = interpolations(dataset.facts.spatial_dims, upscale)
        return [Baseline(name, f"{name} interpolation", apply) for name, apply in found.items()]
    candidates = filters(dataset.facts.spatial_dims)
    pairs = [(_centre(dataset.x[row]), _centre(dataset.y[row])) for row in dataset.rows("val")[:CHOSEN_ON]]
    if task.blind:
        hidden = [_hidden(x, number) for number, (x, _) in enumerate(pairs)]
        scores = {name: -np.mean([_error(apply(x), y) for x, y in hidden]) for name, apply in candidates.items()}
    else:
        scores = {name: _score(task, apply, pairs) for name, apply in candidates.items()}
    best = max(scores, key=lambda name: scores[name])
    by = ", by the error of hidden pixels" if task.blind else ""
    what = f"{best}: the best of {len(candidates)} filters on the validation split{by}"
    return [Baseline("input", "the input itself", _as_float), Baseline("best filter", what, candidates[best])]


def filters(spatial_dims: int) -> dict[str, Apply]:
    """Return classical filters by name; each channel is filtered on its own."""
    found: dict[str, Apply] = {}
    found |= {f"Gaussian filter, {sigma:g} px": _of_channels(ndimage.gaussian_filter, sigma=sigma) for sigma in SIGMAS}
    found |= {f"median filter, {side} px": _of_channels(ndimage.median_filter, size=side) for side in SIDES}
    if spatial_dims == 2:  # in 3D it takes minutes for a volume
        found |= {
            f"non-local means, {strength:g} s.d.": _of_channels(_non_local_means, strength=strength)
            for strength in STRENGTHS
        }
    return found


def interpolations(spatial_dims: int, factor: int) -> dict[str, Apply]:
    """Return interpolations to ``factor`` times as many pixels along each axis, by name."""
    if spatial_dims == 2:
        kinds = ("nearest", "bilinear", "bicubic", "Lanczos")
        return {kind: _of_channels(_resized, factor=factor, kind=kind) for kind in kinds}
    orders = {"nearest": 0, "linear": 1, "cubic spline": 3}
    settings = {"zoom": factor, "mode": "nearest", "grid_mode": True}
    return {kind: _of_channels(ndimage.zoom, order=order, **settings) for kind, order in orders.items()}


def _resized(image: np.ndarray, factor: int, kind: str) -> np.ndarray:
    from PIL import Image

    size = image.shape[1] * factor, image.shape[0] * factor
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling[kind.upper()]))


def _hidden(image: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with hidden pixels, and their values, nan elsewhere."""
    import torch

    from biocnn.nn.hidden_pixels import draws_for, hide

    x = torch.from_numpy(_as_float(image))[None]
    drawn = torch.rand(1, draws_for(x.shape[2:]), generator=torch.Generator().manual_seed(number))
    seen, hidden = hide(x, drawn)
    return seen[0].numpy(), hidden[0].numpy()


def _error(image: np.ndarray, target: np.ndarray) -> float:
    return float(np.nanmean((image - target) ** 2))


def noise_level(image: np.ndarray) -> float:
    """Estimate the standard deviation of white noise in an image (*spatial) from differences between neighbours."""
    differences, gain = image, 1.0
    for axis in range(image.ndim):
        differences, gain = np.diff(differences, axis=axis), gain * 2
    return float(1.4826 * np.median(np.abs(differences)) / np.sqrt(gain)) if differences.size else 0.0


def _non_local_means(image: np.ndarray, strength: float) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    noise = noise_level(image)
    return denoise_nl_means(image, patch_size=5, patch_distance=6, h=strength * noise or 1e-6, sigma=noise)


def _of_channels(function: Callable[..., np.ndarray], **settings: Any) -> Apply:
    def apply(image: np.ndarray) -> np.ndarray:
        return np.stack([function(channel, **settings) for channel in _as_float(image)]).astype(np.float32)

    return apply


def _as_float(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32)


def linear_map(dataset: Dataset) -> Apply:
    """Fit a linear combination of the input's channels, and a constant, to the targets of the training split.

    An input with fewer pixels than its target is interpolated.
    """
    task = dataset.task
    assert isinstance(task, ImageToImage)
    inputs, outputs = [], []
    for row in dataset.rows("train"):
        pair = task.enlarged(dataset.x[row]), dataset.y[row]
        x, y = (array.reshape(len(array), -1).astype(np.float64) for array in pair)
        step = x.shape[1] // SAMPLED | 1  # odd, to sample all columns
        known = ~np.isnan(y[:, ::step]).any(axis=0)
        inputs.append(x[:, ::step][:, known])
        outputs.append(y[:, ::step][:, known])
    x, y = np.concatenate(inputs, axis=1), np.concatenate(outputs, axis=1)
    weights, *_ = np.linalg.lstsq(np.vstack([x, np.ones(x.shape[1])]).T, y.T, rcond=None)
    return partial(_mapped, weights.T, task.enlarged)


def _mapped(weights: np.ndarray, enlarged: Apply, image: np.ndarray) -> np.ndarray:
    image = enlarged(image)
    shift = weights[:, -1].reshape(-1, *[1] * (image.ndim - 1))
    return (np.tensordot(weights[:, :-1], image, 1) + shift).astype(np.float32)


def _score(task: ImageToImage, apply: Apply, pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the mean of the first headline metric."""
    metric = task.headline[0]
    found = [value for x, y in pairs for _, name, value in task.judged(apply(x), y, x) if name == metric]
    return float(np.mean(found))


def _centre(image: np.ndarray) -> np.ndarray:
    for axis, length in enumerate(image.shape[1:], 1):
        first = max(0, (length - LONGEST) // 2)
        image = image.take(range(first, min(first + LONGEST, length)), axis=axis)
    return image
