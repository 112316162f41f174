"""Augmentations, batched and on the device: ``f(x, u, *, settings) -> (x, move)``.

``move`` (see ``biocnn.augment.move``) describes how pixels moved, so that the target can follow; ``STAY``: none moved.
``u`` holds uniform draws of shape (N, DRAWS) that depend on (seed, epoch, example) alone, so neither the order of
examples nor the batch size changes what happens to an example.
"""

DRAWS = 8
