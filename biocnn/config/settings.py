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

    group: str = Field("group", description="column of the examples table with the groups")
    column: str | None = Field(
        None, description="column that holds train / val / test, and optionally train_dev; replaces val and test"
    )
    val: list[str | int] | float | None = Field(
        None, examples=[0.15], description="names of groups, or a fraction of the examples outside test; null: 0.15"
    )
    test: list[str | int] | float | None = Field(
        None, examples=[0.15], description="names of groups, or a fraction; null: 0.15, or with folds each fold once"
    )
    train_dev: float | None = Field(
        None, gt=0, lt=1, examples=[0.1],
        description="share of the training split that is not trained on, to separate variance from mismatch; drawn "
        "whatever the groups",
    )  # fmt: skip
    hashed: bool = Field(
        False, description="fractions and folds follow a hash of the group's name: new data move no old group"
    )
    folds: int | None = Field(
        None, ge=2, le=1000, description="one run per fold: the fold is test, the next one val; null: one split"
    )
    remove_leaks: bool = Field(
        False, description="removes from test (then val) what is also in, or overlaps, another split"
    )


class Train(Section):
    """How to train; one run per seed."""

    seeds: list[Annotated[int, Field(ge=0, lt=SEEDS)]] = Field(
        [1], min_length=1, description="one run per seed, whose predictions are averaged"
    )
    learning_curve: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [], examples=[[0.1, 0.25, 0.5]],
        description="shares of the training examples; each is trained on by further runs, to see whether more data "
        "would help",
    )  # fmt: skip
    epochs: int | None = Field(
        30, ge=1, le=MANY, description="passes through the training examples; null, or left out of a file: decided "
        "from the data",
    )  # fmt: skip
    batch_size: int | None = Field(
        64, ge=1, le=MANY, description="examples of a step; null, or left out of a file: decided from the data"
    )
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="AdamW, or stochastic gradient descent")
    lr: float = Field(1e-3, gt=0, description="learning rate, the highest one of the schedule")
    momentum: float | None = Field(None, ge=0, lt=1, description="momentum of sgd; null: 0.9")
    weight_decay: float = Field(0.01, ge=0, description="L2: decoupled from the gradient by adamw, part of it for sgd")
    l1: float = Field(0.0, ge=0, description="each step moves weights towards 0 by lr * l1, where they stay")
    schedule: Literal["one_cycle", "cosine", "constant"] = Field(
        "one_cycle", description="how the learning rate changes: up and down, down, or not at all"
    )
    patience: int | None = Field(
        None, ge=1, description="epochs without improvement before training ends; null: no early stopping"
    )
    patch: list[Annotated[int, Field(ge=1, le=MANY)]] | None = Field(
        None, examples=[[128, 128]], description="images only: size of patches in pixels; null: decided from the data"
    )
    size: list[Annotated[int, Field(ge=1, le=MANY)]] | None = Field(
        None, examples=[[64, 64]],
        description="size in pixels that images with one target per image are brought to; null: decided from the "
        "data",
    )  # fmt: skip
    fit: Literal["crop", "stretch"] | None = Field(
        None, description="how images are brought to size: crop keeps the scale, and crops or mirrors the rest; "
        "stretch resizes; null: decided from the data",
    )  # fmt: skip
    instances: int | None = Field(
        None, ge=1, le=MANY, description="bags only: maximum number of images of a bag in a step, drawn anew in each "
        "epoch; null: decided from the data",
    )  # fmt: skip
    foreground: float | None = Field(
        None, ge=0, le=1, description="share of patches with a rare class; null: decided from the data"
    )
    memory_gb: float = Field(
        4, gt=0, description="GB that decided batch and patch sizes may use; more makes them larger"
    )
    steps_per_epoch: int | None = Field(
        None, ge=1, le=MANY, description="null: each example once per epoch, and never more; patches of "
        "images: each pixel about once, within 50 to 250 steps",
    )  # fmt: skip
    start_from: Path | None = Field(
        None, description="another network, whose fitting weights are copied: model.safetensors of biocnn, or weights "
        "of torchvision",
    )  # fmt: skip
    body_lr: float | None = Field(
        None, ge=0, description="learning rate of the copied part of the body; 0: frozen; null: lr"
    )
    first_kernels: Literal["words", "random"] = Field(
        "words", description="sequences only: words: half of the first kernels start as predictive words"
    )
    freeze_epochs: int = Field(0, ge=0, description="first epochs, in which the copied part of the body stays fixed")
    max_minutes: float | None = Field(
        None, gt=0, description="training ends after this time, wherever the schedule is; a file named stop also ends "
        "it",
    )  # fmt: skip
    save_minutes: float = Field(
        10, ge=0, description="minutes between saved states; the end of each epoch is saved, too"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: rare classes count more in the loss"
    )
    words: Literal["auto", "none"] = Field(
        "auto", description="sequences only; auto: a linear model of words is mixed with the network if this improves "
        "the validation metric",
    )  # fmt: skip
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 if it is faster and validation agrees"
    )
    deterministic: bool = Field(True, description="the same bits each time; false allows faster algorithms on a GPU")
    threads: int = Field(
        2, ge=1, le=1024, description="torch threads; part of the experiment because they change the bits"
    )
    workers: int = Field(0, ge=0, le=1024, description="processes that load images; the bits do not depend on them")


class Metrics(Section):
    """How predictions are evaluated."""

    resamples: int = Field(1000, ge=0, le=MANY, description="bootstrap resamples for the 95% intervals")
    also: list[str] = Field([], description="further metrics of images, by name (biocnn.metrics.catalogue)")
    tolerance: float | None = Field(
        None, gt=0, description="tolerance of surface_dice, in the unit of spacing; null: longest pixel side"
    )
    human: dict[str, float] = Field({}, examples=[{"dice": 0.9}], description="human performance, by metric")
    regions: dict[str, list[str]] = Field(
        {}, description="unions of classes to evaluate as well, by name: {whole: [core, rim]}"
    )


class Motifs(Section):
    """Database that learned motifs are compared with."""

    database: Path | None = Field(None, description="MEME file of known motifs")


class Explain(Section):
    """What to explain."""

    motifs: Motifs = Motifs()
    examples: int = Field(8, ge=0, le=MANY, description="test examples with attributions or activation maps")
    regions: int | None = Field(
        None, ge=1, le=MANY, description="sequences only: test examples that are attributed base by base and searched "
        "for motifs; null: 1,000, fewer if they are longer than 200 bp",
    )  # fmt: skip
    units: int = Field(
        6, ge=0, le=1000, description="outputs, and channels of the last hidden layer, of which pictures show what "
        "excites them; 0: none",
    )  # fmt: skip
    likeness: bool = Field(
        False, description="images only: find images that are alike by the network's vectors before the last layer"
    )
    attributions: Literal["deeplift", "mutagenesis", "integrated_gradients", "gradient"] | None = Field(
        None, description="null: deeplift, or mutagenesis for networks with an LSTM, for which DeepLIFT has no rules"
    )


class Uncertainty(Section):
    """How to estimate the uncertainty of predicted maps."""

    methods: list[Literal["ensemble", "augment", "dropout"]] | None = Field(
        None,
        description="ensemble: the stored predictions of all runs; augment, dropout: new predictions by one run. The "
        "first method makes the maps and the list of what to annotate next. null: ensemble if the data are Images",
    )
    samples: int = Field(
        16, ge=2, le=MANY, description="number of predictions by dropout; maximum number by augment (8 in 2D, 16 in 3D)"
    )


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
    images: Path | None = Field(
        None, description="folder, or .npz file with arrays of images; for bags a table, or a folder of folders; null: "
        "no new images",
    )  # fmt: skip
    covariates: Path | None = Field(
        None, description="table of these images, for models with covariates: image, and a column for each"
    )


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
    exports: list[Literal["rois", "geojson", "coco", "coloured"]] = Field(
        [],
        description="also write outlines for ImageJ or QuPath, masks for COCO, or masks with a palette of colours",
        examples=[["rois", "geojson"]],
    )

    @property
    def fit(self) -> dict[str, Any]:
        """Return the settings that concern each image."""
        return {key: getattr(self, key) for key in Fit.model_fields}


class Variants(Section):
    """Variants to score; none if ``vcf`` is null."""

    vcf: Path | None = Field(None, description="VCF or BCF; null: no variants")
    genome: Path | None = Field(None, description="FASTA file that the variants refer to; null: data.genome")
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

    contigs: Literal["all"] | list[str] | None = Field(None, description="all, or names of contigs")
    genome: Path | None = Field(None, description="FASTA file; null: data.genome")
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
    """Further input of the report."""

    errors: Path | None = Field(
        None, description="copy of errors.tsv, the worst examples, with your reasons in column reason"
    )


class Settings(Section):
    """All settings of an experiment, with every default filled in and every path resolved."""

    seed: int = Field(1, ge=0, lt=SEEDS, description="determines the split, negatives and all other random choices")
    data: SerializeAsAny[Chosen] = Field(description="the data, and how to read them")
    split: Split = Split()
    augment: list[SerializeAsAny[Chosen]] | str = Field(
        [], description="random changes of training examples: a list, or the name of a set; left out: that of the data"
    )
    model: SerializeAsAny[Chosen] = Field(description="the network; left out, or auto: decided from the data")
    loss: SerializeAsAny[Chosen] | None = Field(None, description="the loss to minimise; left out: that of the task")
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
