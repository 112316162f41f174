"""Predictions of all that users give to a model, and of stored examples: sequences or images."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import torch

from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.data.covariates import doubts, encode_covariates, given
from biocnn.data.dataset import Dataset
from biocnn.data.from_arrays import MOST_CHANNELS, plain
from biocnn.io.fasta import Iupac, encode, read_fasta
from biocnn.io.image_paths import named_images
from biocnn.io.intensity import range_of
from biocnn.io.letters import CODES, letters_of
from biocnn.io.scales import Intensity
from biocnn.io.stored_image import whole
from biocnn.nn.encode import normalise, to_tensor
from biocnn.nn.layers import LAST
from biocnn.prediction.compatibility import Adapted, Source, as_it_is
from biocnn.prediction.images import InMemory, all_of
from biocnn.prediction.new_signal import of_arrays
from biocnn.tasks.inputs import make_input
from biocnn.training.batches import make

if TYPE_CHECKING:
    from biocnn.prediction.model import Model

log = logging.getLogger("biocnn")
T = TypeVar("T")

IMAGES = "give a path, a folder, an array of shape (C, *spatial) or, for one channel, (*spatial), or several of these"
COVARIATES = "give a mapping of names to a number or word for each input, in a list, or a pandas table"
PART = 512  # sequences whose maps are in memory at a time
SEQUENCES = f"give a string, the path of a FASTA file, or {CODES}"


def of_table(model: "Model", table: pd.DataFrame) -> tuple[list[Any], pd.DataFrame | None]:
    """Return the inputs in a table, of its column sequence or image, and the table if the model takes covariates."""
    column = "sequence" if model.input.scanned else "image"
    if column not in table:
        raise InputError(f"the table has no column {column!r}", nearest(column, table.columns))
    return table[column].tolist(), table if model.facts.coded else None


def predict_sequences(model: "Model", inputs: Any, covariates: Any = None, signal: Any = None) -> Any:
    """Predict sequences, for ``Model.predict``."""
    inputs = plain("sequences", inputs)
    codes = codes_of(inputs, model.facts.iupac)
    tracks = of_arrays(model, signal, codes)
    if model.task.target.spatial:
        coded(model, covariates, 0)
        check_lengths(codes, None)
        maps = [
            model._scanner.along(one, *beside)
            for one, *beside in zip(codes, *([tracks] if tracks else []), strict=True)
        ]
        text = isinstance(inputs, str) and not Path(inputs).suffix
        return maps[0] if text or (isinstance(inputs, np.ndarray) and inputs.ndim == 1) else maps
    z = coded(model, covariates, len(codes))
    check_lengths(codes, model.facts.window)
    return model.settled(model._sequences(codes, z, np.stack(tracks) if tracks else None))


def predict_images(model: "Model", inputs: Any, covariates: Any = None) -> Any:
    """Predict images, for ``Model.predict``."""
    inputs = images_in(model, inputs)
    z = iter(coded(model, covariates, number_of(inputs) if model.facts.coded else 0))
    if model.frame:
        found = list(
            model._each(inputs, lambda image, name: model.predict_whole(model.adapt(image, name), next(z, ())))
        )
        return found[0] if _single(inputs) else np.reshape(found, (len(found), -1 if found else len(model.outputs)))
    if model.task.detects:
        return each_of(model, inputs, lambda image, name: model.boxes_in(model.adapt(image, name)))
    return each_of(model, inputs, lambda image, name: all_of(model.open_maps(image, name)))


def features_of_images(model: "Model", inputs: Any) -> np.ndarray:
    """Return the vectors of images, for ``Model.features``."""
    inputs = images_in(model, inputs)
    found = [*model._each(inputs, lambda image, name: vector_of(model, image, name))]
    return found[0] if _single(inputs) else np.stack(found) if found else np.zeros((0, 0), np.float32)


def coded(model: "Model", covariates: Any, number: int) -> np.ndarray:
    """Return the covariates of ``number`` inputs as the network receives them, (N, Z); see ``Model.predict``.

    Raises
    ------
    InputError
        If they are missing, or the model takes none, or they are not one for each input.
    """
    every, example = model.facts.coded, make_input(model.facts).name
    if not every:
        if covariates is not None:
            raise InputError(f"{model.path}: the model takes no covariates", "leave them out")
        return np.zeros((number, 0), np.float32)
    names = ", ".join(one.name for one in every)
    if covariates is None:
        shown = ", ".join(f'"{one.name}": {one.levels[0] if one.levels else round(one.mean, 2)!r}' for one in every)
        raise InputError(
            f"{model.path}: the model also needs {names} of each {example}",
            f"predict(inputs, covariates=[{{{shown}}}, ...]); for apply, covariates: a table with the column image",
        )
    if isinstance(covariates, pd.DataFrame):
        table = covariates.reset_index(drop=True)
    else:
        rows = [dict(covariates)] if isinstance(covariates, Mapping | pd.Series) else covariates
        table = pd.DataFrame(listed(rows, Mapping, "mapping of covariates", COVARIATES))
    if len(table) != number:
        raise InputError(
            f"covariates: {plural(len(table), 'row')} for {number} {example}s", "give one for each, in the same order"
        )
    found = given(every, table, lambda row: f"covariates of {example} {row + 1}")
    for reason, which in doubts(every, found):
        if which.any():
            log.warning("covariate %s (%d of %d %ss)", reason, which.sum(), number, example)
    return encode_covariates(every, found)


@torch.inference_mode()
def vector_of(model: "Model", image: Source, name: str) -> np.ndarray:
    """Return what the last layer of a network receives for a whole image: shape (F,), float32."""
    if not hasattr(model.fused, "vectors"):
        message = f"{model.path}: {model.meta.experiment.model.name} makes no vector of an image"
        raise InputError(message, "use a network for one target for each image")
    return model.fused.vectors(framed(model, model.adapt(image, name)))[0].cpu().numpy()


def framed(model: "Model", image: Adapted, common: Intensity | None = None) -> torch.Tensor:
    """Return a whole image as the network sees it: shape (1, C, *size); ``common`` replaces its own range."""
    assert model.frame
    pixels = model.frame.apply(image.read(whole(image.shape)))
    own = image.own_range or model.facts.normalise == "image"
    low, high = map(torch.from_numpy, range_of(image, common if own else model.facts.intensity))
    x = normalise(to_tensor(pixels)[None].to(model.device), low, high)
    return x.contiguous(memory_format=LAST[x.ndim])


def count_images(model: "Model", inputs: Any) -> Any:
    """Count the objects in images by the sum of their density, for ``Model.count``.

    Parameters
    ----------
    model, inputs
        Model whose task is ``density``; images, as for ``Model.predict``.

    Returns
    -------
    counted
        ``number``, and ``low`` and ``high``, the ends of its 90% interval, (K,) each, for one image, else a list.
    """
    task, postprocess = model.task, model.meta.postprocess.given()
    if not task.target.summed:
        raise InputError(f"{model.path} {model._is()}: it does not count", "call predict")

    def count(image: Source, name: str) -> Any:
        return task.interval(task.total(task.decide(all_of(model.open_maps(image, name)), postprocess)), postprocess)

    return each_of(model, inputs, count)


def predict_stored_sequences(model: "Model", dataset: Dataset, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Predict stored sequences, for ``Model.predict_stored``."""
    if not model.task.target.spatial:
        found = model._sequences(list(dataset.windows(rows)), dataset.covariates[rows], dataset.signal_of(rows))
        yield from model.settled(found)
        return
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        yield from model._sequences(list(dataset.windows(part)), signal=dataset.signal_of(part))


def predict_stored_images(model: "Model", dataset: Dataset, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Predict stored images, for ``Model.predict_stored``."""
    if model.frame:
        with torch.inference_mode():
            for x, _ in make(dataset, rows, model.device, frame=model.frame).plain():
                yield from model.settled(model._whole(x).cpu().numpy())
        return
    if model.task.detects:
        for row in rows:
            yield model.boxes_in(as_it_is(InMemory(dataset.x[row])))
        return
    for row in rows:
        yield model._images.predict(dataset.x[row], f"image {dataset.examples['id'].iloc[row]}", model.memory_gb)


def channels_first(image: np.ndarray, dims: int, axes: str | None) -> np.ndarray:
    """Return an image in memory as (C, *spatial); ``axes`` are those of the arrays or files of training, if given."""
    if axes and "C" in axes and image.ndim == len(axes):
        return image.transpose([axes.index(letter) for letter in "CZYX" if letter in axes])
    return image[None] if image.ndim == dims else image


def listed(inputs: Any, kinds: Any, what: str, allowed: str) -> list[Any]:
    """Return the inputs as a list after a check of their types."""
    article = "an" if what[0] in "aeiou" else "a"
    if not isinstance(inputs, Iterable) or isinstance(inputs, Mapping | bytes):
        raise InputError(f"{inputs!r:.80} of type {type(inputs).__name__} is not {article} {what}", allowed)
    found = list(inputs)
    for one in found:
        if not isinstance(one, kinds):
            raise InputError(f"the list holds a {type(one).__name__}, which is not {article} {what}", allowed)
    return found


def each_of(model: "Model", inputs: Any, use: Callable[[Source, str], T]) -> T | list[T]:
    """Return what a function makes of an image and its name; a list if several images were given."""
    inputs = images_in(model, inputs)
    found = list(model._each(inputs, use))
    return found[0] if _single(inputs) else found


def images_in(model: "Model", inputs: Any) -> Any:
    """Return the images of an array as a list if it holds several, and all other inputs as they are.

    Several images have one axis more than one image with its channels. Of one channel, more than ``MOST_CHANNELS`` may
    also have the shape (N, *spatial), unless the last axis is so short that it may be that of channels.
    """
    inputs = plain("images", inputs)
    if not isinstance(inputs, np.ndarray):
        return inputs
    more, grey = inputs.ndim - model.facts.spatial_dims, model.facts.in_channels == 1
    several = more == 2 or (more == 1 and grey and min(len(inputs), inputs.shape[-1]) > MOST_CHANNELS)
    return list(inputs) if several or inputs.dtype == object else inputs


def number_of(inputs: Any) -> int:
    """Return the number of images."""
    every = [inputs] if isinstance(inputs, str | Path | np.ndarray) else inputs
    return sum(1 if isinstance(one, np.ndarray) else len(named_images(one)) for one in every)


def _single(inputs: Any) -> bool:
    return isinstance(inputs, np.ndarray) or (isinstance(inputs, str | Path) and not Path(inputs).is_dir())


def codes_of(inputs: Any, iupac: Iupac) -> list[np.ndarray]:
    if isinstance(inputs, np.ndarray) and inputs.ndim < 3 and inputs.dtype.kind != "U":
        if not np.issubdtype(inputs.dtype, np.integer) or not np.isin(inputs, range(16)).all():
            raise InputError(
                f"an array of shape {inputs.shape} and type {inputs.dtype} is not a sequence",
                SEQUENCES,
            )
        return list(np.atleast_2d(inputs))
    if isinstance(inputs, Path) or (isinstance(inputs, str) and Path(inputs).suffix):
        return [record.codes for record in read_fasta(inputs, iupac)]
    texts = letters_of(inputs)
    texts = listed(inputs, str, "sequence", SEQUENCES) if texts is None else texts
    return [encode(text, iupac, f"sequence {row + 1}") for row, text in enumerate(texts)]


def check_lengths(codes: Sequence[np.ndarray], window: int | None) -> None:
    """Refuse empty sequences, and those of another length than the window of a model, if it has one."""
    for row, array in enumerate(codes):
        check_length(array, f"sequence {row + 1}", window)


def check_length(codes: np.ndarray, name: str, window: int | None) -> None:
    """Refuse one such sequence, by its name in messages."""
    if not len(codes):
        raise InputError(f"{name} is empty", "remove it")
    if window and len(codes) != window:
        raise InputError(
            f"{name} has {plural(len(codes), 'letter')}, but the model was trained on windows of {window} bp",
            f"cut sequences to {window} letters around the site of interest",
        )
