"""Fingerprint of everything a training depends on; a training resumes only from states with the same one."""

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
from biocnn.core.files import read_json
from biocnn.data.dataset import Dataset

# Settings that change how training stops, saves or loads, but not its steps.
FREE = {"seeds", "learning_curve", "max_minutes", "save_minutes", "workers"}
MOVED = {"start_from"}  # a path, whose content counts


def fingerprint(settings: Settings, dataset: Dataset, seed: int, network: nn.Module, processes: int) -> str:
    """Return 12 hexadecimal digits of a SHA-256 over settings, code and data.

    Parameters
    ----------
    settings
        Resolved settings: sections augment, model, loss and train count directly, the others through the data set.
        Files that define the user's augmentations and loss, and the neighbouring files they import, count as code.
    network
        Files of its class count as code, too. A class without a file (typed at a prompt) gives a different fingerprint
        each time.
    processes
        Number of processes that train together.
    """
    chosen = settings.model_dump(
        mode="json", include={"augment", "model", "loss", "train"}, exclude={"train": FREE | MOVED}
    )
    chosen["seed"] = seed
    versions = {"torch": torch.__version__, "numpy": np.__version__, "processes": processes}
    parts = [json.dumps([chosen, versions], sort_keys=True).encode()]
    facts = read_json(dataset.folder / "facts.json")
    sources = [{**source, "path": ""} for source in facts.get("sources", [])]  # hashes count, but not where files are
    parts += [json.dumps(facts | {"sources": sources}).encode(), (dataset.folder / "examples.tsv").read_bytes()]
    if settings.train.start_from:
        parts += [settings.train.start_from.read_bytes()]
    parts += ["\n".join(dataset.examples["split"]).encode()]  # depends on the fold
    parts += sorted(_code(settings, network))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:12]


def _code(settings: Settings, network: nn.Module) -> set[bytes]:
    """Return digests of the code that this training runs, including the user's files."""
    chosen = [("augment", section) for section in settings.augment] + [("losses", settings.loss)]
    things = {find(kind, section.name) for kind, section in chosen if section}
    things |= {type(module) for module in network.modules()}
    ours = {Path(inspect.getfile(thing)) for thing in things if thing.__module__.startswith("biocnn.")}
    own = [thing for thing in things if not thing.__module__.startswith(("torch.", "biocnn."))]
    entry = code_digests.PACKAGE / "training" / "runs.py"
    default = code_digests.chosen(settings, ["loss"])  # the loss of the task, if the settings name none
    sources = {_source(thing) for thing in own}
    # Neighbours of the user's files count as the user's, too; installed packages are not followed.
    local = {path for path in sources if path and "site-packages" not in path.parts}
    return code_digests.code({entry, *ours, *default, *local}) | {_digest(path) for path in sources}


def _source(thing: Any) -> Path | None:
    """Return the file that defines a class or function, if there is one."""
    with suppress(OSError, TypeError):
        path = inspect.getsourcefile(thing)
        return Path(path) if path and Path(path).is_file() else None
    return None


def _digest(path: Path | None) -> bytes:
    """Return the digest of a file; random bytes if there is none."""
    return hashlib.sha256(path.read_bytes()).digest() if path else os.urandom(32)
