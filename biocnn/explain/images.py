"""Class activation maps of examples, prepared for display."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.core.files import atomic
from biocnn.explain.cam import grad_cam
from biocnn.io.display import display
from biocnn.tasks import Task

# Maximum number of pixels along each axis; larger images are cropped to their centre.
SIZE = 512


@dataclass
class ImageExplanation:
    """Content of ``write_images``: n maps, each with its image, at the top left of a canvas of common size.

    Parameters
    ----------
    id
        Ids of the images, shape (n,).
    image
        Images for display, shape (n, H, W), or (n, H, W, 3) for several channels; uint8.
    cam
        Maps, shape (n, H, W), float32, 0 to 1.
    output
        Name of the output of each map, shape (n,).
    true
        Whether the output is true for the image, shape (n,), bool; False for maps of pixels.
    """

    id: np.ndarray
    image: np.ndarray
    cam: np.ndarray
    output: np.ndarray
    true: np.ndarray


def explain_images(
    model: nn.Module,
    images: Sequence[Tensor],
    predictions: Sequence[Tensor],
    targets: Sequence[Tensor],
    ids: Sequence[str],
    task: Task,
    stored: Sequence[np.ndarray] | None = None,
) -> ImageExplanation:
    """Compute Grad-CAM of images for the outputs that the task explains: classes that are predicted, or missed.

    Parameters
    ----------
    model
        Trained network, on the device to use.
    images
        Input of the model, shape (C, H, W) or (C, D, H, W) each, of any sizes; covariates may follow. For
        volumes the slice with the largest value of the map is shown, or the central one if the map is zero. If the
        model predicts maps, axes longer than 512 pixels are cropped to their centre.
    predictions
        Predictions of the model, shape (K,) or (K, *spatial) each.
    targets
        Targets, in the same shape except for class maps, which have one channel.
    ids
        Ids of the images.
    task
        Task of the model.
    stored
        Images as stored, of the same sizes, from which 8-bit colours are shown unchanged. None: ``images`` are shown,
        with stretched contrast, as for all other images.
    """
    pictures, maps, names, shown, true = [], [], [], [], []
    device = next(model.parameters()).device
    for number, (id, image, p, y) in enumerate(zip(ids, images, predictions, targets, strict=True)):
        image = (middle(image) if task.target.spatial else image).float()
        own = image[: task.facts.in_channels]  # without covariates
        colours = torch.tensor(stored[number]) if stored and coloured(stored[number]) else own
        seen = (middle(colours) if task.target.spatial else colours).cpu().numpy()
        x = image[None].to(device)
        for output in task.explained(middle(p), y):
            cam = grad_cam(model, x, task.logit_of(output), rivals=task.rivals)[0].cpu().numpy()
            plane = _hottest(cam)
            shown.append(id)
            pictures.append(picture(seen[:, *plane]))
            maps.append(cam[plane])
            names.append(task.outputs[output])
            true.append(not task.target.spatial and bool(y[output] == 1))
    return ImageExplanation(
        np.array(shown, str), canvas(pictures), canvas(maps), np.array(names, str), np.array(true, bool)
    )


def write_images(folder: str | Path, explanation: ImageExplanation) -> None:
    """Write ``cam.npz``, whole or not at all."""
    with atomic(Path(folder) / "cam.npz") as temporary:
        np.savez_compressed(temporary, **vars(explanation))


def middle(image: Tensor) -> Tensor:
    """Crop an image (C, *spatial) to its central 512 pixels along each axis."""
    for axis, length in enumerate(image.shape[1:], 1):
        image = image.narrow(axis, max(0, (length - SIZE) // 2), min(length, SIZE))
    return image


def _hottest(cam: np.ndarray) -> tuple[int, ...]:
    """Return the index of the slice of a volume with the largest value, the central one if all are zero; () in 2D."""
    if cam.ndim < 3:
        return ()
    return (int(cam.max(axis=(1, 2)).argmax()) if cam.any() else len(cam) // 2,)


def coloured(image: np.ndarray) -> bool:
    """Return whether an image (C, *spatial) is one of 8-bit colours, shown unchanged."""
    return image.dtype == np.uint8 and len(image) == 3


def picture(plane: np.ndarray) -> np.ndarray:
    """Return (H, W) or (H, W, 3), uint8, of a plane (C, H, W), in the colours of ``biocnn.io.display``."""
    pixels = np.rint(255 * display(plane)).astype(np.uint8)
    return pixels[..., 0] if len(plane) == 1 else pixels


def canvas(arrays: list[np.ndarray]) -> np.ndarray:
    """Stack arrays of shape (H, W, ...), padding smaller ones with zeros at their far ends."""
    if not arrays:
        return np.zeros((0, 0, 0), dtype=np.uint8)
    height, width = (max(array.shape[axis] for array in arrays) for axis in (0, 1))
    canvas = np.zeros((len(arrays), height, width, *arrays[0].shape[2:]), dtype=arrays[0].dtype)
    for place, array in zip(canvas, arrays, strict=True):
        place[: array.shape[0], : array.shape[1]] = array
    return canvas
