"""Measure the memory of a computation, whatever a network consists of."""

import math
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Growth of a process relative to the bytes alive at once: C's allocator keeps freed blocks of up to 32 MB. For a U-Net
# with 2 million weights it was 1.0 for a single block of 1 GB, and 1.3 to 1.5 for tiles of 0.2 to 0.4 GB.
HELD = 1.5


class PeakBytes(TorchDispatchMode):
    """Context that measures the peak number of bytes, ``peak``, of live tensors created within it.

    Tensors created before (e.g. weights) do not count, nor does what a library allocates within an operation, which is
    little on CPUs.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise torch loads a compiler (2 seconds) in order not to use it

    def __enter__(self) -> Self:
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        super().__enter__()
        return self

    def __torch_dispatch__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count the bytes alive after it."""
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            # Views and in-place results share the memory of the inputs.
            if isinstance(tensor, Tensor) and (storage := tensor.untyped_storage())._cdata not in given:
                self._alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return result


def room(memory_gb: float) -> float:
    """Return how many bytes of tensors may be alive at once within a memory budget in GB (10^9 bytes)."""
    return memory_gb * 1e9 / HELD


def bytes_per(call: Callable[[int], Any], n: int) -> float:
    """Return the bytes that ``call(n)`` takes per unit of ``n`` for large n.

    Starting from the given ``n``, n is doubled until bytes per unit hardly fall: fixed costs (e.g. cast weights) then
    hardly matter. Bytes per unit never rise, so the result suffices for any larger n.
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
