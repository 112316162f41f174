"""The progress of a long step, in its log."""

import logging
import time

log = logging.getLogger("biocnn")


class Progress:
    """Logs how much is done, now and then, and how long the rest will take if the total is known.

    Parameters
    ----------
    what
        Plural noun for the items counted.
    total
        Number at the end; None if unknown.
    seconds
        Shortest time between two lines; nothing is logged before it has passed.
    """

    def __init__(self, what: str, total: int | None = None, seconds: float = 10) -> None:
        self.what, self.total, self.seconds = what, total, seconds
        self.began = self.logged = time.monotonic()
        self.done = 0

    def add(self, number: int) -> None:
        """Count what has been done since the last call."""
        self.done += number
        now = time.monotonic()
        if now - self.logged < self.seconds:
            return
        self.logged, passed = now, now - self.began
        if self.total:
            left = passed * (self.total - self.done) / max(self.done, 1)
            log.info("%.0f%% of %s %s, %.0f s left", 100 * self.done / self.total, f"{self.total:,}", self.what, left)
        else:
            log.info("%s %s in %.0f s", f"{self.done:,}", self.what, passed)
