"""The pointing game: does the hottest point of an activation map lie on the object?"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

NEAR = 0.03  # of the longest side: Zhang et al. allow 15 of about 500 pixels


class Pointing(NamedTuple):
    """Shares of images, 0 to 1; NaN without images.

    Parameters
    ----------
    hits
        Hottest points that lie on the object, or near it.
    chance
        The same for points drawn at random: the mean share of such pixels.
    centre
        The same for the centre of each image, where many photographers put the object.
    n
        Number of images; those without an object, or with a map of zeros, are left out.
    """

    hits: float
    chance: float
    centre: float
    n: int


def pointing_game(maps: np.ndarray, masks: np.ndarray, near: float = NEAR) -> Pointing:
    """Compare the hottest points of activation maps with masks of objects.

    Parameters
    ----------
    maps
        Shape (N, *spatial).
    masks
        Shape (N, *spatial), 0 outside the object.
    near
        Largest distance from the object that counts, as a fraction of the longest side.

    References
    ----------
    Zhang et al., ECCV 2016, doi:10.1007/978-3-319-46493-0_33.
    """
    centre = tuple(length // 2 for length in maps.shape[1:])
    found = []
    for cam, mask in zip(maps, masks, strict=True):
        if mask.any() and cam.max() > 0:
            allowed = distance_transform_edt(mask == 0) <= near * max(mask.shape)
            hottest = np.unravel_index(cam.argmax(), cam.shape)
            found.append((allowed[hottest], allowed.mean(), allowed[centre]))
    hits, chance, middle = np.mean(found, axis=0) if found else (np.nan,) * 3
    return Pointing(float(hits), float(chance), float(middle), len(found))
