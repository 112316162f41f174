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
    unsure: ClassVar[bool] = False  # whether the step uncertainty looks at them
    # Import paths of what lies in packages further right; "" where there is nothing to do.
    check: ClassVar[str]  # of Raw and a list that takes faults, to facts that follow from examples
    identify: ClassVar[str]  # examples that are alike: of Raw to Identity
    measure: ClassVar[str] = ""  # facts about stored examples; those of folds are added to these
    batches: ClassVar[str]  # for training and validation
    predict: ClassVar[str]  # of what a user gives to a model
    predict_stored: ClassVar[str]  # of examples of a stored data set

    def dtype(self, facts: "Facts") -> str:
        """The type in which examples are stored."""
        return facts.dtype


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
    check = "biocnn.data.facts:check_sequences"
    identify = "biocnn.data.leakage:identify_sequences"
    batches = "biocnn.training.batches:SequenceBatches"
    predict = "biocnn.prediction.model:predict_sequences"
    predict_stored = "biocnn.prediction.model:predict_stored_sequences"

    def dtype(self, facts: "Facts") -> str:
        return "uint8"


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
    unsure = True
    check = "biocnn.data.facts:check_images"
    identify = "biocnn.data.leakage:identify_images"
    measure = "biocnn.data.measured:measure_images"
    batches = "biocnn.training.batches:ImageBatches"
    predict = "biocnn.prediction.model:predict_images"
    predict_stored = "biocnn.prediction.model:predict_stored_images"


def make_input(facts: "Facts") -> Input:
    """What goes into the networks of a data set."""
    return find("inputs", facts.kind)()
