"""Transfer learning: copy the weights that fit from another network, and train its body slowly, later or not at all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from biocnn.config.schema import Chosen, own_settings
from biocnn.config.settings import Train
from biocnn.core.cards import some
from biocnn.core.errors import InputError
from biocnn.core.files import sha256
from biocnn.core.plurals import plural
from biocnn.data.decisions import fill_in
from biocnn.models.image_network import ImageNetwork
from biocnn.nn.blocks import ConvBlock
from biocnn.tasks.facts import Decision, Facts
from biocnn.training.pretrained import MEAN, SD, Source, read_source

LIKE = "as in train.start_from"


@dataclass(frozen=True)
class TransferState:
    """What was transferred to a network, and how its body is trained.

    Parameters
    ----------
    record
        Record for the model file: SHA-256 and network of the source, layers copied (taken), copied for other channels
        (adapted) and not (fresh), fraction of weights copied (share); empty without transfer.
    body
        Names of the copied layers of the body, whose learning rate is ``train.body_lr``.
    epochs
        Number of epochs in which they are frozen.
    """

    record: dict[str, Any] = field(default_factory=dict)
    body: tuple[str, ...] = ()
    epochs: int = 0

    def freeze(self, network: nn.Module, epoch: int) -> bool:
        """Freeze or unfreeze the body for an epoch, counted from 0; return whether anything changed.

        Frozen layers change neither weights nor running statistics of batch norms. Call this once the network is in
        training mode.
        """
        frozen, changed = epoch < self.epochs, False
        for part in self._modules(network):
            for weight in part.parameters(recurse=False):
                changed |= weight.requires_grad == frozen
                weight.requires_grad_(not frozen)
            if frozen and isinstance(part, _BatchNorm):
                part.eval()
        return changed

    def copied_last(self, network: ImageNetwork) -> bool:
        """Return whether the last layer of a network for images is a copy."""
        last = f"head.{len(network.head) - 1}."
        return any(f"{name}.".startswith(last) for name in self.record.get("taken", ()))

    def weights(self, network: nn.Module) -> list[Tensor]:
        """Return the weights of the body."""
        return [weight for part in self._modules(network) for weight in part.parameters(recurse=False)]

    def _modules(self, network: nn.Module) -> Iterator[nn.Module]:
        for name in self.body:
            layer = network.get_submodule(name)
            yield from layer.modules() if isinstance(layer, ConvBlock) else [layer]


NO_TRANSFER = TransferState()


def like_source(
    section: Chosen, train: Train, facts: Facts, log: Callable[[str], None]
) -> tuple[Chosen, dict[str, Decision]]:
    """Fill in settings of the network that are left to the data by those of the network that it starts from.

    Returns
    -------
    section, decisions
        The section model, and what was filled in.
    """
    if train.start_from is None:
        return section, {}
    source, own = read_source(train.start_from), own_settings(section)
    same = source.in_channels == facts.in_channels
    if facts.spatial_dims == 1 and not same:
        tracks = ", ".join(facts.signal) or "none"
        raise InputError(
            f"train.start_from: {train.start_from} takes {source.in_channels} channels, but the data have "
            f"{facts.in_channels}: 4 bases, and the tracks of data.signal ({tracks})",
            "start from a model that was trained with the same tracks",
        )
    given = {key: value for key, value in source.settings.items() if same or key not in ("mean", "sd")}
    if within := given.get("network") if own.get("network") else None:  # both have a network within
        given |= {key: value for key, value in within.items() if key != "name"}
    found = {key: Decision(value=value, reason=LIKE) for key, value in given.items()}
    found |= standardised(facts) if source.origin else {}
    if "network" in own and own["network"] is None and "network" not in found:  # it becomes the network within
        value = {"name": source.model} | {key: item.value for key, item in found.items()}
        found = {"network": Decision(value=value, reason=LIKE)}
    left = {key for key, value in _with_inner(section).items() if value is None}
    decisions = {key: item for key, item in found.items() if key in left and item.value is not None}
    for key, item in decisions.items():
        log(f"model.{key} = {item.value}: {item.reason}")
    filled = fill_in(section, decisions)
    if source.origin and "mean" not in _with_inner(filled):
        log(f"warning: {section.name} gets pixels of 0 to 1, but weights of torchvision expect the scale of ImageNet")
    return filled, decisions


def _with_inner(section: Chosen) -> dict[str, Any]:
    """Return the settings of a network, and of one within it."""
    own = own_settings(section)
    return own | (own_settings(own["network"]) if own.get("network") else {})


def standardised(facts: Facts) -> dict[str, Decision]:
    """Return the mean and standard deviation by which pixels get the scale of ImageNet.

    Pixels are scaled to 0-1 by the range of the data before. If they have 8 bits, this is taken back exactly, so that
    0 and 255 count as 0 and 1, as in torchvision.
    """
    colours, number = facts.in_channels == len(MEAN), facts.in_channels
    mean, sd = (list(v) if colours else [sum(v) / len(v)] * number for v in (MEAN, SD))
    reason = "of ImageNet" if colours else "of ImageNet, averaged over its colours"
    if facts.dtype == "uint8" and facts.normalise != "image" and facts.intensity:
        low, high = (np.array(values) / 255 for values in (facts.intensity.low, facts.intensity.high))
        span = np.where(high > low, high - low, 1)
        mean, sd = [((mean - low) / span).round(6).tolist(), (sd / span).round(6).tolist()]
        reason += ", for the range of these data"
    return {"mean": Decision(value=mean, reason=reason), "sd": Decision(value=sd, reason=reason)}


def transfer_weights(
    network: nn.Module,
    section: Train,
    log: Callable[[str], None],
    outputs: Sequence[str] = (),
    wider: Callable[[], nn.Module] | None = None,
) -> TransferState:
    """Copy the weights of another network into the layers that have the same name and shapes.

    A layer is copied whole, a convolution with its norm, or keeps its initial weights: for example, the last layer if
    outputs differ. Weights of a convolution that reads images with other channels are summed over these and shared
    equally among the new ones, so that equal channels give the same result.

    Parameters
    ----------
    network
        Changed in place.
    section
        Section train of the experiment: ``start_from`` is a file as in ``read_source``, or None; ``body_lr`` and
        ``freeze_epochs`` determine how the copied layers of the body are trained.
    log
        Called with each log line.
    outputs, wider
        Names of the outputs of the network, and a function that returns it with one output more: layers of outputs are
        copied only from a network whose outputs have the same names. Empty: by their shapes alone.

    Raises
    ------
    InputError
        If the file cannot be read, no layer fits, or not all weights of torchvision do; if the network does not declare
        its body, although this is to be trained in another way; if nothing would be trained.
    """
    path = section.start_from
    if path is None:
        return NO_TRANSFER
    own = network.state_dict()
    source = read_source(path).named_for(own)
    found, adapted = _adapted(source, own)
    layers: dict[str, list[str]] = {}
    for key in own:
        layers.setdefault(_layer(network, key), []).append(key)
    fits = {name: all(key in found and found[key].shape == own[key].shape for key in layers[name]) for name in layers}
    if wider and source.outputs and [*source.outputs] != [*outputs]:
        log(f"outputs are {some([*outputs])}, but {some([*source.outputs])} in {path}")
        shapes = {key: value.shape for key, value in wider().state_dict().items()}
        same = {key for key in own if own[key].shape == shapes.get(key)}
        fits = {name: fit and same.issuperset(layers[name]) for name, fit in fits.items()}
    taken, fresh = ([name for name in layers if fits[name] == wanted] for wanted in (True, False))
    copied = {key: found[key] for name in taken for key in layers[name]}
    if not taken:
        raise InputError(
            f"train.start_from: no layer of {path} ({source.model}) fits {type(network).__name__}",
            "start from a model of the same network, dimensions and widths (model.channels)",
        )
    if source.origin:
        _check_foreign(source, copied, _body(network, fresh), section)
    with torch.no_grad():
        for key, value in copied.items():
            own[key].copy_(value)
    share = sum(w.numel() for w in copied.values()) / sum(w.numel() for w in own.values())
    log(f"started from {path} ({source.model}): {len(taken)} of {len(layers)} layers, {share:.1%} of the weights")
    if unused := sorted(found.keys() - copied.keys()):
        log(f"{len(unused)} of {len(found)} weights of the file do not fit: {', '.join(unused[:10])}")
    if adapted := [name for name in taken if adapted & set(layers[name])]:
        channels = f"{source.in_channels} to {own[layers[adapted[0]][0]].shape[1]} channels"
        log(f"{channels}: weights are summed over channels and shared equally, in {', '.join(adapted)}")
    if fresh:
        log(f"initialized at random, because they do not fit: {', '.join(fresh)}")
    frozen = section.epochs or 0 if section.body_lr == 0 else section.freeze_epochs
    body = _body(network, taken) if frozen or section.body_lr is not None else ()
    if frozen:
        log(f"frozen for {plural(frozen, 'epoch')}: {plural(len(body), 'layer')} of the body")
    if section.body_lr:
        log(f"trained with a learning rate of {section.body_lr:g}: {plural(len(body), 'layer')} of the body")
    state = TransferState({}, body, frozen)
    if section.body_lr == 0 and len(state.weights(network)) == len([*network.parameters()]):
        raise InputError("train.body_lr: 0 leaves nothing to train", "give it a number above 0")
    record = {"sha256": sha256(path), "model": source.model, "taken": taken, "adapted": adapted, "fresh": fresh}
    record |= {"share": round(share, 4), "held": list(body), "epochs": frozen, "body_lr": section.body_lr}
    state = TransferState(record, body, frozen)
    if isinstance(network, ImageNetwork) and network.intensities and state.copied_last(network):
        how = "also receives" if network.intensities.factor.any() else "does without"
        log(f"the last layer {how} intensities, as in {path}")
    return state


def _adapted(source: Source, own: dict[str, Tensor]) -> tuple[dict[str, Tensor], set[str]]:
    """Return the weights of a source for the channels of a network, and the names of those that were changed."""
    found, adapted = dict(source.weights), set()
    for key in found.keys() & own.keys():
        old, new = found[key].shape, own[key].shape
        if old != new and len(old) > 2 and old[1] == source.in_channels and (old[0], old[2:]) == (new[0], new[2:]):
            found[key] = (found[key].sum(1, keepdim=True) / new[1]).expand(new)
            adapted.add(key)
    return found, adapted


def _check_foreign(source: Source, copied: dict[str, Tensor], lacking: tuple[str, ...], section: Train) -> None:
    """Check that weights of torchvision fit, except the last layer, and that no layer of the body lacks its weights."""
    heads = [name.rpartition(".")[0] for name in source.origin if f".{name}".rpartition(".head.")[1]]
    last = max(heads, default="")
    wrong = [key for name, key in source.origin.items() if name not in copied and name.rpartition(".")[0] != last]
    if wrong or lacking:
        what = (
            f"{len(wrong)} of {len(source.origin)} weights of {section.start_from} do not fit: {', '.join(wrong[:5])}"
        )
        if not wrong:
            what = f"{section.start_from} has no weights for {plural(len(lacking), 'layer')}: {', '.join(lacking[:5])}"
        settings = ", ".join(f"{key}: {'null' if value is None else value}" for key, value in source.settings.items())
        raise InputError(f"train.start_from: {what}", f"set model: {{name: {source.model}, {settings}}}")


def _layer(network: nn.Module, key: str) -> str:
    """Return the layer of a weight: the convolution block around it, or else its module."""
    parts = key.split(".")[:-1]
    around = (".".join(parts[:i]) for i in range(1, len(parts) + 1))
    blocks = (name for name in around if isinstance(network.get_submodule(name), ConvBlock))
    return next(blocks, ".".join(parts))


def _body(network: nn.Module, taken: list[str]) -> tuple[str, ...]:
    """Return the copied layers that are in the body."""
    body = getattr(network, "BODY", None)
    if body is None:
        raise InputError(
            f"train.freeze_epochs or train.body_lr: {type(network).__name__} does not declare its body",
            'give its class BODY = ("features",), the names of the modules before its head; or leave them out',
        )
    return tuple(name for name in taken if any(f"{name}.".startswith(f"{part}.") for part in body))
