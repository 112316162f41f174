"""A trained model put to use: on stored data sets, sequences, files and arrays."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from biocnn.config.registry import resolve
from biocnn.config.schema import options
from biocnn.config.settings import Fit, Predict
from biocnn.core.errors import InputError
from biocnn.core.memory import bytes_per, room
from biocnn.data.dataset import Dataset
from biocnn.io.fasta import PADDING, Iupac, encode, read_fasta
from biocnn.io.genome import Genome
from biocnn.io.image_paths import named_images
from biocnn.io.lazy import LazyImage, open_image
from biocnn.io.padded import pad
from biocnn.nn.encode import one_hot
from biocnn.nn.fuse_batchnorm import fuse_batchnorm
from biocnn.nn.precision import fast_bfloat16
from biocnn.nn.views import views
from biocnn.prediction.blending import Blend
from biocnn.prediction.compatibility import Adapted, Source, adapt, choose, need, same_data
from biocnn.prediction.images import ImagePredictor, InMemory, Maps, MapsOnGrid, all_of
from biocnn.prediction.scanner import Scanner
from biocnn.tasks import Task, make_task
from biocnn.tasks.inputs import Input, make_input
from biocnn.training.batches import BATCH, make
from biocnn.training.checkpoint import load_model
from biocnn.training.forward import answer, default_device, logits_of
from biocnn.training.target_unit import rescale, set_temperature

IMAGES = "give a path, a folder, an array of shape (C, *spatial) or, of one channel, (*spatial), or a list of these"
SEQUENCES = "give a string, a list of strings, the path of a FASTA file, or an array of codes"


class Model:
    """A model file, loaded: ``model.predict(...)``, ``model.segment(...)`` and ``model.scan(...)``.

    Predictions are made with batch norm folded into the convolutions, and in bfloat16 where training found on the
    validation part that this holds and the device is fast in it. ``network`` is as it was trained, in float32,
    its logits divided by the temperature that was fitted there; numbers are in the unit of the targets.

    Parameters
    ----------
    path
        ``model.safetensors`` of a run.
    device
        Where to compute; the first GPU if there is one.
    trust
        Modules that hold networks of your own, or of somebody whom you trust: a file that names one of them makes it
        run. Without it, loading a file runs nothing but biocnn.
    **settings
        Options as of `biocnn predict` and `biocnn segment`, with the defaults of ``Predict`` and ``Fit`` in
        ``biocnn.config.settings``: see below.

    Other Parameters
    ----------------
    memory_gb
        Bound, in 10^9 bytes, of what one pass through the network takes beyond its weights: x, all that the layers
        make, and what a CPU's allocator keeps of it (of budgets below .5, perhaps .1 more). Larger images are predicted
        in tiles, with the same values; of sequences fewer go at a time. The image and the prediction as a whole come on
        top. Where a network's images cannot be cut (see ``biocnn.prediction.tiles.find_field``), or tiles would be
        nearly all margin, more is taken, and the log says how much.
    tta
        Views of each image whose predictions are averaged: the image alone, its mirror images, or these and their
        quarter turns; see ``biocnn.nn.views``. Sequences have none.
    blend
        How large images are put together. ``exact``: of tiles, with the values of the whole image. ``gaussian``: of
        overlapping patches of the size trained on, with weights that fall towards their ends, whatever the image's
        size; MONAI's sliding window.
    overlap
        Share of a patch that the next one covers, too; for ``gaussian``.
    spacing
        ``as_trained``: images whose pixels have another size than those of training are resampled to it, where both are
        known, and what is predicted is laid back on their own grid. ``as_is``: pixels are taken as they are.
    intensity
        ``as_trained``: numbers are brought to the scale of training where it is certain how (8-bit pictures stored in
        16 bits or as fractions), and the image is refused where it is not; models of images that are each scaled by
        their own range take any. ``as_is``: numbers are taken as they are. ``image``: each image is scaled by its own
        range.
    channels
        What new images call the channels of training, in that order, where names say that they are others.

    Raises
    ------
    InputError
        For a missing, damaged or foreign model file, one whose network is of a module that is not trusted, and settings
        that are not allowed.
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
        self.path = Path(path)
        self.network, self.meta = load_model(path, [trust] if isinstance(trust, str) else trust)
        self.facts = self.meta.facts
        self.device = torch.device(device) if device else default_device()
        self.network.to(self.device)
        set_temperature(self.network, self.meta.temperature)
        if unit := self.meta.target_unit:
            rescale(self.network, unit.sd, unit.mean)
        self.memory_gb = self.predicting.memory_gb
        checked = self.meta.precision.predict
        self.precision = checked if fast_bfloat16(self.device) else "float32"
        self.fused = fuse_batchnorm(self.network)

    @cached_property
    def task(self) -> Task:
        """What the network was trained for."""
        return make_task(self.facts)

    @cached_property
    def input(self) -> Input:
        """What the network takes."""
        return make_input(self.facts)

    def __repr__(self) -> str:
        return f"Model({self.meta.experiment.model.name}, task={self.facts.task}, outputs={self.outputs})"

    @property
    def outputs(self) -> list[str]:
        """Names of the K outputs."""
        return self.facts.outputs

    def predict(self, inputs: Any) -> Any:
        """Probabilities (or values, for regression).

        Parameters
        ----------
        inputs
            For sequences: a string or a list of strings, the path of a FASTA file, or codes of shape (N, L), uint8.
            For images: a path, a folder, an array of shape (C, *spatial) or, of one channel, (*spatial), or a list of
            these.

        Returns
        -------
        probability
            Sequences: shape (N, K). Images: shape (K, *spatial) for one image, else a list of such.

        Raises
        ------
        InputError
            For letters that are no bases, unreadable files, and images that do not fit the model: other channels,
            planes for volumes, or numbers whose scale cannot be told.
        """
        return resolve(self.input.predict)(self, inputs)

    def predict_stored(self, dataset: Dataset, rows: np.ndarray) -> Iterator[np.ndarray]:
        """What ``predict`` says of some examples of a stored data set, in order: (K,) or (K, *spatial), float32."""
        same_data(self, dataset)
        return resolve(self.input.predict_stored)(self, dataset, rows)

    def scan(
        self, genome: Genome, chrom: str, start: int = 0, end: int | None = None, *, stride: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predict windows along a chromosome, holding some at a time; see `biocnn.apply.scan.Scanner.scan`."""
        need(self, "sequence", "scan")
        return self._scanner.scan(genome, chrom, start, end, stride=stride)

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
        need(self, "image", "segment")
        return _one_or_all(inputs, [self.decide(all_of(maps), maps.zoom) for maps in self._maps(inputs)])

    def decide(self, p: np.ndarray, zoom: Sequence[float] = ()) -> np.ndarray:
        """From probabilities (K, *spatial) to a mask, or to labels; ``zoom``: pixels for one of training, by axis."""
        return self.task.decide(p, self.task.postprocess_at(self.meta.postprocess.given(), zoom))

    @torch.inference_mode()
    def logits(self, codes: Sequence[np.ndarray]) -> np.ndarray:
        """What the network gives for sequences before the sigmoid; for regression, the values.

        Parameters
        ----------
        codes
            Of each sequence, shape (L,), uint8: 0-3 = ACGT(U), 4 = unknown.

        Returns
        -------
        logits
            Shape (N, K), float32.

        Raises
        ------
        InputError
            For an empty sequence, or one of another length than the model's window.
        """
        need(self, "sequence", "logits")
        window = self.facts.window
        if not len(codes):
            return np.zeros((0, len(self.outputs)), np.float32)
        for row, array in enumerate(codes):
            if not len(array):
                raise InputError(f"sequence {row + 1} is empty", "leave it out")
            if window and len(array) != window:
                raise InputError(
                    f"sequence {row + 1} has {len(array)} letters, but the model was trained on windows of {window} bp",
                    f"cut sequences to {window} letters around the site of interest",
                )
        found, rows = [], self._rows(max(map(len, codes))) if len(codes) > 1 else 1
        for start in range(0, len(codes), rows):
            x = one_hot(torch.from_numpy(pad(codes[start : start + rows])).to(self.device))
            found.append(logits_of(self.fused, x, self.precision).cpu().numpy())
        return np.concatenate(found)

    def _sequences(self, codes: Sequence[np.ndarray]) -> np.ndarray:
        return self._probability(torch.from_numpy(self.logits(codes)))

    def _probability(self, logits: Tensor) -> np.ndarray:
        return self.task.probability(logits).cpu().numpy()

    @cached_property
    def _scanner(self) -> Scanner:
        return Scanner(self.fused, self._sequences, self._probability, self._rows, self.facts.window)

    def _answer(self, x: Tensor) -> Tensor:
        return answer(self.fused, x, self.task, self.precision)

    def _rows(self, length: int) -> int:
        """How many sequences of a length go at a time."""
        codes = torch.zeros(1, length, dtype=torch.uint8, device=self.device)
        codes[:, -1] = PADDING  # with which some networks do more
        size = bytes_per(lambda n: self._answer(one_hot(codes.expand(n, length))), 1)
        return max(1, min(BATCH, int(room(self.memory_gb) / size)))

    def _maps(self, inputs: Any) -> Iterator[Maps | MapsOnGrid]:
        """The maps of each image, to be read before the next is asked for."""
        for one in (
            [inputs]
            if isinstance(inputs, str | Path | np.ndarray)
            else _listed(inputs, str | Path | np.ndarray, "image", IMAGES)
        ):
            if isinstance(one, np.ndarray):
                yield self.open_maps(InMemory(one[None] if one.ndim == self.facts.spatial_dims else one), "array")
                continue
            for _, path in named_images(one):
                with self.open_image(path) as image:
                    yield self.open_maps(image, str(path))

    def open_image(self, path: Path) -> LazyImage:
        """Open a file to read the channels of training from it."""
        image = open_image(path, self.meta.experiment.data.axes)
        try:
            choose(image, self.facts, self.fit, path)
        except InputError:
            image.close()
            raise
        return image

    def adapt(self, image: Source, name: str) -> Adapted:
        """An image with the channels of training, its numbers and pixels as in training."""
        spacing, unit = (image.spacing, image.unit) if isinstance(image, LazyImage) else (None, "um")
        fit = self.fit if isinstance(image, LazyImage) else Fit(spacing="as_is", intensity=self.fit.intensity)
        return adapt(image, self.facts, fit, name, spacing, unit)

    def open_maps(self, image: Source, name: str, memory_gb: float | None = None) -> Maps | MapsOnGrid:
        """What ``predict`` says of an image that need not be in memory, region by region."""
        memory_gb = self.memory_gb if memory_gb is None else memory_gb
        return self._images.open(self.adapt(image, name), name, memory_gb)

    @cached_property
    def _images(self) -> ImagePredictor:
        every = views(self.facts.spatial_dims, self.predicting.tta)
        blend = Blend(self._patch, self.predicting.overlap) if self.predicting.blend == "gaussian" else None
        return ImagePredictor(self.fused, self._answer, self.facts, self.device, every, blend)

    @property
    def _patch(self) -> tuple[int, ...]:
        """What the network was trained on."""
        given = self.meta.experiment.train.patch
        if given is None and "patch" in self.facts.decisions:
            given = self.facts.decisions["patch"].value
        if given is None:
            raise InputError(f"{self.path}: does not say on what patches it was trained", "set blend to exact")
        return tuple(given)


def predict_sequences(model: Model, inputs: Any) -> np.ndarray:
    """What ``Model.predict`` says of sequences."""
    return model._sequences(_codes(inputs, model.facts.iupac))


def predict_images(model: Model, inputs: Any) -> Any:
    """What ``Model.predict`` says of images."""
    return _one_or_all(inputs, [all_of(maps) for maps in model._maps(inputs)])


def predict_stored_sequences(model: Model, dataset: Dataset, rows: np.ndarray) -> Iterator[np.ndarray]:
    """What ``Model.predict_stored`` says of sequences."""
    yield from model._sequences(list(make(dataset, rows, model.device).windows()))


def predict_stored_images(model: Model, dataset: Dataset, rows: np.ndarray) -> Iterator[np.ndarray]:
    """What ``Model.predict_stored`` says of images."""
    for row in rows:
        yield model._images.predict(dataset.x[row], f"image {dataset.examples['id'].iloc[row]}", model.memory_gb)


def _listed(inputs: Any, kinds: Any, what: str, allowed: str) -> list[Any]:
    """Inputs of these kinds, as a list."""
    if not isinstance(inputs, Iterable):
        raise InputError(f"{inputs!r} is no {what}", allowed)
    found = list(inputs)
    for one in found:
        if not isinstance(one, kinds):
            raise InputError(f"a {type(one).__name__} among them is no {what}", allowed)
    return found


def _one_or_all(inputs: Any, found: list[np.ndarray]) -> Any:
    """What was found of one image, where one was given; else of each."""
    single = isinstance(inputs, np.ndarray) or (isinstance(inputs, str | Path) and not Path(inputs).is_dir())
    return found[0] if single else found


def _codes(inputs: Any, iupac: Iupac) -> list[np.ndarray]:
    if isinstance(inputs, np.ndarray):
        if inputs.ndim > 2 or not np.issubdtype(inputs.dtype, np.integer) or not np.isin(inputs, range(16)).all():
            raise InputError(
                f"an array of shape {inputs.shape} and type {inputs.dtype} is no sequence",
                "give whole numbers of shape (N, L) or (L,): 0-3 = A C G T, 4 = unknown, 5 = padding, 6-15 = ambiguous",
            )
        return list(np.atleast_2d(inputs))
    if isinstance(inputs, Path) or (isinstance(inputs, str) and Path(inputs).suffix):
        return [record.codes for record in read_fasta(inputs, iupac)]
    texts = [inputs] if isinstance(inputs, str) else _listed(inputs, str, "sequence", SEQUENCES)
    return [encode(text, iupac, f"sequence {row + 1}") for row, text in enumerate(texts)]
