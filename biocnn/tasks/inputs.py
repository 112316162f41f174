"""What goes into a network: sequences or images. What is done with them further right is named by its import path."""

from typing import TYPE_CHECKING, ClassVar

from biocnn.config.registry import AUGMENT_SETS, find

if TYPE_CHECKING:
    from biocnn.tasks.facts import Facts


class Input:
    """What holds for all examples of a kind."""

    name: ClassVar[str]
    examples: ClassVar[str]  # what several are called
    settings: ClassVar[tuple[str, ...]]  # that no other input has, by dotted key
    left_to_data: ClassVar[tuple[str, ...]] = ()  # settings of the section train that may be null
    augment: ClassVar[tuple[str, ...]]  # what the section may be instead of a list; the first where it is left out
    augment_list: ClassVar[str]  # a list that it may be, for messages
    dimensions: ClassVar[tuple[int, ...]]  # of space, that examples may have
    channels: ClassVar[int | None]  # None: as many as the data have, each with a name
    stored: ClassVar[str]  # type in which predictions are stored
    scanned: ClassVar[bool] = False  # whether networks can be moved along something longer
    at_loci: ClassVar[bool] = False  # whether examples overlap in a genome: these are resampled together
    resampled: ClassVar[str]  # what is drawn for confidence intervals, in words
    glimpse: ClassVar[str]  # what the picture of an experiment shows
    # Import paths of what lies in packages further right; "" where there is nothing to do.
    check: ClassVar[str]  # of Raw and a list that takes faults, to facts that follow from examples
    identify: ClassVar[str]  # examples that are alike: of Raw to Identity
    measure: ClassVar[str] = ""  # facts about stored examples; those of folds are added to these
    batches: ClassVar[str]  # for training and validation
    predict: ClassVar[str]  # of what a user gives to a model
    predict_stored: ClassVar[str]  # of examples of a stored data set
    baselines: ClassVar[str] = ""  # what simple models make of a data set; see `biocnn.evaluation.baselines`
    explain: ClassVar[str]  # what explains a model by test examples
    shown: ClassVar[str] = ""  # what shows some examples in a report

    def dtype(self, facts: "Facts") -> str:
        """The type in which examples are stored."""
        return facts.dtype

    def describe(self, facts: "Facts") -> str:
        """What all examples have in common, behind their number: "of 101 bp"."""
        raise NotImplementedError


class SequenceInput(Input):
    """Bases, one byte each; a network sees them one-hot."""

    name = "sequence"
    examples = "sequences"
    settings = ("variants.vcf", "scan.contigs", "explain.motifs.database")
    augment = ("none",)
    augment_list = "[reverse_complement]"
    dimensions = (1,)
    channels = 4
    stored = "float32"
    scanned = True
    at_loci = True
    resampled = "loci (windows that overlap, and all shuffles of a positive, are drawn together)"
    glimpse = "Motif"
    baselines = "biocnn.evaluation.baselines:of_sequences"
    explain = "biocnn.explain.step:sequences"
    check = "biocnn.data.facts:check_sequences"
    identify = "biocnn.data.leakage:identify_sequences"
    batches = "biocnn.training.batches:SequenceBatches"
    predict = "biocnn.prediction.model:predict_sequences"
    predict_stored = "biocnn.prediction.model:predict_stored_sequences"

    def dtype(self, facts: "Facts") -> str:
        return "uint8"

    def describe(self, facts: "Facts") -> str:
        return f"of {facts.window} bp" if facts.window else "of varying length"


class ImageInput(Input):
    """Images in the plane or volumes, with channels."""

    name = "image"
    examples = "images"
    settings = (
        "train.patch", "train.foreground", "metrics.also", "metrics.tolerance", "metrics.regions", "predict.tta",
        "segment.images", "uncertainty.methods",
    )  # fmt: skip
    left_to_data = ("epochs", "batch_size")
    augment = AUGMENT_SETS
    augment_list = "[flip, rotate90]"
    dimensions = (2, 3)
    channels = None
    stored = "float16"
    check = "biocnn.data.facts:check_images"
    identify = "biocnn.data.leakage:identify_images"
    measure = "biocnn.data.measured:measure_images"
    batches = "biocnn.training.batches:ImageBatches"
    predict = "biocnn.prediction.model:predict_images"
    predict_stored = "biocnn.prediction.model:predict_stored_images"
    resampled = "groups of images"
    glimpse = "Prediction"
    explain = "biocnn.explain.step:images"
    shown = "biocnn.report.examples:examples"

    def describe(self, facts: "Facts") -> str:
        """Channels and, where it is known, the size of a pixel."""
        names, number = ", ".join(facts.channels), facts.in_channels
        found = f"of {number} channel{'s' * (number != 1)}" + (f" ({names})" if names else "")
        if not facts.spacing:
            return found
        unit = "mm" if facts.unit == "mm" else "µm"
        return f"{found} at {' × '.join(f'{size:g}' for size in facts.spacing)} {unit} per pixel"


def make_input(facts: "Facts") -> Input:
    """What goes into the networks of a data set."""
    return find("inputs", facts.kind)()
