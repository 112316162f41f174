"""Yes or no for each example."""

from typing import TYPE_CHECKING

from biocnn.tasks.vectors import YesOrNo

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np


class Binary(YesOrNo):
    """One output, 0 or 1."""

    name = "binary"
    given_as = "label"
    label = "yes or no for each {one}"

    def check_facts(self) -> "Iterator[str]":
        yield from super().check_facts()
        if len(self.outputs) > 1:
            yield f"task is binary, but there are {len(self.outputs)} outputs: use multilabel"

    def words(self, y: "np.ndarray") -> str:
        """Return the name of the output, or that it is not; with a question mark if it is unknown."""
        known = "" if y[0] == y[0] else "?"
        return f"{self.outputs[0]}{known}" if y[0] != 0 else f"not {self.outputs[0]}"

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the positives among known targets."""
        known = y[y == y]
        return {"Positive": f"{int(known.sum()):,} ({known.mean():.0%})" if len(known) else "0"}
