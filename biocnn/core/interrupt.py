"""Requests to stop, as signals: SIGTERM (preemption, wall time) and SIGINT (Ctrl-C)."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEAT = 1.0  # seconds in which one request may come twice: torchrun passes on what its processes get as well


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Within, SIGTERM raises SystemExit, so that what is half-written is removed; repeats change nothing.

    Elsewhere than in the main thread, which alone gets signals, nothing changes.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def stop_requests() -> Iterator[Callable[[], str]]:
    """Within, a signal only sets a flag, so that work can be saved; a SIGINT later than that acts as it always does.

    A scheduler may send SIGTERM more than once, to a process and to those that started it: repeats change nothing.

    Yields
    ------
    asked
        Gives the name of the first signal that came, or "". Signals reach the main thread only: in another it stays "".
    """
    came: list[tuple[str, float]] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: ""
        return
    # None: a handler that was not set from Python, which Python cannot put back.
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        came.append((signal.Signals(number).name, time.monotonic()))
        if number == signal.SIGINT and came[-1][1] - came[0][1] > REPEAT:
            restore()
            signal.raise_signal(number)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield lambda: came[0][0] if came else ""
    finally:
        restore()


def interrupt_once() -> None:
    """From now on the first SIGINT interrupts; later ones only say that the steps under way are waited for.

    For Snakemake, which answers a second Ctrl-C with a traceback. The steps get it as well, and end on it.
    """
    came = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise KeyboardInterrupt
        os.write(2, b"Still waiting for the steps under way.\n")  # print may itself have been interrupted

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, note)
