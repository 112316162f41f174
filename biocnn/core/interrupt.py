"""Handle requests to stop: SIGTERM (preemption, time limit) and SIGINT (Ctrl-C)."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEAT = (
    1.0  # seconds within which a signal counts as a repeat: torchrun forwards signals that its processes get as well
)


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Raise SystemExit on SIGTERM within the context, so that partial output is removed; ignore repeats.

    Does nothing outside the main thread, which alone receives signals.
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
    """Let signals only set a flag within the context, so that work can be saved; a later SIGINT acts as usual.

    Repeats are ignored: schedulers may send SIGTERM several times, to a process and to its parents.

    Yields
    ------
    asked
        Function that returns the name of the first signal received, or ""; always "" outside the main thread.
    """
    came: list[tuple[str, float]] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: ""
        return
    # getsignal returns None for handlers not set from Python, which Python cannot restore.
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
    """Make the first SIGINT interrupt, and later ones only report that running steps are awaited.

    For Snakemake, which prints a traceback on a second Ctrl-C. The steps receive the signal too and end.
    """
    came = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise KeyboardInterrupt
        os.write(2, b"Still waiting for the running steps.\n")  # print is not safe in a signal handler

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, note)
