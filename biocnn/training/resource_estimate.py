"""What a training will need, told before it runs long: memory, and time."""

import copy
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from biocnn.config.settings import Train
from biocnn.core.errors import InputError
from biocnn.core.memory import PeakBytes
from biocnn.losses import Loss
from biocnn.nn.precision import in_float32

DAY = 24 * 3600.0
TIMED = 20  # steps after which the time for all can be told
SHORT = ("can't allocate memory", "bad_alloc", "ALLOC_FAILED")  # what libraries say where memory is short


def memory_bytes(
    model: nn.Module, loss: Loss, x: Tensor, y: Tensor, batch_size: int, autocast: Callable[[], torch.autocast]
) -> int:
    """What a step of training takes at its peak, from steps with two examples and with four; and what stays.

    Parameters
    ----------
    x, y
        Two examples.
    """
    model = copy.deepcopy(model).train()

    def peak(repeats: int) -> int:
        with PeakBytes() as measured:
            with autocast():
                logits = model(torch.cat([x] * repeats))
            loss(in_float32(logits), torch.cat([y] * repeats)).backward()
        model.zero_grad(set_to_none=True)
        return measured.peak

    two, four = peak(1), peak(2)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    # Beside the gradients, which the step has made: weights, two moments, the first weights and the best.
    return int(two + (four - two) / len(x) * (batch_size - len(x)) + 5 * weights)


def resident_bytes(device: torch.device) -> int:
    """What this process holds on the device now; 0 where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    try:
        with open("/proc/self/statm") as handle:
            return int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


class Pace:
    """Times the first steps of a training, and tells what all of them will take.

    Parameters
    ----------
    total
        Steps of the training.
    settings
        Its section train.
    """

    def __init__(self, total: int, settings: Train, device: torch.device) -> None:
        self.total, self.settings, self.device = total, settings, device
        self.times: list[float] = []

    def tell(self, seconds: float, left: int) -> list[str]:
        """Lines about the time to come, once ``TIMED`` steps are done; of each, its time and how many are left."""
        if len(self.times) == TIMED:
            return []
        self.times.append(seconds)
        if len(self.times) < TIMED:
            return []
        # The median, for the first steps are slow and a validation may lie between.
        return forecast(statistics.median(self.times), left, self.total, self.settings, self.device)


def forecast(step_seconds: float, left: int, total: int, settings: Train, device: torch.device) -> list[str]:
    """Lines about the time that the steps that are left take, of all; with a warning where that is long."""
    seconds, whole = step_seconds * left, step_seconds * total
    step = f"{step_seconds * 1e3:.3g} ms" if step_seconds < 0.9995 else f"{step_seconds:.3g} s"
    lines = [f"{step} a step: about {duration(seconds)} to go, and validation"]
    minutes = settings.max_minutes
    if minutes and whole > minutes * 60:
        epochs = max(1, int(settings.epochs * minutes * 60 / whole))
        lines.append(
            f"warning: train.max_minutes ({minutes:g}) will end it before the learning rate has fallen; "
            f"set train.epochs: {epochs}"
        )
    elif seconds > DAY and device.type == "cpu":
        lines.append(
            f"warning: this will take {duration(seconds)} on this CPU; train on a GPU (gpus: 1), or set "
            f"train.max_minutes, fewer train.epochs, or a smaller model"
        )
    return lines


def duration(seconds: float) -> str:
    """Seconds in words."""
    for unit, size in (("days", DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


@contextmanager
def memory_errors(settings: Train) -> Iterator[None]:
    """Within, running out of memory (of the GPU, or of this machine) names the setting to lower."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        short = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error) for word in SHORT)
        if not short:
            raise
        size, patch = settings.batch_size, settings.patch
        smaller = f"[{', '.join(str(max(16, n // 2)) for n in patch)}]" if patch else "half as long on each side"
        remedy = f"train.batch_size: {size // 2}" if size > 1 else f"train.patch: {smaller}"
        first = (str(error) or type(error).__name__).splitlines()[0]  # Python's own has no message
        raise InputError(
            f"out of memory: {first}",
            f"set {remedy}, narrower model.channels, or fewer other jobs",
        ) from error
