"""Shapes of truth: how each is stored, cut with its image, batched, and moved when its image is augmented.

Importing this is light, as for all that tasks say of themselves: a dry run reads it.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from biocnn.augment.move import Move
    from biocnn.io.ragged import Ragged

PARTIAL = -1  # the label of a box of which too little is seen

Window = Sequence[slice]  # which pixels to cut along each axis, with both ends
Missing = Sequence[tuple[int, int]]  # pixels to add before and after them along each axis, where images are smaller


class Target:
    """What every kind of truth can do; one example's truth is an array.

    Attributes
    ----------
    spatial
        Whether truth lies in the image, and has to be cut and moved with it.
    dtype
        Type of the stored values.
    """

    spatial: bool
    dtype: str

    def write(self, truths: "Iterable[np.ndarray]", folder: Path) -> None:
        """Store the truth of all examples, in their order; one is held in memory at a time."""
        from biocnn.io.ragged import Ragged

        Ragged.write(folder / "y.npy", truths, self.dtype)

    def open(self, folder: Path) -> "Ragged":
        """The stored truth of all examples."""
        from biocnn.io.ragged import Ragged

        return Ragged(folder / "y.npy")

    def crop(self, truth: "np.ndarray", window: Window, missing: Missing) -> "np.ndarray":
        """The truth of a patch."""
        raise NotImplementedError

    def collate(self, truths: "Sequence[np.ndarray]") -> "Tensor":
        """The truths of a batch as one tensor."""
        import numpy as np

        from biocnn.nn.encode import to_tensor

        return to_tensor(np.stack(truths))

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """A batch of truths moved as their images of these sizes were, in pixels along each axis."""
        raise NotImplementedError


class Vector(Target):
    """Numbers for an example as a whole, shape (K,), float32; nan: not known."""

    spatial, dtype = False, "float32"

    def crop(self, truth: "np.ndarray", window: Window, missing: Missing) -> "np.ndarray":
        """The same for every patch."""
        return truth

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """The same wherever pixels went."""
        return truth


class ClassMap(Target):
    """Classes or other levels of each pixel, shape (K, *spatial), uint8, which are never mixed; 255: not known."""

    spatial, dtype = True, "uint8"

    def crop(self, truth: "np.ndarray", window: Window, missing: Missing) -> "np.ndarray":
        """Nothing is known beyond the image."""
        from biocnn.metrics.masks import IGNORE

        return cut(truth, window, missing, constant_values=IGNORE)

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """Each pixel gets the value of the nearest; beyond the border they are mirrored, as images are."""
        return move.maps(truth, "nearest")


class ValueMap(Target):
    """Quantities of each pixel, shape (K, *spatial), float32; nan: not known."""

    spatial, dtype = True, "float32"

    def crop(self, truth: "np.ndarray", window: Window, missing: Missing) -> "np.ndarray":
        """Mirrored beyond the image, as the image is."""
        return cut(truth, window, missing, mode="symmetric")

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """Interpolated as images are; what has an unknown neighbour is not known."""
        return move.maps(truth, "bilinear")


class Boxes(Target):
    """Boxes around objects, one row each: its label, its first corner, and the corner opposite, float32.

    In 2D a row is (label, row, column, row, column), in 3D (label, plane, row, column, plane, row, column). Corners lie
    on the edges of pixels, which are counted from 0: (k, 2, 5, 4, 9) holds rows 2 and 3 and columns 5 to 8, as
    ``image[2:4, 5:9]`` does. A batch is one tensor of all rows, with the number of the example in front of each.

    Boxes are cut to the patch. One of which too little remains is neither an object nor background: it stays, labelled
    -1. One that lies outside is left out.

    Parameters
    ----------
    visible
        Least share of a box's area (volume) that has to remain for it to keep its label.
    """

    spatial, dtype = True, "float32"

    def __init__(self, visible: float = 0.25) -> None:
        self.visible = visible

    def crop(self, truth: "np.ndarray", window: Window, missing: Missing) -> "np.ndarray":
        """The boxes that reach into the patch, in pixels of the patch."""
        import numpy as np
        import torch

        offset = [before - side.start for side, (before, _) in zip(window, missing, strict=True)]
        sizes = [side.stop - side.start + sum(more) for side, more in zip(window, missing, strict=True)]
        moved = truth + np.array([0, *offset, *offset], truth.dtype)
        return self._cut(torch.from_numpy(moved), sizes).numpy()

    def collate(self, truths: "Sequence[np.ndarray]") -> "Tensor":
        """Rows of shape (M, 2 + 2 spatial_dims): example, label, corners."""
        import numpy as np
        import torch

        numbers = np.repeat(np.arange(len(truths), dtype=self.dtype), [len(boxes) for boxes in truths])
        return torch.from_numpy(np.column_stack([numbers, np.concatenate(truths)]))

    def warp(self, truth: "Tensor", move: "Move", sizes: Sequence[int]) -> "Tensor":
        """The smallest upright boxes around the moved corners."""
        import torch

        dims = len(sizes)
        ends = truth[:, -2 * dims :].view(-1, 2, dims)  # the first corner, the opposite one
        which = torch.tensor(list(product((0, 1), repeat=dims)), device=truth.device)
        corners = ends[:, which, torch.arange(dims, device=truth.device)]
        example = truth[:, 0].long().repeat_interleave(len(which))
        corners = move.points(corners.flatten(0, 1), example).view(corners.shape)
        return self._cut(torch.cat([truth[:, : -2 * dims], corners.amin(1), corners.amax(1)], 1), sizes)

    def _cut(self, boxes: "Tensor", sizes: Sequence[int]) -> "Tensor":
        """Rows that end with the corners, cut to a patch."""
        import torch

        dims = len(sizes)
        before, corners = boxes[:, : -2 * dims].clone(), boxes[:, -2 * dims :].view(-1, 2, dims)
        inside = corners.clamp(min=0).minimum(corners.new_tensor(sizes))
        area, left = (ends.diff(dim=1).prod(2)[:, 0] for ends in (corners, inside))
        before[:, -1].masked_fill_(left < self.visible * area, PARTIAL)
        return torch.cat([before, inside.flatten(1)], 1)[left > 0]


def cut(values: "np.ndarray", window: Window, missing: Missing, **beyond: Any) -> "np.ndarray":
    """A patch of an image or map (channels, *spatial), with ``np.pad``'s settings for what is missing."""
    import numpy as np

    patch = values[(slice(None), *window)]
    return np.pad(patch, [(0, 0), *missing], **beyond) if any(map(any, missing)) else patch
