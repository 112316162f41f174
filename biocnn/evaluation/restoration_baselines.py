"""Baselines of images from images: the input itself, and a classical filter or a linear map of its channels."""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage

from biocnn.data.dataset import Dataset
from biocnn.evaluation.map_baselines import Apply, Baseline
from biocnn.tasks.value_maps import ValueMapTask

SIGMAS = (0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # of Gaussian filters, in pixels
SIDES = (3, 5, 7)  # of median filters, in pixels
STRENGTHS = (0.6, 0.8, 1.0, 1.5, 2.0, 3.0)  # of non-local means, in standard deviations of the noise
CHOSEN_ON = 24  # most validation images on which the filter is chosen
LONGEST = 512  # largest side of their central part that is filtered for the choice, in pixels
SAMPLED = 2**14  # pixels of each training image to which a linear map is fitted


def baselines(dataset: Dataset) -> list[Baseline]:
    """Return the baselines; a filter is chosen on the validation split, a linear map fitted to the training split.

    A filter is chosen by the first headline metric, on the central part of at most 24 images.
    """
    task = dataset.task
    assert isinstance(task, ValueMapTask)
    if not task.like_input:
        what = "the best linear combination of the input's channels, pixel by pixel"
        return [Baseline("linear map", what, linear_map(dataset))]
    candidates = filters(dataset.facts.spatial_dims)
    pairs = [(_centre(dataset.x[row]), _centre(dataset.y[row])) for row in dataset.rows("val")[:CHOSEN_ON]]
    scores = {name: _score(task, apply, pairs) for name, apply in candidates.items()}
    best = max(scores, key=lambda name: scores[name])
    what = f"{best}: the best of {len(candidates)} filters on the validation split"
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


def _of_channels(function: Callable[..., np.ndarray], **settings: float) -> Apply:
    def apply(image: np.ndarray) -> np.ndarray:
        return np.stack([function(channel, **settings) for channel in _as_float(image)]).astype(np.float32)

    return apply


def _as_float(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32)


def linear_map(dataset: Dataset) -> Apply:
    """Fit a linear combination of the input's channels, and a constant, to the targets of the training split."""
    inputs, outputs = [], []
    for row in dataset.rows("train"):
        x, y = (array[row].reshape(len(array[row]), -1).astype(np.float64) for array in (dataset.x, dataset.y))
        step = x.shape[1] // SAMPLED | 1  # odd, to sample all columns
        known = ~np.isnan(y[:, ::step]).any(axis=0)
        inputs.append(x[:, ::step][:, known])
        outputs.append(y[:, ::step][:, known])
    x, y = np.concatenate(inputs, axis=1), np.concatenate(outputs, axis=1)
    weights, *_ = np.linalg.lstsq(np.vstack([x, np.ones(x.shape[1])]).T, y.T, rcond=None)
    return partial(_mapped, weights.T)


def _mapped(weights: np.ndarray, image: np.ndarray) -> np.ndarray:
    shift = weights[:, -1].reshape(-1, *[1] * (image.ndim - 1))
    return (np.tensordot(weights[:, :-1], image, 1) + shift).astype(np.float32)


def _score(task: ValueMapTask, apply: Apply, pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the mean of the first headline metric."""
    metric = task.headline[0]
    found = [value for x, y in pairs for _, name, value in task.judged(apply(x), y) if name == metric]
    return float(np.mean(found))


def _centre(image: np.ndarray) -> np.ndarray:
    for axis, length in enumerate(image.shape[1:], 1):
        first = max(0, (length - LONGEST) // 2)
        image = image.take(range(first, min(first + LONGEST, length)), axis=axis)
    return image
