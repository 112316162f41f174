"""Records of what was read, repaired and dropped, and of examples to inspect."""

from collections.abc import Iterator
from typing import Literal

import pandas as pd

Severity = Literal["repaired", "look", "leak"]


class Checks:
    """Counts by source, outcome and reason; written to ``checks.tsv``.

    ``outcome`` is one of ``read``, ``dropped``, ``repaired``, ``made`` (e.g. negatives), ``note`` or ``kept``.
    ``findings`` about single images hold the finding, the action it requires (``repaired``: none; ``look``: inspection
    by a person; ``leak``: another split), the image's id, and details.
    """

    COLUMNS = ("source", "outcome", "reason", "count", "example")
    FINDINGS = ("finding", "severity", "id", "detail")

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, int, str]] = []
        self.findings: list[tuple[str, Severity, str, str]] = []

    def add(self, source: str, outcome: str, reason: str, count: int, example: object = "") -> None:
        """Record ``count`` items; a count of zero is ignored, so callers need not test for it."""
        if count:
            self.rows.append((str(source), outcome, reason, int(count), str(example)))

    def find(self, finding: str, severity: Severity, example: str, detail: str = "") -> None:
        """Record a finding about an image."""
        self.findings.append((finding, severity, str(example), detail))

    def frame(self) -> pd.DataFrame:
        """Return all rows in the order they were recorded."""
        return pd.DataFrame(self.rows, columns=list(self.COLUMNS))

    def lines(self) -> Iterator[str]:
        """Describe each row for people: its source, what was counted, and the first example."""
        for source, outcome, reason, count, example in self.rows:
            of = " " if outcome in ("read", "made") else ": "  # these have nouns
            said = f"{reason} ({count:,})" if outcome == "note" else f"{outcome} {count:,}{of}{reason}"
            yield f"{source}: {said}" + (f"; e.g. {example}" if example else "")

    def counted(self) -> pd.DataFrame:
        """Return the rows summed by source, outcome and reason, each with its first example."""
        return (
            self.frame()
            .groupby(["source", "outcome", "reason"], sort=False, as_index=False)
            .agg({"count": "sum", "example": "first"})
        )

    def findings_frame(self) -> pd.DataFrame:
        """Return all findings in the order they were recorded."""
        return pd.DataFrame(self.findings, columns=list(self.FINDINGS))
