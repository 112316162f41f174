"""Moving average of weights, whose metrics vary less from epoch to epoch than those of the weights themselves."""

import torch
from torch import nn

POWER = 8.0  # of the number of the step, to which the weights of a step count in proportion


@torch.no_grad()
def move_average(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move the weights and running statistics of ``average`` towards those of ``model``, after a step (from 0).

    The average spans about the last ninth of all steps so far. At first it is the model itself.

    References
    ----------
    Polynomial decay: Shamir and Zhang, ICML 2013, arXiv:1212.1824.
    """
    share = (POWER + 1) / (POWER + 1 + step)
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, share)
        else:
            mean.copy_(value)
