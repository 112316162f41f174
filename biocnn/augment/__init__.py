"""Augmentations, batched and on the device: ``f(x, u, *, settings) -> (x, move)``.

``move`` (see ``biocnn.augment.move``) tells how pixels moved, so that the target can follow: ``STAY`` if none moved.
``u`` holds uniform draws of shape (N, DRAWS) that depend on (seed, epoch, example) alone, so neither the order of
examples nor the batch size changes what happens to an example.
"""

from biocnn.core.errors import InputError

DRAWS = 8


def require_positive(name: str, **settings: float) -> None:
    """Refuse factors and lengths that are not positive."""
    for key, value in settings.items():
        if value <= 0:
            raise InputError(f"augment: {name}.{key} is {value:g}", "allowed: a number above 0; or leave it out")
