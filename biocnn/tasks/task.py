"""What every task has. Importing a task is light: a dry run reads what classes say of themselves.

A task is one file with one class, and one line in the registry. Nothing outside this package compares names of tasks:
it asks the task.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from biocnn.config.registry import REGISTRY, find
from biocnn.config.schema import Chosen, choose, own_settings
from biocnn.core.errors import InputError
from biocnn.tasks.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import torch
    from torch import Tensor

    from biocnn.losses import Logits, Loss
    from biocnn.tasks.facts import Facts

UNWEIGHTED = ("dice", "tversky")  # losses that weigh all classes alike by themselves


class Task(ABC):
    """How a network learns from truth, and what is made of its outputs.

    Parameters
    ----------
    facts
        Of the data set.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]  # those of which this can be asked, by their names in the registry
    target: ClassVar[Target]  # the shape of truth
    losses: ClassVar[tuple[str, ...]]  # the default first
    monitor: ClassVar[str]  # metric that chooses the best epoch; "" where the validation loss does
    metrics: ClassVar[tuple[str, ...]]  # always computed
    headline: ClassVar[tuple[str, ...]]  # metrics that a reader wants first
    label: ClassVar[str]  # what is predicted, in words; {one} stands for what an example is
    family: ClassVar[str]  # experiments that are compared in one table
    positives: ClassVar[bool] = False  # whether each output is yes or no, with the sigmoid of its logit as probability
    standardised: ClassVar[bool] = False  # whether targets are learned in units of their spread
    objects: ClassVar[bool] = False  # whether truth and decisions number objects; maps made of these are learned
    rivals: ClassVar[int | None] = None  # leading outputs of which the largest decides a pixel's class; None: all
    judge: ClassVar[str]  # import path of what evaluates predictions; see `biocnn.evaluation.judges`
    figures: ClassVar[str]  # and of the function that draws the chapter on performance
    panels: ClassVar[str] = ""  # and of what draws examples, see `biocnn.report.panels`; "": there is nothing to draw
    uncertainty: ClassVar[str] = ""  # and of what judges uncertainty; "": nothing does
    left_out: ClassVar[tuple[str, ...]] = ()  # metrics that are in metrics.tsv, and not in the report
    about_loss: ClassVar[str] = ""  # a sentence for the caption of learning curves

    def __init__(self, facts: "Facts") -> None:
        self.facts = facts

    @property
    def outputs(self) -> list[str]:
        """Names of the K outputs."""
        return self.facts.outputs

    @property
    def monitored(self) -> str:
        """The column of the history that chooses the best epoch."""
        return f"val_{self.monitor or 'loss'}"

    def check_facts(self) -> "Iterator[str]":
        """What is wrong with the facts."""
        if self.facts.out_channels != len(self.outputs):
            yield f"out_channels is {self.facts.out_channels}, but there are {len(self.outputs)} outputs"

    def check_truth(self, y: "np.ndarray") -> "Iterator[str]":
        """What is wrong with the truth of all examples, as one array (N, K); asked of tasks with vectors only."""
        yield from ()

    def encode(self, truth: "np.ndarray") -> "np.ndarray":
        """Truth as read to truth as learned and stored."""
        return truth

    @abstractmethod
    def remember(self, truth: "np.ndarray", stored: "np.ndarray") -> Any:
        """Summarise the truth of one example for ``check_split``, ``measure`` and ``columns``."""

    def check_split(self, found: dict[str, list[Any]]) -> "Iterator[tuple[str, str]]":
        """Check the splits; yield a note and the name of the output for each metric that will be undefined.

        Parameters
        ----------
        found
            What ``remember`` gave for each example of each split.

        Raises
        ------
        InputError
            If a split cannot be learned from or judged by.
        """
        yield from ()

    @abstractmethod
    def measure(self, found: dict[str, list[Any]]) -> dict[str, Any]:
        """Facts about the splits; ``found`` as for ``check_split``."""

    def columns(self, found: list[Any]) -> "dict[str, np.ndarray]":
        """Columns of the table of examples that hold their truth."""
        return {}

    @abstractmethod
    def probability(self, logits: "Tensor") -> "Tensor":
        """Logits of shape (N, K, ...) to what is reported: probabilities, or values."""

    def check_output(self, logits: "Logits", y: "Tensor") -> None:
        """Refuse a network whose output has the wrong shape for the targets."""
        logits = logits[0] if isinstance(logits, list) else logits
        if logits.shape != (len(y), len(self.outputs), *y.shape[2:]):
            raise InputError(
                f"model: gives shape {tuple(logits.shape)} for {len(self.outputs)} outputs and targets of shape "
                f"{tuple(y.shape)}",
                "for one prediction per example choose DeepBind, for one per pixel UNet or FCN",
            )

    def make_loss(self, section: Chosen | None, class_weights: str, device: "torch.device") -> "Loss":
        """The experiment's loss, or the default, with class weights from the training part where asked.

        Raises
        ------
        InputError
            Where loss or class weights do not suit the task.
        """
        from biocnn.losses import supervised

        section = section or choose("losses", self.losses[0], "loss")
        name = section.name
        if name in REGISTRY["losses"] and name not in self.losses:
            raise InputError(
                f"loss: {name} does not suit targets of kind {self.name}", "allowed: " + ", ".join(self.losses)
            )
        function = partial(find("losses", name), **own_settings(section))
        if class_weights == "balanced":
            if name in UNWEIGHTED:
                raise InputError(
                    f"train.class_weights: balanced, but {name} weighs all classes alike by itself",
                    f"set it to none, or choose {self.losses[0]}",
                )
            function = partial(function, class_weights=self.class_weights().to(device))
        return partial(self._checked_loss, supervised(function))

    def _checked_loss(self, loss: "Loss", logits: "Logits", y: "Tensor") -> "Tensor":
        self.check_output(logits, y)
        return loss(logits, y)

    @abstractmethod
    def class_weights(self) -> "Tensor":
        """Weights that give every class the same total weight, from its share in the training part."""

    def score(self) -> "Score":
        """What judges an epoch, beside the loss."""
        return Score()

    def without_metric(self, truths: "Iterable[np.ndarray]") -> list[str]:
        """Outputs of which truth lets no metric be computed."""
        return []

    def tune(self, probabilities: "Iterable[np.ndarray]", labels: "Iterable[np.ndarray]") -> dict[str, Any]:
        """What ``decide`` needs, chosen on validation examples: their probabilities, and what is true of them."""
        return {}

    def temperature(self, answers: "Iterable[tuple[Tensor, Tensor]]", number: int) -> list[float]:
        """What to divide each output's logits by, so that the probabilities of validation examples are likeliest.

        Parameters
        ----------
        answers
            Batches of logits and truth.
        number
            Of all examples.

        Returns
        -------
        temperature
            One number for each output, one for all, or none where the task has no temperature.
        """
        return []

    def explained(self, answer: "Tensor") -> list[int]:
        """Numbers of the outputs that an example is explained by, from what a network gives for it, (K, *spatial)."""
        return [int(answer.argmax())]

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """What a table of splits counts of targets (N, K), by the heading of a column."""
        return {}


class Score:
    """Accumulates batches into the validation metric; this one has none."""

    def add(self, p: "Tensor", y: "Tensor") -> None:
        """Take what was predicted for a batch, and its targets."""

    def value(self) -> dict[str, float]:
        """The metric by its name, over all that was added; nan where it is not defined."""
        return {}


def make_task(facts: "Facts") -> Task:
    """The task of a data set, or of a model that was trained on one."""
    return find("tasks", facts.task)(facts)
