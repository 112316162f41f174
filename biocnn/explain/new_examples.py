"""Explain predictions of new sequences and images: contributions of bases, and activation maps."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from biocnn.core.errors import InputError, nearest
from biocnn.data.from_arrays import plain
from biocnn.explain.cam import grad_cam
from biocnn.explain.contributions import Method, contributions, decided, explained_output
from biocnn.explain.images import SIZE
from biocnn.explain.sequences import REFERENCES
from biocnn.io.intensity import range_of
from biocnn.io.letters import BASES
from biocnn.io.padded import pad
from biocnn.nn.covariates import beside
from biocnn.nn.encode import normalise, to_tensor
from biocnn.prediction.compatibility import Adapted, need
from biocnn.prediction.images import all_of
from biocnn.prediction.inputs import coded, codes_of, each_of, images_in, number_of, of_table
from biocnn.prediction.model import Model
from biocnn.prediction.new_signal import of_arrays


class Contributions(NamedTuple):
    """Contributions of bases, ``values`` (N, 4, L), to the logit of ``output`` (N,), by ``method``.

    ``delta`` (N,) is how far they are from adding up, see ``biocnn.explain.contributions``; ``probability`` (N,) the
    prediction of the output.
    """

    values: np.ndarray
    output: np.ndarray
    probability: np.ndarray
    delta: np.ndarray
    method: str


class ActivationMap(NamedTuple):
    """Activation map ``cam`` of an output, (*spatial), 0 to 1, and the image as the network saw it, (C, *spatial)."""

    cam: np.ndarray
    output: int
    probability: float
    image: np.ndarray


def explain(
    model: Model, inputs: Any, output: str | int | None, covariates: Any, method: Method | None, signal: Any = None
) -> Any:
    """Explain predictions, for ``Model.explain``."""
    check_explained(model)
    if not isinstance(inputs, str | list | np.ndarray) and hasattr(inputs, "columns"):
        inputs, own = of_table(model, inputs)
        covariates = own if covariates is None else covariates
    if model.input.scanned:
        inputs = plain("sequences", inputs)
        codes = codes_of(inputs, model.facts.iupac)
        if not codes:
            return np.zeros((0, BASES, 0), np.float32)
        beside = of_arrays(model, signal, codes)
        return of_sequences(model, codes, coded(model, covariates, len(codes)), output, method, beside).values
    if signal is not None:
        need(model, "sequence")
    inputs = images_in(model, inputs)
    z = coded(model, covariates, number_of(inputs) if model.facts.coded else 0)
    rows = iter(z)
    return each_of(model, inputs, lambda image, name: of_image(model, image, name, next(rows, None), output).cam)


def check_explained(model: Model) -> None:
    """Refuse a model whose predictions are not explained: of bags, boxes, bases, numbers of pixels; with covariates."""
    task, scanned = model.task, model.input.scanned
    if scanned and model.facts.coded:
        raise InputError(f"{model.path}: takes covariates, beside which bases are not attributed", "call predict")
    numbers = scanned or task.predicted != "probability"
    if model.input.part != model.input.name or task.detects or (task.target.spatial and numbers):
        raise InputError(f"{model.path} {model._is()}: its predictions are not explained", "call predict")


def of_sequences(
    model: Model, codes: Sequence[np.ndarray], z: np.ndarray, output: str | int | None = None,
    method: Method | None = None, beside: Sequence[np.ndarray] = (),
) -> Contributions:  # fmt: skip
    """Attribute predictions to bases.

    Parameters
    ----------
    model
        Model of numbers for whole sequences.
    codes
        Codes of each sequence, (L,).
    z
        Covariates as the network receives them, (N, Z).
    output
        Name or index of the output; None: the one with the largest prediction in each sequence.
    method
        As in the section explain; None: chosen by the network.
    beside
        Tracks of each sequence as the network receives them, (S, L); empty: none.
    """
    task, signal = model.task, np.stack(beside) if len(beside) else None
    p = model._sequences(codes, z, signal)[:, : len(model.outputs)]
    truth = np.zeros_like(p) if task.positives or task.exclusive else p
    chosen = explained_output(truth, p) if output is None else np.full(len(p), index_of(model, output))
    stacked = pad(codes)
    method = decided(model.network, stacked, method, signal)
    logits = np.array([task.logit_of(int(k)) for k in chosen], int)
    values, delta = contributions(model.network, stacked, logits, method, references=REFERENCES, signal=signal)
    return Contributions(values, chosen, p[np.arange(len(p)), chosen], delta, method)


def of_image(
    model: Model, image: Any, name: str, z: np.ndarray | None = None, output: str | int | None = None
) -> ActivationMap:
    """Return the activation map of an image; of large images without one target, of their central 512 pixels.

    Parameters
    ----------
    model
        Model of images.
    image, name
        Open image with the channels of training, and its name for messages.
    z
        Covariates as the network receives them, (Z,).
    output
        Name or index of the output; None: the first of those that the task explains.
    """
    task = model.task
    adapted = model.adapt(image, name)
    z = np.zeros(0, np.float32) if z is None else z
    p = model.predict_whole(adapted, z) if model.frame else all_of(model.open_maps(image, name))
    likely = task.explained(torch.from_numpy(p), torch.zeros(p.shape))[0]
    chosen = likely if output is None else index_of(model, output)
    pixels = _seen(adapted, model)
    own = adapted.own_range or model.facts.normalise == "image"
    low, high = map(torch.from_numpy, range_of(adapted, None if own else model.facts.intensity))
    x = normalise(to_tensor(pixels)[None].to(model.device), low, high)
    x = beside(x, torch.tensor(z[None], device=model.device))
    cam = grad_cam(model.network, x, task.logit_of(chosen), rivals=task.rivals)[0].cpu().numpy()
    return ActivationMap(cam, chosen, float(p[chosen].mean()), pixels)


def _seen(image: Adapted, model: Model) -> np.ndarray:
    """Return the pixels of an image that the network is explained for: in its frame, or the middle."""
    starts = [0 if model.frame else max(0, (size - SIZE) // 2) for size in image.shape[1:]]
    window = tuple(
        slice(start, size if model.frame else min(size, start + SIZE))
        for start, size in zip(starts, image.shape[1:], strict=True)
    )
    pixels = image.read(window)
    return model.frame.apply(pixels) if model.frame else pixels


def index_of(model: Model, output: str | int) -> int:
    """Return the index of an output, given by name or index."""
    names = model.outputs
    if output in names:
        return names.index(str(output))
    if not isinstance(output, int) or not 0 <= output < len(names):
        raise InputError(f"output: {output!r} is not an output of the model", nearest(str(output), names))
    return output
