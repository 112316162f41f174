"""Typed settings of an experiment: all keys of its file and all defaults."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from biocnn.config.schema import Chosen, Section
from biocnn.config.search_space import Calibrate

SEEDS = 2**32  # number of possible seeds
MANY = 1_000_000  # above any sensible value: a typing error, or a file meant to do harm


class Split(Section):
    """How examples are split into train, val and test; a group is never cut."""

    group: str = "group"  # column of the examples table
    column: str | None = None  # column that holds train / val / test, and optionally train_dev
    # names of groups, or a fraction of the examples outside test; None: 0.15
    val: list[str | int] | float | None = Field(None, examples=[0.15])
    # names of groups, or a fraction; None: 0.15, or with folds each fold once
    test: list[str | int] | float | None = Field(None, examples=[0.15])
    # share of the training split that is not trained on, to tell variance from mismatch; drawn whatever the groups
    train_dev: float | None = Field(None, gt=0, lt=1, examples=[0.1])
    hashed: bool = False  # fractions and folds follow a hash of the group's name: new data move no old group
    folds: int | None = Field(None, ge=2, le=1000)  # one run per fold: the fold is test, the next one val
    remove_leaks: bool = False  # removes from test (then val) what is also in, or overlaps, another split


class Train(Section):
    """How to train; one run per seed."""

    seeds: list[Annotated[int, Field(ge=0, lt=SEEDS)]] = Field([1], min_length=1)
    # shares of the training examples; each is trained on by further runs, to see whether more data would help
    learning_curve: list[Annotated[float, Field(gt=0, lt=1)]] = Field([], examples=[[0.1, 0.25, 0.5]])
    epochs: int | None = Field(30, ge=1, le=MANY)  # None, or left out of a file: decided from the data
    batch_size: int | None = Field(64, ge=1, le=MANY)  # None, or left out of a file: decided from the data
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    momentum: float | None = Field(None, ge=0, lt=1)  # of sgd; None: 0.9
    weight_decay: float = Field(0.01, ge=0)  # L2: decoupled from the gradient by adamw, part of it for sgd
    l1: float = Field(0.0, ge=0)  # each step moves weights towards 0 by lr * l1, where they stay
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    patience: int | None = Field(None, ge=1)  # epochs without improvement before training ends; None: no early end
    # pixels, images only; None: decided from the data
    patch: list[Annotated[int, Field(ge=1, le=MANY)]] | None = Field(None, examples=[[128, 128]])
    # pixels that images with one target for the whole image are brought to; None: decided from the data
    size: list[Annotated[int, Field(ge=1, le=MANY)]] | None = Field(None, examples=[[64, 64]])
    # how: crop keeps the scale, and crops or mirrors the rest; stretch resizes; None: decided from the data
    fit: Literal["crop", "stretch"] | None = None
    # most images of a bag in a step, drawn anew in each epoch, bags only; None: decided from the data
    instances: int | None = Field(None, ge=1, le=MANY)
    foreground: float | None = Field(None, ge=0, le=1)  # share of patches with a rare class; None: from the data
    memory_gb: float = Field(4, gt=0)  # GB that decided batch and patch sizes may use; more makes them larger
    # None: each example once per epoch; images: each pixel about once, or decided with epochs if those are decided.
    steps_per_epoch: int | None = Field(None, ge=1, le=MANY)
    # Another network, whose fitting weights are copied: model.safetensors of biocnn, or weights of torchvision.
    start_from: Path | None = None
    body_lr: float | None = Field(None, ge=0)  # learning rate of the copied part of the body; 0: frozen; None: lr
    first_kernels: Literal["words", "random"] = "words"  # sequences: half of the first kernels start at telling words
    freeze_epochs: int = Field(0, ge=0)  # first epochs, in which the copied part of the body stays fixed
    # Training ends after this time, wherever the schedule is; a file named stop also ends it.
    max_minutes: float | None = Field(None, gt=0)
    save_minutes: float = Field(10, ge=0)  # between saved states; the end of each epoch is saved, too
    class_weights: Literal["none", "balanced"] = "none"
    # sequences only; auto: a linear model of words is mixed with the network if this improves the validation metric
    words: Literal["auto", "none"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 if it is faster and validation agrees
    deterministic: bool = True  # the same bits each time; False allows faster algorithms on a GPU
    threads: int = Field(2, ge=1, le=1024)  # torch threads; part of the experiment because they change the bits
    workers: int = Field(0, ge=0, le=1024)  # processes that load images; the bits do not depend on them


class Metrics(Section):
    """How predictions are evaluated."""

    resamples: int = Field(1000, ge=0, le=MANY)  # bootstrap resamples for the 95% intervals
    also: list[str] = Field([])  # further metrics of images: see `biocnn.metrics.catalogue`
    tolerance: float | None = Field(None, gt=0)  # of surface_dice, in the unit of spacing; None: longest pixel side
    human: dict[str, float] = Field({}, examples=[{"dice": 0.9}])  # what a person reaches, by metric
    regions: dict[str, list[str]] = Field({})  # unions of classes that are evaluated, too: {whole: [core, rim]}


class Motifs(Section):
    """Database that learned motifs are compared with."""

    database: Path | None = None  # MEME file


class Explain(Section):
    """What to explain."""

    motifs: Motifs = Motifs()
    examples: int = Field(8, ge=0, le=MANY)  # test examples with attributions or activation maps
    # outputs, and channels of the last hidden layer, of which pictures show what excites them; 0: none
    units: int = Field(6, ge=0, le=1000)
    likeness: bool = False  # images: which look alike to the network, by its vectors before the last layer
    # None: DeepLIFT, or mutagenesis for networks with an LSTM, for which DeepLIFT has no rules; see docs/sequences.md.
    attributions: Literal["deeplift", "mutagenesis", "integrated_gradients", "gradient"] | None = None


class Uncertainty(Section):
    """How to estimate the uncertainty of predicted maps."""

    # ensemble: the stored predictions of all runs; augment, dropout: new predictions by one run. The first method
    # makes the maps and the list of what to annotate next. None: ensemble if the data are Images.
    methods: list[Literal["ensemble", "augment", "dropout"]] | None = None
    samples: int = Field(16, ge=2, le=MANY)  # predictions by dropout, and at most by augment (8 in 2D, 16 in 3D)


class Predict(Section):
    """How to predict images, both those of the data set and new ones."""

    tta: Literal["none", "flips", "all"] = Field(
        "none", description="views of each image whose predictions are averaged"
    )
    blend: Literal["exact", "gaussian"] = Field(
        "exact", description="large images: tiles with the values of the whole image, or overlapping patches"
    )
    overlap: float = Field(0.5, ge=0, lt=1, description="share of a patch that the next one also covers; for gaussian")
    memory_gb: float = Field(2.0, gt=0, description="GB of memory for prediction; larger images are cut into tiles")


class _NewImages(Section):
    images: Path | None = None  # folder, or .npz file with arrays of images; for bags a table, or a folder of folders
    covariates: Path | None = None  # table of these images, for models with covariates: image, and a column for each


class Fit(Section):
    """How new images are matched to those of training."""

    spacing: Literal["as_trained", "as_is"] = Field(
        "as_trained", description="as_trained: resample images to the pixel size of training, if both are known"
    )
    intensity: Literal["as_trained", "as_is", "image"] = Field(
        "as_trained",
        description="as_trained: the scale of training, if it is certain; image: each image's own range",
    )
    channels: list[str] | None = Field(None, description="names in new images of the channels of training, in order")


class Apply(Fit, _NewImages):  # pydantic takes the fields of the last class first
    """New images to apply the models to."""

    on_error: Literal["skip", "stop"] = Field("skip", description="what to do with an image that cannot be used")

    @property
    def fit(self) -> dict[str, Any]:
        """Return the settings that concern each image."""
        return {key: getattr(self, key) for key in Fit.model_fields}


class Variants(Section):
    """Variants to score; none if ``vcf`` is null."""

    vcf: Path | None = None  # VCF or BCF
    genome: Path | None = None  # FASTA file that the variants refer to; None: data.genome
    window: int | None = Field(None, ge=1, le=10 * MANY, description="bp; for models of sequences of varying length")
    offsets: list[int] = Field(
        [0], min_length=1, description="bp; positions of the window around the variant, whose scores are averaged"
    )
    strands: Literal["single", "both"] = Field("single", description="both: also read the other strand")
    ref_mismatch: Literal["error", "skip", "swap"] = Field("error", description="if REF differs from the genome")
    unknown_contigs: Literal["error", "skip"] = Field("error", description="if the genome lacks the contig")
    background: int = Field(
        0, ge=0, le=10 * MANY, description="random variants of each kind, for empirical p-values; 0: none"
    )
    maps: int | list[str] = Field(
        4, description="mutation maps for this many variants with the largest changes, or for these IDs"
    )


class Scan(Section):
    """Contigs to scan; none if ``contigs`` is null."""

    contigs: Literal["all"] | list[str] | None = Field(None, description="names of contigs; left out: all of them")
    genome: Path | None = None  # FASTA file; None: data.genome
    stride: int = Field(10, ge=1, le=10 * MANY, description="bp from one window to the next")
    threshold: float | None = Field(
        None,
        description="lowest score of a peak; left out: gives about as many peaks as sites are expected, "
        "none for regression",
    )
    density: float | None = Field(
        None, gt=0, le=MANY, description="sites expected per Mb; left out: that of positives in the training data"
    )


class Report(Section):
    """What the report is told."""

    errors: Path | None = None  # copy of errors.tsv, the worst examples, with a filled column reason


class Settings(Section):
    """All settings of an experiment, with every default filled in and every path resolved."""

    seed: int = Field(1, ge=0, lt=SEEDS)
    data: SerializeAsAny[Chosen]
    split: Split = Split()
    augment: list[SerializeAsAny[Chosen]] | str = Field([])  # text names a set, see biocnn.augment.sets
    model: SerializeAsAny[Chosen]
    loss: SerializeAsAny[Chosen] | None = None  # None: that of the task
    train: Train = Train()
    calibrate: Calibrate = Calibrate()
    metrics: Metrics = Metrics()
    explain: Explain = Explain()
    predict: Predict = Predict()
    uncertainty: Uncertainty = Uncertainty()
    apply: Apply = Apply()
    variants: Variants = Variants()
    scan: Scan = Scan()
    report: Report = Report()
