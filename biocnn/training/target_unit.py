"""Standardization of regression targets for training; predictions are in the original unit.

Training thus depends neither on the unit of a target nor on the scale of the other targets.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.losses import Loss
from biocnn.models.bag_network import BagNetwork
from biocnn.models.sequence_network import SequenceNetwork
from biocnn.nn.words import WordMixture
from biocnn.tasks import Task


def set_targets(task: Task, dataset: Dataset, rows: np.ndarray) -> None:
    """Set the unit of a task by the targets of these rows, the training split; for a task with parts, also these."""
    if task.standardised:
        task.set_unit(unit_of(task, dataset, rows))
    if task.facts.parts:
        y = torch.from_numpy(dataset.y.stacked(rows))
        task.learned = standardised(y, task.unit) if task.unit else y


def unit_of(task: Task, dataset: Dataset, rows: np.ndarray) -> dict[str, list[float]]:
    """Return the unit of the targets of these rows as ``target_unit`` does; of parts without one, 0 and 1."""
    if values := dataset.facts.values:
        return {"mean": values.mean, "sd": values.sd}
    y = dataset.y.stacked(rows)
    if not task.facts.parts:
        return target_unit(y, counts=task.facts.form == "rate")
    unit = {"mean": [0.0] * y.shape[1], "sd": [1.0] * y.shape[1]}
    for part in task.parts:
        if part.task.standardised:
            for key, values in target_unit(y[:, part.targets], part.task.facts.form == "rate").items():
                unit[key][part.targets] = values
    return unit


def target_unit(target: np.ndarray, counts: bool = False) -> dict[str, list[float]]:
    """Return mean and standard deviation of the known values of each output.

    Parameters
    ----------
    target
        Shape (N, K); NaN: unknown.
    counts
        Whether they are counts, whose unit starts at 0.

    Returns
    -------
    unit
        ``mean`` and ``sd``, K numbers each; ``sd`` is 1 for constant targets. Of counts, 0 and their mean.

    Raises
    ------
    InputError
        If a count is negative, or all counts are 0.
    """
    columns = [column[~np.isnan(column)] for column in np.asarray(target, float).T]
    if counts:
        if any((column < 0).any() or not column.any() for column in columns):
            raise InputError("loss: poisson is for counts, but values are negative or all 0", "allowed: mse, huber")
        return {"mean": [0.0] * len(columns), "sd": [float(column.mean()) for column in columns]}
    varied = [len(np.unique(column)) > 1 for column in columns]
    return {
        "mean": [float(column.mean()) if len(column) else 0.0 for column in columns],
        "sd": [float(column.std()) if v else 1.0 for column, v in zip(columns, varied, strict=True)],
    }


def in_unit(loss: Loss, unit: dict[str, list[float]], device: torch.device) -> Loss:
    """Wrap a loss of standardized targets into one that takes targets in their original unit."""
    unit = {key: torch.tensor(values, dtype=torch.float64, device=device) for key, values in unit.items()}
    return lambda logits, target: loss(logits, standardised(target, unit))


def standardised(target: Tensor, unit: dict[str, Any]) -> Tensor:
    """Convert targets, (N, K, ...), to a unit."""
    shape = (-1, *[1] * (target.ndim - 2))
    mean, sd = (torch.as_tensor(unit[key], dtype=torch.float64).view(shape) for key in ("mean", "sd"))
    return ((target - mean) / sd).to(target.dtype)


def rescale(network: nn.Module, factor: Sequence[float], shift: Sequence[float] | None = None) -> None:
    """Rescale and shift the logits (N, K) or (N, K, *spatial) of a network, in place.

    Changes the weights of the last layer if it is known, so that attribution methods see the same logits; otherwise
    registers a hook.

    Parameters
    ----------
    network
        Any network.
    factor, shift
        K numbers each, or one for all outputs; shift None: 0.
    """
    scale = torch.tensor(factor, dtype=torch.float32)
    offset = torch.zeros_like(scale) if shift is None else torch.tensor(shift, dtype=torch.float32)
    if (scale == 1).all() and (offset == 0).all():
        return
    if isinstance(network, WordMixture):
        rescale(network.network, factor, shift)
        network.words.rescale(*(values.to(network.share.device) for values in (scale, offset)))
        return
    # Of a bag, vectors and logits are computed apart, without ``forward`` and its hooks.
    ends_with_head = isinstance(network, BagNetwork) or (
        isinstance(network, SequenceNetwork) and type(network).forward is SequenceNetwork.forward
    )
    last = network.head[-1] if ends_with_head else None
    if isinstance(last, nn.Linear) and last.bias is not None:
        with torch.no_grad():
            scale, offset = scale.to(last.weight.device), offset.to(last.weight.device)
            last.weight *= scale[:, None]
            last.bias.mul_(scale).add_(offset)
    else:
        (network.head[-1] if ends_with_head else network).register_forward_hook(_Rescale(scale, offset))


def set_temperature(network: nn.Module, temperature: Sequence[float], shift: Sequence[float] | None = None) -> None:
    """Divide the logits of a network, in place, by a temperature, and then add a shift.

    Parameters
    ----------
    network
        Any network, with logits (N, K) or (N, K, *spatial).
    temperature, shift
        K numbers each, or one temperature for all outputs; shift None: 0.
    """
    rescale(network, [1 / value for value in temperature], shift)


class _Rescale:
    """Forward hook that can be copied with its network."""

    def __init__(self, factor: Tensor, shift: Tensor) -> None:
        self.factor, self.shift = factor, shift

    def __call__(self, network: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        shape = (-1, *[1] * (logits.ndim - 2))
        return logits * self.factor.to(logits.device).view(shape) + self.shift.to(logits.device).view(shape)
