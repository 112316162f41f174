"""What a model file says of itself, checked field by field before anything is made of it."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from biocnn.core.errors import InputError
from biocnn.tasks import make_task
from biocnn.tasks.facts import Facts
from biocnn.tasks.inputs import make_input

LARGEST = 10_000_000  # of the JSON, in bytes; that of real files has some thousands
REMEDY = "copy it again, or train again; a file that biocnn wrote and nobody changed can be read"

# Other entries may be there: they are for people to read, or of another version.
_OPEN = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, protected_namespaces=())
Count = Annotated[int, Field(ge=1, le=2**31)]
Number = Annotated[float, Field(gt=-1e30, lt=1e30)]  # fits float32


class _Train(BaseModel):
    model_config = _OPEN
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    patch: list[Count] | None = None


class _Data(BaseModel):
    model_config = _OPEN
    axes: str | None = None
    max_unknown: Annotated[float, Field(ge=0, le=1)] = 0


class _Named(BaseModel):
    model_config = _OPEN
    name: str


class _Experiment(BaseModel):
    model_config = _OPEN
    model: _Named  # its settings are checked by the network's own schema, when it is made
    data: _Data = _Data()
    train: _Train = _Train()


class _Precision(BaseModel):
    model_config = _OPEN
    predict: Literal["float32", "bfloat16"] = "float32"


class Postprocess(BaseModel):
    """Settings of ``biocnn.tasks.watershed.label_instances``, or none of them."""

    model_config = _OPEN | {"extra": "forbid"}
    mask_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    seed_threshold: Number = 0.8
    peak_threshold: Number = 1.2
    smoothing: Annotated[float, Field(ge=0, le=100)] = 0.5
    min_size: Annotated[int, Field(ge=0)] = 8


class _TargetUnit(BaseModel):
    model_config = _OPEN
    mean: list[Number]
    sd: list[Annotated[float, Field(gt=0, lt=1e30)]]


class Metadata(BaseModel):
    """All that is used."""

    model_config = _OPEN
    experiment: _Experiment
    facts: Facts
    temperature: list[Annotated[float, Field(ge=1e-6, le=1e6)]] = []
    target_unit: _TargetUnit | None = None  # of regression
    recall: list[list[Annotated[float, Field(ge=0, le=1)]]] | None = None  # of each output, see `runs.recall_levels`
    postprocess: Postprocess = Postprocess()
    precision: _Precision = _Precision()
    fold: Annotated[int, Field(ge=0)] = 0
    versions: dict[str, str] = {}

    @model_validator(mode="after")
    def _agree(self) -> "Metadata":
        faults = [*self.facts.faults()]
        _require(not faults, "; ".join(faults))
        if make_input(self.facts).channels is None:
            _agree_on_images(self.facts)
        number = len(self.temperature)
        _require(
            number in (0, 1, self.facts.out_channels), f"{number} temperatures of {self.facts.out_channels} outputs"
        )
        if self.target_unit:
            for values in (self.target_unit.mean, self.target_unit.sd):
                _require(len(values) == self.facts.out_channels, "target_unit needs a number an output")
            _require(make_task(self.facts).standardised, f"target_unit of task {self.facts.task}")
        _require(self.recall is None or len(self.recall) == self.facts.out_channels, "recall needs levels an output")
        _require(len({len(levels) for levels in self.recall or [] if levels}) < 2, "recall needs as many levels each")
        patch = self.experiment.train.patch
        _require(patch is None or len(patch) == self.facts.spatial_dims, "train.patch needs a number a dimension")
        return self


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


def parse(header: dict[str, str]) -> dict[str, Any]:
    """The metadata of a model file, whose values are JSON, once every field that is used has been checked.

    Raises
    ------
    InputError
        Where a field is missing, of another type, or cannot be; names all of them.
    """
    if sum(map(len, header.values())) > LARGEST:
        raise InputError(f"more than {LARGEST:,} bytes of metadata", REMEDY)
    try:
        found = {key: json.loads(value) for key, value in header.items()}
        found["facts"] = Metadata.model_validate(found).facts
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5]]
        raise InputError(f"metadata that cannot be used: {'; '.join(faults)}", REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"damaged model file ({error})", REMEDY) from error
    experiment = found["experiment"]
    found["experiment"] = {
        **experiment,
        "data": experiment.get("data", {}),
        "train": {"threads": 1, "patch": None, **experiment.get("train", {})},
    }
    return found
