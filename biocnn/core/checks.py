"""The account of what was read, repaired and dropped, and of single examples to look at."""

from typing import Literal

import pandas as pd

Severity = Literal["repaired", "look", "leak"]


class Checks:
    """Counts by source, outcome and reason; becomes ``checks.tsv``.

    ``outcome`` is one of ``read``, ``dropped``, ``repaired``, ``made`` (negatives, say), ``note`` or ``kept``.
    Beside them, ``findings`` of single images: what was found, what it asks for (``repaired``: nothing; ``look``: that
    a person has a look; ``leak``: another split), the image's id, and details.
    """

    COLUMNS = ("source", "outcome", "reason", "count", "example")
    FINDINGS = ("finding", "severity", "id", "detail")

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, int, str]] = []
        self.findings: list[tuple[str, Severity, str, str]] = []

    def add(self, source: str, outcome: str, reason: str, count: int, example: object = "") -> None:
        """Record ``count`` items; a count of zero is left out, so callers need not test for it."""
        if count:
            self.rows.append((str(source), outcome, reason, int(count), str(example)))

    def find(self, finding: str, severity: Severity, example: str, detail: str = "") -> None:
        """Record something about one image."""
        self.findings.append((finding, severity, str(example), detail))

    def frame(self) -> pd.DataFrame:
        """All rows, in the order they were recorded."""
        return pd.DataFrame(self.rows, columns=list(self.COLUMNS))

    def counted(self) -> pd.DataFrame:
        """Rows of the same source, outcome and reason as one, with their number and the first example."""
        return (
            self.frame()
            .groupby(["source", "outcome", "reason"], sort=False, as_index=False)
            .agg({"count": "sum", "example": "first"})
        )

    def findings_frame(self) -> pd.DataFrame:
        """All findings, in the order they were recorded."""
        return pd.DataFrame(self.findings, columns=list(self.FINDINGS))
