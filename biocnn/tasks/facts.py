"""Facts about a data set: given by its reader, measured when it is stored, and kept in every model file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from biocnn.config.registry import REGISTRY
from biocnn.config.schema import STRICT
from biocnn.core.errors import InputError
from biocnn.core.files import read_json
from biocnn.io.fasta import Iupac
from biocnn.io.scales import Intensity
from biocnn.tasks.inputs import make_input
from biocnn.tasks.task import make_task

Count = Annotated[int, Field(ge=0, le=2**53)]
Positive = Annotated[int, Field(ge=1, le=2**31)]
Size = Annotated[float, Field(gt=0, lt=1e9)]
Dtype = Annotated[str, Field(pattern=r"^(u?int(8|16|32|64)|float(16|32|64))?$")]
T = TypeVar("T")


def _named(kind: str) -> AfterValidator:
    """Require a name of the registry; import paths are refused, since the name may come from a file."""

    def check(name: str) -> str:
        if name not in REGISTRY[kind]:
            raise ValueError(f"not known, allowed: {', '.join(REGISTRY[kind])}")
        return name

    return AfterValidator(check)


class Frozen(BaseModel):
    """Base of facts and metadata: read by attribute, never changed; unknown fields are ignored."""

    model_config = STRICT | ConfigDict(extra="ignore")

    def given(self) -> dict[str, Any]:
        """Return the fields that were set, by name."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def plain(self) -> dict[str, Any]:
        """Return them as values for JSON."""
        return self.model_dump(exclude_unset=True)


class Decision(Frozen):
    """A setting that was decided from the data."""

    value: Any
    reason: str = ""


class BySplit(Frozen, Generic[T]):
    """One value per split."""

    train: T
    val: T
    test: T


class Leak(Frozen):
    """Number of examples of the second split that match one of the first: by kind of match, and in total."""

    pair: list[str]
    exact: Count = 0
    reverse_complement: Count | None = None
    alike: Count | None = None
    shared: Count | None = None
    named: Count | None = None
    overlap: Count | None = None
    any: Count = 0
    removed: bool = False


class Source(Frozen):
    """A raw or stored file, or a folder with its number of files."""

    key: str
    path: str
    sha256: str | None = None
    bytes: Count | None = None
    files: Count | None = None


class Sizes(Frozen):
    """Sizes of all images by axis, in pixels; ``shorter`` is the median over their shortest sides."""

    smallest: list[int]
    median: list[Annotated[float, Field(ge=1)]]
    largest: list[int]
    shorter: float


class Objects(Frozen):
    """Number of objects, and percentiles ("5", "50", "95") of their diameters in pixels.

    ``visible`` is the share of an object within the image from which on it has a box; None: not known.
    """

    number: Count = 0
    diameter: dict[str, float] = {}
    visible: Annotated[float, Field(gt=0, le=1)] | None = None


class ValueStats(Frozen):
    """Known values of each output of a map over all pixels: mean, standard deviation (1 if constant) and extremes."""

    mean: list[float]
    sd: list[Annotated[float, Field(gt=0)]]
    least: list[float]
    most: list[float]


class PixelFit(Frozen):
    """Least-squares fit of each output to the channel of the image that it corrects: factor * channel + shift.

    ``rest`` is the standard deviation of what remains, 1 if nothing does.
    """

    factor: list[float]
    shift: list[float]
    rest: list[Annotated[float, Field(gt=0)]]


Form = Literal["value", "rate", "gaussian", "quantiles", "above"]


class Part(Frozen):
    """Some of the outputs, with a task of their own and their names within it; parts follow each other."""

    name: Annotated[str, Field(min_length=1)]
    task: Annotated[str, _named("tasks")]
    outputs: Annotated[list[str], Field(min_length=1)]
    form: Form = "value"


class Covariate(Frozen):
    """A number or word beside each example, as measured on the training split, which determines how it is coded."""

    name: str
    mean: float = 0.0
    sd: Annotated[float, Field(gt=0)] = 1.0  # 1 if constant
    least: float = 0.0
    most: float = 0.0
    levels: Annotated[list[str], Field(max_length=1000)] = []  # words; []: it is a number
    missing: bool = False  # whether a column marks where it is missing

    @property
    def columns(self) -> list[str]:
        """Names of the numbers that the network receives."""
        coded = [f"{self.name}: {level}" for level in self.levels] or [self.name]
        return coded + [f"{self.name}: missing"] * self.missing


class SignalTrack(Frozen):
    """A track beside the bases, as measured on the training split, which determines how it is standardised."""

    name: str
    mean: float = 0.0
    sd: Annotated[float, Field(gt=0)] = 1.0  # 1 if constant
    covered: Annotated[float, Field(ge=0, le=1)] = 1.0  # share of the bases that have a value
    scale: Literal["none", "log1p"] = "none"  # of which mean and sd are


class Stated(Frozen):
    """Facts that a reader gives about all examples; fields with a default may be left out."""

    kind: Annotated[str, _named("inputs")]
    task: Annotated[str, _named("tasks")]
    spatial_dims: Literal[1, 2, 3]
    in_channels: Positive
    out_channels: Positive
    outputs: Annotated[list[str], Field(min_length=1)]
    form: Form = "value"  # what a network computes
    parts: list[Part] = []  # of outputs of several kinds
    covariates: list[str] = []  # names of what a network also receives beside each example
    # For sequences.
    signal: list[str] = []  # names of tracks, the channels after those of the bases
    signal_scale: Literal["none", "log1p"] = "none"  # on which tracks are standardised
    alphabet: Literal["ACGT", "ACGU"] = "ACGT"
    iupac: Iupac = "unknown"  # what ambiguous letters stand for
    window: Annotated[int, Field(ge=1, le=10**8)] | None = None  # bp; None: sequences differ in length
    flank: Annotated[int, Field(ge=0, le=10**8)] = 0  # bp at both ends of x outside the window
    context: Annotated[int, Field(ge=0, le=10**8)] = 0  # bp at both ends of the window that have no target
    density: list[Annotated[float, Field(ge=0, le=1e6)]] | None = None  # positives per Mb, of windows of a genome
    scale: Literal["none", "log1p"] = "none"  # on which values of bases are learned
    opposite: list[Annotated[int, Field(ge=0)]] = []  # for each output, that of the other strand; []: the same
    # For images.
    width: Size = 2.0  # standard deviation of the density around a point, in pixels
    dtype: Dtype = ""  # of x; "": as the first image
    target_dtype: Dtype = ""  # of target images in their files
    blind: bool = False  # whether a network learns from images alone, see `biocnn.nn.hidden_pixels`
    upscale: Annotated[int, Field(ge=1, le=8)] = 1  # pixels of the target per pixel of the image, along each axis
    channels: list[str] = []  # names; []: their numbers
    known_as: list[list[str]] = []  # other names of the channels, in files
    spacing: list[Size] | None = None  # of a pixel along each axis, in ``unit``; None: unknown, or not constant
    spacing_range: Annotated[list[list[Size]], Field(min_length=2, max_length=2)] | None = None  # smallest, largest
    unit: Literal["um", "mm"] = "um"


class Measured(Frozen):
    """Facts measured for each fold, on its training split unless noted; those of a user's own task are kept."""

    model_config = ConfigDict(extra="allow")

    n: BySplit[int] | None = None
    leakage: list[Leak] = []
    n_known: BySplit[list[int]] | None = None  # of each output
    n_positive: BySplit[list[int]] | None = None  # of each output, or objects of each class
    positives: list[float] = []  # share of positives, of each output
    class_shares: list[float] = []  # of the pixels
    object_shares: list[float] = []  # of each class of objects, in the pixels of objects whose class is known
    occupied: float = 1.0  # share of sequences with a base of a class
    of_parts: "list[Measured]" = []  # the same facts of each part, if outputs are of several kinds
    objects: Objects = Objects()
    values: ValueStats | None = None  # of maps of numbers; of bases, on their scale
    rates: list[Annotated[float, Field(gt=0)]] = []  # mean value of a base, of each output; 1 if all are 0
    coded: list[Covariate] = []  # the covariates, in order
    signal_tracks: list[SignalTrack] = []  # the tracks of ``signal``, in order
    pixel_fit: PixelFit | None = None  # of images to images with the same channels
    intensity: Intensity | None = None
    normalise: Literal["auto", "dataset", "image"] = (
        "auto"  # a reader may choose; by all training images, or each on its own
    )
    pixels: Count = 0
    images: Count = 0  # in bags
    decisions: dict[str, Decision] = {}


class Facts(Measured, Stated):
    """Everything known about a data set, or about one fold of it; fields of a user's own reader are kept."""

    model_config = ConfigDict(extra="allow")

    sizes: Sizes | None = None  # of images
    bags: Annotated[list[Positive], Field(min_length=3, max_length=3)] = []  # numbers of images: least, median, most
    sources: list[Source] = []
    folds: list[Measured] = []

    def of_fold(self, number: int) -> "Facts":
        """Return the facts of one fold, without those of the others."""
        every = self.given() | (self.folds[number].given() if self.folds else {})
        every.pop("folds", None)
        return Facts.model_construct(**every)

    def faults(self) -> Iterator[str]:
        """Find fields that contradict each other."""
        task, given = make_task(self), make_input(self)
        if self.kind not in task.inputs:
            yield f"task is {self.task}, which is not for {given.examples}"
        if len(set(self.outputs)) < len(self.outputs):
            yield "two outputs have one name"
        yield from task.check_facts()
        if self.spatial_dims not in given.dimensions:
            yield f"{given.examples} of {self.spatial_dims} dimensions"
        if given.channels not in (None, self.in_channels - len(self.signal)):
            yield f"{given.examples} have {given.channels} channels, not {self.in_channels - len(self.signal)}"
        if self.signal and not (given.scanned and self.window):
            yield "signal is for sequences of one length"
        if self.signal_tracks and [one.name for one in self.signal_tracks] != self.signal:
            yield "signal_tracks does not describe the signal"
        if self.covariates and task.target.spatial:
            yield "covariates are for one target per example"
        if self.coded and [one.name for one in self.coded] != self.covariates:
            yield "coded does not describe the covariates"
        if self.density is not None and len(self.density) != self.out_channels:
            yield "density needs one number per output"
        for names in ([self.channels] if self.channels else []) + self.known_as:
            if len(names) != self.in_channels:
                yield f"{len(names)} names of {self.in_channels} channels"
        for sizes in ([self.spacing] if self.spacing else []) + (self.spacing_range or []):
            if len(sizes) != self.spatial_dims:
                yield "spacing needs one number per dimension"
        for values in (self.intensity.low, self.intensity.high) if self.intensity else ():
            if len(values) != self.in_channels:
                yield "intensity needs one number per channel"


def faults_of(error: ValidationError) -> Iterator[str]:
    """List each invalid field, what is wrong and what was given."""
    for fault in error.errors():
        name, text = ".".join(map(str, fault["loc"])), f"{fault['msg'][:1].lower()}{fault['msg'][1:]}"
        yield f"{name}: {text}" + ("" if fault["type"] == "missing" else f" (given: {fault['input']!r:.80})")


def read_facts(path: str | Path) -> Facts:
    """Read the facts of a stored data set, with all folds.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    try:
        return Facts.model_validate(read_json(path))
    except ValidationError as error:
        raise InputError(
            f"{path}: {'; '.join([*faults_of(error)][:5])}", "delete it and run the workflow again, which recreates it"
        ) from error
