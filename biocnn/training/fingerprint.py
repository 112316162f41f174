"""What a training depends on, as one short word: a state is gone on from only where this is the same."""

import hashlib
import inspect
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from biocnn.config import code_digests
from biocnn.config.registry import find
from biocnn.config.settings import Settings
from biocnn.data.dataset import Dataset

# Settings under which the same steps are made, only stopped, saved or loaded in another way.
FREE = {"seeds", "max_minutes", "save_minutes", "workers"}


def fingerprint(settings: Settings, dataset: Dataset, seed: int, network: nn.Module, processes: int) -> str:
    """Twelve hexadecimal digits of a SHA-256 over settings, code and data.

    Parameters
    ----------
    settings
        A resolved experiment: sections augment, model, loss and train count, the others by the data made from them.
        Files that define the user's own augmentations and loss, and those beside them that they import, count as code.
    network
        So do those of its class; of one that no file defines (typed at a prompt) nothing can be known,
        and the fingerprint is another one each time.
    processes
        How many train together.
    """
    chosen = settings.model_dump(mode="json", include={"augment", "model", "loss", "train"}, exclude={"train": FREE})
    chosen["seed"] = seed
    versions = {"torch": torch.__version__, "numpy": np.__version__, "processes": processes}
    parts = [json.dumps([chosen, versions], sort_keys=True).encode()]
    parts += [(dataset.folder / name).read_bytes() for name in ("facts.json", "examples.tsv")]
    if settings.train.start_from:
        parts += [settings.train.start_from.read_bytes()]
    parts += ["\n".join(dataset.examples["split"]).encode()]  # which fold of them
    parts += sorted(_code(settings, network))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:12]


def _code(settings: Settings, network: nn.Module) -> set[bytes]:
    """Digests of what this training runs through; of what the user wrote the files that define it."""
    chosen = [("augment", section) for section in settings.augment] + [("losses", settings.loss)]
    things = {find(kind, section.name) for kind, section in chosen if section}
    things |= {type(module) for module in network.modules()}
    ours = {Path(inspect.getfile(thing)) for thing in things if thing.__module__.startswith("biocnn.")}
    own = [thing for thing in things if not thing.__module__.startswith(("torch.", "biocnn."))]
    started = code_digests.PACKAGE / "training" / "runs.py"
    left = code_digests.chosen(settings, ["loss"])  # by the task, where the settings do not say
    sources = {_source(thing) for thing in own}
    # What lies beside them is the user's as well; what is installed does not change by itself.
    beside = {path for path in sources if path and "site-packages" not in path.parts}
    return code_digests.code({started, *ours, *left, *beside}) | {_digest(path) for path in sources}


def _source(thing: Any) -> Path | None:
    """The file that defines a class or a function, if there is one."""
    with suppress(OSError, TypeError):
        path = inspect.getsourcefile(thing)
        return Path(path) if path and Path(path).is_file() else None
    return None


def _digest(path: Path | None) -> bytes:
    """Of a file as it is now; random bytes where there is none."""
    return hashlib.sha256(path.read_bytes()).digest() if path else os.urandom(32)
