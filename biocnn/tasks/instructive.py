"""Which examples to show of a classification: right and wrong ones of each class, rather than the first ones."""

from collections import Counter, deque

import numpy as np


def instructive(member: np.ndarray, right: np.ndarray, confidence: np.ndarray, number: int) -> list[int]:
    """Choose examples, alternately one that is predicted correctly and one that is not, while there are both.

    Each comes from the class of which fewest such examples, then fewest examples, are chosen, the first of several; and
    is the one of this class with the most confident prediction.

    Parameters
    ----------
    member
        Whether each example belongs to each class, shape (N, classes).
    right
        Whether it is predicted to, shape (N, classes).
    confidence
        Probability of what is predicted, shape (N, classes).
    number
        Number of examples to choose; fewer if there are no more.

    Returns
    -------
    chosen
        Indices of examples.
    """
    queues = {
        (found, k): deque(int(i) for i in order if member[i, k] and right[i, k] == found)
        for found in (True, False)
        for k, order in enumerate(np.argsort(-confidence, axis=0, kind="stable").T)
    }
    chosen: dict[int, None] = {}
    shown: Counter[tuple[bool, int]] = Counter()
    wanted = True
    while len(chosen) < number and any(queues.values()):
        left = [key for key, queue in queues.items() if queue]
        found, k = min(
            [key for key in left if key[0] == wanted] or left,
            key=lambda key: (shown[key], shown[True, key[1]] + shown[False, key[1]]),
        )
        example = queues[found, k].popleft()
        if example not in chosen:
            chosen[example] = None
            shown[found, k] += 1
            wanted = not found
    return list(chosen)
