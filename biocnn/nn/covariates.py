"""Covariates in a network: they accompany x as constant channels, and join the features before the last layer.

One tensor thus carries both through batches, views and explanations. The body of a network never sees the covariates,
and augmentations do not either, because they are added afterwards.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

HIDDEN = 64  # units that see both features and covariates


def beside(x: Tensor, z: Tensor) -> Tensor:
    """Return x (N, C, *spatial) with covariates z (N, Z) as further channels, equal at all positions."""
    if not z.shape[1]:
        return x
    return torch.cat([x, z.view(*z.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])], dim=1)


def apart(x: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Return x without covariates, (N, channels, *spatial), and these, (N, Z); Z is 0 if x has none."""
    return x[:, :channels], x[:, channels:].flatten(2)[:, :, 0]


def through(head: nn.Sequential, pooled: Tensor, z: Tensor) -> Tensor:
    """Return the logits of a head for pooled features (N, P) and covariates (N, Z)."""
    return head[-1](torch.cat([head[:-1](pooled), z], dim=1)) if z.shape[1] else head(pooled)


class Joint(nn.Module):
    """A last layer that also receives covariates: features and covariates (N, F + Z) to logits (N, K).

    To the logits of the features alone it adds those of a hidden layer that sees both, so that what a covariate changes
    may depend on the features. Without covariates, (N, F), these are 0: mean numbers and missing words.

    Parameters
    ----------
    last
        Layer from features to logits, with the attributes in_features and out_features.
    number
        Z.
    """

    def __init__(self, last: Any, number: int) -> None:
        super().__init__()
        self.alone, self.features = last, int(last.in_features)
        first = nn.Linear(self.features + number, HIDDEN)
        nn.init.uniform_(first.weight[:, self.features :], -(number**-0.5), number**-0.5)  # as if they were alone
        self.both = nn.Sequential(first, nn.ReLU(), nn.Linear(HIDDEN, last.out_features))
        self.width = first.in_features

    def forward(self, x: Tensor) -> Tensor:
        return self.alone(x[:, : self.features]) + self.both(pad(x, (0, self.width - x.shape[1])))
