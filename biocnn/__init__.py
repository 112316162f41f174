"""Convolutional networks for sequences and images, from the same blocks.

Importing biocnn imports neither torch nor monai; the names below load what they need when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from biocnn.core.errors import InputError

if TYPE_CHECKING:
    from biocnn.data.dataset import Dataset
    from biocnn.prediction.model import Model
    from biocnn.prediction.train_and_load import train

__version__ = "0.2.0"
__all__ = ["Dataset", "InputError", "Model", "load", "train"]

_LAZY = {
    "Dataset": "biocnn.data.dataset",
    "Model": "biocnn.prediction.model",
    "train": "biocnn.prediction.train_and_load",
}


def load(path: Any, device: Any = None, **settings: Any) -> "Model":
    """Load ``model.safetensors``: see `biocnn.prediction.model.Model`."""
    return import_module("biocnn.prediction.model").Model(path, device, **settings)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'biocnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
