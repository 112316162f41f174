"""What all rows share: device, sizes, timing, the rate of a matrix product, and the idle time of the device."""

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

REHEARSAL = bool(os.environ.get("BIOCNN_GPU_REHEARSAL"))
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
SIDE = 256 if REHEARSAL else 8192  # of the square matrices whose product sets the upper limit


def size(full: int, small: int) -> int:
    """Return a number for a GPU, or the small one of a rehearsal."""
    return small if REHEARSAL else full


def emit(**found: Any) -> None:
    """Print a line of results at once, so that it survives a later failure."""
    print(json.dumps(found), flush=True)


def clock() -> float:
    """Return the time in seconds after the device has finished all work."""
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call takes, until the device has finished, and its result."""
    began = clock()
    found = call()
    return clock() - began, found


def why(error: Exception) -> dict[str, Any]:
    """Return why a side did not run: its package is missing, which is no failure, or the message of an error."""
    if isinstance(error, ModuleNotFoundError):
        return {"not_installed": error.name}
    return {"failed": f"{type(error).__name__}: {error}"[:300]}


def compare(row: str, sides: dict[str, Callable[[], float]], rounds: int = 3) -> None:
    """Print the rate of each side, in turn A B A B ...; a side that fails does not end the others."""
    failed = set()
    for number in range(1 if REHEARSAL else rounds):
        for side, rate in sides.items():
            if side in failed:
                continue
            try:
                emit(row=row, side=side, round=number, rate=rate())
            except Exception as error:
                failed.add(side)
                emit(row=row, side=side, **why(error))


def product_rate(kind: torch.dtype = torch.bfloat16) -> float:
    """Return the multiply-adds per second of a product of two large matrices, the median of ten."""
    a, b = (torch.rand(SIDE, SIDE, device=DEVICE).to(kind) for _ in range(2))
    a @ b
    times = [timed(lambda: a @ b)[0] for _ in range(10)]
    return SIDE**3 / statistics.median(times)


def idle(call: Callable[[], float]) -> dict[str, float]:
    """Return the share of time without work of the device, in the last seconds of a call; the call returns how many."""
    kind = ProfilerActivity.CUDA if CUDA else ProfilerActivity.CPU
    with profile(activities=[kind]) as profiler:
        seconds = call()
        clock()
    every = profiler.profiler.kineto_results.events()
    events = [event for event in every if event.device_type().name == kind.name]
    spans = sorted((e.start_ns(), e.start_ns() + e.duration_ns()) for e in events)
    if not spans:
        raise RuntimeError("the profiler saw no work of the device")
    end = max(last for _, last in spans)
    start = at = end - int(seconds * 1e9)
    busy = 0
    for first, last in spans:
        if last > at:
            busy += last - max(first, at)
            at = last
    return {"idle": 1 - busy / (end - start), "events": len(events)}
