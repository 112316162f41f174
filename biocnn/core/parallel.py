"""Several processes that train one network together, one a GPU, started by torchrun."""

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
    """This process among those that train together: ``rank`` of ``number``.

    Each takes its share of every batch. The loss is that of the whole batch, whatever the loss is, so that several
    processes learn what one would: to rounding, and but for dropout, which each draws for itself.
    """

    rank: int = 0
    number: int = 1

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network to call in training: gradients are averaged over processes, batch norm sees the whole batch.

        Raises
        ------
        InputError
            For batch norm on CPUs, where torch cannot share its statistics.
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
        """This process's part of the example numbers of a batch."""
        return index.tensor_split(self.number)[self.rank]

    def gather(self, logits: Tensor | list[Tensor], y: Tensor) -> tuple[Tensor | list[Tensor], Tensor]:
        """Logits and targets of the whole batch; only this process's own logits carry a gradient."""
        if self.number == 1:
            return logits, y
        whole = [self._whole(each) for each in logits] if isinstance(logits, list) else self._whole(logits)
        return whole, torch.cat(_gather(y, self.number))

    def _whole(self, logits: Tensor) -> Tensor:
        parts = _gather(logits.detach(), self.number)
        parts[self.rank] = logits
        return torch.cat(parts)

    def agree(self, *flags: bool) -> list[bool]:
        """For each flag, whether any process has set it."""
        if self.number == 1:
            return list(flags)
        found = torch.tensor(flags, dtype=torch.int32, device=_device())
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return found.bool().tolist()

    def of_first(self, value: object) -> object:
        """What the first process has."""
        if self.number == 1:
            return value
        shared = [value]
        distributed.broadcast_object_list(shared, 0)
        return shared[0]


ALONE = Processes()


def _gather(x: Tensor, number: int) -> list[Tensor]:
    """Tensors of all processes, which may differ in their first size by one."""
    sizes = [torch.zeros(1, dtype=torch.long, device=x.device) for _ in range(number)]
    distributed.all_gather(sizes, torch.tensor([len(x)], device=x.device))
    most = max(int(size) for size in sizes)
    padded = torch.cat([x, x.new_zeros(most - len(x), *x.shape[1:])]).contiguous()
    found = [torch.empty_like(padded) for _ in range(number)]
    distributed.all_gather(found, padded)
    return [part[: int(size)] for part, size in zip(found, sizes, strict=True)]


def _device() -> torch.device:
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")


@contextmanager
def started_processes() -> Iterator[Processes]:
    """The processes that torchrun started this one among (it says so in the environment), or this one alone."""
    number = int(os.environ.get("WORLD_SIZE", "1"))
    if number == 1 or "LOCAL_RANK" not in os.environ:
        yield ALONE
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Processes(distributed.get_rank(), number)
    finally:
        distributed.destroy_process_group()
