"""Choose the number format of a network: float32, or bfloat16 on hardware that supports it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from biocnn.core.errors import InputError

# CPU flags; without them bfloat16 is emulated, ten times or more slower than float32.
FAST = ("avx512_bf16", "amx_bf16")
SLOW = "a machine that trained it does not support bfloat16 (AVX512-bf16 or AMX; GPUs since Ampere)"
LARGE = 10_000_000  # multiply-adds per example; below, conversions cost as much as bfloat16 saves


def autocast(precision: str, device: torch.device) -> Callable[[], torch.autocast]:
    """Return a factory of contexts that run a network in float32 or bfloat16; weights stay float32."""
    return partial(torch.autocast, device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def full_float32() -> Iterator[None]:
    """Do not let GPUs shorten float32 in convolutions to TF32, which has 10 of its 23 bits after the point."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def in_float32(logits: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
    """Convert the output of a network to float32 for the loss; a list with deep supervision.

    Raises
    ------
    InputError
        If it is anything else.
    """
    for each in logits if isinstance(logits, list) else [logits]:
        if not isinstance(each, Tensor):
            raise InputError(
                f"model: the output is of type {type(each).__name__}",
                "return the logits, a tensor of shape (N, K, ...); with deep supervision a list of these, finest first",
            )
    return [each.float() for each in logits] if isinstance(logits, list) else logits.float()


def fast_bfloat16(device: torch.device) -> bool:
    """Return whether the device supports bfloat16 in hardware (tensor cores, AVX512-bf16, AMX)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    flags = Path("/proc/cpuinfo")  # missing e.g. on macOS, where float32 is fastest
    has = device.type == "cpu" and flags.is_file() and any(f" {f}" in flags.read_text() for f in FAST)
    # oneDNN may be restricted to older instructions by ONEDNN_MAX_CPU_ISA.
    return has and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def numbers_for(wanted: str, network: nn.Module, x: Tensor) -> str:
    """Resolve ``wanted`` (float32, bfloat16 or auto) for a network on the device of an example ``x``.

    bfloat16 is never used where it would be emulated. "auto", to be decided in training, is returned if bfloat16 may be
    faster.
    """
    if wanted == "float32" or not fast_bfloat16(x.device):
        return "float32"
    return "float32" if wanted == "auto" and not is_large(network, x) else wanted


def is_large(network: nn.Module, x: Tensor) -> bool:
    """Return whether a network needs enough operations per example of ``x`` to be faster in bfloat16."""
    was_training = network.training
    with torch.no_grad(), _Operations() as counter:
        network.eval()(x)
    network.train(was_training)
    return counter.number / 2 / len(x) >= LARGE


class _Operations(TorchDispatchMode):
    """Counts additions and multiplications, as torch's ``FlopCounterMode``, which loads a compiler (2 seconds)."""

    number = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if count := flop_registry.get(function.overloadpacket):
            self.number += count(*args, **(kwargs or {}), out_val=result)
        return result
