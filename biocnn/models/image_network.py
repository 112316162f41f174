"""Base class of networks that classify images: features, pooling, and head."""

from torch import Tensor, nn

from biocnn.nn.blocks import GlobalPool, he, kaiming
from biocnn.nn.classifier_blocks import AdaptivePool
from biocnn.nn.unet_blocks import fit_to


class ImageNetwork(nn.Module):
    """Features at each position, pooling to a fixed size, and a head: (N, C, *spatial) to (N, out_channels).

    Subclasses only create these parts.

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
    """

    ENCODER = ("features",)

    def __init__(
        self, features: nn.Sequential, pool: GlobalPool | AdaptivePool, head: nn.Sequential, *, least: int = 1
    ) -> None:
        super().__init__()
        self.features, self.pool, self.head, self.least = features, pool, head, least
        kaiming(self)
        for layer in list(head)[:-1]:
            if isinstance(layer, nn.Linear):
                he(layer)

    def forward(self, x: Tensor) -> Tensor:
        x = fit_to(x, [max(size, self.least) for size in x.shape[2:]])
        return self.head(self.pool(self.features(x)).flatten(1))
