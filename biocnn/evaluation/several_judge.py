"""Judge of outputs of several kinds: each part by the judge of its own task."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from biocnn.config.registry import resolve
from biocnn.config.settings import Metrics
from biocnn.data.dataset import Dataset
from biocnn.evaluation.judges import NO_EXAMPLES, NO_MATCHES, Judge, Keep, Tables, Values
from biocnn.tasks.task import PartTask


class SeveralJudge:
    """Judges each part as its own task requires; its table has a column with the name of the part."""

    def __init__(self, dataset: Dataset, settings: Metrics, group: str, seed: int) -> None:
        self.task = dataset.task
        self.judges: list[tuple[PartTask, Judge]] = [
            (part, resolve(part.task.judge)(dataset.of_part(part), settings, group, seed)) for part in self.task.parts
        ]

    def choose(
        self, numbers: Iterable[int], values: Values, val: Sequence[int], rows: np.ndarray, postprocess: dict[str, Any]
    ) -> None:
        """See `Judge`."""
        for part, judge in self.judges:
            judge.choose(numbers, self._of(part, values), val, rows, postprocess)

    def judge(self, values: Values, numbers: Sequence[int], rows: np.ndarray, keep: Keep | None = None) -> Tables:
        """See `Judge`."""
        tables = []
        for part, judge in self.judges:
            table, _, _ = judge.judge(self._of(part, values), numbers, rows)
            tables.append(table.assign(part=part.name))
        return pd.concat(tables, ignore_index=True), NO_EXAMPLES, NO_MATCHES

    def _of(self, part: PartTask, values: Values) -> Values:
        return lambda number: self.task.of_part(values(number), part)
