"""The class or function behind each name in an experiment: one line per entry, nothing is imported.

A user's own class needs no entry: it is named by its import path, ``my_package.my_module:MyNet``.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from biocnn.core.errors import InputError, nearest


class Entry(NamedTuple):
    """Import path ``module:name`` of a class or function, and the one input and kind of target that it suits.

    "" suits any input. A target is a ``vector`` (numbers for each example), a ``map`` (classes of its pixels),
    ``values`` (numbers for each pixel) or ``boxes`` (around its objects); "": any. Networks for maps suit values, too.
    """

    path: str
    input: str = ""
    target: str = ""


REGISTRY: dict[str, dict[str, Entry]] = {
    "data": {
        "Intervals": Entry("biocnn.data.intervals:Intervals", "sequence", "vector"),
        "Sequences": Entry("biocnn.data.sequences:Sequences", "sequence", "vector"),
        "AnnotatedGenome": Entry("biocnn.data.annotated_genome:AnnotatedGenome", "sequence", "map"),
        "GenomeTracks": Entry("biocnn.data.genome_tracks:GenomeTracks", "sequence", "values"),
        "Images": Entry("biocnn.data.images:Images", "image", "map"),
        "LabelledImages": Entry("biocnn.data.labelled_images:LabelledImages", "image", "vector"),
        "BoxedImages": Entry("biocnn.data.boxed_images:BoxedImages", "image", "boxes"),
        "CountedImages": Entry("biocnn.data.counted_images:CountedImages", "image", "values"),
        "PairedImages": Entry("biocnn.data.paired_images:PairedImages", "image", "values"),
        "BaggedImages": Entry("biocnn.data.bagged_images:BaggedImages", "bag", "vector"),
    },
    "negatives": {
        "random": Entry("biocnn.data.negatives:random"),
        "gc_matched": Entry("biocnn.data.negatives:gc_matched"),
        "flanking": Entry("biocnn.data.negatives:flanking"),
        "dinucleotide_shuffled": Entry("biocnn.data.negatives:dinucleotide_shuffled"),
        "given": Entry("biocnn.data.negatives:given"),
    },
    "augment": {
        "reverse_complement": Entry("biocnn.augment.sequences:reverse_complement", "sequence"),
        "shift": Entry("biocnn.augment.sequences:shift", "sequence"),
        "flip": Entry("biocnn.augment.geometry:flip", "image"),
        "rotate90": Entry("biocnn.augment.geometry:rotate90", "image"),
        "affine": Entry("biocnn.augment.geometry:affine", "image"),
        "elastic": Entry("biocnn.augment.geometry:elastic", "image"),
        "intensity": Entry("biocnn.augment.intensity:intensity", "image"),
        "gamma": Entry("biocnn.augment.intensity:gamma", "image"),
        "noise": Entry("biocnn.augment.intensity:noise", "image"),
        "blur": Entry("biocnn.augment.intensity:blur", "image"),
        "low_resolution": Entry("biocnn.augment.intensity:low_resolution", "image"),
    },
    "models": {
        "DeepBind": Entry("biocnn.models.deepbind:DeepBind", "sequence", "vector"),
        "Basset": Entry("biocnn.models.basset:Basset", "sequence", "vector"),
        "DilatedResNet": Entry("biocnn.models.dilated:DilatedResNet", "sequence", "vector"),
        "DanQ": Entry("biocnn.models.danq:DanQ", "sequence", "vector"),
        "FCN": Entry("biocnn.models.fcn:FCN", "", "map"),
        "UNet": Entry("biocnn.models.unet:UNet", "", "map"),
        "BPNet": Entry("biocnn.models.bpnet:BPNet", "sequence", "map"),
        "CentreNet": Entry("biocnn.models.centrenet:CentreNet", "image", "boxes"),
        "ResNet": Entry("biocnn.models.resnet:ResNet", "image", "vector"),
        "LeNet5": Entry("biocnn.models.lenet:LeNet5", "image", "vector"),
        "SlideNet": Entry("biocnn.models.slidenet:SlideNet", "image", "vector"),
        "AlexNet": Entry("biocnn.models.alexnet:AlexNet", "image", "vector"),
        "VGG": Entry("biocnn.models.vgg:VGG", "image", "vector"),
        "GoogLeNet": Entry("biocnn.models.googlenet:GoogLeNet", "image", "vector"),
        "FasterRCNN": Entry("biocnn.models.faster_rcnn:FasterRCNN", "image", "boxes"),
        "BagNetwork": Entry("biocnn.models.bag_network:BagNetwork", "bag", "vector"),
    },
    "losses": {
        "bce": Entry("biocnn.losses.pixels:bce"),
        "mse": Entry("biocnn.losses.values:mse"),
        "l1": Entry("biocnn.losses.values:l1"),
        "huber": Entry("biocnn.losses.values:huber"),
        "poisson": Entry("biocnn.losses.values:poisson"),
        "multinomial": Entry("biocnn.losses.profiles:multinomial"),
        "gaussian_nll": Entry("biocnn.losses.values:gaussian_nll"),
        "quantiles": Entry("biocnn.losses.values:quantiles"),
        "cumulative": Entry("biocnn.losses.values:cumulative"),
        "ssim": Entry("biocnn.losses.similarity:ssim"),
        "cross_entropy": Entry("biocnn.losses.pixels:cross_entropy"),
        "nt_xent": Entry("biocnn.losses.contrastive:nt_xent"),
        "triplet": Entry("biocnn.losses.contrastive:triplet"),
        "focal": Entry("biocnn.losses.pixels:focal"),
        "dice": Entry("biocnn.losses.regions:dice"),
        "dice_bce": Entry("biocnn.losses.regions:dice_bce"),
        "dice_cross_entropy": Entry("biocnn.losses.regions:dice_cross_entropy"),
        "dice_focal": Entry("biocnn.losses.regions:dice_focal"),
        "tversky": Entry("biocnn.losses.regions:tversky"),
        "boundary": Entry("biocnn.losses.shapes:boundary"),
        "cldice": Entry("biocnn.losses.shapes:cldice"),
        "instances": Entry("biocnn.losses.instances:instances"),
    },
    "tasks": {
        "binary": Entry("biocnn.tasks.binary:Binary"),
        "multilabel": Entry("biocnn.tasks.multilabel:Multilabel"),
        "multiclass": Entry("biocnn.tasks.multiclass:Multiclass"),
        "ordinal": Entry("biocnn.tasks.ordinal:Ordinal"),
        "regression": Entry("biocnn.tasks.regression:Regression"),
        "several": Entry("biocnn.tasks.several:Several"),
        "mask": Entry("biocnn.tasks.mask:Mask"),
        "classes": Entry("biocnn.tasks.classes:Classes"),
        "instances": Entry("biocnn.tasks.instances:Instances"),
        "typed_instances": Entry("biocnn.tasks.typed_instances:TypedInstances"),
        "boxes": Entry("biocnn.tasks.boxes:FindBoxes"),
        "density": Entry("biocnn.tasks.density:Density"),
        "profile": Entry("biocnn.tasks.profile:Profile"),
        "image_to_image": Entry("biocnn.tasks.image_to_image:ImageToImage"),
    },
    "inputs": {
        "sequence": Entry("biocnn.tasks.inputs:SequenceInput"),
        "image": Entry("biocnn.tasks.inputs:ImageInput"),
        "bag": Entry("biocnn.tasks.inputs:BagInput"),
    },
}

# What `augment:` accepts instead of a list: see biocnn.augment.sets.
AUGMENT_SETS = ("default", "upright", "chiral", "anisotropic", "none")


def target(kind: str, name: str) -> str:
    """Return the import path ``module:name`` of a name.

    Raises
    ------
    InputError
        If the name is neither registered nor an import path; names the nearest.
    """
    if ":" in name:
        return name
    if name not in REGISTRY[kind]:
        raise InputError(
            f"{name!r} is not known", nearest(name, REGISTRY[kind]) + ", or an import path package.module:Name"
        )
    return REGISTRY[kind][name].path


def own_module(name: str) -> str:
    """Return the module of a class outside biocnn that is named by its import path; "" for any other name."""
    module, colon, _ = name.partition(":")
    return module if colon and module.split(".")[0] != "biocnn" else ""


def add_cwd_to_path() -> None:
    """Make modules in the working folder importable, after all installed ones: a user's own are next to the Snakefile.

    Call it only for a module of the user's own, because a folder of data may contain files of any name.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def suited(kind: str, input: str, target: str = "") -> list[str]:
    """Return the names of a kind that suit an input and a kind of target ("": any), in registry order.

    A loss must be listed by a task for them; augmentations are for the parts of an input.
    """
    if kind == "losses":
        found = {loss for task in tasks_of(input, target) for loss in task.losses}
        return [name for name in REGISTRY["losses"] if name in found]
    if kind == "augment":
        input = find("inputs", input).part
    targets = ("", target, "map") if (kind, target) == ("models", "values") else ("", target)
    entries = REGISTRY[kind].items()
    return [name for name, own in entries if own.input in ("", input) and (not target or own.target in targets)]


def tasks_of(input: str, target: str = "") -> list[Any]:
    """Return the task classes that take an input and a kind of target ("": any), in registry order."""
    tasks = (task_class(name, input) for name in REGISTRY["tasks"])
    return [task for task in tasks if input in task.inputs and target in ("", task.target.kind)]


def task_class(name: str, input: str) -> Any:
    """Return the class of a task for an input; the task may have its own for it."""
    found = find("tasks", name)
    return resolve(found.special[input]) if input in found.special else found


def tasks_for(data: str) -> list[Any]:
    """Return the task classes that suit a data format; none for a user's own, whose input and target are unknown."""
    return tasks_of(entry.input, entry.target) if (entry := REGISTRY["data"].get(data)) else []


def input_of(data: str) -> Any:
    """Return the input class of a data format; None for a user's own, whose input is known only once it is read."""
    return find("inputs", REGISTRY["data"][data].input) if data in REGISTRY["data"] else None


def find(kind: str, name: str) -> Any:
    """Return the class or function of a name: ``find("models", "UNet")`` is ``biocnn.models.unet.UNet``."""
    return resolve(target(kind, name))


def resolve(path: str) -> Any:
    """Import the class or function that ``module:name`` names."""
    module, _, attribute = path.partition(":")
    if own_module(path):
        add_cwd_to_path()
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{path!r} cannot be imported: {error}", "run from the folder that contains the module"
        ) from error
