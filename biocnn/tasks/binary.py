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

    def words(self, y: "np.ndarray") -> str:
        """Return the name of the output, or that it is not."""
        return self.outputs[0] if y[0] == 1 else f"not {self.outputs[0]}"

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the positives."""
        return {"Positive": f"{int(y.sum()):,} ({y.mean():.0%})" if len(y) else "0"}
