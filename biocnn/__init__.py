"""Convolutional networks for sequences and images, from the same blocks.

Importing biocnn imports neither torch nor monai; the names below load what they need when first used.
"""

from importlib import import_module
from typing import Any

from biocnn.core.errors import InputError

__version__ = "0.1.0"
__all__ = ["Dataset", "InputError", "Model", "load", "train_run"]

_LAZY = {"Dataset": "biocnn.data.dataset", "Model": "biocnn.prediction.model", "train_run": "biocnn.training.runs"}


def load(path: Any, device: Any = None, **settings: Any) -> Any:
    """Load ``model.safetensors``: see `biocnn.prediction.model.Model`."""
    return import_module("biocnn.prediction.model").Model(path, device, **settings)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'biocnn' has no attribute {name!r}")
