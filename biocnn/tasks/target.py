"""Kinds of targets: how each is stored, cropped with its image, batched, and moved when its image is augmented.

Importing this module is fast, like all of a task's declarations, because a dry run reads it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from biocnn.augment.move import Move
    from biocnn.io.ragged import Ragged
    from biocnn.io.stored_image import Slices

PARTIAL = -1  # label of a box that is mostly outside the patch
VISIBLE = 0.25  # least share of a box in the patch for it to be an object, unless it was measured

Missing = Sequence[tuple[int, int]]  # pixels to pad before and after a window along each axis, for smaller images


class Target:
    """Base of all kinds of targets; the target of one example is an array.

    Attributes
    ----------
    kind
        Kind of target by which the registry matches data formats and networks.
    labelled
        Whether each pixel has a class or the label of an object, in maps with a leading axis of channels.
    summed
        Whether values are per pixel, so that they change with its size.
    spatial
        Whether the target has spatial axes, and is cropped and moved with the image.
    mirrored
        Whether images of patches are mirrored beyond their border. Otherwise the last pixels are repeated, and what
        augmentation moves into view is 0, as for convolutions.
    dtype
        dtype of the stored values.
    settings
        Settings for this kind of target only, by dotted key; see ``biocnn.config.agreement``.
    """

    kind: str
    labelled: bool = False
    summed: bool = False
    spatial: bool
    mirrored: bool = True
    dtype: str
    settings: tuple[str, ...] = ()

    def write(self, truths: "Iterable[np.ndarray]", folder: Path) -> None:
        """Store the targets of all examples, in their order; one is held in memory at a time."""
        from biocnn.io.ragged import Ragged

        Ragged.write(folder / "y.npy", truths, self.dtype)

    def open(self, folder: Path) -> "Ragged":
        """Open the stored targets of all examples."""
        from biocnn.io.ragged import Ragged

        return Ragged(folder / "y.npy")

    def crop(self, truth: "np.ndarray", window: "Slices", missing: Missing) -> "np.ndarray":
        """Return the target of a patch."""
        raise NotImplementedError

    def collate(self, truths: "Sequence[np.ndarray]") -> "Tensor":
        """Combine the targets of a batch into one tensor."""
        import numpy as np

        from biocnn.nn.encode import to_tensor

        return to_tensor(np.stack(truths))

    def split(self, batch: "Tensor", number: int) -> "list[Tensor]":
        """Return the targets of the ``number`` examples of a batch: the inverse of ``collate``."""
        return list(batch)

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """Move a batch of targets like their images, whose sizes are in pixels along each axis."""
        raise NotImplementedError


class Vector(Target):
    """Numbers for an example as a whole, shape (K,), float32; nan: unknown."""

    kind, spatial, dtype = "vector", False, "float32"
    settings = (
        "train.size", "train.fit", "explain.likeness", "explain.motifs.database", "explain.attributions",
        "explain.regions", "variants.vcf",
    )  # fmt: skip

    def crop(self, truth: "np.ndarray", window: "Slices", missing: Missing) -> "np.ndarray":
        """Return the target unchanged, for every patch."""
        return truth

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """Return the targets unchanged, for every move."""
        return truth


class ClassMap(Target):
    """Classes or other levels of each pixel, shape (K, *spatial), uint8, which are never mixed; 255: unknown."""

    kind, labelled, spatial, dtype = "map", True, True, "uint8"
    settings = (
        "train.patch", "train.foreground", "metrics.also", "metrics.tolerance", "metrics.regions", "predict.blend",
        "predict.overlap", "uncertainty.methods",
    )  # fmt: skip

    def crop(self, truth: "np.ndarray", window: "Slices", missing: Missing) -> "np.ndarray":
        """Crop; pixels beyond the image are unknown."""
        from biocnn.metrics.masks import IGNORE

        return cut(truth, window, missing, constant_values=IGNORE)

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """Move with nearest-neighbour interpolation; pixels beyond the border are mirrored, like those of images."""
        return move.maps(truth, "nearest")


class ValueMap(Target):
    """Quantities of each pixel, shape (K, *spatial), float32; nan: unknown."""

    kind, spatial, dtype = "values", True, "float32"
    settings: tuple[str, ...] = ("train.patch", "predict.blend", "predict.overlap")

    def crop(self, truth: "np.ndarray", window: "Slices", missing: Missing) -> "np.ndarray":
        """Crop; pixels beyond the image are mirrored, like those of images."""
        return cut(truth, window, missing, mode="symmetric")

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """Interpolate linearly, like images; values with an unknown neighbour become unknown."""
        return move.maps(truth, "bilinear")


class Tracks(ValueMap):
    """Values of each base, shape (K, L), float32; nan: unknown.

    Parameters
    ----------
    opposite
        For each output, the one that takes its place on the other strand; empty: the same.
    """

    settings = ()

    def __init__(self, opposite: Sequence[int] = ()) -> None:
        self.opposite = list(opposite)

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """Move values with their bases, and exchange the outputs of sequences that are read from the other strand."""
        moved, turned = move.maps(truth, "nearest"), move.turned()
        if not self.opposite or isinstance(turned, bool):
            return moved
        return moved[:, self.opposite].where(turned[:, None, None], moved)


class DensityMap(ValueMap):
    """Numbers of objects per pixel, shape (K, *spatial), float32, whose sum is the number of objects.

    Maps are stored rather than points, because what lies beyond the border of a patch is mirrored, with its density.
    """

    summed = True

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """Interpolate, and keep the sum over each object, whatever its size becomes."""
        return move.densities(truth)


class Boxes(Target):
    """Boxes around objects, one row each: label, first corner, opposite corner; float32.

    In 2D a row is (label, row, column, row, column), in 3D (label, plane, row, column, plane, row, column). Corners lie
    on the edges of pixels, which are counted from 0: (k, 2, 5, 4, 9) covers rows 2 and 3 and columns 5 to 8, like
    ``image[2:4, 5:9]``. A batch is one tensor of all rows, each preceded by the index of its example.

    Boxes are cropped to the patch. A box of which too little remains is neither an object nor background: it is kept
    with label -1. A box outside the patch is removed. Mirror images of objects would have no box, so there are none.

    Parameters
    ----------
    visible
        Smallest share of a box's area (volume) that must remain for it to keep its label.
    """

    kind, spatial, mirrored, dtype = "boxes", True, False, "float32"
    settings = ("train.patch",)

    def __init__(self, visible: float = VISIBLE) -> None:
        self.visible = visible

    def crop(self, truth: "np.ndarray", window: "Slices", missing: Missing) -> "np.ndarray":
        """Return the boxes that overlap the patch, in pixels of the patch."""
        import numpy as np
        import torch

        offset = [before - side.start for side, (before, _) in zip(window, missing, strict=True)]
        sizes = [side.stop - side.start + sum(more) for side, more in zip(window, missing, strict=True)]
        moved = truth + np.array([0, *offset, *offset], truth.dtype)
        return self._cut(torch.from_numpy(moved), sizes).numpy()

    def collate(self, truths: "Sequence[np.ndarray]") -> "Tensor":
        """Return rows of shape (M, 2 + 2 spatial_dims): example, label, corners."""
        import numpy as np
        import torch

        numbers = np.repeat(np.arange(len(truths), dtype=self.dtype), [len(boxes) for boxes in truths])
        return torch.from_numpy(np.column_stack([numbers, np.concatenate(truths)]))

    def split(self, batch: "Tensor", number: int) -> "list[Tensor]":
        """Return the boxes of each example."""
        return [batch[batch[:, 0] == example, 1:] for example in range(number)]

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """Return the bounding boxes of the moved ellipses (ellipsoids) that fill the boxes.

        Objects are rarely rectangles: the bounding box of the moved corners of a cell's box would be up to 1.4 times
        too long on each side, and only mirrored and quarter-turned boxes would fit. See Kalra et al., ICCV 2021,
        arXiv:2109.13488.
        """
        import torch

        dims = len(sizes)
        first, opposite = truth[:, -2 * dims :].chunk(2, 1)
        centre, axes = (first + opposite) / 2, torch.diag_embed((opposite - first) / 2)
        ends = torch.stack([centre[:, None] - axes, centre[:, None] + axes])  # both ends of each axis of the ellipse
        example = truth[:, 0].long().repeat_interleave(dims).repeat(2)
        ends = move.points(ends.flatten(0, 2), example).view(ends.shape)
        centre, reach = ends.mean(dim=(0, 2)), ends.diff(dim=0)[0].div(2).norm(dim=1)
        return self._cut(torch.cat([truth[:, : -2 * dims], centre - reach, centre + reach], 1), sizes)

    def _cut(self, boxes: "Tensor", sizes: Sequence[int]) -> "Tensor":
        """Crop boxes, in rows that end with the corners, to a patch."""
        import torch

        dims = len(sizes)
        before, corners = boxes[:, : -2 * dims].clone(), boxes[:, -2 * dims :].view(-1, 2, dims)
        inside = corners.clamp(min=0).minimum(corners.new_tensor(sizes))
        area, left = (ends.diff(dim=1).prod(2)[:, 0] for ends in (corners, inside))
        before[:, -1].masked_fill_(left < self.visible * area, PARTIAL)
        return torch.cat([before, inside.flatten(1)], 1)[left > 0]


def cut(values: "np.ndarray", window: "Slices", missing: Missing, **beyond: Any) -> "np.ndarray":
    """Cut a patch of an image or map (channels, *spatial), with ``np.pad``'s settings for missing pixels."""
    import numpy as np

    patch = values[(slice(None), *window)]
    return np.pad(patch, [(0, 0), *missing], **beyond) if any(map(any, missing)) else patch
