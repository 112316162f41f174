"""Reading of the results folder of one experiment; missing files are never an error."""

from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.config.experiment import Experiment, read_frozen
from biocnn.config.schema import Chosen
from biocnn.config.settings import Settings
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.splits import HELD_OUT
from biocnn.io.ragged import Ragged
from biocnn.prediction.stored_predictions import Decided
from biocnn.tasks import Task, make_task
from biocnn.tasks.facts import Facts, read_facts
from biocnn.tasks.inputs import Input, make_input
from biocnn.tasks.task import PartTask
from biocnn.training.metadata import Metadata, read_metadata

_WORDS = ("run", "split", "part", "output", "metric", "over", "unit")
_OTHERS = ("id", "group", "chrom", "example", "motif", "target_id", "target_name", "image", "path", "class", "grade")
_NAMES = dict.fromkeys((*_WORDS, *_OTHERS), str)
_NO_FACTS = Facts.model_construct(kind="", task="", spatial_dims=0, in_channels=0, out_channels=0, outputs=[])
_MATCH = ("target_id", "target_name", "strand", "offset", "similarity", "p_value", "q_value")


class Results:
    """The files of ``results/{experiment}/``, each read on first use.

    Parameters
    ----------
    folder
        Folder of the experiment.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.name = self.folder.name

    def table(self, path: str, separator: str = "\t") -> pd.DataFrame:
        """Read a table of the folder; empty, without columns, if the file is missing or has no rows."""
        file = self.folder / path
        if not file.is_file():
            return pd.DataFrame()
        try:
            # NA can be a name, and a name of digits is not a number.
            table = pd.read_csv(file, sep=separator, dtype=_NAMES, keep_default_na=False, na_values=[""])
        except pd.errors.EmptyDataError:
            return pd.DataFrame()
        return table if len(table) else pd.DataFrame()

    @cached_property
    def facts(self) -> Facts:
        """``dataset/facts.json``; without task and outputs if it is missing."""
        path = self.folder / "dataset" / "facts.json"
        return read_facts(path) if path.is_file() else _NO_FACTS

    @cached_property
    def frozen(self) -> Experiment | None:
        """``experiment.json``, the experiment as of its last run; None if no workflow ran it."""
        path = self.folder / "experiment.json"
        return read_frozen(path) if path.is_file() else None

    @cached_property
    def examples(self) -> pd.DataFrame:
        """``dataset/examples.tsv``: id, split, group, provenance, targets."""
        return self.table("dataset/examples.tsv")

    @cached_property
    def all_metrics(self) -> pd.DataFrame:
        """``metrics.tsv``, with empty text for missing words."""
        table = self.table("metrics.tsv")
        words = [name for name in _WORDS if name in table]
        return table.assign(**{name: table[name].fillna("").astype(str) for name in words})

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Rows of ``metrics.tsv`` on held-out splits."""
        table = self.all_metrics
        return table[table["split"].isin(HELD_OUT)].reset_index(drop=True) if len(table) else table

    @cached_property
    def audit(self) -> pd.DataFrame:
        """``audit.tsv``, the network compared with baselines."""
        table = self.table("audit.tsv")
        return table.assign(output=table["output"].astype(str)) if len(table) else table

    @cached_property
    def negatives(self) -> pd.DataFrame:
        """``negatives.tsv``, the network tested on other kinds of negatives."""
        return self.table("negatives.tsv")

    @cached_property
    def matches(self) -> pd.DataFrame:
        """``explain/matches.tsv``, best-ranked motif first; match columns are empty if there was no database."""
        return self._matches("explain/matches.tsv")

    @cached_property
    def seqlet_matches(self) -> pd.DataFrame:
        """``explain/seqlet_matches.tsv``, in the same way."""
        return self._matches("explain/seqlet_matches.tsv")

    def _matches(self, path: str) -> pd.DataFrame:
        table = self.table(path)
        if not len(table):
            return table
        columns = [*table.columns, *(name for name in _MATCH if name not in table)]
        return table.reindex(columns=columns).sort_values("rank", kind="stable").reset_index(drop=True)

    @cached_property
    def runs(self) -> list[str]:
        """Names of the runs; if metrics exist, only the evaluated runs, not those left over from earlier settings."""
        folder = self.folder / "runs"
        names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        judged = set(self.metrics["run"]) if len(self.metrics) else set(names)
        return [name for name in names if name in judged]

    @cached_property
    def histories(self) -> dict[str, pd.DataFrame]:
        """``history.tsv`` by run."""
        tables = {run: self.table(f"runs/{run}/history.tsv") for run in self.runs}
        return {run: table for run, table in tables.items() if len(table)}

    @cached_property
    def task(self) -> Task | None:
        """Task of the experiment; None if no data set is stored."""
        return make_task(self.facts) if self.facts.task else None

    @cached_property
    def input(self) -> Input | None:
        """Input of the experiment; None if no data set is stored."""
        return make_input(self.facts) if self.facts.kind else None

    @cached_property
    def parts(self) -> "list[PartOfResults]":
        """Results of each part of outputs of several kinds; none if they are of one kind."""
        return [PartOfResults(self, part) for part in (self.task.parts if self.task else [])]

    @property
    def headline(self) -> tuple[str, ...]:
        """Main metrics of the task; the first of each part if there are several."""
        if self.parts:
            return tuple(of_part(part.headline[0], part.name) for part in self.parts)
        return self.task.headline if self.task else ()

    @property
    def scale(self) -> str:
        """What networks compute for an output, as a noun."""
        return (self.task or Task).scale

    @property
    def predicted(self) -> str:
        """What is predicted for an output, as a noun."""
        return (self.task or Task).predicted

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return self.facts.outputs

    @property
    def split(self) -> str:
        """Reported split: test, or val if there is no test split."""
        names = set(self.metrics["split"]) if len(self.metrics) else set()
        return "test" if "test" in names or "val" not in names else "val"

    def model(self, run: str) -> Path | None:
        """Return the model file of a run, or None."""
        path = self.folder / "runs" / run / "model.safetensors"
        return path if path.is_file() else None

    def metadata(self, run: str) -> Metadata | None:
        """Read the metadata of a model file; None if it is missing, damaged, or of another version."""
        path = self.model(run)
        with suppress(InputError):
            return read_metadata(path) if path else None
        return None

    def network(self, settings: Settings) -> Chosen:
        """Return the section model of the first run, which trials or the data may have decided."""
        found = self.metadata(self.runs[0]) if self.runs else None
        return found.experiment.model if found else settings.model

    @property
    def versions(self) -> dict[str, str]:
        """Versions of biocnn and its dependencies, from the first run that has them."""
        return next((found.versions for run in self.runs if (found := self.metadata(run)) and found.versions), {})

    @cached_property
    def dataset(self) -> Dataset | None:
        """Stored examples and arrays."""
        return Dataset(self.folder / "dataset") if (self.folder / "dataset" / "x.npy").is_file() else None

    def predictions(self, run: str) -> tuple[Ragged, pd.DataFrame] | None:
        """Read the predicted probabilities of a run and the table of their id and split, in the same order."""
        path = self.folder / "runs" / run / "predictions" / "probability.npy"
        table = self.table(f"runs/{run}/predictions/examples.tsv")
        return (Ragged(path), table) if path.is_file() and len(table) else None

    def mean_prediction(self, name: str) -> np.ndarray | None:
        """Return the mean prediction over runs for an example of the reported split, (K, ...); None if not stored."""
        found = []
        for values, table in filter(None, map(self.predictions, self.runs)):
            places = np.flatnonzero((table["split"] == self.split) & (table["id"] == name))
            found += [np.asarray(values[place], np.float32) for place in places]
        return np.mean(found, axis=0) if found else None

    def decided(self, name: str) -> np.ndarray | None:
        """Read the mask, labels or boxes of an image of the reported split; None if not stored."""
        path = self.folder / "decided.npz"
        return Decided(path).of(self.split, name) if path.is_file() else None

    def uncertainty(self, name: str) -> np.ndarray | None:
        """Read the entropy of the prediction of a test image, 0 to 1, shape (*spatial); None if not stored."""
        path = self.folder / "uncertainty" / "maps.npz"
        if not path.is_file():
            return None
        with np.load(path) as stored:
            key = f"{name}.entropy"
            return stored[key] / np.float32(255) if key in stored.files else None

    def vectors(self, run: str, split: str) -> pd.DataFrame:
        """Read the predictions (K per example) of one run: columns 0 to K - 1, by id; empty for images."""
        found = self.predictions(run)
        if found is None or found[0].shapes.shape[1] != 1:
            return pd.DataFrame()
        ragged, table = found
        frame = pd.DataFrame(ragged.values.reshape(len(table), -1).astype(np.float64), index=table["id"])
        return frame[(table["split"] == split).to_numpy()]


class PartOfResults(Results):
    """One part of outputs of several kinds, as if it were an experiment of its own, in the same folder.

    Examples whose target is unknown are left out.
    """

    def __init__(self, whole: Results, part: PartTask) -> None:
        super().__init__(whole.folder)
        self.whole, self.part, self.name = whole, part, part.name

    @cached_property
    def facts(self) -> Facts:
        """Facts of the part."""
        return self.part.task.facts

    @cached_property
    def task(self) -> Task | None:
        """Task of the part."""
        return self.part.task

    @cached_property
    def dataset(self) -> Dataset | None:
        """Data set with the targets of the part."""
        return self.whole.dataset.of_part(self.part) if self.whole.dataset else None

    @cached_property
    def examples(self) -> pd.DataFrame:
        """Examples with a known target."""
        table = self.whole.examples
        targets = [name for name in table if name.startswith("y_")]
        own = targets[self.part.targets]
        found = table[table[own].notna().any(axis=1)].drop(columns=[name for name in targets if name not in own])
        return found.rename(columns={name: f"y_{k}" for k, name in enumerate(own)})

    def table(self, path: str, separator: str = "\t") -> pd.DataFrame:
        """Read a table; if it has a column part, only the rows of this part."""
        table = super().table(path, separator)
        return table[table["part"] == self.name].reset_index(drop=True) if "part" in table else table

    def metadata(self, run: str) -> Metadata | None:
        """Read the metadata of a model file, with the temperatures of the part."""
        if (found := super().metadata(run)) is None:
            return None
        own = found.temperature[self.part.logits] if self.part.task.tempered else []
        return found.model_copy(update={"temperature": own[:1] if self.part.task.exclusive else own})

    def vectors(self, run: str, split: str) -> pd.DataFrame:
        """Read the predictions of the part for examples with a known target."""
        found = super().vectors(run, split)
        if not len(found):
            return found
        own = pd.DataFrame(self.whole.task.of_part(found.to_numpy(), self.part), index=found.index)
        return own[own.index.isin(self.examples["id"])]


def of_part(metric: str, part: str) -> str:
    """Return the name of a metric of one of several parts, as in histories."""
    return f"{metric} of {part}"
