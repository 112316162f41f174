"""The settings of one experiment, typed: what may stand in its file, and every default."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from biocnn.config.schema import Chosen, Section
from biocnn.config.search_space import Calibrate

SEEDS = 2**32  # so many
MANY = 1_000_000  # more than anybody wants: a slip, or a file that is to do harm


class Split(Section):
    """Which examples train, which choose (val), and which judge (test); a group is never cut."""

    group: str = "group"  # column of the examples table
    column: str | None = None  # column that already says train / val / test
    # names of groups, or a fraction of what is not test; None: 0.15
    val: list[str | int] | float | None = Field(None, examples=[0.15])
    # likewise; None: 0.15, or with folds each of them once
    test: list[str | int] | float | None = Field(None, examples=[0.15])
    hashed: bool = False  # fractions and folds follow from a hash of a group's name: new data moves no old group
    folds: int | None = Field(None, ge=2, le=1000)  # one run each: the fold is test, the next one val
    remove_leaks: bool = False  # takes out of test (then val) what is in another part, too, or overlaps it


class Train(Section):
    """How to train; ``seeds`` makes one run each."""

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


class Metrics(Section):
    """How good the predictions are, and how sure that is."""

    resamples: int = Field(1000, ge=0, le=MANY)  # bootstrap resamples for the 95% intervals
    also: list[str] = Field([])  # of images, beside the metrics of the task: see `biocnn.metrics.catalogue`
    tolerance: float | None = Field(None, gt=0)  # of surface_dice, in units of spacing; None: a pixel's longest side
    regions: dict[str, list[str]] = Field({})  # names of classes that are judged together, too: {whole: [core, rim]}


class Motifs(Section):
    """What learned motifs are compared with."""

    database: Path | None = None  # MEME file


class Explain(Section):
    """What to explain."""

    motifs: Motifs = Motifs()
    examples: int = Field(8, ge=0, le=MANY)  # test examples with attributions or activation maps
    # None: DeepLIFT, or integrated gradients for networks that it has no rules for: those with an LSTM.
    attributions: Literal["deeplift", "integrated_gradients", "gradient"] | None = None


class Uncertainty(Section):
    """How sure the networks are of images."""

    # ensemble: the runs' answers, which are stored; augment, dropout: one run, asked anew. The first method makes the
    # maps and the list of what to annotate next. None: ensemble, where the data are Images.
    methods: list[Literal["ensemble", "augment", "dropout"]] | None = None
    samples: int = Field(16, ge=2, le=MANY)  # answers by dropout, and the most by augment (8 views in 2D, 16 in 3D)


class Predict(Section):
    """How images are predicted, those of the data set and new ones."""

    tta: Literal["none", "flips", "all"] = Field(
        "none", description="views of each image whose predictions are averaged"
    )
    blend: Literal["exact", "gaussian"] = Field(
        "exact", description="large images: tiles with the values of the whole image, or overlapping patches"
    )
    overlap: float = Field(0.5, ge=0, lt=1, description="share of a patch that the next one also covers; for gaussian")
    memory_gb: float = Field(
        2.0, gt=0, description="most memory to predict with, in GB; larger images are cut into tiles"
    )


class _NewImages(Section):
    images: Path | None = None  # folder


class Fit(Section):
    """How new images are brought to those of training."""

    spacing: Literal["as_trained", "as_is"] = Field(
        "as_trained", description="as_trained: resample images to the pixel size of training, where both are known"
    )
    intensity: Literal["as_trained", "as_is", "image"] = Field(
        "as_trained",
        description="as_trained: the scale of training, where it is certain; image: each image's own range",
    )
    channels: list[str] | None = Field(None, description="what new images call the channels of training, in that order")


class Segment(Fit, _NewImages):  # pydantic takes the fields of the last class first
    """New images to segment."""

    on_error: Literal["skip", "stop"] = Field("skip", description="what to do with an image that cannot be used")

    @property
    def fit(self) -> dict[str, Any]:
        """What of it concerns each image."""
        return {key: getattr(self, key) for key in Fit.model_fields}


class Variants(Section):
    """Variants to score; nothing is done where ``vcf`` is null."""

    vcf: Path | None = None  # VCF or BCF
    genome: Path | None = None  # FASTA file that the variants refer to; None: data.genome
    window: int | None = Field(None, ge=1, le=10 * MANY, description="bp; for models of sequences of different lengths")
    offsets: list[int] = Field(
        [0], min_length=1, description="bp; places of the window around the variant, whose scores are averaged"
    )
    strands: Literal["single", "both"] = Field("single", description="both: also read the other strand")
    ref_mismatch: Literal["error", "skip", "swap"] = Field("error", description="where REF differs from the genome")
    unknown_contigs: Literal["error", "skip"] = Field("error", description="where the genome lacks the contig")
    background: int = Field(
        0, ge=0, le=10 * MANY, description="random variants of each kind, for empirical p-values; 0: none"
    )
    maps: int | list[str] = Field(
        4, description="mutation maps of so many variants, the largest changes, or of these IDs"
    )


class Scan(Section):
    """Contigs to scan; nothing is done where ``contigs`` is null."""

    contigs: Literal["all"] | list[str] | None = Field(None, description="names of contigs; left out: all of them")
    genome: Path | None = None  # FASTA file; None: data.genome
    stride: int = Field(10, ge=1, le=10 * MANY, description="bp from one window to the next")
    threshold: float | None = Field(
        None, description="windows of at least this make peaks; left out: about as many as sites are expected"
    )
    density: float | None = Field(
        None, gt=0, le=MANY, description="sites expected per Mb; left out: as many as the training data have positives"
    )


class Settings(Section):
    """All of them: of an experiment with every default filled in, every path resolved."""

    seed: int = Field(1, ge=0, lt=SEEDS)
    data: SerializeAsAny[Chosen]
    split: Split = Split()
    augment: list[SerializeAsAny[Chosen]] | str = Field([])  # a word stands for a set, see biocnn.augment.sets
    model: SerializeAsAny[Chosen]
    loss: SerializeAsAny[Chosen] | None = None  # None: by the task
    train: Train = Train()
    calibrate: Calibrate = Calibrate()
    metrics: Metrics = Metrics()
    explain: Explain = Explain()
    predict: Predict = Predict()
    uncertainty: Uncertainty = Uncertainty()
    segment: Segment = Segment()
    variants: Variants = Variants()
    scan: Scan = Scan()
