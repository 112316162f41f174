"""Metadata of model files, validated field by field before use."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from biocnn.config.registry import REGISTRY, suited
from biocnn.core.errors import InputError
from biocnn.core.files import check_file
from biocnn.core.plurals import plural
from biocnn.data.frame import has_frame
from biocnn.tasks import make_task
from biocnn.tasks.facts import Decision, Facts, Frozen, Positive
from biocnn.tasks.inputs import make_input

FORMAT = "1"
LARGEST_FRAME = 2**31  # pixels of an image as a network sees it
LARGEST = 10_000_000  # bytes of JSON; real files have some thousands
REMEDY = "copy the file again, or train again; unchanged files written by biocnn are readable"

_ALL = ConfigDict(extra="allow")  # unused fields are for people to read, or from another version
Number = Annotated[float, Field(gt=-1e30, lt=1e30)]  # fits float32


class _Train(Frozen):
    model_config = _ALL
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    patch: list[Positive] | None = None
    size: list[Positive] | None = None
    fit: Literal["crop", "stretch"] | None = None


class _Data(Frozen):
    model_config = _ALL
    axes: str | None = None
    bag: str = "bag"
    max_unknown: Annotated[float, Field(ge=0, le=1)] | None = None


class _Named(Frozen):
    model_config = _ALL
    name: str


class Trained(Frozen):
    """Settings of the training; those that predictions do not need are kept unchecked."""

    model_config = _ALL
    model: _Named  # the schema of the network checks its settings
    data: _Data = _Data()
    train: _Train = _Train()


class Precision(Frozen):
    """Precision in which a network was trained and predicts, with the validation metric in both."""

    model_config = ConfigDict(allow_inf_nan=True)
    train: str = "float32"
    predict: Literal["float32", "bfloat16"] = "float32"
    asked: str = ""
    reason: str = ""  # why it was not trained in the precision asked for
    metric: str = ""
    float32: float | None = None
    bfloat16: float | None = None
    tolerance: float | None = None


class Postprocess(Frozen):
    """Settings of ``biocnn.tasks.watershed.label_instances``, or of a task's ``decide``; of each output in lists."""

    model_config = ConfigDict(extra="forbid")
    mask_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    seed_threshold: Number = 0.8
    peak_threshold: Number = 1.2
    smoothing: Annotated[float, Field(ge=0, le=100)] = 0.5
    min_size: Annotated[int, Field(ge=0)] = 8
    thresholds: list[Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=list)
    f1: list[Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=list)
    scale: list[Annotated[float, Field(gt=0, le=100)]] = Field(default_factory=list)
    shift: list[Number] = Field(default_factory=list)
    margin: list[Number | None] = Field(default_factory=list)  # of intervals; None: unknown


class TargetUnit(Frozen):
    """Unit of the targets: mean and standard deviation of each output on the training split."""

    mean: list[Number]
    sd: list[Annotated[float, Field(gt=0, lt=1e30)]]


class Mixed(Frozen):
    """How words were mixed with the network; one number per output: see ``biocnn.training.words``."""

    model_config = ConfigDict(allow_inf_nan=True)
    strands: Literal["single", "both"]
    share: list[Annotated[float, Field(ge=0, le=1)]]  # of the network
    metric: str  # on the validation split, of the network alone and of the mixture
    network: list[float]
    mixture: list[float]
    penalty: list[float]
    n: int  # training examples that the words were fitted to


class Share(Frozen):
    """The share of the training split that a run of a learning curve used: arguments of ``Dataset.with_share``."""

    share: Annotated[float, Field(gt=0, lt=1)]
    group: str
    seed: Annotated[int, Field(ge=0)]


class Metadata(Frozen):
    """All that a model file contains in addition to weights."""

    experiment: Trained
    facts: Facts
    decisions: dict[str, Decision] = Field({})  # settings decided from the data, or given by the user
    seed: int = 1
    fold: Annotated[int, Field(ge=0)] = 0
    share: Share | None = None  # None: all of the training split
    deterministic: bool = True  # whether repeated trainings are bit-identical
    precision: Precision = Precision()
    temperature: list[Annotated[float, Field(ge=1e-6, le=1e6)]] = Field([])
    shift: list[Annotated[float, Field(allow_inf_nan=False)]] = Field([])  # added to logits divided by the temperature
    target_unit: TargetUnit | None = None  # regression only
    words: Mixed | None = None  # None: the network alone
    recall: list[list[Annotated[float, Field(ge=0, le=1)]]] | None = None  # per output, see `recall.recall_levels`
    postprocess: Postprocess = Postprocess()
    best_epoch: dict[str, Any] = Field({})  # its row of the history
    stopped: str = ""  # by what, and in which epoch; "": epochs or patience ended the training
    start: dict[str, Any] = Field({})  # source of the initial weights, see `transfer.TransferState`
    versions: dict[str, str] = Field({})

    @model_validator(mode="after")
    def _agree(self) -> "Metadata":
        facts = self.facts
        faults = [*facts.faults()]
        _require(not faults, "; ".join(faults))
        name, task = self.experiment.model.name, make_task(facts)
        fits = name not in REGISTRY["models"] or name in suited("models", facts.kind, task.target.kind)
        _require(fits, f"{name} is not a network for {facts.kind}s and task {facts.task}")
        if make_input(facts).channels is None:
            _agree_on_images(facts)
        if has_frame(facts):
            _agree_on_frame(self.experiment.train, facts)
        if task.detects:
            for name in ("thresholds", "f1", "scale", "shift"):
                number = len(getattr(self.postprocess, name))
                _require(number == facts.out_channels, f"{number} {name} for {facts.out_channels} classes of boxes")
        number = len(self.postprocess.margin)
        _require(number in (0, len(facts.outputs)), f"{plural(number, 'margin')} for {len(facts.outputs)} outputs")
        number = len(self.temperature)
        _require(
            number in (0, 1, facts.out_channels), f"{plural(number, 'temperature')} for {facts.out_channels} outputs"
        )
        number = len(self.shift)
        _require(number in (0, facts.out_channels), f"{plural(number, 'shift')} for {facts.out_channels} outputs")
        if self.target_unit:
            for values in (self.target_unit.mean, self.target_unit.sd):
                _require(len(values) == len(facts.outputs), "target_unit needs one number per output")
            _require(task.standardised, f"target_unit does not apply to task {facts.task}")
        if self.words:
            _require(len(self.words.share) == facts.out_channels, "words.share needs one number per output")
            _require(make_input(facts).scanned, "words are for sequences")
        _require(self.recall is None or len(self.recall) == facts.out_channels, "recall needs levels for each output")
        _require(len({len(levels) for levels in self.recall or [] if levels}) < 2, "recall needs equally many levels")
        for name in ("patch", "size"):
            sides = getattr(self.experiment.train, name)
            _require(sides is None or len(sides) == facts.spatial_dims, f"train.{name} needs one number per dimension")
        return self

    def header(self) -> dict[str, str]:
        """Return the header of a model file: JSON by key."""
        return {key: json.dumps(value) for key, value in {"format": FORMAT, **self.plain()}.items()}


def _agree_on_images(facts: Facts) -> None:
    """Check the facts that predictions on images need."""
    _require(len(facts.channels) == facts.in_channels, f"{len(facts.channels)} names for {facts.in_channels} channels")
    _require(facts.normalise == "image" or facts.intensity is not None, "intensity is missing")
    if "patch" in facts.decisions:
        sides = TypeAdapter(list[Positive]).validate_python(facts.decisions["patch"].value, strict=True)
        _require(len(sides) == facts.spatial_dims, "decisions.patch needs one number per dimension")


def _agree_on_frame(train: _Train, facts: Facts) -> None:
    """Check what determines the size of whole images."""
    for name, value in (("train.size", train.size), ("train.fit", train.fit), ("facts.sizes", facts.sizes)):
        _require(value is not None, f"{name} is missing")
    _require(math.prod(train.size or [1]) <= LARGEST_FRAME, f"train.size is larger than {LARGEST_FRAME} pixels")
    sides = facts.sizes.median if facts.sizes else []
    _require(len(sides) == facts.spatial_dims, "facts.sizes needs one number per dimension")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def read_metadata(path: str | Path) -> Metadata:
    """Read the metadata of a model file, without its weights.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another format, or fields are missing or invalid; names up to 5 of them.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    check_file(path, "model file", "check the path, or train a model: snakemake --cores all")
    try:
        with safe_open(path, "np") as handle:
            header = handle.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged model file ({error})", REMEDY) from error
    if "facts" not in header or "experiment" not in header:
        raise InputError(f"{path}: not a model file of biocnn", "give the model.safetensors of a run")
    if header.get("format") != json.dumps(FORMAT):
        found = header.get("format", "none")
        raise InputError(
            f"{path}: model format {found}, but this biocnn reads {FORMAT}", "train again with this version"
        )
    if sum(map(len, header.values())) > LARGEST:
        raise InputError(f"{path}: more than {LARGEST:,} bytes of metadata", REMEDY)
    try:
        return Metadata.model_validate({key: json.loads(value) for key, value in header.items()})
    except ValidationError as error:
        found = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()[:5]]
        faults = [": ".join(filter(None, (key, message.removeprefix("Value error, ")))) for key, message in found]
        raise InputError(f"{path}: invalid metadata: {'; '.join(faults)}", REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged model file ({error})", REMEDY) from error
