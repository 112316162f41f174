"""How well vectors separate like from unlike examples: pairs, neighbours, and classes with few known examples.

Vectors have shape (N, F) and are compared by the cosine of the angle between them; labels have shape (N,).
"""

import numpy as np

from biocnn.metrics.vectors import auroc

DRAWS = 200


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Divide vectors by their length; a vector of zeros stays."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def pairs(vectors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosine of all pairs of different examples, and whether (0/1) their labels are equal."""
    x = normalised(vectors)
    first, second = np.triu_indices(len(x), 1)
    return (x @ x.T)[first, second], (labels[first] == labels[second]).astype(float)


def verification(vectors: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the AUROC and the equal error rate of "these two are of one class", over all pairs."""
    cosine, same = pairs(vectors, labels)
    return auroc(cosine, same), equal_error_rate(cosine, same)


def equal_error_rate(score: np.ndarray, target: np.ndarray) -> float:
    """Error rate at the threshold at which as large a share of positives is missed as of negatives is accepted.

    Between thresholds, the ROC curve is linear. NaN if only one class is present.
    """
    number = np.array([(target == 0).sum(), (target == 1).sum()])
    if not number.all():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)  # of equal scores
    accepted = np.stack([np.cumsum(target[order] == value)[last] for value in (0, 1)]) / number[:, None]
    false, true = np.concatenate([[[0.0], [0.0]], accepted], axis=1)
    gap = false - (1 - true)  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(false[after - 1] + share * (false[after] - false[after - 1]))


def recall_at(vectors: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of examples that have one of their class among their ``k`` nearest; NaN if no class has two examples."""
    found = neighbours(vectors, vectors, k, itself=False)
    alone = np.array([(labels == label).sum() == 1 for label in labels])
    hits = (labels[found] == labels[:, None]).any(axis=1)[~alone]
    return float(hits.mean()) if len(hits) else float("nan")


def neighbours(vectors: np.ndarray, others: np.ndarray, k: int, *, itself: bool = True) -> np.ndarray:
    """Return the rows of the ``k`` nearest of ``others`` for each vector, nearest first: shape (N, k) or fewer.

    Without ``itself``, ``others`` are the vectors themselves, of which none counts as its own neighbour.
    """
    cosine = normalised(vectors) @ normalised(others).T
    if not itself:
        np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1, kind="stable")[:, : min(k, cosine.shape[1] - (not itself))]


def few_shot(vectors: np.ndarray, labels: np.ndarray, shots: int, *, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Accuracy with ``shots`` known examples of each class, for random draws of them.

    All other examples get the class whose mean vector (of vectors of length 1) is nearest. Accuracy is the mean over
    classes.

    Returns
    -------
    accuracy
        Shape (draws,); NaN if there are fewer than two classes, or one has no more examples than ``shots``.
    """
    rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if len(rows) < 2 or min(map(len, rows)) <= shots:
        return np.full(draws, np.nan)
    x, rng, found = normalised(vectors), np.random.default_rng(seed), []
    for _ in range(draws):
        drawn = [rng.permutation(some) for some in rows]
        centres = normalised(np.stack([x[some[:shots]].mean(axis=0) for some in drawn]))
        right = [((x[some[shots:]] @ centres.T).argmax(axis=1) == k).mean() for k, some in enumerate(drawn)]
        found.append(np.mean(right))
    return np.array(found)
