"""The training recorded in a model file, and the uses of a model beyond prediction."""

import shutil
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from biocnn.config.registry import resolve
from biocnn.config.schema import check
from biocnn.config.settings import Explain, Metrics
from biocnn.core.cards import card, line, some
from biocnn.core.errors import InputError
from biocnn.core.files import TemporaryFolder, as_path, atomic, check_file
from biocnn.data.dataset import Dataset, check_dataset
from biocnn.prediction.stored_predictions import write_predictions
from biocnn.tasks import Task, make_task
from biocnn.tasks.facts import Facts
from biocnn.tasks.inputs import Input, make_input
from biocnn.training.metadata import Metadata

VALIDATION = "val_"


class Trained:
    """Base of `Model`: history, metrics, evaluation, explanation, and the file itself."""

    path: Path
    meta: Metadata
    facts: Facts
    kept: TemporaryFolder | None = None

    @cached_property
    def task(self) -> Task:
        """Task of the network."""
        return make_task(self.facts)

    @cached_property
    def input(self) -> Input:
        """Input of the network."""
        return make_input(self.facts)

    @property
    def outputs(self) -> list[str]:
        """Names of the K outputs."""
        return self.facts.outputs

    @property
    def _about(self) -> dict[str, str]:
        facts = self.facts
        shown = {name: value for name, value in self.metrics.items() if name != f"{VALIDATION}loss"} or self.metrics
        return {
            "network": self.meta.experiment.model.name,
            "predicts": f"{self.task.label.format(one=self.input.name)} ({facts.task})",
            "outputs": some(facts.outputs),
            "for": f"{self.input.examples} {self.input.describe(facts)}",
            "size": self.input.size(facts),
            "validation": ", ".join(f"{name.removeprefix(VALIDATION)} {value:.3g}" for name, value in shown.items()),
            "training": self.meta.stopped,
        }

    def __repr__(self) -> str:
        return line("Model", self._about)

    def _repr_html_(self) -> str:
        weights = {"epoch": f"{self.meta.best_epoch['epoch']}"} if "epoch" in self.meta.best_epoch else {}
        return card("Model", self._about | weights | {"file": str(self.path)})

    @property
    def metrics(self) -> dict[str, float]:
        """Loss and metric of the validation split in the best epoch: val_loss, val_auprc, ...; with words, if mixed."""
        found = {key: value for key, value in self.meta.best_epoch.items() if key.startswith(VALIDATION)}
        words = self.meta.words
        if words and words.metric in found:  # not with outputs of several kinds, each of which has its own metric
            found[words.metric] = sum(words.mixture) / len(words.mixture)
        return found

    @cached_property
    def history(self) -> pd.DataFrame:
        """Losses and metrics of each epoch, from history.tsv beside the model file.

        Raises
        ------
        InputError
            If there is no such file.
        """
        path = self.path.parent / "history.tsv"
        check_file(path, "history", "it is beside the model of a training, not where this was copied to")
        return pd.read_csv(path, sep="\t")

    def save(self, path: str | Path) -> Path:
        """Copy the model file, e.g. to "mine.safetensors", from which `biocnn.load` reads it; return the path."""
        path = as_path("path", path, "mine.safetensors")
        if path.is_dir():
            raise InputError(f"{path}: is a folder", "name a file, for example model.safetensors")
        with atomic(path) as temporary:
            shutil.copyfile(self.path, temporary)
        return path

    def explain(
        self,
        inputs: Any,
        output: str | int | None = None,
        *,
        covariates: Any = None,
        signal: Any = None,
        method: str | None = None,
    ) -> Any:
        """Explain predictions: which bases, or which parts of an image, support an output.

        Parameters
        ----------
        inputs, covariates, signal
            As for ``Model.predict``.
        output
            Name or index of the output; None: the one with the largest prediction, or what the task explains first.
        method
            Sequences: deeplift, mutagenesis, integrated_gradients or gradient; None: the first that suits the network.

        Returns
        -------
        explanation
            Sequences: contributions of each base to the logit, (N, 4, L), in the order A C G T(U); those of the bases
            present are where the sequence has them. Images: Grad-CAM, 0 to 1, (*spatial) for one image, else a list;
            as the network sees the image: in the size of training, or the central 512 pixels of large images.

        Raises
        ------
        InputError
            As in ``Model.predict``, or if the model is for bags, or predicts boxes, each base, or numbers of pixels.
        """
        check(Explain, {"attributions": method}, "explain")
        return resolve("biocnn.explain.new_examples:explain")(self, inputs, output, covariates, method, signal)

    def evaluate(self, dataset: Dataset, **settings: Any) -> pd.DataFrame:
        """Evaluate on the splits of a data set, by the same functions as the workflow.

        Parameters
        ----------
        dataset
            Data set of the training, or another one with the same inputs and outputs.
        **settings
            Section metrics of an experiment, e.g. ``resamples=1000``.

        Returns
        -------
        metrics
            As metrics.tsv of the workflow: split, output, metric, over (what is averaged), value, low and high (95%
            interval), n, unit.
        """
        check_dataset(dataset)
        wanted, sections = check(Metrics, settings, "metrics"), dataset.sections
        with TemporaryDirectory() as folder:
            run = Path(folder) / "model"
            (run / "predictions").mkdir(parents=True)
            (run / self.path.name).symlink_to(self.path.resolve())
            write_predictions(run / "predictions", self, dataset)
            judged = resolve("biocnn.evaluation.evaluate:evaluate_stored")
            found = judged(dataset, [run], wanted, sections["seed"], sections["split"]["group"])
        return found.metrics.drop(columns="run").reset_index(drop=True)
