"""What a training depends on, as one short word: a state is gone on from only where this is the same."""

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from biocnn.data.dataset import Dataset

# Settings under which the same steps are made, only stopped, saved or loaded in another way.
FREE = ("seeds", "max_minutes", "save_minutes", "workers")
CODE = ("augment/*.py", "models/*.py", "metrics/*.py", "data/ragged.py", "data/padded.py", "batches.py", "blocks.py",
        "encode.py", "layers.py", "losses.py", "optimizer.py", "parallel.py", "patches.py", "precision.py", "runs.py",
        "state.py", "train.py", "validation.py")  # fmt: skip


def fingerprint(settings: dict[str, Any], dataset: Dataset, seed: int, network: nn.Module, processes: int) -> str:
    """Twelve hexadecimal digits of a SHA-256 over settings, code and data.

    Parameters
    ----------
    settings
        A resolved experiment: sections augment, model, loss and train count, the others by the data made from them.
    network
        Its class may be the user's own: the file that defines it counts as code.
    processes
        How many train together.
    """
    train = {key: value for key, value in settings["train"].items() if key not in FREE}
    chosen = {key: settings[key] for key in ("augment", "model", "loss")} | {"train": train, "seed": seed}
    versions = {"torch": torch.__version__, "numpy": np.__version__, "processes": processes}
    digest = hashlib.sha256(json.dumps([chosen, versions], sort_keys=True).encode())
    for path in [*_code(network), *(dataset.folder / name for name in ("facts.json", "examples.tsv"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _code(network: nn.Module) -> list[Path]:
    package = Path(__file__).parent
    found = {path for pattern in CODE for path in package.glob(pattern)}
    for module in network.modules():
        source = inspect.getsourcefile(type(module))
        if source and not type(module).__module__.startswith("torch."):
            found.add(Path(source).resolve())
    return sorted(found)
