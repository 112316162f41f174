"""Detections and true boxes of several images."""

import numpy as np

Images = tuple[list[np.ndarray], list[np.ndarray]]
EMPTY = np.zeros((0, 6), np.float32), np.zeros((0, 5), np.float32)


def scenes(
    seed: int,
    images: int = 12,
    classes: int = 3,
    objects: int = 6,
    extra: int = 5,
    crowds: float = 0.2,
    steps: int = 10,
) -> Images:
    """Return images with shifted, false and repeated detections, equal scores, equal IoUs and unjudged regions."""
    rng = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(images):
        count = rng.integers(0, objects + 1)
        start = rng.integers(0, 60, (count, 2))
        corners = np.concatenate([start, start + rng.integers(4, 30, (count, 2))], axis=1)
        labels = np.where(rng.random(count) < crowds, -1, rng.integers(0, classes, count))
        truth.append(np.column_stack([labels, corners]).astype(np.float32))
        chosen = rng.integers(0, max(count, 1), 2 * count)
        near = corners[chosen] + rng.integers(-3, 4, (2 * count, 4))
        start = rng.integers(0, 60, (extra, 2))
        far = np.concatenate([start, start + rng.integers(4, 30, (extra, 2))], axis=1)
        places = np.concatenate([near, far, near[:count]])
        places[:, 2:] = np.maximum(places[:, 2:], places[:, :2] + 1)
        guess = np.concatenate([labels[chosen], np.zeros(extra), labels[chosen][:count]])
        guess = np.where((guess < 0) | (rng.random(len(guess)) < 0.2), rng.integers(0, classes, len(guess)), guess)
        score = rng.integers(1, steps, len(guess)) / steps
        found.append(np.column_stack([guess, score, places]).astype(np.float32))
    return found, truth
