"""Prediction with a model file, for stored data sets, sequences, files and arrays."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from biocnn.config.registry import resolve
from biocnn.config.schema import options
from biocnn.config.settings import Fit, Predict
from biocnn.core.errors import InputError
from biocnn.core.files import as_path
from biocnn.data.dataset import Dataset
from biocnn.data.frame import Frame, frame_of
from biocnn.io.image_paths import named_images
from biocnn.io.lazy import LazyImage, open_image
from biocnn.nn.covariates import beside
from biocnn.nn.fuse_batchnorm import fuse_batchnorm
from biocnn.nn.precision import fast_bfloat16
from biocnn.nn.views import averaged, views
from biocnn.prediction.blending import Blend
from biocnn.prediction.boxes import BoxPredictor
from biocnn.prediction.compatibility import Adapted, Source, adapt, check_options, choose, need, same_data
from biocnn.prediction.images import ImagePredictor, InMemory, Maps, MapsOnGrid, all_of
from biocnn.prediction.inputs import (
    IMAGES,
    channels_first,
    count_images,
    each_of,
    features_of_images,
    framed,
    listed,
    of_table,
)
from biocnn.prediction.sequence_model import SequenceModel
from biocnn.tasks.objects import in_reading_order
from biocnn.training.checkpoint import load_model
from biocnn.training.forward import default_device
from biocnn.training.target_unit import rescale, set_temperature

T = TypeVar("T")


class Model(SequenceModel):
    """A loaded model file: ``predict``, ``segment``, ``detect``, ``count``, ``scan``, ``explain`` and ``evaluate``.

    Predictions are made with batch norm fused into the convolutions, and in bfloat16 if training found this accurate
    enough on the validation split and the device is fast in it. ``network`` is the network as trained, in float32, with
    logits divided by the temperature fitted on that split; regression values are in the unit of the targets.

    Parameters
    ----------
    path
        ``model.safetensors`` of a run.
    device
        Device to compute on; the first GPU by default, if there is one.
    trust
        Modules with networks of your own, or of somebody you trust: a model file that names such a module runs its
        code. Without it, loading a file runs no code outside biocnn.
    **settings
        Options of `biocnn predict`, described below; the defaults are those of ``Predict`` and
        ``Fit`` in ``biocnn.config.settings``.

    Other Parameters
    ----------------
    memory_gb
        Upper bound, in 10^9 bytes, on the memory of one pass through the network in addition to its weights: x, the
        outputs of all layers, and what the allocator of a CPU retains (bounds below .5 may be exceeded by about .1).
        Larger images are predicted in tiles, with the same values; sequences in smaller batches. The image and the
        complete prediction come on top. If images cannot be cut (see ``biocnn.prediction.tiles.find_field``) or tiles
        would be nearly all margin, more memory is used, and the log states how much.
    tta
        Views of each image whose predictions are averaged: the image only, its mirror images, or these and their
        quarter turns; see ``biocnn.nn.views``. Images only, as are the options below.
    blend
        How the predictions of large images are assembled. ``exact``: from tiles, with the values of the whole image.
        ``gaussian``: from overlapping patches of the size used in training, with weights that fall towards their edges,
        for images of every size, as in the sliding window of MONAI.
    overlap
        Fraction of a patch that overlaps the next one, for ``gaussian``.
    spacing
        ``as_trained``: images with another pixel size than in training are resampled to it if both are known, and the
        prediction is resampled back to the image. ``as_is``: images are not resampled.
    intensity
        ``as_trained``: intensities are converted to the scale of training where the conversion is certain (8-bit
        pictures stored in 16 bits or as fractions), and the image is refused where it is not; models trained on images
        that were each scaled by their own range take any intensities. ``as_is``: intensities are not converted.
        ``image``: each image is scaled by its own range.
    channels
        Names, in new images, of the channels of training, in that order, if they differ.

    Raises
    ------
    InputError
        If the model file is missing, damaged or not one of biocnn, its network comes from a module that is not trusted,
        or a setting is not allowed.
    """

    def __init__(
        self,
        path: str | Path,
        device: str | torch.device | None = None,
        *,
        trust: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        self.predicting, self.fit = options(settings, Predict, Fit)
        self.path = as_path("path", path, "model.safetensors")
        self.network, self.meta = load_model(path, [trust] if isinstance(trust, str) else trust)
        self.facts = self.meta.facts
        check_options(self.task, self.predicting, self.fit)
        try:
            self.device = torch.device(device) if device else default_device()
            self.network.to(self.device)
        except (RuntimeError, AssertionError) as error:  # the latter where torch has no CUDA
            raise InputError(f"device: {device!r} cannot be used: {error}", "for example cpu, or cuda:0") from error
        set_temperature(self.network, self.meta.temperature, self.meta.shift or None)
        if unit := self.meta.target_unit:
            rescale(self.network, *self.task.from_unit(unit.given()))
        self.memory_gb = self.predicting.memory_gb
        checked = self.meta.precision.predict
        self.precision = checked if fast_bfloat16(self.device) else "float32"
        self.fused = fuse_batchnorm(self.network)

    def predict(self, inputs: Any, covariates: Any = None, signal: Any = None) -> Any:
        """Predict probabilities, or values for regression.

        Parameters
        ----------
        inputs
            Sequences: a string or a list of strings, the path of a FASTA file, codes (N, L), or one-hot arrays, as in
            ``Dataset.from_arrays``. Images: a path, a folder, an array of shape (C, *spatial), or of the axes given for
            training, or, for one channel, (*spatial); or a list of these, or an array (N, ...) of several: see
            ``biocnn.prediction.inputs.images_in``. Bags: a folder or a list of images for one bag, or a list of such
            bags. Or a pandas table with the column sequence or image (a path), and those of the
            covariates.
        covariates
            For models trained with covariates: a mapping of their names to numbers, in the unit of training, or words,
            for each input, in order; or a table. A value of None, NaN or "" is missing.
        signal
            For models trained with ``data.signal``: a mapping of the names of the tracks to values at each base, in the
            unit of the files, NaN if missing: (N, L), or (L,) for one sequence.

        Returns
        -------
        probability
            Sequences: (N, K), or of each base (K, L) for one sequence, else a list. Images: (K, *spatial) for one
            image, else a list of such arrays; if the network answers for whole images or bags, (K,) for one and (N, K)
            for several; if it finds boxes, rows of label, score and corners, (M, 2 + 2 spatial_dims).

        Raises
        ------
        InputError
            If letters are not bases, files cannot be read, or images do not fit the model: other channels, planes for
            volumes, or intensities of unknown scale.
        """
        if isinstance(inputs, pd.DataFrame):
            inputs, own = of_table(self, inputs)
            covariates = own if covariates is None else covariates
        found = self._predicted(inputs, covariates, signal)
        return found if self.task.target.spatial else found[..., : len(self.outputs)]

    def _predicted(self, inputs: Any, covariates: Any, signal: Any) -> Any:
        if signal is not None:
            need(self, "sequence")
        return resolve(self.input.predict)(self, inputs, covariates, *([] if signal is None else [signal]))

    def predict_intervals(self, inputs: Any, covariates: Any = None, signal: Any = None) -> np.ndarray:
        """Return an interval for each value of ``predict``: 90% of examples like those of training lie in it.

        Its width was chosen on the validation split, see ``biocnn.tasks.regression.Regression.tune``.

        Returns
        -------
        intervals
            Low and high ends: shape (K, 2) for one image, else (N, K, 2); NaN if there were fewer than 9 validation
            examples, or an output is not a number.
        """
        if not self.task.standardised or self.task.target.spatial:
            raise InputError(f"{self.path} {self._is()}: it has no intervals", "call predict")
        return self.task.intervals(self._predicted(inputs, covariates, signal))

    def features(self, inputs: Any) -> np.ndarray:
        """Return what the last layer of the network receives: shape (F,) for one image, else (N, F), float32.

        ``inputs`` are images as for ``predict``, for networks with one target for each image; ``tta`` has no effect.
        """
        need(self, "image")
        return features_of_images(self, inputs)

    def predict_stored(self, dataset: Dataset, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Predict examples of a stored data set, in order: as ``settled``, or (K, *spatial); each float32."""
        same_data(self, dataset)
        return resolve(self.input.predict_stored)(self, dataset, rows)

    def segment(self, inputs: Any) -> Any:
        """Predict masks (0/1 or class numbers, uint8) or, for objects, labels (int32; 0 = background, 1..n).

        Objects are numbered by their first pixel in reading order, as in the files of `biocnn predict`. If they have
        classes, the result for an image is a pair: labels, and a table with label, class, score (the
        probability of the class) and entropy of the classes (0 to 1) of each object.

        Parameters
        ----------
        inputs
            Images, as for ``predict``.

        Returns
        -------
        segmented
            Shape (*spatial), or a pair of it and a table, for one image, else a list of such arrays or pairs.
        """
        need(self, "image")
        if not self.task.target.labelled:
            remedy = "call detect" if self.task.detects else "call predict"
            raise InputError(f"{self.path} {self._is()}: it has no masks", remedy)
        return each_of(self, inputs, lambda image, name: self._segment(self.open_maps(image, name)))

    def _segment(self, maps: Maps | MapsOnGrid) -> Any:
        p = all_of(maps)
        decided = self.decide(p, maps.zoom)
        return self.task.with_table(p, in_reading_order(decided) if self.task.objects else decided)

    def detect(self, inputs: Any) -> Any:
        """Find boxes whose score reaches the threshold of their class, which was chosen on validation images.

        Parameters
        ----------
        inputs
            Images, as for ``predict``.

        Returns
        -------
        boxes
            Shape (M, 2 + 2 spatial_dims) for one image, else a list of such arrays: number of the class, score, first
            and opposite corner, in pixels of the image. ``image[r0:r1, c0:c1]`` is the box of (.., .., r0, c0, r1, c1).
        """
        need(self, "image")
        if not self.task.detects:
            raise InputError(f"{self.path} {self._is()}: it finds no boxes", "call predict")
        return each_of(self, inputs, lambda image, name: self.decide(self.boxes_in(self.adapt(image, name))))

    def count(self, inputs: Any) -> Any:
        """Count the objects in images by their density; see `biocnn.prediction.inputs.count_images`."""
        return count_images(self, inputs)

    def _is(self) -> str:
        return f"is a model for {self.task.label.format(one=self.input.name)}"

    def decide(self, p: np.ndarray, zoom: Sequence[float] = ()) -> np.ndarray:
        """Convert probabilities (K, *spatial) to a mask or labels, or keep the boxes with a sufficient score.

        ``zoom``: image pixels per training pixel.
        """
        return self.task.decide(p, self.task.postprocess_at(self.meta.postprocess.given(), zoom))

    def _each(self, inputs: Any, use: Callable[[Source, str], T]) -> Iterator[T]:
        """Yield the result of a function of each image and its name; an image is open until the next is requested."""
        inputs = of_table(self, inputs)[0] if isinstance(inputs, pd.DataFrame) else inputs
        single = isinstance(inputs, str | Path | np.ndarray)
        every = [inputs] if single else listed(inputs, str | Path | np.ndarray, "image", IMAGES)
        for number, one in enumerate(every):
            if isinstance(one, np.ndarray):
                own = channels_first(one, self.facts.spatial_dims, self.meta.experiment.data.axes)
                name = "array" if single else f"images[{number}]"
                yield use(InMemory(own, name), name)
                continue
            for _, path in named_images(one):
                with self.open_image(path) as image:
                    yield use(image, str(path))

    def open_image(self, path: Path) -> LazyImage:
        """Open an image file and select the channels of training."""
        image = open_image(path, self.meta.experiment.data.axes)
        try:
            choose(image, self.facts, self.fit, path)
        except InputError:
            image.close()
            raise
        return image

    def adapt(self, image: Source, name: str) -> Adapted:
        """Bring an image with the channels of training to the intensities and pixel size of training."""
        spacing, unit = (image.spacing, image.unit) if isinstance(image, LazyImage) else (None, "um")
        fit = self.fit if isinstance(image, LazyImage) else Fit(spacing="as_is", intensity=self.fit.intensity)
        return adapt(image, self.facts, fit, name, spacing, unit)

    def open_maps(self, image: Source, name: str, memory_gb: float | None = None) -> Maps | MapsOnGrid:
        """Return the maps that ``predict`` computes, region by region, for an image that need not be in memory."""
        memory_gb = self.memory_gb if memory_gb is None else memory_gb
        return self._images.open(self.adapt(image, name), name, memory_gb)

    @torch.inference_mode()
    def predict_whole(self, image: Adapted, z: Sequence[float] = ()) -> np.ndarray:
        """Predict one vector, float32, for a whole image: see ``settled``; ``z`` are its covariates, as coded."""
        x = beside(framed(self, image), torch.tensor(np.array([z], np.float32), device=self.device))
        return self.settled(self._whole(x)[0].cpu().numpy())

    def settled(self, p: np.ndarray) -> np.ndarray:
        """Convert predictions of vectors (..., K) to what is reported and stored, e.g. with intervals."""
        return self.task.settle(p, self.meta.postprocess.given())

    @cached_property
    def frame(self) -> Frame | None:
        """Size that whole images are brought to; None for sequences, and for networks that predict maps."""
        return frame_of(self.meta.experiment.train, self.facts)

    @cached_property
    def _whole(self) -> Callable[[Tensor], Tensor]:
        """Predict vectors (N, K) for x (N, C, *size)."""
        return averaged(self._predict_probability, views(self.facts.spatial_dims, self.predicting.tta), maps=False)

    def boxes_in(self, image: Adapted) -> np.ndarray:
        """Find boxes in an image, whatever their score: (M, 2 + 2 spatial_dims), as for ``predict``."""
        return self._boxes.predict(image, self.memory_gb)

    @cached_property
    def _boxes(self) -> BoxPredictor:
        every = views(self.facts.spatial_dims, self.predicting.tta)
        return BoxPredictor(self._predict_probability, self.facts, self.device, every)

    @cached_property
    def _images(self) -> ImagePredictor:
        every = views(self.facts.spatial_dims, self.predicting.tta)
        blend = Blend(self._patch, self.predicting.overlap) if self.predicting.blend == "gaussian" else None
        return ImagePredictor(self.fused, self._predict_probability, self.facts, self.device, every, blend)

    @property
    def _patch(self) -> tuple[int, ...]:
        """Patch size of training."""
        given = self.meta.experiment.train.patch
        if given is None and "patch" in self.facts.decisions:
            given = self.facts.decisions["patch"].value
        if given is None:
            raise InputError(f"{self.path}: the patch size of training is not stored", "set blend: exact")
        return tuple(given)
