"""How much each covariate matters: the loss of a metric if its values are shuffled among examples."""

import numpy as np
import pandas as pd

from biocnn import metrics
from biocnn.data.dataset import Dataset
from biocnn.metrics import ERRORS
from biocnn.prediction.model import Model

PREDICTED = 1000  # examples, about, for each covariate, and
MOST = 10  # shuffles at most

COLUMNS = ("covariate", "output", "metric", "value", "shuffled", "sd", "loss", "shuffles")


def importance(model: Model, dataset: Dataset, seed: int) -> pd.DataFrame:
    """Shuffle each covariate among the examples of the test split, and measure what is lost.

    Parameters
    ----------
    model
        Model that takes the covariates.
    dataset
        Its data set.
    seed
        Determines the permutations.

    Returns
    -------
    table
        A row for each covariate and output, with the columns ``COLUMNS``: the most important metric; its value; mean
        and standard deviation with shuffled values; what is lost, positive if the covariate helps.

    References
    ----------
    Breiman, Machine Learning 45, 5-32 (2001), doi:10.1023/A:1010933404324.
    """
    rows = dataset.rows("test")
    shuffles, start, found = max(1, min(MOST, PREDICTED // len(rows))), 0, []
    before = {key: value for key, value in _judged(model, dataset, rows).items() if np.isfinite(value)}
    for number, covariate in enumerate(dataset.facts.coded):
        columns, start = slice(start, start + len(covariate.columns)), start + len(covariate.columns)
        after = []
        for shuffle in range(shuffles):
            order, z = np.random.default_rng([seed, number, shuffle]).permutation(rows), dataset.covariates.copy()
            z[rows, columns] = z[order, columns]
            after.append(_judged(model, dataset.with_covariates(z), rows))
        for (output, name), value in before.items():
            values = np.array([each[output, name] for each in after])
            loss = (values.mean() - value) * (1 if name in ERRORS else -1)
            sd = values.std(ddof=1) if shuffles > 1 else np.nan
            found.append((covariate.name, output, name, value, values.mean(), sd, loss, shuffles))
    return pd.DataFrame(found, columns=list(COLUMNS))


def _judged(model: Model, dataset: Dataset, rows: np.ndarray) -> dict[tuple[str, str], float]:
    """Return the most important metric of each output that has it, by the names of both."""
    task, every = dataset.task, np.stack([*model.predict_stored(dataset, rows)])
    parts = [(part.name, dataset.of_part(part), task.of_part(every, part)) for part in task.parts]
    found = {}
    for of, part, p in parts or [("", dataset, every)]:
        name, y = part.task.headline[0], part.y.stacked(rows)
        for output, columns, measures in part.task.judged():
            if name in measures:
                target, mine = metrics.labelled(y[:, columns], p[:, columns])
                label = of if of and output in ("all", of) else f"{of}: {output}" if of else output
                found[label, name] = measures[name](mine, target)
    return found
