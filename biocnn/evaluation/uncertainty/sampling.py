"""Several predictions of one image: by an ensemble of runs, by augmentation, or by dropout."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError, nearest
from biocnn.nn.views import turn, undo, views
from biocnn.prediction.compatibility import agree
from biocnn.prediction.model import Model

METHODS = ("ensemble", "augment", "dropout")
SPATIAL = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


def samples(
    method: Literal["ensemble", "augment", "dropout"],
    models: Sequence[Model],
    image: np.ndarray,
    *,
    number: int = 16,
    seed: int = 0,
) -> Iterator[np.ndarray]:
    """Predict one image several times.

    Parameters
    ----------
    method
        ``ensemble``: each model once. ``augment``: the first model on flips and quarter turns of the image.
        ``dropout``: the first model with random channels dropped as in training.
    models
        Models of the same task.
    image
        Image of shape (C, *spatial).
    number
        Maximum number of predictions for augment (there are 8 views in 2D and 16 in 3D), number for dropout.
    seed
        Seed of the dropped channels, which depend on nothing else: the same thinned networks predict all images, and
        all tiles of an image.

    Yields
    ------
    probability
        Shape (K, *spatial), as from ``Model.predict``.

    Raises
    ------
    InputError
        For dropout, if the network has no layer that drops channels.
    """
    if method not in METHODS:
        raise InputError(f"unknown uncertainty method {method!r}", nearest(str(method), METHODS))
    agree(models, "image")
    first = models[0]
    if method == "ensemble":
        yield from (model.predict(image) for model in models)
    elif method == "augment":
        for view in views(first.facts.spatial_dims)[:number]:
            yield undo(first.predict(np.ascontiguousarray(turn(image, view))), view)
    else:
        for sample in range(number):
            with thinned(first.fused, seed, sample):
                yield first.predict(image)


@contextmanager
def thinned(network: nn.Module, seed: int, sample: int) -> Iterator[None]:
    """Let a network in evaluation mode drop channels within the context, the same ones for every image.

    Parameters
    ----------
    network
        Network with layers that drop whole channels, for example ``nn.Dropout2d``.
    seed, sample
        Numbers that determine the channels.

    Raises
    ------
    InputError
        If no layer drops channels.

    References
    ----------
    Gal and Ghahramani, ICML 2016, arXiv:1506.02142; with whole channels Tompson et al., CVPR 2015.
    """
    layers = [module for module in network.modules() if isinstance(module, SPATIAL) and module.p > 0]
    if not layers:
        raise InputError(
            "uncertainty by dropout: the network has no layers that drop channels",
            "set model.dropout: 0.1 and train again, or use uncertainty.methods: [augment], or several train.seeds "
            "with [ensemble]",
        )
    handles = [layer.register_forward_hook(_Drop([seed, sample, i], layer.p)) for i, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Drop:
    """A hook that drops the same channels each time its layer runs."""

    def __init__(self, key: Sequence[int], p: float) -> None:
        self.rng, self.p = np.random.default_rng(key), p
        self.factor: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if self.factor is None:
            kept = self.rng.random(output.shape[1]) >= self.p
            factor = torch.from_numpy(kept / (1 - self.p)).to(output)
            self.factor = factor.view(-1, *[1] * (output.ndim - 2))
        return output * self.factor
