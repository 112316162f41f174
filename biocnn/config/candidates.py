"""Networks for experiments that name none: one for images, and candidates of which trials choose one for sequences.

A candidate is a mapping of settings by dotted key; ``model`` is a whole section.
"""

from typing import Any

from biocnn.config.registry import REGISTRY, input_of
from biocnn.config.schema import example
from biocnn.core.errors import InputError

AUTO = "auto"
OF_SEQUENCES: list[dict[str, Any]] = [
    {
        "model": {"name": "DeepBind", "channels": 128, "kernel_size": 16, "hidden": 0, "dropout": 0.5},
        "train.lr": 1e-2,
    },
    {
        "model": {
            "name": "DeepBind", "channels": 128, "kernel_size": 20, "pool": "both", "hidden": 0, "dropout": 0.5,
        },
        "train.lr": 1e-2,
    },
    {
        "model": {
            "name": "Basset", "channels": [64, 64], "kernel_size": [11, 7], "pool": [3, 3], "hidden": 32,
            "dropout": 0.5,
        },
        "train.lr": 3e-3,
    },
    {
        "model": {"name": "DanQ", "channels": 64, "kernel_size": 11, "pool": 3, "dropout": 0.5},
        "train.lr": 3e-3,
    },
]  # fmt: skip


def candidates_for(data: str) -> list[dict[str, Any]]:
    """Return the candidates for a data format.

    Raises
    ------
    InputError
        If the reader is a user's own, whose data are not known before they are read.
    """
    entry = REGISTRY["data"].get(data)
    if entry is None:
        raise InputError(
            f"model: is missing, and cannot be chosen for data: {data}",
            f"add a section model: {{name: {example('models')}}}",
        )
    return input_of(data).networks[entry.target]
