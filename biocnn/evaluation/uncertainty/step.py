"""The uncertainty step: tables and maps for validation, test and new images."""

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.config.registry import resolve
from biocnn.config.search_space import own_modules
from biocnn.config.settings import Settings
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.duplicates import small_version
from biocnn.data.splits import HELD_OUT
from biocnn.evaluation.uncertainty.judging import Judge
from biocnn.evaluation.uncertainty.ranking import annotate_next
from biocnn.evaluation.uncertainty.sampling import samples
from biocnn.io.archive import array_archive
from biocnn.io.image_paths import named_images
from biocnn.prediction.compatibility import agree, same_data
from biocnn.prediction.model import Model
from biocnn.prediction.stored_predictions import Decided, read_predictions
from biocnn.training.metadata import read_metadata

LARGEST = 4096  # pixels per axis; of a larger new image, only the centre is used

log = logging.getLogger("biocnn")


class Samples:
    """Predictions of images by the runs of an experiment, stored or computed.

    Parameters
    ----------
    runs
        Folders with model.safetensors and predictions.
    settings
        Settings of the experiment: sections uncertainty, predict and apply, and the seed; a custom network named
        there is trusted.
    """

    def __init__(self, runs: Sequence[Path], settings: Settings) -> None:
        self.runs, self.settings = list(runs), settings
        self.loaded: dict[str, list[Model]] = {}
        self.stored, tables = zip(*(read_predictions(run / "predictions") for run in runs), strict=True)
        self.places: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for which, table in enumerate(tables):
            for row, key in enumerate(zip(table["split"], table["id"], strict=True)):
                if key[0] in HELD_OUT:
                    self.places.setdefault(key, []).append((which, row))

    def models(self, method: str) -> list[Model]:
        """Return the models of all runs, loaded on first use; only the ensemble averages over views."""
        settings = self.settings
        tta = settings.predict.tta if method == "ensemble" else "none"
        if tta not in self.loaded:
            options = dict(settings.predict) | settings.apply.fit
            options |= {"tta": tta, "trust": own_modules(settings)}
            self.loaded[tta] = [Model(run / "model.safetensors", **options) for run in self.runs]
            agree(self.loaded[tta], "image")
        return self.loaded[tta]

    @cached_property
    def postprocess(self) -> list[dict[str, Any]]:
        """Postprocessing from maps to objects, as chosen by each run."""
        return [read_metadata(run / "model.safetensors").postprocess.given() for run in self.runs]

    def of_example(self, method: str, key: tuple[str, str], image: np.ndarray) -> Iterator[np.ndarray]:
        """Yield predictions of a (split, id) by runs with the example in that split; those of ensembles are stored."""
        if method == "ensemble":
            return (np.asarray(self.stored[which][row], np.float32) for which, row in self.places[key])
        first = self.places[key][0][0]
        return self._samples(method, [self.models(method)[first]], image)

    def of_image(self, method: str, image: np.ndarray) -> Iterator[np.ndarray]:
        """Yield predictions of a new image by all runs."""
        return self._samples(method, self.models(method), image)

    def _samples(self, method: str, models: Sequence[Model], image: np.ndarray) -> Iterator[np.ndarray]:
        number, seed = self.settings.uncertainty.samples, self.settings.seed
        return samples(method, models, image, number=number, seed=seed)


def write_uncertainty(
    dataset: Dataset, runs: Sequence[Path], decided: Path, settings: Settings, folder: Path
) -> Iterator[str]:
    """Write the files of the uncertainty step into a folder that exists.

    Parameters
    ----------
    dataset
        Data set of the experiment, with images and truth.
    runs
        As for `Samples`.
    decided
        File with the masks or labels of the ensemble from the step evaluate; those of other methods are decided here.
    settings
        As for `Samples`. The first of uncertainty.methods determines the maps and the list of images to annotate, which
        ranks apply.images or, if there are none, the validation and test images.
    folder
        Receives per_image.tsv, per_object.tsv, calibration.tsv, risk_coverage.tsv, summary.tsv, annotate_next.tsv, and
        maps.npz with ``{id}.entropy`` and ``{id}.mutual_information`` of each test image, uint8, 255 for an entropy
        of 1; empty for boxes.

    Yields
    ------
    line
        Log line.
    """
    predictions, stored = Samples(runs, settings), Decided(decided)
    methods, images = settings.uncertainty.methods or ["ensemble"], settings.apply.images
    rows = pd.Series(range(len(dataset.examples)), index=dataset.examples["id"])
    judge: Judge = resolve(dataset.task.uncertainty)(dataset)
    with array_archive(folder / "maps.npz") as store:
        for method in methods:
            if method != "ensemble":  # its predictions are stored
                for model in predictions.models(method):
                    same_data(model, dataset)
            for split, id in predictions.places:
                image = dataset.x[rows[id]]
                found = judge.estimate(predictions.of_example(method, (split, id), image))
                first, _ = predictions.places[split, id][0]  # first run with the image in this split
                if method == "ensemble":
                    labels = stored.of(split, id)
                else:
                    labels = dataset.task.decide(found.mean, predictions.postprocess[first])
                judge.add(method, split, int(rows[id]), found, labels)
                if method == methods[0] and split == "test":
                    for name in judge.stored:
                        store(f"{id}.{name}", np.rint(255 * getattr(found, name)).astype(np.uint8))
    tables = judge.tables()
    if images is None:
        # With folds, an image is in the validation split of one fold and in the test split of another.
        table = tables["per_image"].query("method == @methods[0]").sort_values("split").drop_duplicates("id")
        small = [small_version(dataset.x[rows[id]]) for id in table["id"]]
        ids, uncertainty = [f"{row.split}: {row.id}" for row in table.itertuples()], table["uncertainty"].to_numpy()
    else:
        ids, uncertainty, small = _new(predictions, methods[0], judge, images, settings.apply.on_error)
    tables["annotate_next"] = annotate_next(ids, uncertainty, np.array(small))
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, float_format="%.6g")
    yield from judge.describe()
    yield f"annotate next: {', '.join(tables['annotate_next']['id'].head(3))}"


def _new(
    predictions: Samples, method: str, judge: Judge, images: Path, on_error: str
) -> tuple[list[str], np.ndarray, list[np.ndarray]]:
    """Return name, uncertainty and small version of each new image that is not skipped."""
    ids, uncertainty, small, failed = [], [], [], None
    first = predictions.models(method)[0]
    for name, path in named_images(images):
        try:
            with first.open_image(path) as opened:
                adapted = first.adapt(opened, str(path))
                image = adapted.read(_middle(adapted.shape[1:]))
        except InputError as error:
            if on_error == "stop":
                raise
            log.warning("skipped: %s", error)
            failed = error
            continue
        found = judge.estimate(predictions.of_image(method, image))
        ids.append(name)
        decided = first.task.decide(found.mean, first.task.shared(predictions.postprocess))
        uncertainty.append(judge.of_image(decided, found))
        small.append(small_version(image))
    if not ids and failed:
        raise failed
    return ids, np.array(uncertainty), small


def _middle(shape: Sequence[int]) -> tuple[slice, ...]:
    starts = [max(0, (size - LARGEST) // 2) for size in shape]
    return tuple(slice(start, min(start + LARGEST, size)) for start, size in zip(starts, shape, strict=True))
