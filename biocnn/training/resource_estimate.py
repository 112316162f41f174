"""Early estimates of the memory and time that a training needs."""

import copy
import os
import re
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from biocnn.config.settings import Train
from biocnn.core.errors import InputError
from biocnn.core.memory import PeakBytes
from biocnn.data.dataset import Dataset
from biocnn.losses import Loss
from biocnn.nn.precision import in_float32
from biocnn.training.forward import OwnLoss
from biocnn.training.recall import recalls, shifts

DAY = 24 * 3600.0
TIMED = 20  # steps timed for the estimate
FORWARD = 1 / 2  # cost of an example in a validation relative to one in a step: .3 to .7 measured
FLOAT32 = 2  # of a validation in float32 relative to one in bfloat16: 1.3 to 2 measured
# Messages of libraries that run out of memory; oneDNN's continues with "descriptor" where it lacks an operation.
SHORT = re.compile(r"can't allocate memory|bad_alloc|ALLOC_FAILED|could not create a primitive$")


def memory_bytes(
    model: nn.Module,
    loss: Loss | None,
    x: Tensor,
    y: Tensor,
    batch_size: int,
    autocast: Callable[[], torch.autocast],
    validated: float = 0.0,
) -> int:
    """Estimate the peak memory of training in bytes, by extrapolation from two and four examples.

    Parameters
    ----------
    x, y
        Two examples.
    validated
        Size of the largest batch of the validation, which runs in float32, in examples of x.
    """
    model = copy.deepcopy(model if loss else OwnLoss(model))

    def peak(repeats: int, train: bool) -> int:
        with PeakBytes() as measured, torch.set_grad_enabled(train):
            xs, ys = torch.cat([x] * repeats), torch.cat([y] * repeats)
            with autocast() if train else nullcontext():
                output = model(xs) if loss else model(xs, ys)
            value = loss(in_float32(output), ys) if loss else output
            if train:
                value.backward()
        model.zero_grad(set_to_none=True)
        return measured.peak

    def extrapolate(number: float, train: bool) -> float:
        model.train(train)
        two, four = peak(1, train), peak(2, train)
        return two + (four - two) / len(x) * (number - len(x))

    most = max(extrapolate(batch_size, True), extrapolate(validated, False) if validated else 0)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    # The peak includes gradients; add weights, two moments, initial weights and best weights.
    return int(most + 5 * weights)


def resident_bytes(device: torch.device) -> int:
    """Return the bytes that this process holds on the device; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    try:
        with open("/proc/self/statm") as handle:
            return int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


class Pace:
    """Timer of the first steps of a training, from which it forecasts the total time.

    Parameters
    ----------
    steps
        Number of steps of an epoch.
    validated
        Number of examples of a validation, of images as patches.
    settings
        Section train of the experiment.
    later
        Seconds of what follows the last epoch, as a function of those of a validation.
    """

    def __init__(
        self, steps: int, validated: int, settings: Train, device: torch.device, later: Callable[[float], float]
    ) -> None:
        self.steps, self.settings, self.device, self.later = steps, settings, device, later
        self.times: list[float] = []
        self.validation = FORWARD * validated / settings.batch_size  # in steps
        self.validation_seconds = 0.0

    def wait(self) -> None:
        """Wait for a GPU to complete the step, while steps are timed: it lags behind the process that instructs it."""
        if len(self.times) < TIMED and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def note(self, seconds: float, done: int) -> list[str]:
        """Record the time of a step, the last of ``done``; return log lines with a forecast after ``TIMED`` steps."""
        if len(self.times) == TIMED:
            return []
        self.times.append(seconds)
        if len(self.times) < TIMED:
            return []
        step = statistics.median(self.times)  # because the first steps are slow
        validation, epochs = self.validation_seconds or step * self.validation, self.settings.epochs
        # The validation of an epoch whose steps are all done is still to come.
        validations = epochs - max(0, done - 1) // self.steps
        if validations == epochs and self.settings.precision == "auto":
            validations += FLOAT32  # to choose the precision
        left = step * (self.steps * epochs - done) + validation * validations + self.later(validation)
        return forecast(step, left, step * self.steps + validation, self.settings, self.device)


def forecast(step: float, left: float, epoch: float, settings: Train, device: torch.device) -> list[str]:
    """Return log lines with the time left, and a warning if it is long, from the seconds of a step and an epoch."""
    shown = f"{step * 1e3:.3g} ms" if step < 0.9995 else f"{step:.3g} s"
    lines = [f"{shown} per step: about {duration(left)} left"]
    minutes, whole = settings.max_minutes, epoch * settings.epochs
    if minutes and whole > minutes * 60:
        epochs = max(1, int(minutes * 60 / epoch))
        lines.append(
            f"warning: train.max_minutes ({minutes:g}) will end the training before the learning rate has fallen; "
            f"set train.epochs: {epochs}"
        )
    elif left > DAY:
        where, gpu = ("CPU", "use a GPU (gpus: 1), ") if device.type == "cpu" else ("GPU", "")
        limit = "" if minutes else "set train.max_minutes, "
        lines.append(
            f"warning: this training will take about {duration(left)} on this {where}; {gpu}{limit}or choose fewer "
            "train.epochs or a smaller model; if it is interrupted, it resumes when it is started again"
        )
    return lines


def passes(section: Train, dataset: Dataset, mixes: bool) -> int:
    """Return how many validations take as long as the passes through the validation split after the last epoch."""
    chosen = 0 if section.precision == "float32" else 1 + FLOAT32
    recalled = len(shifts(dataset.facts.flank)) if recalls(dataset) else 0
    return 1 + chosen + mixes + recalled  # one to tune or to calibrate


def duration(seconds: float) -> str:
    """Format seconds in a readable unit."""
    for unit, size in (("days", DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


@contextmanager
def memory_errors(settings: Train) -> Iterator[None]:
    """Turn out-of-memory errors, of GPU or host, into an ``InputError`` that names the setting to lower."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        short = isinstance(error, MemoryError | torch.OutOfMemoryError) or SHORT.search(str(error))
        if not short:
            raise
        size, patch = settings.batch_size, settings.patch
        smaller = f"[{', '.join(str(max(16, n // 2)) for n in patch)}]" if patch else "half as long on each side"
        remedy = f"train.batch_size: {size // 2}" if size > 1 else f"train.patch: {smaller}"
        first = (str(error) or type(error).__name__).splitlines()[0]  # MemoryError has no message
        raise InputError(
            f"out of memory: {first}",
            f"set {remedy}, use narrower model.channels, or run fewer jobs at once",
        ) from error
