"""Loss of several parts of the outputs, each with a loss of its own."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from biocnn.losses.supervision import Loss

_STEPS = 100  # of the search for the best constant


class PartLoss(NamedTuple):
    """A loss of some of the logits and targets, and its divisor."""

    loss: Loss
    logits: slice
    targets: slice
    divisor: float = 1.0

    def divided_by_constant(self, y: Tensor) -> "PartLoss":
        """Divide by the loss of the best constant prediction of targets (N, K), which then is 1."""
        own = y[:, self.targets]
        channels = self.logits.stop - self.logits.start
        constant = torch.zeros(1, channels, device=y.device, requires_grad=True)
        search = torch.optim.LBFGS([constant], max_iter=_STEPS, line_search_fn="strong_wolfe")

        def value() -> Tensor:
            search.zero_grad()
            found = self.loss(constant.expand(len(own), -1), own)
            found.backward()
            return found

        with torch.enable_grad():
            search.step(value)
        best = value().item()
        return self._replace(divisor=best if best > 0 else 1.0)


def mean_of_parts(losses: Sequence[PartLoss], logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean of the parts' losses, each over its known targets, divided by its divisor."""
    found = [one.loss(logits[:, one.logits], target[:, one.targets]) / one.divisor for one in losses]
    return torch.stack(found).mean()
