"""What a training depends on, as one short word: a state is gone on from only where this is the same."""

import hashlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from biocnn import program
from biocnn.data.dataset import Dataset
from biocnn.registry import find

# Settings under which the same steps are made, only stopped, saved or loaded in another way.
FREE = ("seeds", "max_minutes", "save_minutes", "workers")


def fingerprint(settings: dict[str, Any], dataset: Dataset, seed: int, network: nn.Module, processes: int) -> str:
    """Twelve hexadecimal digits of a SHA-256 over settings, code and data.

    Parameters
    ----------
    settings
        A resolved experiment: sections augment, model, loss and train count, the others by the data made from them.
        Files that define the user's own augmentations and loss count as code.
    network
        So does the file that defines its class; of one that no file defines (typed at a prompt) nothing can be known,
        and the fingerprint is another one each time.
    processes
        How many train together.
    """
    train = {key: value for key, value in settings["train"].items() if key not in FREE}
    chosen = {key: settings[key] for key in ("augment", "model", "loss")} | {"train": train, "seed": seed}
    versions = {"torch": torch.__version__, "numpy": np.__version__, "processes": processes}
    parts = [json.dumps([chosen, versions], sort_keys=True).encode()]
    parts += [(dataset.folder / name).read_bytes() for name in ("facts.json", "examples.tsv")]
    if (section := settings["train"]).get("start_from"):
        parts += [Path(section["start_from"]).read_bytes()]
    parts += ["\n".join(dataset.examples["split"]).encode()]  # which fold of them
    parts += sorted(_code(settings, network))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:12]


def _code(settings: dict[str, Any], network: nn.Module) -> set[bytes]:
    """Digests of what this training runs through; of what the user wrote the files that define it."""
    chosen = [("augment", section) for section in settings["augment"]] + [("losses", settings["loss"])]
    things = {find(kind, section["name"]) for kind, section in chosen if section}
    things |= {type(module) for module in network.modules()}
    ours = {Path(inspect.getfile(thing)) for thing in things if thing.__module__.startswith("biocnn.")}
    own = [thing for thing in things if not thing.__module__.startswith(("torch.", "biocnn."))]
    started = program.PACKAGE / "runs.py"
    left = program.chosen(settings, ["loss"])  # by the task, where the settings do not say
    return program.code({started, *ours, *left}) | {hashlib.sha256(_source(thing)).digest() for thing in own}


def _source(thing: Any) -> bytes:
    """The file that defines a class or a function; random bytes where there is none."""
    try:
        path = inspect.getsourcefile(thing)
        return Path(path).read_bytes() if path else os.urandom(16)
    except (OSError, TypeError):
        return os.urandom(16)
