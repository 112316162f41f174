"""Base class of networks that classify images: features, pooling, and head."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.nn.blocks import GlobalPool, he, kaiming
from biocnn.nn.classifier_blocks import AdaptivePool, body_before
from biocnn.nn.covariates import apart
from biocnn.nn.intensities import Intensities
from biocnn.nn.unet_blocks import fit_to


class ImageNetwork(nn.Module):
    """Features at each position, pooling to a fixed size, and a head: (N, C, *spatial) to (N, out_channels).

    x may have covariates as further channels, see ``biocnn.nn.covariates``. Subclasses only create these parts.

    Parameters
    ----------
    features
        Consecutive blocks.
    pool
        Pooling over all positions, or to a fixed number of them.
    head
        Layers from the pooled features, flattened, to logits.
    least
        Smallest size along each axis that the features accept. Smaller images are padded at their far ends by repeating
        the last values.
    mean, sd
        Subtracted from each channel of x, and divisor of the difference; None: 0 and 1.
    intensities
        Statistics of x, which the last layer of the head receives behind the features; None: none.
    """

    gives_vectors = False  # whether, in training, the vectors before the last layer are returned as well
    mean: Tensor | None
    sd: Tensor | None

    def __init__(
        self,
        features: nn.Sequential,
        pool: GlobalPool | AdaptivePool,
        head: nn.Sequential,
        *,
        least: int = 1,
        mean: Sequence[float] | None = None,
        sd: Sequence[float] | None = None,
        intensities: Intensities | None = None,
    ) -> None:
        super().__init__()
        self.features, self.pool, self.head, self.least = features, pool, head, least
        self.intensities = intensities
        self.BODY = body_before(head)
        self.in_channels = next(m.in_channels for m in features.modules() if isinstance(m, _ConvNd))
        for name, values in (("mean", mean), ("sd", sd)):
            _check(name, values, self.in_channels)
            self.register_buffer(name, None if values is None else torch.tensor(values), persistent=False)
        kaiming(self)
        for layer in list(head)[:-1]:
            if isinstance(layer, nn.Linear):
                he(layer)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        x, z = apart(x, self.in_channels)
        vectors = self._vectors(x)
        logits = self.head[-1](torch.cat([vectors, z], dim=1) if z.shape[1] else vectors)
        return [logits, vectors] if self.training and self.gives_vectors else logits

    def vectors(self, x: Tensor) -> Tensor:
        """Return what the last layer of the head receives: (N, C, *spatial) to (N, F)."""
        return self._vectors(apart(x, self.in_channels)[0])

    def _vectors(self, x: Tensor) -> Tensor:
        features = self.head[:-1](self._pooled(x))
        return torch.cat([features, self.intensities(x).to(features)], dim=1) if self.intensities else features

    def _pooled(self, x: Tensor) -> Tensor:
        x = x if self.mean is None else x - _of_channels(self.mean, x)
        x = x if self.sd is None else x / _of_channels(self.sd, x)
        x = fit_to(x, [max(size, self.least) for size in x.shape[2:]])
        return self.pool(self.features(x)).flatten(1)


def _check(name: str, values: Sequence[float] | None, channels: int) -> None:
    if values is not None and (len(values) not in (1, channels) or (name == "sd" and min(values) <= 0)):
        numbers = plural(channels, "number") + " above 0" * (name == "sd")
        raise InputError(f"model.{name} is {list(values)}", f"give {numbers}, one for each channel")


def _of_channels(values: Tensor, x: Tensor) -> Tensor:
    return values.to(x.dtype).view(-1, *[1] * (x.ndim - 2))
