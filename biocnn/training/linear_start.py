"""The last layer of a network for numbers of whole images starts at a linear model of intensities, if that is good.

Brightness may be nearly all that a number depends on, for example a number of cells. A network has to learn it through
all of its layers, and with few images learns it less exactly than a linear model does. Training adds what features
explain beyond it.
"""

import numpy as np
import torch

from biocnn.models.image_network import ImageNetwork
from biocnn.nn.covariates import Joint
from biocnn.tasks import Task, make_task
from biocnn.training.linear import fit_path, in_unit
from biocnn.training.whole_images import WholeBatches

EXPLAINED = 0.9  # least R² on the validation split; with .5, networks were better without


def start_at_intensities(network: ImageNetwork, train: WholeBatches, val: WholeBatches, task: Task) -> str:
    """Standardise the intensities of a network, and set its last layer to a linear model of them.

    Weights of the other features are 0. If the model explains little, or the network predicts distributions or outputs
    of several kinds, it gets zeros instead of intensities.

    Parameters
    ----------
    network
        Network with intensities; changed in place.
    train, val
        Images of both splits, read without augmentation.
    task
        Numbers, with their unit; for other tasks intensities are only standardised.

    Returns
    -------
    line
        What was done, for the log.
    """
    assert network.intensities
    network.intensities.fit(x[:, : network.in_channels] for x, _ in train.plain())
    if not task.standardised:
        return "the last layer also receives intensities"
    if task.facts.parts or task.facts.form != "value":
        network.intensities.factor.zero_()
        return "the network predicts distributions or several kinds of outputs: it does without intensities"
    without_unit = make_task(task.facts)  # because the model is one of the values themselves
    fitted = fit_path(*_intensities(network, train), *_intensities(network, val), without_unit)
    r2 = float(np.nan_to_num(fitted.validation_score).mean())
    found = f"a linear model of intensities has a validation R² of {r2:.3f}"
    if r2 < EXPLAINED:
        network.intensities.factor.zero_()
        return f"{found}, below {EXPLAINED}: the network does without them"
    weights = torch.from_numpy(in_unit(fitted.weights, task.unit).T)
    with torch.no_grad():
        last = network.head[-1]
        if isinstance(last, Joint):
            last.both[-1].weight.zero_()
            last.both[-1].bias.zero_()
            last = last.alone
        last.weight.zero_()
        last.weight[:, -weights.shape[1] + 1 :] = weights[:, :-1]
        last.bias.copy_(weights[:, -1])
    return f"{found}: the last layer starts there"


def _intensities(network: ImageNetwork, images: WholeBatches) -> tuple[np.ndarray, np.ndarray]:
    """Return the intensities (N, F) and the targets (N, K) of all images."""
    assert network.intensities
    found = [(network.intensities(x[:, : network.in_channels]), y) for x, y in images.plain()]
    x, y = (torch.cat(each).double().cpu().numpy() for each in zip(*found, strict=True))
    return x, y
