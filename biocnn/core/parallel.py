"""Training of one network by several processes, one per GPU, started by torchrun."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from biocnn.core.errors import InputError

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Processes:
    """This process among those that train together: ``rank`` out of ``number``.

    Each takes its share of every batch. The loss is always that of the whole batch, so several processes learn what one
    would, up to rounding and dropout, which each draws independently.
    """

    rank: int = 0
    number: int = 1

    def wrap(self, model: nn.Module) -> nn.Module:
        """Wrap a network for training: average gradients over processes, let batch norm see the whole batch.

        Raises
        ------
        InputError
            If there is batch norm on CPUs, whose statistics torch cannot share.
        """
        if self.number == 1:
            return model
        if next(model.parameters()).is_cuda:
            return nn.parallel.DistributedDataParallel(nn.SyncBatchNorm.convert_sync_batchnorm(model))
        if any(isinstance(module, NORMS) for module in model.modules()):
            raise InputError(
                "model.norm: batch norm cannot be shared by several processes on CPUs",
                "set model.norm: group, or train in one process (gpus: 0)",
            )
        return nn.parallel.DistributedDataParallel(model)

    def share(self, index: Tensor) -> Tensor:
        """Return this process's share of the example indices of a batch."""
        return index.tensor_split(self.number)[self.rank]

    def gather(self, logits: Tensor | list[Tensor], y: Tensor) -> tuple[Tensor | list[Tensor], Tensor]:
        """Return logits and targets of the whole batch; only this process's own logits carry a gradient."""
        if self.number == 1:
            return logits, y
        whole = [self._whole(each) for each in logits] if isinstance(logits, list) else self._whole(logits)
        return whole, torch.cat(_gather(y, self.number))

    def _whole(self, logits: Tensor) -> Tensor:
        parts = _gather(logits.detach(), self.number)
        parts[self.rank] = logits
        return torch.cat(parts)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a value over all processes."""
        if self.number == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.number

    def agree(self, *flags: bool) -> list[bool]:
        """Return for each flag whether any process has set it."""
        if self.number == 1:
            return list(flags)
        any_set = torch.tensor(flags, dtype=torch.int32)
        distributed.all_reduce(any_set, distributed.ReduceOp.MAX)
        return any_set.bool().tolist()

    def of_first(self, value: object) -> object:
        """Return the value of the first process."""
        if self.number == 1:
            return value
        shared = [value]
        distributed.broadcast_object_list(shared, 0)
        return shared[0]


ALONE = Processes()


def _gather(x: Tensor, number: int) -> list[Tensor]:
    """Gather the tensors of all processes, whose first sizes may differ by one."""
    sizes = [torch.zeros(1, dtype=torch.long) for _ in range(number)]
    distributed.all_gather(sizes, torch.tensor([len(x)]))
    most = max(int(size) for size in sizes)
    padded = torch.cat([x, x.new_zeros(most - len(x), *x.shape[1:])]).contiguous()
    found = [torch.empty_like(padded) for _ in range(number)]
    distributed.all_gather(found, padded)
    return [part[: int(size)] for part, size in zip(found, sizes, strict=True)]


@contextmanager
def started_processes() -> Iterator[Processes]:
    """Join the processes started by torchrun (by its environment variables), or run this one alone."""
    number = int(os.environ.get("WORLD_SIZE", "1"))
    if number == 1 or "LOCAL_RANK" not in os.environ:
        yield ALONE
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Flags and sizes are exchanged by CPUs, so that no step waits for its GPU.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        yield Processes(distributed.get_rank(), number)
    finally:
        distributed.destroy_process_group()
