"""Base of all tasks. Importing a task is fast, because a dry run reads its declarations.

A task is one file with one class, and one line in the registry. Nothing outside this package compares names of tasks:
it asks the task.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from biocnn.config.registry import REGISTRY, find, suited, task_class
from biocnn.config.registry import target as path_of
from biocnn.config.schema import Chosen, choose, own_settings
from biocnn.config.signatures import positional
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.tasks.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    import torch
    from torch import Tensor, nn

    from biocnn.losses import Logits, Loss
    from biocnn.tasks.facts import Facts

UNWEIGHTED = ("dice", "tversky")  # losses that already weight all classes equally
ABOUT_COUNTS = "For the loss, counts are divided by their mean in the training split."


class PartTask(NamedTuple):
    """A part of the outputs: its name, its task, and its columns among all targets and among all logits."""

    name: str
    task: Any
    targets: slice
    logits: slice


class Task(ABC):
    """How a network learns a kind of target, and how its outputs are used.

    Parameters
    ----------
    facts
        Facts about the data set.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]  # inputs that the task supports, by their names in the registry
    special: ClassVar[dict[str, str]] = {}  # import paths of subclasses for some of these inputs
    target: Target  # the kind of target
    losses: tuple[str, ...]  # allowed losses, the default first
    monitor: str  # metric that selects the best epoch; "": the validation loss
    metrics: tuple[str, ...]  # always computed
    headline: tuple[str, ...]  # most important metrics, in order
    label: str  # what is predicted, in words; {one} is replaced by the kind of example
    given_as: ClassVar[str] = (
        ""  # kind of a column or mask_type, see `biocnn.data.from_arrays`; "": not given as arrays
    )
    family: ClassVar[str]  # experiments with the same input that share a table for comparison
    scale: ClassVar[str] = "logit"  # what networks compute for an output, as a noun
    predicted: ClassVar[str] = "probability"  # what ``probability`` makes of it, as a noun
    positives: ClassVar[bool] = False  # whether each output is yes or no, with the sigmoid of its logit as probability
    exclusive: ClassVar[bool] = (
        False  # whether outputs are classes, one of which is true, with the softmax as probability
    )
    detects: ClassVar[bool] = False  # whether predictions are boxes with scores, (M, 2 + 2 spatial_dims)
    exact: ClassVar[bool] = False  # whether targets are numbers that may depend on sizes and brightness
    stored: ClassVar[str] = ""  # dtype of stored predictions; "": that of the input
    smoothed: ClassVar[bool] = False  # whether training keeps a moving average of the weights
    standardised: bool = False  # whether targets are standardised for training
    like_input: bool = False  # whether outputs are channels of the input, which the network corrects
    blind: bool = False  # whether networks learn to predict hidden pixels of their input, not the stored targets
    kept: ClassVar[str] = ""  # dtype of truth as read, if it is stored beside the maps that are computed from it
    unit: "dict[str, list[float]] | None" = None  # mean and sd of targets, set while training in standardised ones
    learned: "Tensor | None" = None  # targets of the training split as they are learned, set with parts only
    objects: ClassVar[bool] = False  # whether truth and decisions are labels, from which the learned maps are computed
    rivals: ClassVar[int | None] = None  # number of leading outputs whose largest is a pixel's class; None: all
    judge: ClassVar[str]  # import path of the class that evaluates predictions; see `biocnn.evaluation.judges`
    figures: ClassVar[str]  # import path of the function that draws the chapter on performance
    panels: ClassVar[str] = ""  # import path of the class that draws examples, see `biocnn.report.panels`; "": none
    applied: ClassVar[str]  # import path of the function that applies models to a new image, see `biocnn.apply.images`
    exports: ClassVar[tuple[str, ...]] = ()  # formats that results for new images can be exported in
    baselines: ClassVar[str] = (
        ""  # import path of the function that returns them, for maps; see `evaluation.map_baselines`
    )
    comparison: ClassVar[str] = (
        "biocnn.evaluation.map_baselines:compare_map_baselines"  # import path of what compares them with the network
    )
    uncertainty: ClassVar[str] = ""  # import path of the class that evaluates uncertainty; "": none
    left_out: tuple[str, ...] = ()  # metrics in metrics.tsv that the report omits
    worst_by: ClassVar[str] = ""  # metric of examples that orders the worst; "": the first headline metric they have
    about_loss: str = ""  # a sentence for the caption of learning curves

    def __init__(self, facts: "Facts") -> None:
        self.facts = facts

    @property
    def parts(self) -> list[PartTask]:
        """Return the parts of outputs of several kinds; none if they are of one kind."""
        return []

    @property
    def outputs(self) -> list[str]:
        """Return the names of the K outputs."""
        return self.facts.outputs

    @property
    def logit_names(self) -> list[str]:
        """Return the name of the output that each logit, or its temperature, is for."""
        return self.outputs

    @property
    def tempered(self) -> list[str]:
        """Return the names of the outputs whose logits are divided by a temperature."""
        return self.outputs

    @property
    def monitored(self) -> str:
        """Return the column of the history that selects the best epoch."""
        return f"val_{self.monitor or 'loss'}"

    def facts_with(self, loss: Chosen | None) -> "Facts":
        """Return the facts of a model trained with a loss (None: the default), which may determine its outputs."""
        return self.facts

    def set_unit(self, unit: dict[str, list[float]]) -> None:
        """Set the unit in which targets are learned."""
        self.unit = unit

    def from_unit(self, unit: dict[str, list[float]]) -> tuple[list[float], list[float]]:
        """Return factor and shift of each logit that convert standardised logits to the unit of the targets."""
        return unit["sd"], unit["mean"]

    def check_facts(self) -> "Iterator[str]":
        """Yield what is wrong with the facts."""
        if self.facts.out_channels != self.channels:
            outputs = plural(len(self.outputs), "output")
            yield f"out_channels is {self.facts.out_channels}, not {self.channels}, for {outputs}"

    @property
    def channels(self) -> int:
        """Return the number of channels that a network computes for the outputs."""
        return len(self.outputs)

    @property
    def computed(self) -> int:
        """Return the number of channels of a network before ``complete``."""
        return self.facts.out_channels

    def check_truth(self, y: "np.ndarray") -> "Iterator[str]":
        """Yield what is wrong with the targets of all examples, (N, K); called for tasks with vectors only."""
        yield from ()

    def encode(self, truth: "np.ndarray") -> "np.ndarray":
        """Convert ground truth as read to the target that is learned and stored."""
        return truth

    def encode_typed(self, labels: "np.ndarray", classes: "np.ndarray") -> "np.ndarray":
        """Do the same for objects with classes, given label and class of each, (n, 2)."""
        raise NotImplementedError

    @abstractmethod
    def remember(self, truth: "np.ndarray", stored: "np.ndarray") -> Any:
        """Summarise the truth of one example for ``check_split``, ``measure`` and ``columns``."""

    def check_split(self, found: dict[str, list[Any]]) -> "Iterator[tuple[str, str]]":
        """Check the splits; yield a note and the name of the output for each metric that will be undefined.

        Parameters
        ----------
        found
            Results of ``remember`` for each example of each split.

        Raises
        ------
        InputError
            If a split is not fit for training or evaluation.
        """
        yield from ()

    @abstractmethod
    def measure(self, found: dict[str, list[Any]]) -> dict[str, Any]:
        """Return facts about the splits; ``found`` as for ``check_split``."""

    def columns(self, found: list[Any]) -> "dict[str, np.ndarray]":
        """Return columns of the table of examples that contain their targets."""
        return {}

    @abstractmethod
    def probability(self, logits: "Tensor") -> "Tensor":
        """Convert logits of shape (N, K, ...) to what is reported: probabilities, or values."""

    def check_output(self, logits: "Logits", y: "Tensor") -> None:
        """Refuse a network whose output does not have the shape of the targets."""
        logits = logits[0] if isinstance(logits, list) else logits
        if logits.shape != (len(y), self.facts.out_channels, *y.shape[2:]):
            raise InputError(
                f"model: the output has shape {tuple(logits.shape)}, but there are {self.facts.out_channels} outputs "
                f"and targets of shape {tuple(y.shape)}",
                "networks with such outputs: " + ", ".join(suited("models", self.facts.kind, self.target.kind)),
            )

    def check_loss(self, section: Chosen | None, class_weights: str) -> "Iterator[InputError]":
        """Yield what is wrong with the experiment's loss (None: the default) and class weights for the task."""
        name = section.name if section else self.losses[0]
        if name in REGISTRY["losses"] and name not in self.losses:
            yield InputError(
                f"loss: {name} does not suit targets of kind {self.name}", "allowed: " + ", ".join(self.losses)
            )
        elif class_weights == "balanced" and name in UNWEIGHTED:
            yield InputError(
                f"train.class_weights: balanced, but {name} already weights all classes equally",
                f"set it to none, or choose {self.losses[0]}",
            )
        elif class_weights == "balanced" and "class_weights" not in positional(path_of("losses", name)):
            yield InputError(
                f"train.class_weights: balanced, but {name} has no parameter class_weights", "set it to none"
            )

    def make_loss(self, section: Chosen | None, class_weights: str, device: "torch.device") -> "Loss":
        """Return the experiment's loss, or the default, with class weights from the training split if requested.

        Raises
        ------
        InputError
            If the loss or class weights do not suit the task.
        """
        for fault in self.check_loss(section, class_weights):
            raise fault
        section = section or choose("losses", self.losses[0], "loss")
        function = partial(find("losses", section.name), **own_settings(section))
        if class_weights == "balanced":
            function = partial(function, class_weights=self.class_weights().to(device))
        return partial(self._checked_loss, section.name, self.extend_loss(section.name, function))

    def extend_loss(self, name: str, loss: "Loss") -> "Loss":
        """Extend a loss of logits to the lists of outputs that networks may return in training."""
        from biocnn.losses import supervised

        return supervised(loss)

    def _checked_loss(self, name: str, loss: "Loss", logits: "Logits", y: "Tensor") -> "Tensor":
        from torch import Tensor

        self.check_output(logits, y)
        value = loss(logits, y)
        finest = logits[0] if isinstance(logits, list) else logits
        if not isinstance(value, Tensor):
            wrong = f"returns {type(value).__name__}"
        elif value.ndim:
            wrong = f"returns shape {tuple(value.shape)}"
        elif finest.requires_grad and not value.requires_grad:
            wrong = "has no gradient"
        else:
            return value
        raise InputError(
            f"loss: {name} {wrong}",
            "return one value, differentiable by the logits, e.g. the mean over examples and outputs",
        )

    @abstractmethod
    def class_weights(self) -> "Tensor":
        """Return weights that give all classes the same total weight in the training split."""

    def fitted(self, x: "np.ndarray", y: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Return an image and what it is corrected to, with equally many pixels, for tasks that are ``like_input``."""
        return x, y

    def complete(self, network: "nn.Module") -> "nn.Module":
        """Return a network with what the task adds to it, in place."""
        return network

    def score(self) -> "Score":
        """Return the accumulator of the validation metric."""
        return Score()

    def without_metric(self, truths: "Iterable[np.ndarray]") -> list[str]:
        """Return the outputs for which the ground truth allows no metric."""
        return []

    def tune(self, probabilities: "Iterable[np.ndarray]", labels: "Iterable[np.ndarray]") -> dict[str, Any]:
        """Choose the settings of ``decide`` on validation examples, given their probabilities and ground truth."""
        return {}

    def tuning_seconds(self) -> float:
        """Return about how long ``tune`` takes on a core."""
        return 0.0

    def remarks(self, postprocess: dict[str, Any]) -> "Iterator[str]":
        """Yield what is unusual about the settings that ``tune`` chose."""
        yield from ()

    def shared(self, postprocess: "Sequence[dict[str, Any]]") -> dict[str, Any]:
        """Return the settings with which combined predictions are decided, given those of each run; here the first."""
        return next(filter(None, postprocess), {})

    def combine(self, predictions: "Sequence[np.ndarray]") -> "np.ndarray":
        """Combine the predictions of several runs for an example; here, by their mean."""
        import numpy as np

        return np.mean([np.asarray(p, np.float32) for p in predictions], axis=0)

    def certain(self, truth: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Return what a person drew, in the form of ``truth``, as a prediction without doubt, and as decided."""
        raise NotImplementedError

    def temperature(self, batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> list[float]:
        """Fit the temperatures that maximise the likelihood of validation examples; logits are divided by them.

        Parameters
        ----------
        batches
            Batches of logits and targets.
        number
            Number of examples.

        Returns
        -------
        temperature
            One number per output, one for all, or none if the task has no temperature.
        """
        return []

    def calibration(self, batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> dict[str, list[float]]:
        """Fit how logits are calibrated, from arguments as for ``temperature``.

        Returns
        -------
        calibration
            ``temperature``, and in some tasks ``shift``: one number per output, added to the divided logits.
        """
        return {"temperature": self.temperature(batches, number)}

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        """Return the indices of the outputs to explain, given prediction and target of an example, (K, *spatial)."""
        return [int(p.argmax())]

    def logit_of(self, output: int) -> int:
        """Return the index of the logit that explains an output of ``explained``."""
        return output

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count targets (N, K) for a table of splits, by column heading."""
        return {}


class Score:
    """Accumulates batches into the validation metric; this one has no metric."""

    def add(self, p: "Tensor", y: "Tensor") -> None:
        """Add the predictions for a batch, and its targets."""

    def value(self) -> dict[str, float]:
        """Return the metric by name, over all batches; nan if undefined."""
        return {}


def make_task(facts: "Facts") -> Task:
    """Return the task of a data set, or of a model that was trained on one."""
    return task_class(facts.task, facts.kind)(facts)
