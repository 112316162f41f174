"""The account of what was read, repaired and dropped."""

import pandas as pd


class Checks:
    """Counts by source, outcome and reason; becomes ``checks.tsv``.

    ``outcome`` is one of ``read``, ``dropped``, ``repaired``, ``made`` (negatives, say), ``note`` or ``kept``.
    """

    COLUMNS = ("source", "outcome", "reason", "count", "example")

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, int, str]] = []

    def add(self, source: str, outcome: str, reason: str, count: int, example: object = "") -> None:
        """Record ``count`` items; a count of zero is left out, so callers need not test for it."""
        if count:
            self.rows.append((str(source), outcome, reason, int(count), str(example)))

    def frame(self) -> pd.DataFrame:
        """All rows, in the order they were recorded."""
        return pd.DataFrame(self.rows, columns=list(self.COLUMNS))
