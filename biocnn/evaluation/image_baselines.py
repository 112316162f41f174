"""Baselines of whole images: linear models of intensities or of a thumbnail, and the mean of values."""

from collections.abc import Callable
from functools import partial

import numpy as np

from biocnn.config.settings import Settings
from biocnn.data.dataset import Dataset
from biocnn.data.frame import Frame
from biocnn.evaluation.baselines import Baselines, fit_baselines
from biocnn.training.word_counts import thinned

MOST_PIXELS = 500_000_000  # values of the training split; of larger ones, only every n-th image is used
SAMPLED = 2**16  # pixels per channel, about, from which percentiles are computed
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
SIDES = {2: 8, 3: 4}  # of a thumbnail, in pixels, by the number of spatial dimensions


def of_images(dataset: Dataset, settings: Settings) -> Baselines:
    """Call `fit_baselines` for images; features are of intensities as scaled for the network."""
    train = thinned(dataset.x, dataset.rows("train"), MOST_PIXELS)
    chosen = (OF_VALUES if dataset.task.standardised else {}) | BASELINES
    features = {name: partial(table, dataset, function) for name, function in chosen.items()}
    return fit_baselines(dataset, features, train)


def of_bags(dataset: Dataset, settings: Settings) -> Baselines:
    """Call `fit_baselines` for bags: intensities of images by their mean, and by mean and extremes over the bag."""
    train = thinned(dataset.x, dataset.rows("train"), MOST_PIXELS)
    found = {row: _of_bag(dataset, row) for row in {*train, *dataset.rows("val", "test")}}
    pools = ({"constant": constant} if dataset.task.standardised else {}) | OF_BAGS

    def of(pool: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda rows: np.stack([pool(found[row]) for row in rows])

    return fit_baselines(dataset, {name: of(pool) for name, pool in pools.items()}, train)


def _of_bag(dataset: Dataset, row: int) -> np.ndarray:
    """Return the intensities of each image of a bag, (n, F)."""
    return np.stack([intensities(_rescaled(image, dataset.ranges[row])) for image in dataset.x[row]])


def constant(image: np.ndarray) -> np.ndarray:
    """Return no feature: the fit is the mean of the training split."""
    return np.empty(0)


def brightness(image: np.ndarray) -> np.ndarray:
    """Return the mean of each channel of an image (C, *spatial)."""
    return image.reshape(len(image), -1).mean(axis=1)


def intensities(image: np.ndarray) -> np.ndarray:
    """Return mean, standard deviation and percentiles of each channel of an image (C, *spatial), and its log size."""
    channels = image.reshape(len(image), -1)
    sampled = channels[:, :: channels.shape[1] // SAMPLED | 1]  # odd, to sample all columns
    moments = [channels.mean(axis=1), channels.std(axis=1)]
    return np.concatenate([*moments, *np.percentile(sampled, PERCENTILES, axis=1), np.log(image.shape[1:])])


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return the pixels of an image (C, *spatial) that is reduced to 8 x 8 pixels, a volume to 4 x 4 x 4."""
    size = (SIDES[image.ndim - 1],) * (image.ndim - 1)
    return Frame(size, "stretch").apply(image).ravel()


def mean(x: np.ndarray) -> np.ndarray:
    """Return the mean over the images of a bag, (n, F)."""
    return x.mean(axis=0)


def extremes(x: np.ndarray) -> np.ndarray:
    """Return the mean, the lowest and the highest values over the images of a bag, (n, F)."""
    return np.concatenate([x.mean(axis=0), x.min(axis=0), x.max(axis=0)])


BASELINES = {"intensities": intensities, "thumbnail": thumbnail}
OF_VALUES = {"constant": constant, "brightness": brightness}
OF_BAGS = {"intensities": mean, "extreme intensities": extremes}


def table(dataset: Dataset, function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Compute features (N, F) of images."""
    return np.stack([function(_scaled(dataset, row)) for row in rows]).astype(float)


def _scaled(dataset: Dataset, row: int) -> np.ndarray:
    return _rescaled(dataset.x[row], dataset.ranges[row])


def _rescaled(image: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return an image (C, *spatial) with intensities of about 0 to 1, given limits (2, C); float32."""
    low, high = (limit.reshape(-1, *[1] * (image.ndim - 1)) for limit in limits)
    return (image.astype(np.float32) - low) / np.where(high > low, high - low, np.inf)
