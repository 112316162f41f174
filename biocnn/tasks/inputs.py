"""Inputs of networks: sequences or images. Functions of higher packages are named by import path."""

import math
from typing import TYPE_CHECKING, Any, ClassVar

from biocnn.config.candidates import OF_SEQUENCES
from biocnn.config.registry import AUGMENT_SETS, find
from biocnn.config.strands import RNA

if TYPE_CHECKING:
    import numpy as np

    from biocnn.tasks.facts import Facts


MOST_COLUMNS = 4  # of images of a bag in a picture


class Input:
    """Properties of all examples of a kind."""

    name: ClassVar[str]
    part: ClassVar[str]  # input whose augmentations apply
    examples: ClassVar[str]  # plural noun
    element: ClassVar[str]  # what maps have a value for
    settings: ClassVar[tuple[str, ...]]  # settings for this input only, by dotted key
    augment: ClassVar[tuple[str, ...]]  # sets allowed in the section augment; the first is the default
    networks: ClassVar[dict[str, list[dict[str, Any]]]]  # candidates for each kind of target; see config.candidates
    augment_list: ClassVar[str]  # an example of a list, for messages
    exact: ClassVar[bool] = False  # whether the set default only mirrors images and rotates them by quarters
    dimensions: ClassVar[tuple[int, ...]]  # numbers of spatial dimensions that examples may have
    channels: ClassVar[int | None]  # None: any number, each with a name
    stored: ClassVar[str]  # dtype of stored predictions
    vectors: ClassVar[bool] = False  # whether networks with one target have a vector before the last layer
    scanned: ClassVar[bool] = False  # whether networks can scan longer inputs
    at_loci: ClassVar[bool] = False  # whether examples may overlap in a genome and are resampled by locus
    resampled: ClassVar[str]  # the resampling unit of confidence intervals, in words
    glimpse: ClassVar[str]  # title of the picture of an experiment
    # Import paths of functions in higher packages; "" if there is nothing to do.
    check: ClassVar[str]  # (Raw, list for faults) -> facts derived from examples
    identify: ClassVar[str]  # (Raw) -> Identity: which examples match
    measure: ClassVar[str] = ""  # measures stored examples; adds to the facts of each fold
    decide: ClassVar[str]  # (Facts, Settings) -> settings that are decided from the data
    batches: ClassVar[str]  # batches for training and validation
    whole: ClassVar[str] = ""  # the same for whole images, if the target has no spatial axes
    predict: ClassVar[str]  # predicts what a user gives to a model
    predict_stored: ClassVar[str]  # predicts examples of a stored data set
    baselines: ClassVar[str]  # predictions of simple models for vectors; see `biocnn.evaluation.baselines`
    about_baselines: ClassVar[str]  # describes these, for the report
    explain: ClassVar[str]  # explains a model by test examples
    explained: ClassVar[str] = ""  # explains predictions of new examples
    shown: ClassVar[str] = ""  # shows some examples in a report
    applied: ClassVar[str]  # applies models to new examples
    best_and_worst: ClassVar[str] = ""  # shows some predictions of vectors in a report

    def dtype(self, facts: "Facts") -> str:
        """Return the dtype in which examples are stored."""
        return facts.dtype

    def describe(self, facts: "Facts") -> str:
        """Describe what all examples have in common, to follow their number: "of 101 bp"."""
        raise NotImplementedError

    def size(self, facts: "Facts") -> str:
        """Describe the size of an example, where ``describe`` does not: "256 x 256 pixels"; "" otherwise."""
        return f"{' x '.join(f'{n:g}' for n in facts.sizes.median)} pixels (median)" if facts.sizes else ""


class SequenceInput(Input):
    """Bases, one byte each; a network receives them one-hot encoded."""

    name = part = "sequence"
    examples = "sequences"
    element = "base"
    settings = (
        "train.first_kernels", "train.words", "variants.vcf", "scan.contigs", "explain.motifs.database",
        "explain.attributions", "explain.regions",
    )  # fmt: skip
    augment = ("default", "none")
    networks: ClassVar = {
        "vector": OF_SEQUENCES,
        "map": [{"model": {"name": "UNet"}}],
        "values": [{"model": {"name": "UNet"}}],
    }
    augment_list = "[reverse_complement]"
    dimensions = (1,)
    channels = 4
    stored = "float32"
    scanned = True
    at_loci = True
    resampled = "loci (windows that overlap, and all shuffles of a positive, are drawn together)"
    glimpse = "Motif"
    baselines = "biocnn.evaluation.baselines:of_sequences"
    about_baselines = (
        "Does the network learn more than sequence composition? The baselines are linear models on the same split: GC "
        "content alone, mono- and dinucleotide frequencies, and log counts of 1- to 6-mers."
    )
    explain = "biocnn.explain.step:sequences"
    applied = "biocnn.apply.sequences:apply_sequences"
    explained = "biocnn.report.new_explanations:explain_sequences"
    check = "biocnn.data.facts:check_sequences"
    decide = "biocnn.data.sequence_decisions:decide_sequences"
    identify = "biocnn.data.leakage:identify_sequences"
    batches = "biocnn.training.batches:SequenceBatches"
    predict = "biocnn.prediction.inputs:predict_sequences"
    predict_stored = "biocnn.prediction.inputs:predict_stored_sequences"

    def dtype(self, facts: "Facts") -> str:
        return "uint8"

    def describe(self, facts: "Facts") -> str:
        unit = "nt" if facts.alphabet == RNA else "bp"
        return f"of {facts.window} {unit}" if facts.window else "of varying length"


class ImageInput(Input):
    """Images or volumes, with channels."""

    name = part = "image"
    examples = "images"
    element = "pixel"
    settings: ClassVar[tuple[str, ...]] = (
        "train.patch", "train.size", "train.fit", "predict.tta", "predict.blend",
        "predict.overlap", "apply.images", "apply.spacing", "apply.intensity", "apply.channels",
        "uncertainty.methods", "explain.likeness",
    )  # fmt: skip
    augment = AUGMENT_SETS
    vectors = True
    networks: ClassVar = {
        "map": [{"model": {"name": "UNet"}}],
        "values": [{"model": {"name": "UNet"}}],
        "vector": [{"model": {"name": "ResNet"}}],
        "boxes": [{"model": {"name": "CentreNet"}}],
    }
    augment_list = "[flip, rotate90]"
    dimensions = (2, 3)
    channels = None
    stored = "float16"
    check = "biocnn.data.facts:check_images"
    decide = "biocnn.data.decisions:decide"
    identify = "biocnn.data.leakage:identify_images"
    measure = "biocnn.data.measured:measure_images"
    batches = "biocnn.training.batches:ImageBatches"
    whole = "biocnn.training.whole_images:WholeBatches"
    predict = "biocnn.prediction.inputs:predict_images"
    predict_stored = "biocnn.prediction.inputs:predict_stored_images"
    resampled = "groups of images"
    glimpse = "Prediction"
    baselines = "biocnn.evaluation.image_baselines:of_images"
    about_baselines = (
        "Does the network learn more than brightness and colour? The baselines are linear models on the same split: of "
        "intensities alone (mean, standard deviation and percentiles of each channel, and the size of the image), and "
        "of a thumbnail of 8 × 8 pixels (4 × 4 × 4 voxels in volumes)."
    )
    explain = "biocnn.explain.step:images"
    applied = "biocnn.apply.images:apply_images"
    explained = "biocnn.report.new_explanations:explain_images"
    shown = "biocnn.report.examples:examples"
    best_and_worst = "biocnn.report.image_gallery:best_and_worst"

    def picture(self, x: "np.ndarray") -> "np.ndarray":
        """Return what is drawn of an example: an image (C, *spatial)."""
        return x

    def describe(self, facts: "Facts") -> str:
        """Describe the channels and, if known, the size of a pixel."""
        names, number = ", ".join(facts.channels), facts.in_channels
        found = f"of {number} channel{'s' * (number != 1)}" + (f" ({names})" if names else "")
        if not facts.spacing:
            return found
        unit = "mm" if facts.unit == "mm" else "µm"
        return f"{found} at {' × '.join(f'{size:g}' for size in facts.spacing)} {unit} per pixel"


class BagInput(ImageInput):
    """Bags of images: slides, smears, patients."""

    name = "bag"
    examples = "bags"
    exact, vectors = True, False
    settings: ClassVar[tuple[str, ...]] = (
        "train.size", "train.fit", "train.instances", "apply.images", "apply.spacing", "apply.intensity",
        "apply.channels",
    )  # fmt: skip
    networks: ClassVar = {"vector": [{"model": {"name": "BagNetwork"}}]}
    check = "biocnn.data.facts:check_bags"
    decide = "biocnn.data.bag_decisions:decide_bags"
    identify = "biocnn.data.leakage:identify_bags"
    measure = "biocnn.data.measured:measure_bags"
    whole = "biocnn.training.bags:BagBatches"
    predict = "biocnn.prediction.bags:predict_bags"
    predict_stored = "biocnn.prediction.bags:predict_stored_bags"
    resampled = "groups of bags"
    baselines = "biocnn.evaluation.image_baselines:of_bags"
    about_baselines = (
        "Does the network learn more than brightness and colour? The baselines are linear models on the same split: of "
        "the intensities of images (mean, standard deviation and percentiles of each channel), averaged over the bag, "
        "and of their extremes as well, the lowest and highest values in the bag."
    )
    explain = "biocnn.explain.bags:explain_bags"
    explained = ""
    applied = "biocnn.apply.bags:apply_bags"

    def picture(self, x: "np.ndarray") -> "np.ndarray":
        """Return some images of a bag (n, C, *spatial) side by side, evenly spaced in their order."""
        import numpy as np

        columns = min(MOST_COLUMNS, math.ceil(len(x) ** 0.5))
        number = columns * min(MOST_COLUMNS, len(x) // columns)
        rows = x[np.linspace(0, len(x) - 1, number).round().astype(int)].reshape(-1, columns, *x.shape[1:])
        return np.concatenate([np.concatenate(list(row), axis=-1) for row in rows], axis=-2)

    def describe(self, facts: "Facts") -> str:
        """Describe their numbers of images, and the images."""
        low, middle, high = facts.bags
        number = f"{low:,}" if low == high else f"{low:,} to {high:,} (median {middle:,})"
        return f"of {number} image{'s' * (number != '1')} {super().describe(facts)}"


def make_input(facts: "Facts") -> Input:
    """Return the input of a data set."""
    return find("inputs", facts.kind)()
