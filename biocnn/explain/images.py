"""Class activation maps of examples, prepared for display."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from biocnn.core.files import atomic
from biocnn.explain.cam import grad_cam
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
    """

    id: np.ndarray
    image: np.ndarray
    cam: np.ndarray
    output: np.ndarray


def explain_images(
    model: nn.Module, images: Sequence[Tensor], answers: Sequence[Tensor], ids: Sequence[str], task: Task
) -> ImageExplanation:
    """Compute Grad-CAM of images for the outputs that the task explains: the classes that are predicted.

    Parameters
    ----------
    model
        Trained network, on the device to use.
    images
        Input of the model, shape (C, H, W) or (C, D, H, W) each, of any sizes. For volumes the central slice is shown.
        Axes longer than 512 pixels are cropped to their centre.
    answers
        Predictions of the model, shape (K,) or (K, *spatial) each.
    ids
        Ids of the images.
    task
        Task of the model.
    """
    pictures, maps, names, shown = [], [], [], []
    device = next(model.parameters()).device
    for id, image, answer in zip(ids, images, answers, strict=True):
        image = _middle(image).float()
        x = image[None].to(device)
        for output in task.explained(_middle(answer)):
            cam = grad_cam(model, x, output, rivals=task.rivals)[0].cpu().numpy()
            shown.append(id)
            pictures.append(_picture(image.cpu().numpy()))
            maps.append(cam[len(cam) // 2] if cam.ndim == 3 else cam)
            names.append(task.outputs[output])
    return ImageExplanation(np.array(shown, dtype=str), _canvas(pictures), _canvas(maps), np.array(names, dtype=str))


def write_images(folder: str | Path, explanation: ImageExplanation) -> None:
    """Write ``cam.npz``, whole or not at all."""
    with atomic(Path(folder) / "cam.npz") as temporary:
        np.savez_compressed(temporary, **vars(explanation))


def _middle(image: Tensor) -> Tensor:
    for axis, length in enumerate(image.shape[1:], 1):
        image = image.narrow(axis, max(0, (length - SIZE) // 2), min(length, SIZE))
    return image


def _picture(image: np.ndarray) -> np.ndarray:
    """Return (H, W) or (H, W, 3), uint8, with each channel scaled from its 1st to its 99.8th percentile."""
    plane = image[:, image.shape[1] // 2] if image.ndim == 4 else image
    space = (1, 2)
    low, high = np.percentile(plane, (1, 99.8), axis=space, keepdims=True)
    stretched = np.clip((plane - low) / np.maximum(high - low, 1e-12), 0, 1)
    pixels = np.rint(255 * stretched).astype(np.uint8)
    if len(pixels) == 1:
        return pixels[0]
    return np.moveaxis(np.pad(pixels[:3], ((0, max(0, 3 - len(pixels))), (0, 0), (0, 0))), 0, -1)


def _canvas(arrays: list[np.ndarray]) -> np.ndarray:
    """Stack arrays of shape (H, W, ...), padding smaller ones with zeros at their far ends."""
    if not arrays:
        return np.zeros((0, 0, 0), dtype=np.uint8)
    height, width = (max(array.shape[axis] for array in arrays) for axis in (0, 1))
    canvas = np.zeros((len(arrays), height, width, *arrays[0].shape[2:]), dtype=arrays[0].dtype)
    for place, array in zip(canvas, arrays, strict=True):
        place[: array.shape[0], : array.shape[1]] = array
    return canvas
