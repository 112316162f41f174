"""BagNetwork: one network for all images of a bag, whose vectors are pooled, with attention by default."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from biocnn.config.registry import suited
from biocnn.config.schema import build, choose
from biocnn.config.signatures import Choice
from biocnn.core.errors import InputError
from biocnn.core.ranges import BelowOne, Size
from biocnn.nn.classifier_blocks import dense_head
from biocnn.nn.layers import LAST

AT_ONCE = 64  # images of a pass without gradients


class BagNetwork(nn.Module):
    """Vectors of the images of each bag, pooled to one, and a linear layer: (N, n, C, *spatial) to (N, out_channels).

    Bags of fewer than n images end with images of NaN, which are left out. Images without the axis n are bags of one.

    In training, a second linear layer predicts the target of the bag from each image alone, and the loss includes these
    predictions: from the pooled vector alone, the network learns slowly what is more frequent in one kind of bags.

    Parameters
    ----------
    network
        Network for images, without its last layer.
    pool
        ``attention``: the mean of the vectors, weighted by gated attention; ``mean``; ``max``: the largest value of
        each feature.
    hidden
        Units of the attention.
    dropout
        Dropout probability of the pooled vector.

    Raises
    ------
    InputError
        If the network is not one of biocnn's for images with one target.

    References
    ----------
    Ilse, Tomczak and Welling, ICML 2018, arXiv:1802.04712.
    """

    BODY = ("network", "pool")

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        network: Choice["models"] | None = None,  # type: ignore # noqa: F821 (a kind, not a type)
        pool: Literal["attention", "mean", "max"] = "attention",
        hidden: Size = 64,
        dropout: BelowOne = 0.0,
    ) -> None:
        super().__init__()
        section = choose("models", network or "ResNet", "model.network")
        allowed = suited("models", "image", "vector")
        if section.name not in allowed:  # the name may come from a file
            raise InputError(f"model.network: {section.name} is not for images", "allowed: " + ", ".join(allowed))
        self.spatial_dims = spatial_dims
        self.network: Any = build("models", section, spatial_dims, in_channels, out_channels)
        last, self.network.head[-1] = self.network.head[-1], nn.Identity()
        if not isinstance(last, nn.Linear):
            raise InputError(f"model.network: {section.name} does not end with a linear layer", "use ResNet")
        self.pool = GatedAttention(last.in_features, hidden) if pool == "attention" else SimplePool(pool)
        self.head = dense_head([last.in_features, out_channels], dropout)
        self.alone = nn.Linear(last.in_features, out_channels)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        x = x[:, None] if x.ndim == 2 + self.spatial_dims else x
        present = ~x.flatten(2)[:, :, 0].isnan()
        found = self.vectors(x[present])
        vectors = found.new_zeros(*present.shape, found.shape[1])
        vectors[present] = found
        bags = self.head(self.pool(vectors, present))
        if not self.training:
            return bags
        images = bags.new_full((*present.shape, bags.shape[1]), torch.nan)
        images[present] = self.alone(found).to(images.dtype)
        return [bags, images]

    def vectors(self, x: Tensor) -> Tensor:
        """Return the vectors of images: (M, C, *spatial) to (M, F)."""
        x = x.contiguous(memory_format=LAST.get(x.ndim, torch.contiguous_format))
        if torch.is_grad_enabled():
            return self.network.vectors(x)
        return torch.cat([self.network.vectors(part) for part in x.split(AT_ONCE)])

    def logits(self, vectors: Tensor) -> Tensor:
        """Return the logits of a bag given the vectors of its images: (n, F) to (1, out_channels)."""
        return self.head(self.pool(vectors[None], torch.ones(1, len(vectors), dtype=torch.bool, device=vectors.device)))


class GatedAttention(nn.Module):
    """Mean of vectors with learned weights: (N, n, F) to (N, F).

    The weight of vector h is the softmax over its bag of w . (tanh(V h) * sigmoid(U h)).
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(features, hidden), nn.Linear(features, hidden)
        self.weight = nn.Linear(hidden, 1, bias=False)

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Pool the vectors that are present, (N, n)."""
        return (self.attention(vectors, present)[..., None] * vectors).sum(1)

    def attention(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Return the weights, (N, n), which are 0 where no vector is present, and sum to 1."""
        score = self.weight(torch.tanh(self.value(vectors)) * torch.sigmoid(self.gate(vectors)))[..., 0].float()
        return score.masked_fill(~present, -torch.inf).softmax(1)


class SimplePool(nn.Module):
    """Mean or maximum of vectors: (N, n, F) to (N, F)."""

    def __init__(self, kind: Literal["mean", "max"]) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Pool the vectors that are present, (N, n)."""
        if self.kind == "max":
            return vectors.masked_fill(~present[..., None], -torch.inf).amax(1)
        return vectors.sum(1) / present.sum(1, keepdim=True)
