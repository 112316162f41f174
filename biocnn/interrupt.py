"""Requests to stop, as signals: SIGTERM (preemption, wall time) and SIGINT (Ctrl-C)."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_requests() -> Iterator[Callable[[], str]]:
    """Within, a first signal only sets a flag, so that work can be saved; a second one acts as it always does.

    Yields
    ------
    asked
        Gives the name of the signal that came, or "". Signals reach the main thread only: in another it stays "".
    """
    came: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: ""
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        came.append(signal.Signals(number).name)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield lambda: came[0] if came else ""
    finally:
        restore()
