"""Align a mask with its image by their headers; refuse if headers and arrays disagree."""

import numpy as np

from biocnn.core.errors import InputError
from biocnn.io.nifti import open_header
from biocnn.io.orientation import TO_LPS, as_stored, canonical
from biocnn.io.stored_image import MILLIMETRES, Grid

SAME = 0.25  # maximum distance of matching corners, in pixels
SIZES = 0.01  # relative difference up to which pixel sizes count as equal
TRUST = "if the arrays match pixel by pixel despite their headers, set data: {geometry: trust_arrays}"


def lay(values: np.ndarray, mask: Grid, image: Grid, trust: bool) -> tuple[np.ndarray, str]:
    """Resample a mask onto the grid of its image.

    Parameters
    ----------
    values
        Mask, shape (*spatial).
    mask, image
        Grids of the mask and of the image.
    trust
        Whether to ignore headers and match the arrays pixel by pixel.

    Returns
    -------
    values, repair
        The mask on the grid of the image, and a note on what was done ("" if nothing).

    Raises
    ------
    InputError
        If headers place mask and image differently, or if only one of them states its position and was reoriented
        accordingly.
    """
    if len(mask.shape) != len(image.shape):
        return values, ""  # the caller rejects the size
    if trust:
        return _by_index(values, mask, image), ""
    if mask.affine is not None and image.affine is not None:
        return _by_place(values, mask, image)
    unplaced = (mask.affine is None) != (image.affine is None)
    if unplaced and (len(image.shape) == 3 or "NIfTI" in (mask.kind, image.kind)):  # a DICOM slice is never reoriented
        placed, other = (image, mask) if mask.affine is None else (mask, image)
        raise InputError(
            f"{placed.path}: states its position in the body ({placed.kind}), {other.path} does not ({other.kind}): "
            "their relative orientation is unknown",
            f"save both in one format, e.g. NIfTI; {TRUST}",
        )
    return _by_size(values, mask, image)


def finer(grid: Grid, factor: int) -> Grid:
    """Return the grid of an image at the same place with ``factor`` times as many pixels along each axis."""
    affine = grid.affine
    if affine is not None:
        steps = affine[:, :-1] / factor
        affine = np.column_stack([steps, affine[:, -1] + steps.sum(axis=1) * (1 - factor) / 2])
    spacing = [size / factor for size in grid.spacing] if grid.spacing else None
    return grid._replace(shape=tuple(factor * n for n in grid.shape), spacing=spacing, affine=affine)


def _by_place(values: np.ndarray, mask: Grid, image: Grid) -> tuple[np.ndarray, str]:
    smallest = min(_steps(grid.affine).min() for grid in (mask, image))
    if mask.shape == image.shape:
        if np.abs(_corners(mask, 0) - _corners(image, 0)).max() <= SAME * smallest:
            return values, ""
        raise _disagree(mask, image, "both have the same size")
    largest = max(_steps(grid.affine).max() for grid in (mask, image))
    if np.abs(_corners(mask, 0.5) - _corners(image, 0.5)).max() > largest:
        raise _disagree(mask, image, "their sizes and fields of view differ")
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
    """Sample the mask at the centre of each image pixel, at index ``matrix @ index + offset``."""
    from scipy.ndimage import affine_transform

    laid = affine_transform(values, matrix, offset, image.shape, order=0, mode="nearest")
    return laid, "mask with another pixel size resampled onto its image (nearest neighbour)"


def _by_index(values: np.ndarray, mask: Grid, image: Grid) -> np.ndarray:
    """Match two NIfTI volumes by stored index, since headers may have reoriented them differently."""
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
    """Return the centres of the corner pixels, moved outwards by ``beyond`` pixels: shape (2 ** n, 3), mm."""
    ends = np.meshgrid(*[(-beyond, n - 1 + beyond) for n in grid.shape], [1.0], indexing="ij")
    return np.stack([end.ravel() for end in ends], axis=1) @ grid.affine.T


def _disagree(mask: Grid, image: Grid, what: str) -> InputError:
    return InputError(
        f"{mask.path}: {_describe(mask)}; but its image {image.path}: {_describe(image)} ({what})",
        f"is one header wrong? fix it, or save both again with the same program; {TRUST}",
    )


def _describe(grid: Grid) -> str:
    size = " x ".join(map(str, grid.shape))
    if grid.affine is None:
        return f"{size} pixels of {' x '.join(f'{s:.4g}' for s in grid.spacing)} {grid.unit}"
    sides = " x ".join(f"{step:.4g}" for step in _steps(grid.affine))
    first, last = (", ".join(f"{mm:.4g}" for mm in _corners(grid, 0)[i]) for i in (0, -1))
    return f"{size} pixels of {sides} mm from ({first}) to ({last}) mm (left, back, head)"
