"""A mask laid on its image: where headers say that it lies, or not at all where they disagree with the arrays."""

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.nifti import open_header
from biocnn.io.orientation import TO_LPS, as_stored, canonical
from biocnn.io.stored import MILLIMETRES, Grid

SAME = 0.25  # share of a pixel by which corners may lie apart and be the same
SIZES = 0.01  # relative difference up to which pixel sizes count as one
TRUST = "where the arrays fit pixel by pixel, whatever headers say: data: {geometry: trust_arrays}"


def lay(values: np.ndarray, mask: Grid, image: Grid, trust: bool) -> tuple[np.ndarray, str]:
    """Lay a mask on the grid of its image.

    Parameters
    ----------
    values
        Of the mask, shape (*spatial).
    mask, image
        Where both lie.
    trust
        Whether the pixels of both arrays belong together one by one, whatever headers say.

    Returns
    -------
    values, repair
        On the grid of the image, where headers allow that, and a word on what was done; "" for nothing.

    Raises
    ------
    InputError
        Where headers say that mask and image lie in different places, or only one of them says where it lies, and was
        turned accordingly.
    """
    if len(mask.shape) != len(image.shape):
        return values, ""  # which is refused for its size
    if trust:
        return _by_index(values, mask, image), ""
    if mask.affine is not None and image.affine is not None:
        return _by_place(values, mask, image)
    unplaced = (mask.affine is None) != (image.affine is None)
    if unplaced and (len(image.shape) == 3 or "NIfTI" in (mask.kind, image.kind)):  # a slice of DICOM is never turned
        placed, other = (image, mask) if mask.affine is None else (mask, image)
        raise InputError(
            f"{placed.path}: says where in the body it lies ({placed.kind}), but {other.path} does not ({other.kind}): "
            "which way round the one lies on the other is unknown",
            f"save both in one format, NIfTI say; {TRUST}",
        )
    return _by_size(values, mask, image)


def _by_place(values: np.ndarray, mask: Grid, image: Grid) -> tuple[np.ndarray, str]:
    smallest = min(_steps(grid.affine).min() for grid in (mask, image))
    if mask.shape == image.shape:
        if np.abs(_corners(mask, 0) - _corners(image, 0)).max() <= SAME * smallest:
            return values, ""
        raise _disagree(mask, image, "both have the same size")
    largest = max(_steps(grid.affine).max() for grid in (mask, image))
    if np.abs(_corners(mask, 0.5) - _corners(image, 0.5)).max() > largest:
        raise _disagree(mask, image, "sizes differ, and so does the field")
    to_mask = np.linalg.pinv(mask.affine[:, :-1])
    return _nearest(values, to_mask @ image.affine[:, :-1], to_mask @ (image.affine[:, -1] - mask.affine[:, -1]), image)


def _by_size(values: np.ndarray, mask: Grid, image: Grid) -> tuple[np.ndarray, str]:
    if not (mask.spacing and image.spacing):
        return values, ""
    one, other = (np.array(grid.spacing) * MILLIMETRES[grid.unit] for grid in (mask, image))
    if mask.shape == image.shape:
        if (np.abs(one - other) <= SIZES * other).all():
            return values, ""
        raise _disagree(mask, image, "both have the same size")
    apart = np.abs(one * mask.shape - other * image.shape)
    if (apart > np.maximum(one, other)).any():
        return values, ""
    ratio = np.divide(mask.shape, image.shape)
    return _nearest(values, np.diag(ratio), ratio / 2 - 0.5, image)


def _nearest(values: np.ndarray, matrix: np.ndarray, offset: np.ndarray, image: Grid) -> tuple[np.ndarray, str]:
    """The value where the centre of each pixel of the image lies: its index, times matrix plus offset, in the mask."""
    from scipy.ndimage import affine_transform

    laid = affine_transform(values, matrix, offset, image.shape, order=0, mode="nearest")
    return laid, "mask of another pixel size laid on its image, by nearest pixel"


def _by_index(values: np.ndarray, mask: Grid, image: Grid) -> np.ndarray:
    """Of two NIfTI volumes, which their headers may have turned differently, voxels of the same stored indices."""
    if mask.kind == image.kind == "NIfTI":
        one, other = open_header(mask.path), open_header(image.path)
        lengths = [(*found.shape[:3], *[1] * (3 - len(found.shape))) for found in (one, other)]
        if lengths[0] == lengths[1]:
            stored = as_stored(values, TO_LPS @ one.affine, lengths[0])
            return canonical(stored, TO_LPS @ other.affine, image.path)[0].reshape(image.shape)
    return values


def _steps(affine: np.ndarray) -> np.ndarray:
    return np.linalg.norm(affine[:, :-1], axis=0)


def _corners(grid: Grid, beyond: float) -> np.ndarray:
    """Where the centres of the corner pixels lie, or points ``beyond`` these: shape (2 ** n, 3), in mm."""
    ends = np.meshgrid(*[(-beyond, n - 1 + beyond) for n in grid.shape], [1.0], indexing="ij")
    return np.stack([end.ravel() for end in ends], axis=1) @ grid.affine.T


def _disagree(mask: Grid, image: Grid, what: str) -> InputError:
    return InputError(
        f"{mask.path}: {_said(mask)}; but its image {image.path}: {_said(image)} ({what})",
        f"is one header wrong? mend it, or save both anew from one program; {TRUST}",
    )


def _said(grid: Grid) -> str:
    size = " x ".join(map(str, grid.shape))
    if grid.affine is None:
        return f"{size} pixels of {' x '.join(f'{s:.4g}' for s in grid.spacing)} {grid.unit}"
    sides = " x ".join(f"{step:.4g}" for step in _steps(grid.affine))
    first, last = (", ".join(f"{mm:.4g}" for mm in _corners(grid, 0)[i]) for i in (0, -1))
    return f"{size} pixels of {sides} mm from ({first}) to ({last}) mm (left, back, head)"
