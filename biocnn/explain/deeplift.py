"""DeepLIFT: distribute the difference between a logit and that of references over the bases (rescale rule)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool1d

from biocnn.core.errors import InputError
from biocnn.data.shuffle import dinucleotide_shuffle
from biocnn.explain.attributions import evaluating
from biocnn.models.sequence_network import SequenceNetwork, reverse_strand
from biocnn.nn.blocks import GlobalPool
from biocnn.nn.encode import encoded
from biocnn.nn.layers import ACTS
from biocnn.nn.strands import BASES
from biocnn.nn.words import WordMixture, network_of

PAIRS = 256  # pairs of sequence and reference per batch
REFERENCES = 10
# Below this difference the local gradient replaces the ratio.
SMALLEST = 1e-6

ACTIVATIONS = (*ACTS.values(), nn.Hardtanh, nn.ReLU6, nn.SELU, nn.CELU, nn.LogSigmoid, nn.Mish)
# Layers that need no rule because they are linear (batch norm in evaluation mode).
LINEAR = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.Upsample, nn.Identity),
    *(nn.Dropout, nn.Dropout1d, nn.Flatten, nn.Unflatten),
)


@dataclass
class DeepLift:
    """Contributions of bases, and their deviation from the expected sum.

    Parameters
    ----------
    contributions
        Shape (N, 4, L): contribution of a base to the logit if it replaces the base of the references, averaged over
        them. The contributions of the bases present (``x`` times this) sum to the difference between the logit of the
        sequence and the mean logit of its references, on the explained strand.
    delta
        Shape (N, n): this sum minus this difference for each reference, on the explained strand. Zero up to rounding if
        every layer has a rule; far from zero if ``forward`` itself computes something non-linear.
    """

    contributions: Tensor
    delta: Tensor


def deep_lift(model: nn.Module, x: Tensor, references: Tensor, output: int = 0) -> DeepLift:
    """Compute contributions by the rescale rule of DeepLIFT.

    Activations pass on the ratio of output to input differences; max pooling passes it to the maximal position of the
    sequence, or of the reference if that is larger; all other layers are linear. For a ``SequenceNetwork`` that takes
    the larger logit of two strands, the strand with the larger logit is explained against the same strand of the
    references, even if their other strand is larger; for the mean, both strands are. The words of a ``WordMixture`` are
    explained exactly (``Words.contributions``), minus the mean contribution of the references at each position.

    Parameters
    ----------
    model
        Network from (N, 4 + S, L) to logits (N, K), made of linear layers, activations and poolings.
    x
        One-hot sequences, and any tracks beside them, shape (N, 4 + S, L).
    references
        One-hot references of each sequence, with its tracks, shape (N, n, 4 + S, L), e.g. from
        ``shuffled_references``.
    output
        Index of the logit.

    Raises
    ------
    InputError
        If the model has a layer without a rule, e.g. an LSTM.

    References
    ----------
    Shrikumar et al., ICML 2017, arXiv:1704.02685; over several references: Lundberg & Lee, NeurIPS 2017.
    """
    if isinstance(model, WordMixture):
        return _lift_mixture(model, x, references, output)
    lacking = unsupported(model)
    if lacking:
        raise InputError(
            f"DeepLIFT has no rule for {lacking} in {type(model).__name__}",
            "use integrated gradients: explain.attributions: integrated_gradients",
        )
    n = references.shape[1]
    size = max(1, PAIRS // n)
    with evaluating(model), _rules(model):
        parts = [
            _explain(model, part, others, output)
            for part, others in zip(x.split(size), references.split(size), strict=True)
        ]
    return DeepLift(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _lift_mixture(model: WordMixture, x: Tensor, references: Tensor, output: int) -> DeepLift:
    """Add the contributions of words, which need no rule, to those of the network."""
    found, share, words = deep_lift(model.network, x, references, output), model.share[output], model.words
    x, references = x[:, :BASES], references[:, :, :BASES]
    others = words.contributions(references.flatten(0, 1), output).view_as(references)
    # Bases have contributions of their own; what those of the references sum to is taken from each position.
    there = (references * others).sum(2, keepdim=True).mean(1)
    values = share * found.contributions + (1 - share) * (words.contributions(x, output) - there)
    return DeepLift(values, share * found.delta)


def shuffled_references(
    codes: np.ndarray, n: int = REFERENCES, seed: int = 0, signal: np.ndarray | None = None
) -> Tensor:
    """Return dinucleotide shuffles of each sequence as references: codes (N, L) to one-hot (N, n, 4 + S, L).

    The shuffles of the i-th sequence depend only on ``seed`` and i, and have its tracks, shape (N, S, L), if any.
    """
    each = [dinucleotide_shuffle(np.tile(row, (n, 1)), np.random.default_rng([seed, i])) for i, row in enumerate(codes)]
    drawn = np.stack(each) if each else np.zeros((0, n, codes.shape[1]), np.uint8)
    tracks = None if signal is None else torch.from_numpy(signal).repeat_interleave(n, 0)
    return encoded(torch.from_numpy(drawn).flatten(0, 1), tracks).unflatten(0, (len(codes), n))


def unsupported(model: nn.Module) -> str:
    """Return the names of layer types without a rule; "" if DeepLIFT can explain the model."""
    known = (*ACTIVATIONS, *LINEAR, nn.MaxPool1d, nn.AdaptiveMaxPool1d, GlobalPool)
    leaves = (module for module in network_of(model).modules() if not any(True for _ in module.children()))
    kinds = {type(m).__name__ for m in leaves if type(m).__module__.startswith("torch.nn") and not isinstance(m, known)}
    return ", ".join(sorted(kinds))


def _explain(model: nn.Module, x: Tensor, references: Tensor, output: int) -> tuple[Tensor, Tensor]:
    if not isinstance(model, SequenceNetwork) or type(model).forward is not SequenceNetwork.forward:
        return _one_strand(model, x, references, output)
    mask = x[:, :BASES].abs().amax(1, keepdim=True) > 0

    def logits(x: Tensor) -> Tensor:
        known = x[:, :BASES].abs().amax(1, keepdim=True) > 0
        # Not the network's shortcuts for pooling, which bypass the layers that carry rules.
        return model.head(model.pool(*model._positions(x, known)))

    if model.strands == "single":
        return _one_strand(logits, x, references, output)
    turned = reverse_strand(x, mask)
    turned_references = reverse_strand(references.flatten(0, 1), mask.repeat_interleave(references.shape[1], 0))
    turned_references = turned_references.view_as(references)
    if model.combine == "max":
        with torch.no_grad():
            reverse = logits(turned)[:, output] > logits(x)[:, output]
        chosen, others = x.clone(), references.clone()
        chosen[reverse], others[reverse] = turned[reverse], turned_references[reverse]
        values, delta = _one_strand(logits, chosen, others, output)
        values[reverse] = reverse_strand(values, mask)[reverse]
        return values, delta
    one, delta = _one_strand(logits, x, references, output)
    other, other_delta = _one_strand(logits, turned, turned_references, output)
    return (one + reverse_strand(other, mask)) / 2, (delta + other_delta) / 2


def _one_strand(
    logits: Callable[[Tensor], Tensor], x: Tensor, references: Tensor, output: int
) -> tuple[Tensor, Tensor]:
    n = references.shape[1]
    # References follow their sequences directly, so that hooks find the pairs in any batch.
    pairs = torch.stack([x[:, None].expand_as(references), references], dim=2).flatten(0, 2).requires_grad_(True)
    with torch.enable_grad():
        result = logits(pairs)[:, output]
        multiplier = torch.autograd.grad(result[0::2].sum(), pairs)[0][0::2].view_as(references)
    # A base that replaces the reference's base adds its own multiplier and removes that of the reference.
    of_bases = multiplier[:, :, :BASES]
    values = of_bases - (references[:, :, :BASES] * of_bases).sum(2, keepdim=True)
    difference = (result[0::2] - result[1::2]).detach().view(-1, n)
    delta = ((x[:, None] - references) * multiplier).sum((2, 3)) - difference
    return values.mean(1), delta


@contextmanager
def _rules(model: nn.Module) -> Iterator[None]:
    """Give non-linear layers the gradient of their rule within the context."""
    handles, in_place = [], []
    for module in model.modules():
        rule = next((rule for kinds, rule in RULES if isinstance(module, kinds)), None)
        if rule is not None:
            handles.append(module.register_forward_hook(rule))
        if getattr(module, "inplace", False):
            in_place.append(module)
            module.inplace = False  # the rule needs the input
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in in_place:
            module.inplace = True


def _activation(_: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor | None:
    if not out.requires_grad:
        return None
    x = inputs[0]
    change, difference = _difference(out), _difference(x)
    small = difference.abs() < SMALLEST
    slope = change / difference.where(~small, 1.0)
    here = x[0::2]
    ruled = out[0::2].detach() + slope * (here - here.detach())
    return _interleave(out[0::2].where(small, ruled), out[1::2])


def _max_pool(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor | None:
    if not out.requires_grad:
        return None
    x = inputs[0]
    with torch.no_grad():
        if isinstance(module, nn.MaxPool1d):
            sizes = (module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode)
            winners = max_pool1d(x, *sizes, return_indices=True)[1]
        else:
            winners = nn.functional.adaptive_max_pool1d(x, module.output_size, return_indices=True)[1]
    return _won(x, out, winners)


def _global_pool(module: GlobalPool, inputs: tuple[Any, ...], out: Tensor) -> Tensor | None:
    if module.kind == "average" or not out.requires_grad:
        return None
    x, mask = inputs[0].flatten(2), inputs[1] if len(inputs) > 1 else None
    channels = x.shape[1]
    with torch.no_grad():
        counted = x if mask is None else x.masked_fill(~mask.flatten(2), -torch.inf)
        winners = counted.argmax(2, keepdim=True)
    largest = _won(x, out[:, :channels, None], winners)[..., 0]
    return torch.cat([largest, out[:, channels:]], dim=1)


def _won(x: Tensor, out: Tensor, winners: Tensor) -> Tensor:
    """Assign the change of a maximum to the position of the larger maximum of a pair."""
    change = _difference(out)
    place = winners[0::2].where(change >= 0, winners[1::2])
    here = x[0::2].gather(2, place)
    difference = _difference_at(x, place)
    small = difference.abs() < SMALLEST
    slope = (change / difference.where(~small, 1.0)).where(~small, (place == winners[0::2]).to(x.dtype))
    return _interleave(out[0::2].detach() + slope * (here - here.detach()), out[1::2])


def _difference(x: Tensor) -> Tensor:
    """Return each sequence minus its reference, without a gradient."""
    return (x[0::2] - x[1::2]).detach()


def _difference_at(x: Tensor, place: Tensor) -> Tensor:
    return (x[0::2].gather(2, place) - x[1::2].gather(2, place)).detach()


def _interleave(sequences: Tensor, references: Tensor) -> Tensor:
    return torch.stack([sequences, references.detach()], dim=1).flatten(0, 1)


RULES: tuple[tuple[Any, Callable], ...] = (
    (ACTIVATIONS, _activation),
    ((nn.MaxPool1d, nn.AdaptiveMaxPool1d), _max_pool),
    (GlobalPool, _global_pool),
)
