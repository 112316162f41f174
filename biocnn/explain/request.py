"""What the explain step explains, and where it writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biocnn.config.settings import Settings
from biocnn.data.dataset import Dataset
from biocnn.io.genome import Genome
from biocnn.prediction.model import Model
from biocnn.prediction.stored_predictions import predictions_of


@dataclass(frozen=True)
class Request:
    """A model to explain by the test split of a data set.

    Parameters
    ----------
    model
        Model whose network is explained.
    dataset
        Data set whose test split is used.
    predictions
        Folders with the stored predictions of the model and, after it, of all other runs.
    settings
        Settings of the experiment; used are ``explain``, ``seed`` and what determines the strands.
    folder
        Existing folder for the results.
    genome
        Genome of the sequences, if they are windows of one.
    """

    model: Model
    dataset: Dataset
    predictions: Sequence[Path]
    settings: Settings
    folder: Path
    genome: Genome | None = None

    def predicted(self, ids: Sequence[str]) -> list[np.ndarray]:
        """Return the predictions of the model for test examples."""
        return predictions_of(self.predictions[0], "test", ids)
