"""A trained model put to use: on stored data sets, sequences, files and arrays."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.batches import ImageBatches, SequenceBatches
from biocnn.checkpoint import load_model
from biocnn.data.fasta import encode, read_fasta
from biocnn.data.images import read_images
from biocnn.data.padded import pad
from biocnn.encode import normalise, one_hot, to_tensor
from biocnn.errors import InputError
from biocnn.instances import label_instances
from biocnn.losses import probability

BATCH = 512


def default_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.no_grad()
def predict_batches(model: nn.Module, batches: SequenceBatches | ImageBatches, task: str) -> Iterator[np.ndarray]:
    """What the model says of each example, in order: (K,) or (K, *spatial), float32."""
    model.eval()
    for x, _ in batches.plain():
        yield from probability(model(x).float(), task).cpu().numpy()


class Model:
    """A model file, loaded: ``model.predict(...)`` and ``model.segment(...)``.

    Parameters
    ----------
    path
        ``model.safetensors`` of a run.
    device
        Where to compute; the first GPU if there is one.

    Raises
    ------
    InputError
        For a missing, damaged or foreign model file.
    """

    def __init__(self, path: str | Path, device: str | torch.device | None = None) -> None:
        self.network, self.meta = load_model(path)
        self.facts: dict[str, Any] = self.meta["facts"]
        self.device = torch.device(device) if device else default_device()
        self.network.to(self.device)

    def __repr__(self) -> str:
        return f"Model({self.meta['experiment']['model']['name']}, task={self.facts['task']}, outputs={self.outputs})"

    @property
    def outputs(self) -> list[str]:
        """Names of the K outputs."""
        return self.facts["outputs"]

    def predict(self, inputs: Any) -> Any:
        """Probabilities (or values, for regression).

        Parameters
        ----------
        inputs
            For sequences: a string or a list of strings, the path of a FASTA file, or codes of shape (N, L), uint8.
            For images: a path, a list of paths, a folder, or an array of shape (C, *spatial) or, of one channel,
            (*spatial).

        Returns
        -------
        probability
            Sequences: shape (N, K). Images: shape (K, *spatial) for one image, else a list of such.

        Raises
        ------
        InputError
            For letters that are no bases, another number of channels than in training, or unreadable files.
        """
        if self.facts["kind"] == "sequence":
            return self._sequences(_codes(inputs))
        if isinstance(inputs, np.ndarray):
            return self._image(inputs, "array")
        images = [self._image(image, name) for name, image, _ in self.read(inputs)]
        single = isinstance(inputs, str | Path) and not Path(inputs).is_dir()
        return images[0] if single else images

    def read(self, paths: Any) -> Iterator[tuple[str, np.ndarray, list[float] | None]]:
        """Name, pixels (C, *spatial) and spacing of each image of a folder, a file or a list; channels as trained."""
        data = self.meta["experiment"]["data"]
        return read_images(paths, channels=self.facts["channels"], axes=data.get("axes"))

    def segment(self, inputs: Any) -> Any:
        """Masks (0/1 or class numbers, uint8) or, for models of objects, labels (int32; 0 = background, 1..n).

        Parameters
        ----------
        inputs
            Images, as for ``predict``.

        Returns
        -------
        segmented
            Shape (*spatial) for one image, else a list of such.
        """
        found = self.predict(inputs)
        return [self.decide(p) for p in found] if isinstance(found, list) else self.decide(found)

    def decide(self, p: np.ndarray) -> np.ndarray:
        """From probabilities (K, *spatial) to a mask, or to labels."""
        return decide(p, self.facts["task"], self.meta.get("postprocess", {}))

    @torch.no_grad()
    def _sequences(self, codes: Sequence[np.ndarray]) -> np.ndarray:
        window = self.facts["window"]
        if not codes:
            return np.zeros((0, len(self.outputs)), np.float32)
        for row, array in enumerate(codes):
            if not len(array):
                raise InputError(f"sequence {row + 1} is empty", "leave it out")
            if window and len(array) != window:
                raise InputError(
                    f"sequence {row + 1} has {len(array)} letters, but the model was trained on windows of {window} bp",
                    f"cut sequences to {window} letters around the site of interest",
                )
        found = []
        for start in range(0, len(codes), BATCH):
            x = one_hot(torch.from_numpy(pad(codes[start : start + BATCH])).to(self.device))
            found.append(probability(self.network(x).float(), self.facts["task"]).cpu().numpy())
        return np.concatenate(found)

    @torch.no_grad()
    def _image(self, image: np.ndarray, name: str) -> np.ndarray:
        dims, channels = self.facts["spatial_dims"], self.facts["in_channels"]
        image = image[None] if image.ndim == dims else image
        if image.ndim != dims + 1 or image.shape[0] != channels:
            raise InputError(
                f"{name}: shape {tuple(image.shape)}, but the model was trained on {channels} channels",
                f"give an array of shape (C, *spatial) with C = {channels} ({', '.join(self.facts['channels'])})",
            )
        if not np.isfinite(image).all():
            raise InputError(f"{name}: holds NaN or infinite pixels", "replace them by the image's median, say")
        low, high = (torch.tensor(self.facts["intensity"][key]) for key in ("low", "high"))
        x: Tensor = normalise(to_tensor(image)[None].to(self.device), low, high)
        return probability(self.network(x).float(), self.facts["task"])[0].cpu().numpy()


def decide(p: np.ndarray, task: str, postprocess: dict[str, Any]) -> np.ndarray:
    """From probabilities (K, *spatial) to a mask (uint8), or to labels (int32) where the task is instances."""
    if task == "instances":
        return label_instances(p, **postprocess)
    return (p[0] > 0.5).astype(np.uint8) if task == "mask" else p.argmax(0).astype(np.uint8)


def _codes(inputs: Any) -> list[np.ndarray]:
    if isinstance(inputs, np.ndarray):
        if inputs.ndim > 2 or not np.issubdtype(inputs.dtype, np.integer) or not np.isin(inputs, range(6)).all():
            raise InputError(
                f"an array of shape {inputs.shape} and type {inputs.dtype} is no sequence",
                "give whole numbers of shape (N, L) or (L,): 0-3 = A C G T, 4 = unknown, 5 = padding",
            )
        return list(np.atleast_2d(inputs))
    if isinstance(inputs, Path) or (isinstance(inputs, str) and Path(inputs).suffix):
        return [record.codes for record in read_fasta(inputs)]
    texts = [inputs] if isinstance(inputs, str) else list(inputs)
    return [encode(text, where=f"sequence {row + 1}") for row, text in enumerate(texts)]
