"""Which class or function each name in an experiment stands for: one line an entry, nothing is imported.

A user's own class needs no entry here: it is named by its import path, ``my_package.my_module:MyNet``.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError, nearest

REGISTRY: dict[str, dict[str, str]] = {
    "data": {
        "Intervals": "biocnn.data.intervals:Intervals",
        "Sequences": "biocnn.data.sequences:Sequences",
        "Images": "biocnn.data.images:Images",
    },
    "negatives": {
        "random": "biocnn.data.negatives:random",
        "gc_matched": "biocnn.data.negatives:gc_matched",
        "flanking": "biocnn.data.negatives:flanking",
        "dinucleotide_shuffled": "biocnn.data.negatives:dinucleotide_shuffled",
        "given": "biocnn.data.negatives:given",
    },
    "augment": {
        "reverse_complement": "biocnn.augment.sequences:reverse_complement",
        "shift": "biocnn.augment.sequences:shift",
        "flip": "biocnn.augment.geometry:flip",
        "rotate90": "biocnn.augment.geometry:rotate90",
        "affine": "biocnn.augment.geometry:affine",
        "elastic": "biocnn.augment.geometry:elastic",
        "intensity": "biocnn.augment.intensity:intensity",
        "gamma": "biocnn.augment.intensity:gamma",
        "noise": "biocnn.augment.intensity:noise",
        "blur": "biocnn.augment.intensity:blur",
        "low_resolution": "biocnn.augment.intensity:low_resolution",
    },
    "models": {
        "DeepBind": "biocnn.models.deepbind:DeepBind",
        "Basset": "biocnn.models.basset:Basset",
        "DilatedResNet": "biocnn.models.dilated:DilatedResNet",
        "DanQ": "biocnn.models.danq:DanQ",
        "FCN": "biocnn.models.fcn:FCN",
        "UNet": "biocnn.models.unet:UNet",
    },
    "losses": {
        "bce": "biocnn.losses.pixels:bce",
        "mse": "biocnn.losses.pixels:mse",
        "cross_entropy": "biocnn.losses.pixels:cross_entropy",
        "focal": "biocnn.losses.pixels:focal",
        "dice": "biocnn.losses.regions:dice",
        "dice_bce": "biocnn.losses.regions:dice_bce",
        "dice_cross_entropy": "biocnn.losses.regions:dice_cross_entropy",
        "dice_focal": "biocnn.losses.regions:dice_focal",
        "tversky": "biocnn.losses.regions:tversky",
        "boundary": "biocnn.losses.shapes:boundary",
        "cldice": "biocnn.losses.shapes:cldice",
        "instances": "biocnn.losses.instances:instances",
    },
}

# Sequences get one answer each, images one a pixel.
OF_SEQUENCES = {
    "models": ("DeepBind", "Basset", "DilatedResNet", "DanQ"),
    "losses": ("bce", "mse"),
    "augment": ("reverse_complement", "shift"),
}
OF_IMAGES = {
    kind: tuple(name for name in REGISTRY[kind] if name not in names or name == "bce")
    for kind, names in OF_SEQUENCES.items()
}

# What `augment:` may be instead of a list: see biocnn.augment.sets.
AUGMENT_SETS = ("default", "upright", "chiral", "anisotropic", "none")


def target(kind: str, name: str) -> str:
    """The import path ``module:name`` that a name stands for.

    Raises
    ------
    InputError
        Where the name is neither registered nor an import path; names the nearest.
    """
    if ":" in name:
        return name
    if name not in REGISTRY[kind]:
        raise InputError(
            f"{name!r} is not known", nearest(name, REGISTRY[kind]) + ", or an import path package.module:Name"
        )
    return REGISTRY[kind][name]


def own_module(name: str) -> str:
    """The module of a class outside biocnn that is named by its import path; "" for any other name."""
    module, colon, _ = name.partition(":")
    return module if colon and module.split(".")[0] != "biocnn" else ""


def look_here() -> None:
    """Let modules of the working folder be found, after all that are installed: a user's own lie beside the Snakefile.

    To be called for a module of a user's own alone: any file name may occur in a folder of data.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def find(kind: str, name: str) -> Callable[..., Any]:
    """The class or function itself: ``find("models", "UNet")`` is ``biocnn.models.unet.UNet``."""
    module, _, attribute = target(kind, name).partition(":")
    if own_module(name):
        look_here()
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{name!r} cannot be imported: {error}", "run from the folder that holds the module"
        ) from error
