"""How much memory a computation takes: measured, not derived, so it holds for whatever a network is made of."""

import math
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What a process may grow by over what is alive at once: C's allocator keeps pieces of up to 32 MB that were freed. Of a
# U-Net of 2 million weights it was 1.0 for one piece of 1 GB, 1.3 to 1.5 for tiles of .2 to .4 GB.
HELD = 1.5


class PeakBytes(TorchDispatchMode):
    """A context that finds the most bytes of tensors, made inside of it, that are alive at once: ``peak``.

    What was there before (weights, say) does not count, nor what a library sets aside inside of one operation, which
    is little on CPUs.
    """

    def __enter__(self) -> Self:
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        super().__enter__()
        return self

    def __torch_dispatch__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count what is alive after it."""
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        found = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            # A view, or a result in place, shares the memory of what was given.
            if isinstance(tensor, Tensor) and (storage := tensor.untyped_storage())._cdata not in given:
                self._alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return found


def room(memory_gb: float) -> float:
    """Bytes of tensors that may be alive at once so that a process grows by no more than a budget, in 10^9 bytes."""
    return memory_gb * 1e9 / HELD


def bytes_per(call: Callable[[int], Any], n: int) -> float:
    """How many bytes ``call(n)`` takes per unit of ``n`` where n is large.

    From the ``n`` given, n is doubled until bytes per unit hardly fall: then what is fixed (weights that are cast, say)
    hardly matters. They never rise, so what is returned is enough for any larger n.
    """
    before, now = math.inf, _peak(call, n) / n
    while now < 0.9 * before:
        n *= 2
        before, now = now, _peak(call, n) / n
    return now


def _peak(call: Callable[[int], Any], n: int) -> int:
    with torch.inference_mode(), PeakBytes() as measured:
        call(n)
    return measured.peak
