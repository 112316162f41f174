"""Every single mutation: how the logit changes when one base is put in the place of another."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.encode import one_hot
from biocnn.explain.attributions import evaluating
from biocnn.explain.edited_network import EditedNetwork
from biocnn.explain.edits import Unsupported
from biocnn.folding import fold
from biocnn.models.sequence_network import SequenceNetwork, reverse_strand

log = logging.getLogger("biocnn")

BATCH = 256
CHECKED = 16  # mutants of every call that are also computed one by one
CLOSE = 1e-5  # difference, as a share of the terms of a logit, up to which it is rounding


@torch.no_grad()
def saturation_mutagenesis(model: nn.Module, codes: np.ndarray | Tensor, output: int = 0) -> Tensor:
    """The change of a logit when a base is put in the place of another, for every position and base.

    In networks made of our blocks only what an edit can change is computed anew. Each call compares some mutants with
    what the network says of them; where they differ by more than rounding, and for other networks, every mutant runs
    through the whole network, and the log says why.

    Parameters
    ----------
    model
        (N, 4, L) to logits (N, K).
    codes
        Shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    output
        Index of the logit.

    Returns
    -------
    change
        Shape (N, 4, L): logit of the mutant minus logit of the sequence; zero for the base that is there, and in
        padding. An unknown base is replaced by each of the four.
    """
    codes = torch.as_tensor(codes).to(_device(model))
    if not _mutable(codes).any():
        return torch.zeros(len(codes), 4, codes.shape[1], device=codes.device)
    with evaluating(model), _all_digits():
        return _followed(model, codes, output)


@contextmanager
def _all_digits() -> Iterator[None]:
    """Convolutions in float32 on GPUs too, where torch would take 10 of its 23 bits: mutations change little."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _followed(model: nn.Module, codes: Tensor, output: int) -> Tensor:
    """The fast way where it can be gone and gives the same, else the slow one."""
    try:
        edited = EditedNetwork(fold(model), output)
        change = _change(edited, model, codes)
    except Unsupported as reason:
        log.info("mutants run through the whole network: edits are not followed through %s", reason)
        return _one_by_one(model, codes, output)
    example, new, place = _some(change, codes)
    wrong = change[example, new, place] - _mutants(model, codes, output, example, new, place)
    if not (worst := float(wrong.abs().max())) <= CLOSE * edited.scale:
        log.warning(
            "mutants run through the whole network: followed edits differ from it by %.2g, where logits add up %.2g",
            worst,
            edited.scale,
        )
        return _one_by_one(model, codes, output)
    return change


def _change(edited: EditedNetwork, network: SequenceNetwork, codes: Tensor) -> Tensor:
    """The change that each mutation makes, (N, 4, L), of one strand, or of what is made of two."""
    reference, mutants = edited.logits(codes)
    if network.strands == "both":
        known = (codes != 5)[:, None]
        other = reverse_strand(codes[:, None], known)[:, 0]
        strand = edited.logits(torch.where(other < 4, 3 - other, other))
        pairs = (reference, strand.reference), (mutants, reverse_strand(strand.edited, known))
        reference, mutants = (
            torch.maximum(*pair) if network.combine == "max" else (pair[0] + pair[1]) / 2 for pair in pairs
        )
    return torch.where(_mutable(codes), mutants - reference[:, None, None], 0.0)


def _mutable(codes: Tensor) -> Tensor:
    """Which bases can be put where: shape (N, 4, L)."""
    base = torch.arange(4, device=codes.device).view(1, 4, 1)
    return (codes[:, None] != base) & (codes[:, None] != 5)


def _some(change: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Example, base and position of some mutants: those that change most, and others spread evenly over the rest."""
    example, new, place = _mutable(codes).nonzero(as_tuple=True)
    count = min(CHECKED // 2, len(example))
    spread = torch.linspace(0, max(0, len(example) - 1), count, device=codes.device).long()
    largest = change[example, new, place].abs().topk(count).indices
    chosen = torch.cat([spread, largest])
    return example[chosen], new[chosen], place[chosen]


def _one_by_one(model: nn.Module, codes: Tensor, output: int) -> Tensor:
    """Every mutant through the whole network."""
    change = torch.zeros(len(codes), 4, codes.shape[1], device=codes.device)
    every = _mutable(codes).nonzero(as_tuple=True)
    change[every] = _mutants(model, codes, output, *every)
    return change


def _mutants(model: nn.Module, codes: Tensor, output: int, example: Tensor, new: Tensor, place: Tensor) -> Tensor:
    """The change of the logit by each of the given mutations."""
    parts = []
    for part in torch.arange(len(example), device=codes.device).split(BATCH):
        mutants = codes[example[part]]
        mutants[torch.arange(len(part), device=part.device), place[part]] = new[part].to(codes.dtype)
        parts.append(model(one_hot(mutants))[:, output])
    return torch.cat(parts).float() - _reference(model, codes, output, example)


def _reference(model: nn.Module, codes: Tensor, output: int, example: Tensor) -> Tensor:
    """The logits of the sequences that the mutants are made of."""
    found, back = example.unique(return_inverse=True)
    return torch.cat([model(one_hot(part))[:, output] for part in codes[found].split(BATCH)]).float()[back]


def _device(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
