"""The last layer of a network for numbers of whole images starts at a linear model of intensities, if that is good.

Brightness may be nearly all that a number depends on, for example a number of cells. A network has to learn it through
all of its layers, and with few images learns it less exactly than a linear model does. Training adds what features
explain beyond it.
"""

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from biocnn.models.image_network import ImageNetwork
from biocnn.nn.covariates import Joint
from biocnn.tasks import Task
from biocnn.training.whole_images import WholeBatches

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the squares of weights, at standard deviations of 1
EXPLAINED = 0.9  # least R² on the validation split; with .5, networks were better without


def start_at_intensities(network: ImageNetwork, train: WholeBatches, val: WholeBatches, loss: Any, task: Task) -> str:
    """Standardise the intensities of a network, and set its last layer to a linear model of them.

    The model minimises the loss on the training split; its L2 penalty is the best one for the validation split. Weights
    of the other features are 0. If the model explains little, the network gets zeros instead of intensities.

    Parameters
    ----------
    network
        Network with intensities; changed in place.
    train, val
        Images of both splits, read without augmentation.
    loss
        Function of logits (N, K) and targets; a mean over examples.
    task
        Numbers, which are monitored by R²; for other tasks intensities are only standardised.

    Returns
    -------
    line
        What was done, for the log.
    """
    assert network.intensities
    network.intensities.fit(x[:, : network.in_channels] for x, _ in train.plain())
    if not task.standardised:
        return "the last layer also receives intensities"
    known, (held, truth) = _intensities(network, train), _intensities(network, val)
    joint = network.head[-1] if isinstance(network.head[-1], Joint) else None
    last = joint.alone if joint else network.head[-1]
    models = [_fit(*known, last.out_features, loss, penalty) for penalty in PENALTIES]
    rated = [_rated(task, held @ weight.T + bias, truth) for weight, bias in models]
    best = int(np.argmax(rated))
    found = f"a linear model of intensities has a validation R² of {rated[best]:.3f}"
    if rated[best] < EXPLAINED:
        network.intensities.factor.zero_()
        return f"{found}, below {EXPLAINED}: the network does without them"
    weight, bias = models[best]
    with torch.no_grad():
        if joint:
            joint.both[-1].weight.zero_()
            joint.both[-1].bias.zero_()
        last.weight.zero_()
        last.weight[:, -weight.shape[1] :] = weight
        last.bias.copy_(bias)
    return f"{found}: the last layer starts there"


def _rated(task: Task, logits: Tensor, y: Tensor) -> float:
    score = task.score()
    score.add(task.probability(logits), y)
    return float(np.nan_to_num(score.value()[task.monitor], nan=-np.inf))


def _intensities(network: ImageNetwork, images: WholeBatches) -> tuple[Tensor, Tensor]:
    """Return the intensities and the targets of all images."""
    assert network.intensities
    found = [(network.intensities(x[:, : network.in_channels]), y) for x, y in images.plain()]
    x, y = zip(*found, strict=True)
    return torch.cat(x), torch.cat(y)


def _fit(x: Tensor, y: Tensor, number: int, loss: Any, penalty: float) -> tuple[Tensor, Tensor]:
    """Return the weight (K, F) and the bias (K,) of the linear model with the least loss."""

    def parts(values: Tensor) -> tuple[Tensor, Tensor]:
        return values[number:].view(number, -1), values[:number]

    def function(values: np.ndarray) -> tuple[float, np.ndarray]:
        variable = torch.from_numpy(values).to(x).requires_grad_()
        weight, bias = parts(variable)
        value = loss(x @ weight.T + bias, y) + penalty / 2 * weight.square().sum()
        (gradient,) = torch.autograd.grad(value, variable)
        return value.item(), gradient.double().cpu().numpy()

    first = np.zeros(number * (1 + x.shape[1]))
    found = minimize(function, first, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return parts(torch.from_numpy(found.x).to(x))
