"""Transfer learning: copy the weights that fit from another network, and freeze the encoder for some epochs."""

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
class TransferState:
    """What was transferred to a network, and which of its layers are frozen.

    Parameters
    ----------
    record
        Record for the model file: SHA-256 and network of the source, layers copied (taken) and not (fresh), fraction of
        weights copied (share); empty without transfer.
    held
        Names of the layers that are frozen for the first ``epochs``.
    """

    record: dict[str, Any] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    epochs: int = 0

    def freeze(self, network: nn.Module, epoch: int) -> bool:
        """Freeze or unfreeze the layers for an epoch, counted from 0; return whether anything changed.

        Frozen layers change neither weights nor running statistics of batch norms. Call this once the network is in
        training mode.
        """
        frozen, changed = epoch < self.epochs, False
        for name in self.held:
            layer = network.get_submodule(name)
            for part in layer.modules() if isinstance(layer, ConvBlock) else [layer]:
                for weight in part.parameters(recurse=False):
                    changed |= weight.requires_grad == frozen
                    weight.requires_grad_(not frozen)
                if frozen and isinstance(part, _BatchNorm):
                    part.eval()
        return changed


NO_TRANSFER = TransferState()


def transfer_weights(network: nn.Module, section: Train, log: Callable[[str], None]) -> TransferState:
    """Copy the weights of a model file into the layers of a network that have the same name and shapes.

    A layer is copied whole, a convolution with its norm, or keeps its initial weights: for example, the first layer if
    channels differ, the last if outputs differ.

    Parameters
    ----------
    network
        Changed in place.
    section
        Section train of the experiment: ``start_from`` is a model file, or None; ``freeze_epochs`` is the number of
        epochs for which the copied layers of the encoder are frozen.
    log
        Called with each log line.

    Raises
    ------
    InputError
        If the file is not a model of biocnn, no layer fits, or layers are to be frozen and the network does not declare
        its encoder.
    """
    path, epochs = section.start_from, section.freeze_epochs
    if path is None:
        return NO_TRANSFER
    meta, found, own = read_metadata(path), load_file(path), network.state_dict()
    if meta.words:
        found = {key.removeprefix("network."): value for key, value in found.items() if key.startswith("network.")}
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
        log(f"initialized at random, because they do not fit: {', '.join(fresh)}")
    held = _encoder(network, taken) if epochs else ()
    if held:
        log(f"{len(held)} layers of the encoder are frozen for {epochs} epochs")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record = {"sha256": digest, "model": theirs, "taken": taken, "fresh": fresh, "share": round(share, 4)}
    return TransferState(record | {"held": list(held), "epochs": epochs}, held, epochs)


def _layer(network: nn.Module, key: str) -> str:
    """Return the layer of a weight: the convolution block around it, or else its module."""
    parts = key.split(".")[:-1]
    around = (".".join(parts[:i]) for i in range(1, len(parts) + 1))
    blocks = (name for name in around if isinstance(network.get_submodule(name), ConvBlock))
    return next(blocks, ".".join(parts))


def _encoder(network: nn.Module, taken: list[str]) -> tuple[str, ...]:
    """Return the copied layers that are in the encoder."""
    encoder = getattr(network, "ENCODER", None)
    if encoder is None:
        raise InputError(
            f"train.freeze_epochs: {type(network).__name__} does not declare its encoder",
            'give its class ENCODER = ("features",) with the names of its modules, or set train.freeze_epochs: 0',
        )
    return tuple(name for name in taken if name.split(".")[0] in encoder)
