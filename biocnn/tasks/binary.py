"""Yes or no for each example."""

from typing import TYPE_CHECKING

from biocnn.tasks.vectors import YesOrNo

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np


class Binary(YesOrNo):
    """One output, 0 or 1."""

    name = "binary"
    label = "yes or no for each {one}"

    def check_facts(self) -> "Iterator[str]":
        yield from super().check_facts()
        if len(self.outputs) > 1:
            yield f"task is binary, but there are {len(self.outputs)} outputs: use multilabel"

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the positives."""
        return {"Positive": f"{int(y.sum()):,} ({y.mean():.0%})" if len(y) else "0"}
