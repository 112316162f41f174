"""Augmentations, batched and on the device: ``f(x, u, *, settings) -> (x, move)``.

``move`` (see ``biocnn.augment.move``) is where pixels went, for the truth to follow: ``STAY`` where none moved.
``u`` holds uniform draws of shape (N, DRAWS), a function of (seed, epoch, example) alone, so that neither the order of
examples nor the size of a batch changes what happens to an example.
"""

from biocnn.core.errors import InputError

DRAWS = 8


def require_positive(name: str, **settings: float) -> None:
    """Refuse factors and lengths for which an augmentation has no meaning."""
    for key, value in settings.items():
        if value <= 0:
            raise InputError(f"augment: {name}.{key} is {value:g}", "allowed: a number above 0; or leave it out")
