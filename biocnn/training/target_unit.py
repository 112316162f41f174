"""Numbers are learned in units of their own spread, and predicted in the unit that they were given in.

So what is learned depends neither on the unit of a target nor on the scale of the targets beside it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.losses import Loss
from biocnn.models.sequence_network import SequenceNetwork


def target_unit(target: np.ndarray) -> dict[str, list[float]]:
    """Mean and standard deviation of each output, over the numbers that are known.

    Parameters
    ----------
    target
        Shape (N, K); NaN: unknown.

    Returns
    -------
    unit
        ``mean`` and ``sd``, K numbers each; the standard deviation of a constant is 1.
    """
    columns = [column[~np.isnan(column)] for column in np.asarray(target, float).T]
    varied = [len(np.unique(column)) > 1 for column in columns]
    return {
        "mean": [float(column.mean()) if len(column) else 0.0 for column in columns],
        "sd": [float(column.std()) if v else 1.0 for column, v in zip(columns, varied, strict=True)],
    }


def in_unit(loss: Loss, unit: dict[str, list[float]], device: torch.device) -> Loss:
    """A loss of logits and targets that takes the targets in the unit that they were given in."""
    mean, sd = (torch.tensor(unit[key], dtype=torch.float64, device=device) for key in ("mean", "sd"))
    return lambda logits, target: loss(logits, ((target - mean) / sd).to(target.dtype))


def rescale(network: nn.Module, factor: Sequence[float], shift: Sequence[float] | None = None) -> None:
    """Multiply a network's logits (N, K) or (N, K, *spatial) from now on, and add to them, in place.

    The last layer takes it up where it is known, so that whatever looks into the network sees the same logits.

    Parameters
    ----------
    network
        Of any kind.
    factor, shift
        K numbers each, or one for all; None adds nothing.
    """
    by = torch.tensor(factor, dtype=torch.float32)
    plus = torch.zeros_like(by) if shift is None else torch.tensor(shift, dtype=torch.float32)
    if (by == 1).all() and (plus == 0).all():
        return
    ends_with_head = isinstance(network, SequenceNetwork) and type(network).forward is SequenceNetwork.forward
    last = network.head[-1] if ends_with_head else None
    if isinstance(last, nn.Linear) and last.bias is not None:
        with torch.no_grad():
            by, plus = by.to(last.weight.device), plus.to(last.weight.device)
            last.weight *= by[:, None]
            last.bias.mul_(by).add_(plus)
    else:
        (network.head if ends_with_head else network).register_forward_hook(_Rescale(by, plus))


def set_temperature(network: nn.Module, temperature: Sequence[float]) -> None:
    """Divide a network's logits (N, K) or (N, K, *spatial) from now on, in place; one number serves all K."""
    rescale(network, [1 / value for value in temperature])


class _Rescale:
    """A hook that can be copied with its network."""

    def __init__(self, factor: Tensor, shift: Tensor) -> None:
        self.factor, self.shift = factor, shift

    def __call__(self, network: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        shape = (-1, *[1] * (logits.ndim - 2))
        return logits * self.factor.to(logits.device).view(shape) + self.shift.to(logits.device).view(shape)
