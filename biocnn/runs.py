"""One training of an experiment, from a stored data set to a network that can be saved and used."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import nn

from biocnn import batches, instances
from biocnn.checkpoint import build_model, versions
from biocnn.data.dataset import Dataset
from biocnn.predict import default_device, predict_batches
from biocnn.train import fit, make_loss


def train_run(
    settings: dict[str, Any],
    dataset: Dataset,
    seed: int,
    network: nn.Module | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> tuple[nn.Module, pd.DataFrame, dict[str, Any]]:
    """Train on the training part, choose the epoch (and how maps become objects) on the validation part.

    Parameters
    ----------
    settings
        An experiment with all defaults, as ``biocnn.config.load(path).settings`` gives it.
    dataset
        Its stored data set.
    seed
        Of the first weights, the order of examples, augmentation and dropout.
    network
        Trained instead of the one that ``settings["model"]`` names; name its class there all the same, as
        ``package.module:Name``, so that the model file can be loaded.
    log
        Takes one line at a time.

    Returns
    -------
    network, history, meta
        The network with its best weights; one row an epoch; what ``biocnn.checkpoint.save_model`` stores beside them.
    """
    section, facts = settings["train"], dataset.facts
    torch.set_num_threads(section["threads"])
    device = default_device()
    # On GPUs some operations have no deterministic form.
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.manual_seed(seed)
    network = (network or build_model(settings["model"], facts)).to(device)
    train = batches.make(dataset, dataset.rows("train"), device, settings["augment"], section["patch"])
    val = batches.make(dataset, dataset.rows("val"), device)
    weights = sum(p.numel() for p in network.parameters())
    log(f"{weights:,} weights on {device}; " + ", ".join(f"{n:,} {part}" for part, n in facts["n"].items()))
    loss = make_loss(settings["loss"], facts, section["class_weights"], device)
    history = fit(network, train, val, loss, facts["task"], section, seed, log)
    meta = {"experiment": settings, "facts": facts, "seed": seed, "postprocess": {}, "versions": versions()}
    if facts["task"] == "instances":
        found = list(predict_batches(network, val, facts["task"]))
        meta["postprocess"] = instances.tune_instances(found, [dataset.labels[i][0] for i in dataset.rows("val")])
        log(f"objects are made with {meta['postprocess']}")
    # Without the time it took, so that the same training gives the same file.
    meta["best_epoch"] = history[history["best"] == 1].drop(columns="seconds").iloc[0].to_dict()
    return network, history, meta
