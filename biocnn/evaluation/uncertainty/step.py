"""How sure an experiment's networks are of its validation and test images, and of new ones: tables and maps."""

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.config.registry import own_module, resolve
from biocnn.config.settings import Settings
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.duplicates import small_version
from biocnn.evaluation.uncertainty.judging import Judge
from biocnn.evaluation.uncertainty.maps import maps
from biocnn.evaluation.uncertainty.ranking import annotate_next
from biocnn.evaluation.uncertainty.sampling import samples
from biocnn.io.archive import array_archive
from biocnn.io.image_paths import named_images
from biocnn.prediction.compatibility import agree, same_data
from biocnn.prediction.model import Model
from biocnn.prediction.stored import Decided, read_predictions
from biocnn.training.metadata import read_metadata

LARGEST = 4096  # pixels along each axis of a new image that are looked at; of a larger one, the middle

log = logging.getLogger("biocnn")


class Answers:
    """What the runs of an experiment say of its images, stored or asked anew.

    Parameters
    ----------
    runs
        Folders with model.safetensors and predictions.
    settings
        Of an experiment: sections uncertainty, predict and segment, and the seed; a network of one's own that they
        name is trusted.
    """

    def __init__(self, runs: Sequence[Path], settings: Settings) -> None:
        self.runs, self.settings = list(runs), settings
        self.loaded: dict[str, list[Model]] = {}
        self.stored, tables = zip(*(read_predictions(run / "predictions") for run in runs), strict=True)
        self.places: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for which, table in enumerate(tables):
            for row, key in enumerate(zip(table["split"], table["id"], strict=True)):
                self.places.setdefault(key, []).append((which, row))

    def models(self, method: str) -> list[Model]:
        """All of them, loaded when first needed; only the ensemble's answers are means over views."""
        settings = self.settings
        tta = settings.predict.tta if method == "ensemble" else "none"
        if tta not in self.loaded:
            options = dict(settings.predict) | settings.segment.fit
            options |= {"tta": tta, "trust": [own_module(settings.model.name)]}
            self.loaded[tta] = [Model(run / "model.safetensors", **options) for run in self.runs]
            agree(self.loaded[tta], "image", "uncertainty")
        return self.loaded[tta]

    @cached_property
    def postprocess(self) -> list[dict[str, Any]]:
        """How maps become objects, as each run found best."""
        return [read_metadata(run / "model.safetensors").postprocess.given() for run in self.runs]

    def of_example(self, method: str, key: tuple[str, str], image: np.ndarray) -> Iterator[np.ndarray]:
        """Answers about a (split, id), only by runs in which it has that split; those of the ensemble are stored."""
        if method == "ensemble":
            return (np.asarray(self.stored[which][row], np.float32) for which, row in self.places[key])
        first = self.places[key][0][0]
        return self._samples(method, [self.models(method)[first]], image)

    def of_image(self, method: str, image: np.ndarray) -> Iterator[np.ndarray]:
        """Answers about a new image by all runs."""
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
        Of the experiment: images and truth.
    runs
        As for `Answers`.
    decided
        File of what the step evaluate decided of the ensemble's answers; of those of other methods it is decided here.
    settings
        As for `Answers`. The first of uncertainty.methods makes the maps and the list, which ranks the images of
        segment.images, or those of the validation and test parts where none are given.
    folder
        Gets per_image.tsv, per_object.tsv, calibration.tsv, risk_coverage.tsv, summary.tsv, annotate_next.tsv, and
        maps.npz: of each test image ``{id}.entropy`` and ``{id}.mutual_information``, uint8, 255 for an entropy of 1.

    Yields
    ------
    line
        For the log.
    """
    answers, stored = Answers(runs, settings), Decided(decided)
    methods, images = settings.uncertainty.methods or ["ensemble"], settings.segment.images
    rows = pd.Series(range(len(dataset.examples)), index=dataset.examples["id"])
    judge: Judge = resolve(dataset.task.uncertainty)(dataset)
    with array_archive(folder / "maps.npz") as store:
        for method in methods:
            if method != "ensemble":  # whose answers are stored
                for model in answers.models(method):
                    same_data(model, dataset)
            for split, id in answers.places:
                image = dataset.x[rows[id]]
                found = maps(answers.of_example(method, (split, id), image), dataset.task)
                first, _ = answers.places[split, id][0]  # of those that see the image as this split, with folds
                if method == "ensemble":
                    labels = stored.of(split, id)
                else:
                    labels = dataset.task.decide(found.mean, answers.postprocess[first])
                judge.add(method, split, int(rows[id]), found, labels)
                if method == methods[0] and split == "test":
                    for name in ("entropy", "mutual_information"):
                        store(f"{id}.{name}", np.rint(255 * getattr(found, name)).astype(np.uint8))
    tables = judge.tables()
    if images is None:
        # With folds an image is in the validation part of one and in the test part of another.
        table = tables["per_image"].query("method == @methods[0]").sort_values("split").drop_duplicates("id")
        small = [small_version(dataset.x[rows[id]]) for id in table["id"]]
        ids, unsure = [f"{row.split}: {row.id}" for row in table.itertuples()], table["uncertainty"].to_numpy()
    else:
        ids, unsure, small = _new(answers, methods[0], judge, images, settings.segment.on_error)
    tables["annotate_next"] = annotate_next(ids, unsure, np.array(small))
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, float_format="%.6g")
    yield from judge.describe()
    yield f"annotate next: {', '.join(tables['annotate_next']['id'].head(3))}"


def _new(
    answers: Answers, method: str, judge: Judge, images: Path, on_error: str
) -> tuple[list[str], np.ndarray, list[np.ndarray]]:
    """Name, uncertainty and small version of each new image, but those that are skipped."""
    ids, unsure, small, failed = [], [], [], None
    first = answers.models(method)[0]
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
        found = maps(answers.of_image(method, image), first.task)
        ids.append(name)
        unsure.append(judge.of_image(first.task.decide(found.mean, answers.postprocess[0]), found))
        small.append(small_version(image))
    if not ids and failed:
        raise failed
    return ids, np.array(unsure), small


def _middle(shape: Sequence[int]) -> tuple[slice, ...]:
    starts = [max(0, (size - LARGEST) // 2) for size in shape]
    return tuple(slice(start, min(start + LARGEST, size)) for start, size in zip(starts, shape, strict=True))
