"""In which numbers a network computes: float32, or bfloat16 where the machine is fast in it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

# A machine without these computes bfloat16 by detours, ten times and more slower than float32.
FAST = ("avx512_bf16", "amx_bf16")
SLOW = "a machine that trained it has no instructions for bfloat16 (AVX512-bf16, AMX; GPUs from Ampere on)"
LARGE = 10_000_000  # multiply-adds for an example; below, to change the numbers costs what is gained by them


def autocast(precision: str, device: torch.device) -> Callable[[], torch.autocast]:
    """A maker of contexts in which a network runs in ``precision`` (float32 or bfloat16); weights stay float32."""
    return partial(torch.autocast, device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def in_float32(logits: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
    """What a network gives, in the numbers that losses are computed in; a list where several levels learn."""
    return [each.float() for each in logits] if isinstance(logits, list) else logits.float()


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16 (tensor cores, AVX512-bf16, AMX), and may use them."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    flags = Path("/proc/cpuinfo")  # where there is none, as on macOS, float32 is what runs fast
    has = device.type == "cpu" and flags.is_file() and any(f" {f}" in flags.read_text() for f in FAST)
    # The library of convolutions may have been told to use older instructions: ONEDNN_MAX_CPU_ISA.
    return has and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def numbers_for(wanted: str, network: nn.Module, x: Tensor) -> str:
    """What ``wanted`` (float32, bfloat16 or auto) means for a network on the device of an example ``x``.

    bfloat16 that a machine would compute by detours is never computed, whoever asks for it; auto, what is left to
    be found out by training, is given back where bfloat16 may be faster.
    """
    if wanted == "float32" or not fast_bfloat16(x.device):
        return "float32"
    return "float32" if wanted == "auto" and not is_large(network, x) else wanted


def is_large(network: nn.Module, x: Tensor) -> bool:
    """Whether a network does so much for each example of ``x`` that bfloat16 is faster."""
    was_training = network.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(x)
    network.train(was_training)
    return counter.get_total_flops() / 2 / len(x) >= LARGE
