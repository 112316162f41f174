"""One experiment: one YAML file, one typed object; every error names the dotted key and the remedy."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from biocnn.config.agreement import disagreements
from biocnn.config.experiment import Experiment, read_frozen
from biocnn.config.experiment_file import read_yaml
from biocnn.config.experiment_paths import resolve_paths
from biocnn.config.registry import AUGMENT_SETS, input_of
from biocnn.config.schema import STRICT, check, choose, example
from biocnn.config.search_space import Calibrate, resolve_draws
from biocnn.config.strands import RNA, check_strands
from biocnn.core.errors import Collector, InputError, close, nearest
from biocnn.core.wording import given as as_given

SEEDS = 2**32  # so many
MANY = 1_000_000  # more than anybody wants: a slip, or a file that is to do harm


class Split(BaseModel):
    """Which examples train, which choose (val), and which judge (test); a group is never cut."""

    model_config = STRICT
    group: str = "group"  # column of the examples table
    column: str | None = None  # column that already says train / val / test
    # names of groups, or a fraction of what is not test; None: 0.15
    val: list[str | int] | float | None = Field(None, examples=[0.15])
    # likewise; None: 0.15, or with folds each of them once
    test: list[str | int] | float | None = Field(None, examples=[0.15])
    hashed: bool = False  # fractions and folds follow from a hash of a group's name: new data moves no old group
    folds: int | None = Field(None, ge=2, le=1000)  # one run each: the fold is test, the next one val
    remove_leaks: bool = False  # takes out of test (then val) what is in another part, too, or overlaps it


class Train(BaseModel):
    """How to train; ``seeds`` makes one run each."""

    model_config = STRICT
    seeds: list[Annotated[int, Field(ge=0, lt=SEEDS)]] = Field([1], min_length=1)
    epochs: int | None = Field(30, ge=1, le=MANY)  # null, and images where it is left out: decided from the data
    batch_size: int | None = Field(64, ge=1, le=MANY)  # likewise
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    patience: int | None = Field(None, ge=1)  # epochs without a better one; None: train to the end
    # pixels, images only; None: decided from the data
    patch: list[Annotated[int, Field(ge=1, le=MANY)]] | None = Field(None, examples=[[128, 128]])
    foreground: float | None = Field(None, ge=0, le=1)  # share of patches that show a rare class; None: likewise
    memory_gb: float = Field(4, gt=0)  # what decided batches and patches may take; more makes them larger
    # None: each example once; images each pixel about once, but where epochs are left to the data this is, too.
    steps_per_epoch: int | None = Field(None, ge=1, le=MANY)
    start_from: Path | None = None  # model.safetensors of another training: weights that fit are taken
    freeze_epochs: int = Field(0, ge=0)  # at first, in which the part of the encoder that was taken stays as it is
    # Training ends there, wherever the schedule is; a file named stop ends it, too.
    max_minutes: float | None = Field(None, gt=0)
    save_minutes: float = Field(10, ge=0)  # between saved states; each epoch's end is saved, too
    class_weights: Literal["none", "balanced"] = "none"
    precision: Literal["auto", "float32", "bfloat16"] = (
        "auto"  # auto: bfloat16 where that is faster and validation agrees
    )
    deterministic: bool = True  # the same bits each time; False lets a GPU choose faster ways
    threads: int = Field(2, ge=1, le=1024)  # of torch; part of the experiment because it changes the bits
    workers: int = Field(0, ge=0, le=1024)  # processes that load images; the bits do not depend on it


class Metrics(BaseModel):
    """How good the predictions are, and how sure that is."""

    model_config = STRICT
    resamples: int = Field(1000, ge=0, le=MANY)  # bootstrap resamples for the 95% intervals
    also: list[str] = []  # of images, beside the metrics of the task: see `biocnn.metrics.catalogue`
    tolerance: float | None = Field(None, gt=0)  # of surface_dice, in units of spacing; None: a pixel's longest side
    regions: dict[str, list[str]] = {}  # names of classes that are judged together, too: {whole: [core, rim]}


class Motifs(BaseModel):
    """What learned motifs are compared with."""

    model_config = STRICT
    database: Path | None = None  # MEME file


class Explain(BaseModel):
    """What to explain."""

    model_config = STRICT
    motifs: Motifs = Motifs()
    examples: int = Field(8, ge=0, le=MANY)  # test examples with attributions or activation maps
    # None: DeepLIFT, or integrated gradients for networks that it has no rules for: those with an LSTM.
    attributions: Literal["deeplift", "integrated_gradients", "gradient"] | None = None


class Uncertainty(BaseModel):
    """How sure the networks are of images."""

    model_config = STRICT
    # ensemble: the runs' answers, which are stored; augment, dropout: one run, asked anew. The first method makes the
    # maps and the list of what to annotate next. None: ensemble, where the data are Images.
    methods: list[Literal["ensemble", "augment", "dropout"]] | None = None
    samples: int = Field(16, ge=2, le=MANY)  # answers by dropout, and the most by augment (8 views in 2D, 16 in 3D)


class Predict(BaseModel):
    """How images are predicted, those of the data set and new ones."""

    model_config = STRICT
    tta: Literal["none", "flips", "all"] = "none"  # views whose predictions are averaged
    blend: Literal["exact", "gaussian"] = "exact"  # tiles with the values of the whole image, or overlapping patches
    overlap: float = Field(0.5, ge=0, lt=1)  # share of a patch that the next one covers, too; for gaussian
    memory_gb: float = Field(2.0, gt=0)  # bound of what predicting takes; images that need more are cut into tiles


class Segment(BaseModel):
    """New images to segment."""

    model_config = STRICT
    images: Path | None = None  # folder
    # as_trained: pixels of another size than in training are resampled to it, where both are known; masks, labels and
    # measurements stay on the image's own grid.
    spacing: Literal["as_trained", "as_is"] = "as_trained"
    # as_trained: numbers are brought to the scale of training where it is certain how, else the image is not used;
    # image: each image is scaled by its own range.
    intensity: Literal["as_trained", "as_is", "image"] = "as_trained"
    channels: list[str] | None = None  # what new images call the channels of training, where names are others
    on_error: Literal["skip", "stop"] = "skip"  # images that cannot be read or used are listed in images.csv


class Variants(BaseModel):
    """Variants to score; nothing is done where ``vcf`` is null."""

    model_config = STRICT
    vcf: Path | None = None  # VCF or BCF
    genome: Path | None = None  # FASTA file that the variants refer to; None: data.genome
    window: int | None = Field(None, ge=1, le=10 * MANY)  # bp; only for models of sequences of different lengths
    offsets: list[int] = Field([0], min_length=1)  # bp; places of the window around the variant, averaged
    strands: Literal["single", "both"] = "single"  # both: also the other strand, where the model reads but one
    ref_mismatch: Literal["error", "skip", "swap"] = "error"  # where REF is not what the genome has
    unknown_contigs: Literal["error", "skip"] = "error"
    background: int = Field(0, ge=0, le=10 * MANY)  # random variants of each kind, for empirical p-values; 0: none
    maps: int | list[str] = 4  # mutation maps of so many variants, those of the largest change, or of these IDs


class Scan(BaseModel):
    """Contigs to scan; nothing is done where ``contigs`` is null."""

    model_config = STRICT
    contigs: Literal["all"] | list[str] | None = None
    genome: Path | None = None  # FASTA file; None: data.genome
    stride: int = Field(10, ge=1, le=10 * MANY)  # bp from one window to the next
    threshold: float | None = None  # windows of at least this make peaks; None: about as many as sites are expected
    density: float | None = Field(None, gt=0)  # sites expected per Mb; None: as many as the data have positives


SECTIONS = {
    "split": Split,
    "train": Train,
    "calibrate": Calibrate,
    "metrics": Metrics,
    "explain": Explain,
    "predict": Predict,
    "uncertainty": Uncertainty,
    "segment": Segment,
    "variants": Variants,
    "scan": Scan,
}
NAMING = {"data": "data", "model": "models"}
KEYS = ("seed", "data", "split", "augment", "model", "loss", *list(SECTIONS)[1:])


def load(path: str | Path, data_root: str | Path = ".") -> Experiment:
    """Read and check one experiment.

    Parameters
    ----------
    path
        The YAML file, whose stem names the experiment; or the frozen copy of one, as a job of the workflow gets it.
    data_root
        Folder that relative paths start at, but for those under ``results/``, which the workflow makes itself.

    Raises
    ------
    InputError
        For a missing file, an unknown key, a wrong type; names the dotted key and the nearest allowed word.
    """
    path, root = Path(path), Path(data_root).expanduser()
    if path.suffix == ".json":
        return read_frozen(path)
    collector, settings, files = Collector(), {}, {}
    with collector:
        settings = _sections(read_yaml(path), collector)
    files = resolve_paths(settings, root, collector)
    collector.faults += disagreements(_nothing_said() | settings)
    if not collector.faults:
        _fill_draws(settings, collector)
    collector.finish(f"{path}: ")
    return Experiment(path.stem, settings, files, str(path), str(root))


def _sections(given: dict[str, Any], collector: Collector) -> dict[str, Any]:
    """Those sections that are valid, with all defaults; the collector gets the faults of the others."""
    found: dict[str, Any] = {}
    for key in given:
        with collector:
            if key not in KEYS:
                raise InputError(f"{key}: unknown key", nearest(key, KEYS))
    misspelt = {hit for key in given if key not in KEYS for hit in close(key, KEYS)}
    for key in [key for key in KEYS if key in given or key not in misspelt]:
        with collector:
            found[key] = _section(given, key)
    return found


def _section(given: dict[str, Any], key: str) -> Any:
    value, data = given.get(key), given.get("data")
    data = data.get("name") if isinstance(data, dict) else data
    own = input_of(data) if isinstance(data, str) else None
    if key == "seed":
        seed = given.get("seed", 1)
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < SEEDS:
            said = f"seed: must be a whole number from 0 to {SEEDS - 1} (given: {as_given(seed)})"
            raise InputError(said, "for example seed: 1")
        return seed
    if key in NAMING:
        if key not in given:
            raise InputError(f"{key}: is missing", f"add a section {key}: {{name: {example(NAMING[key])}}}")
        return choose(NAMING[key], value, key)
    if key == "loss":
        return None if value is None else choose("losses", value, "loss")
    if key == "augment":
        return _augment(value, own)
    if key == "train" and own and isinstance(value, dict | None):
        value = dict.fromkeys(own.left_to_data) | (value or {})
    return check(SECTIONS[key], {} if value is None else value, key).model_dump(mode="json")


def _nothing_said() -> dict[str, Any]:
    """What stands for sections that are faulty, so that the others can be compared all the same."""
    unnamed = {"data": {"name": ""}, "model": {"name": ""}, "loss": None, "augment": []}
    return unnamed | {key: check(section, {}, key).model_dump(mode="json") for key, section in SECTIONS.items()}


def _fill_draws(settings: dict[str, Any], collector: Collector) -> None:
    checks = {"train": partial(check, Train, where="train"), "model": partial(choose, "models", where="model")}
    with collector:
        resolve_draws(settings, checks)
    with collector:  # where the alphabet is not told, once the data are read
        check_strands(settings, RNA if settings["data"].get("alphabet") == "RNA" else None)


def _augment(given: Any, own: Any) -> list[dict[str, Any]] | str:
    """A list, or the word for a set that the data decide; left out, what is usual for such an input."""
    words = own.augment if own else AUGMENT_SETS
    given = (own.augment[0] if own else "none") if given is None else given
    given = [] if given == "none" else given
    if isinstance(given, list):
        collector, found = Collector(), []
        for i, item in enumerate(given):
            with collector:
                found.append(choose("augment", item, f"augment.{i}"))
        collector.finish()
        return found
    if isinstance(given, str) and given in words:
        return given
    some = own.augment_list if own else f"[{example('augment')}]"
    said = f"augment: must be a list or a word (given: {as_given(given)})"
    raise InputError(said, f"{nearest(str(given), words)}; for example augment: {some}")
