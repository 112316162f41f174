"""Start from what another network has learned: take the weights that fit, and keep the encoder as it is for a while."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from biocnn.config.settings import Train
from biocnn.core.errors import InputError
from biocnn.nn.blocks import ConvBlock
from biocnn.training.metadata import read_metadata


@dataclass(frozen=True)
class Start:
    """What a network has of another one.

    Parameters
    ----------
    record
        For the model file: the other file's SHA-256 and network, layers taken and fresh, share of weights taken; empty
        where the network starts from nothing.
    held
        Names of layers that are held still for the first ``epochs``.
    """

    record: dict[str, Any] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    epochs: int = 0

    def hold(self, network: nn.Module, epoch: int) -> bool:
        """Hold layers still in an epoch, counted from 0, or let them learn; whether that is a change.

        Neither weights nor the running statistics of batch norms change in layers that are held. Call it once the
        network is in training mode.
        """
        still, change = epoch < self.epochs, False
        for name in self.held:
            layer = network.get_submodule(name)
            for part in layer.modules() if isinstance(layer, ConvBlock) else [layer]:
                for weight in part.parameters(recurse=False):
                    change |= weight.requires_grad == still
                    weight.requires_grad_(not still)
                if still and isinstance(part, _BatchNorm):
                    part.eval()
        return change


NOWHERE = Start()


def start(network: nn.Module, section: Train, log: Callable[[str], None]) -> Start:
    """Put the weights of another model file into a network, where layers have the same name and shape.

    A layer is taken whole, a convolution with its norm, or left as it was drawn: the first where channels differ, the
    last where outputs do.

    Parameters
    ----------
    network
        Its weights change.
    section
        The experiment's section train: ``start_from`` is a model file, or None; ``freeze_epochs`` says how long the
        layers of the encoder that were taken are held still.
    log
        Told what was taken.

    Raises
    ------
    InputError
        Where the file is no model of biocnn, or no layer fits; where something is to be held still, and nothing was
        learned, or the network does not say which part of it is the encoder.
    """
    path, epochs = section.start_from, section.freeze_epochs
    if path is None:
        return NOWHERE
    meta, found, own = read_metadata(path), load_file(path), network.state_dict()
    layers: dict[str, list[str]] = {}
    for key in own:
        layers.setdefault(_layer(network, key), []).append(key)
    fits = {name: all(key in found and found[key].shape == own[key].shape for key in layers[name]) for name in layers}
    taken, fresh = ([name for name in layers if fits[name] == wanted] for wanted in (True, False))
    theirs = meta.experiment.model.name
    if not taken:
        raise InputError(
            f"train.start_from: no layer of {path} ({theirs}) fits {type(network).__name__}",
            "start from a model of the same network, dimensions and widths (model.channels)",
        )
    with torch.no_grad():
        for key in (key for name in taken for key in layers[name]):
            own[key].copy_(found[key])
    share = sum(own[key].numel() for name in taken for key in layers[name]) / sum(w.numel() for w in own.values())
    log(f"started from {path} ({theirs}): {len(taken)} of {len(layers)} layers, {share:.1%} of the weights")
    if fresh:
        log(f"drawn afresh, for they do not fit: {', '.join(fresh)}")
    held = _encoder(network, taken) if epochs else ()
    if held:
        log(f"{len(held)} layers of the encoder are held still for {epochs} epochs")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record = {"sha256": digest, "model": theirs, "taken": taken, "fresh": fresh, "share": round(share, 4)}
    return Start(record | {"held": list(held), "epochs": epochs}, held, epochs)


def _layer(network: nn.Module, key: str) -> str:
    """The layer that a weight is part of: the convolution block around it, or the module that has it."""
    parts = key.split(".")[:-1]
    around = (".".join(parts[:i]) for i in range(1, len(parts) + 1))
    blocks = (name for name in around if isinstance(network.get_submodule(name), ConvBlock))
    return next(blocks, ".".join(parts))


def _encoder(network: nn.Module, taken: list[str]) -> tuple[str, ...]:
    """The layers, of those that were taken, that are in the encoder."""
    encoder = getattr(network, "ENCODER", None)
    if encoder is None:
        raise InputError(
            f"train.freeze_epochs: {type(network).__name__} does not say which part of it is the encoder",
            'give its class ENCODER = ("features",), the names of modules, or set train.freeze_epochs: 0',
        )
    return tuple(name for name in taken if name.split(".")[0] in encoder)
