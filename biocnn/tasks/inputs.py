"""What goes into a network: sequences or images. What is done with them further right is named by its import path."""

from typing import Any, ClassVar

from biocnn.config.registry import AUGMENT_SETS, find


class Input:
    """What holds for all examples of a kind."""

    name: ClassVar[str]
    examples: ClassVar[str]  # what several are called
    settings: ClassVar[tuple[str, ...]]  # that no other input has, by dotted key
    left_to_data: ClassVar[tuple[str, ...]] = ()  # settings of the section train that may be null
    augment: ClassVar[tuple[str, ...]]  # what the section may be instead of a list; the first where it is left out
    augment_list: ClassVar[str]  # a list that it may be, for messages
    stored: ClassVar[str]  # type in which predictions are stored
    scanned: ClassVar[bool] = False  # whether networks can be moved along something longer
    unsure: ClassVar[bool] = False  # whether the step uncertainty looks at them


class SequenceInput(Input):
    """Bases, one byte each; a network sees them one-hot."""

    name = "sequence"
    examples = "sequences"
    settings = ("variants.vcf", "scan.contigs", "explain.motifs.database")
    augment = ("none",)
    augment_list = "[reverse_complement]"
    stored = "float32"
    scanned = True


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
    stored = "float16"
    unsure = True


def make_input(facts: dict[str, Any]) -> Input:
    """What goes into the networks of a data set."""
    return find("inputs", facts["kind"])()
