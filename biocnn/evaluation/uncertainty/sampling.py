"""Several answers about one image: by runs that were trained apart, from several sides, or by thinned networks."""

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
    """Ask about one image several times.

    Parameters
    ----------
    method
        ``ensemble``: each of the models once. ``augment``: the first model, about the image's flips and quarter turns.
        ``dropout``: the first model, with whole channels dropped at random as in training.
    models
        Trained on the same task.
    image
        Shape (C, *spatial).
    number
        The most answers by augment (there are 8 views in 2D and 16 in 3D), and those by dropout.
    seed
        Of what is dropped, which depends on nothing else: all images, and all tiles of an image, are seen by the same
        thinned networks.

    Yields
    ------
    probability
        Shape (K, *spatial), as ``Model.predict`` gives it.

    Raises
    ------
    InputError
        For dropout, where the network drops no channels.
    """
    if method not in METHODS:
        raise InputError(f"no method of uncertainty is named {method!r}", nearest(str(method), METHODS))
    agree(models, "image", "uncertainty")
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
    """Let a network in evaluation mode drop channels, the same ones of every image while this lasts.

    Parameters
    ----------
    network
        With layers that drop whole channels (``nn.Dropout2d``, say).
    seed, sample
        Decide which channels.

    Raises
    ------
    InputError
        Where no layer drops channels.

    References
    ----------
    Gal and Ghahramani, ICML 2016, arXiv:1506.02142; with whole channels Tompson et al., CVPR 2015.
    """
    layers = [module for module in network.modules() if isinstance(module, SPATIAL) and module.p > 0]
    if not layers:
        raise InputError(
            "uncertainty by dropout: the network was trained without layers that drop channels",
            "set model.dropout: 0.1 and train again, or use uncertainty.methods: [augment], or several train.seeds "
            "and [ensemble]",
        )
    handles = [layer.register_forward_hook(_Drop([seed, sample, i], layer.p)) for i, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Drop:
    """A hook that drops the same channels whenever its layer runs."""

    def __init__(self, key: Sequence[int], p: float) -> None:
        self.rng, self.p = np.random.default_rng(key), p
        self.factor: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if self.factor is None:
            kept = self.rng.random(output.shape[1]) >= self.p
            factor = torch.from_numpy(kept / (1 - self.p)).to(output)
            self.factor = factor.view(-1, *[1] * (output.ndim - 2))
        return output * self.factor
