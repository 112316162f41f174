"""Predictions of whole images: a class, yes or no for each output, or values, with their uncertainty."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.apply.covariates import notes as covariate_notes
from biocnn.apply.images import Applied
from biocnn.apply.overlay import write_thumbnail
from biocnn.data.covariates import encode_covariates
from biocnn.data.frame import Frame
from biocnn.data.whole_decisions import ALIKE
from biocnn.prediction.compatibility import Note
from biocnn.prediction.model import Model


def predict_image(
    path: Path, name: str, models: Sequence[Model], folder: Path, covariates: pd.DataFrame | None = None
) -> Applied:
    """Predict one vector for an image, for ``biocnn.apply.images``.

    Parameters
    ----------
    path, name
        Image file, and its unique name.
    models
        Models, whose predictions are averaged.
    folder
        Receives thumbnails/, small pictures of the first images, for the report.
    covariates
        A row with those of the image; None: the models take none.

    Returns
    -------
    applied
        A row of predictions.csv: see ``VectorTask.describe``.
    """
    with models[0].open_image(path) as image:
        adapted = [model.adapt(image, str(path)) for model in models]
        z = [() if covariates is None else encode_covariates(model.facts.coded, covariates)[0] for model in models]
        p = np.stack([model.predict_whole(*each) for model, *each in zip(models, adapted, z, strict=True)])
        notes = [Note("repaired", repair) for repair in image.repairs]
        write_thumbnail(image, folder, name)
    if covariates is not None:
        notes += covariate_notes(models[0].facts.coded, covariates)
    for model, one in zip(models, adapted, strict=True):
        assert model.frame
        notes += [*one.notes, *unseen(model.frame, one.shape[1:])]
    return Applied("predictions.csv", [models[0].task.describe(p)], list(dict.fromkeys(notes)))


def unseen(frame: Frame, shape: Sequence[int]) -> Iterator[Note]:
    """Note that an image is much larger than those of training, or much smaller, and what the network sees of it."""
    if any(n > ALIKE * m for n, m in zip(frame.scaled(shape), frame.size, strict=True)):
        seen, whole = (" x ".join(map(str, sizes)) for sizes in (frame.size, frame.scaled(shape)))
        yield Note("note", "larger than the images of training: only its centre is seen", f"{seen} of {whole} pixels")
    if any(ALIKE * n < m for n, m in zip(frame.scaled(shape), frame.size, strict=True)):
        own, size = (" x ".join(map(str, sizes)) for sizes in (frame.scaled(shape), frame.size))
        yield Note("note", "smaller than the images of training: continued by mirroring", f"{own} to {size} pixels")
