"""Augmentations, batched and on the device: ``f(x, y, u, *, settings) -> (x, y)``.

``u`` holds uniform draws of shape (N, DRAWS), a function of (seed, epoch, example) alone, so that neither the order of
examples nor the size of a batch changes what happens to an example.
"""

DRAWS = 8
