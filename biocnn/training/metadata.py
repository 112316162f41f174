"""What a model file says of itself, checked field by field before anything is made of it."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from biocnn.core.errors import InputError
from biocnn.core.files import check_file
from biocnn.tasks import make_task
from biocnn.tasks.facts import Decision, Facts, Frozen
from biocnn.tasks.inputs import make_input

FORMAT = "1"
LARGEST = 10_000_000  # of the JSON, in bytes; that of real files has some thousands
REMEDY = "copy it again, or train again; a file that biocnn wrote and nobody changed can be read"

_ALL = ConfigDict(extra="allow")  # what is not used is for people to read, or of another version
Count = Annotated[int, Field(ge=1, le=2**31)]
Number = Annotated[float, Field(gt=-1e30, lt=1e30)]  # fits float32


class _Train(Frozen):
    model_config = _ALL
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    patch: list[Count] | None = None


class _Data(Frozen):
    model_config = _ALL
    axes: str | None = None
    max_unknown: Annotated[float, Field(ge=0, le=1)] | None = None


class _Named(Frozen):
    model_config = _ALL
    name: str


class Trained(Frozen):
    """The settings of the training; those that predictions do not need are kept as they are."""

    model_config = _ALL
    model: _Named  # its settings are checked by the network's own schema, when it is made
    data: _Data = _Data()
    train: _Train = _Train()


class Precision(Frozen):
    """In which numbers a network was trained, and may predict; what validation was in both."""

    model_config = ConfigDict(allow_inf_nan=True)
    train: str = "float32"
    predict: Literal["float32", "bfloat16"] = "float32"
    asked: str = ""
    reason: str = ""  # why it was not trained in the numbers that were asked for
    metric: str = ""
    float32: float | None = None
    bfloat16: float | None = None
    tolerance: float | None = None


class Postprocess(Frozen):
    """Settings of ``biocnn.tasks.watershed.label_instances``, or none of them."""

    model_config = ConfigDict(extra="forbid")
    mask_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    seed_threshold: Number = 0.8
    peak_threshold: Number = 1.2
    smoothing: Annotated[float, Field(ge=0, le=100)] = 0.5
    min_size: Annotated[int, Field(ge=0)] = 8


class TargetUnit(Frozen):
    """What the targets of each output were measured in: mean and standard deviation of the training part."""

    mean: list[Number]
    sd: list[Annotated[float, Field(gt=0, lt=1e30)]]


class Metadata(Frozen):
    """All that is kept beside the weights of a network."""

    experiment: Trained
    facts: Facts
    decisions: dict[str, Decision] = Field({})  # all that was left to the data, or given in its place
    seed: int = 1
    fold: Annotated[int, Field(ge=0)] = 0
    deterministic: bool = True  # whether another training gives the same bits
    precision: Precision = Precision()
    temperature: list[Annotated[float, Field(ge=1e-6, le=1e6)]] = Field([])
    target_unit: TargetUnit | None = None  # of regression
    recall: list[list[Annotated[float, Field(ge=0, le=1)]]] | None = None  # of each output, see `runs.recall_levels`
    postprocess: Postprocess = Postprocess()
    best_epoch: dict[str, Any] = Field({})  # its line of the history
    start: dict[str, Any] = Field({})  # where the first weights are from, see `transfer.Start`
    versions: dict[str, str] = Field({})

    @model_validator(mode="after")
    def _agree(self) -> "Metadata":
        facts = self.facts
        faults = [*facts.faults()]
        _require(not faults, "; ".join(faults))
        if make_input(facts).channels is None:
            _agree_on_images(facts)
        number = len(self.temperature)
        _require(number in (0, 1, facts.out_channels), f"{number} temperatures of {facts.out_channels} outputs")
        if self.target_unit:
            for values in (self.target_unit.mean, self.target_unit.sd):
                _require(len(values) == facts.out_channels, "target_unit needs a number an output")
            _require(make_task(facts).standardised, f"target_unit of task {facts.task}")
        _require(self.recall is None or len(self.recall) == facts.out_channels, "recall needs levels an output")
        _require(len({len(levels) for levels in self.recall or [] if levels}) < 2, "recall needs as many levels each")
        patch = self.experiment.train.patch
        _require(patch is None or len(patch) == facts.spatial_dims, "train.patch needs a number a dimension")
        return self

    def header(self) -> dict[str, str]:
        """As it stands in a file: JSON by key."""
        return {key: json.dumps(value) for key, value in {"format": FORMAT, **self.plain()}.items()}


def _agree_on_images(facts: Facts) -> None:
    """What was measured, and predictions cannot do without."""
    _require(len(facts.channels) == facts.in_channels, f"{len(facts.channels)} names of {facts.in_channels} channels")
    _require(facts.normalise == "image" or facts.intensity is not None, "intensity is missing")
    if "patch" in facts.decisions:
        sides = TypeAdapter(list[Count]).validate_python(facts.decisions["patch"].value, strict=True)
        _require(len(sides) == facts.spatial_dims, "decisions.patch needs a number a dimension")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def read_metadata(path: str | Path) -> Metadata:
    """What a model file says of itself, without its weights.

    Raises
    ------
    InputError
        For a missing or damaged file, one of another format, and where a field is missing, of another type, or cannot
        be; names all of them.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    check_file(path, "model file", "to train one: snakemake --cores all")
    try:
        with safe_open(path, "np") as handle:
            header = handle.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged model file ({error})", REMEDY) from error
    if "facts" not in header or "experiment" not in header:
        raise InputError(f"{path}: not a model file of biocnn", "give model.safetensors of a run")
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
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5]]
        raise InputError(f"{path}: metadata that cannot be used: {'; '.join(faults)}", REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged model file ({error})", REMEDY) from error
