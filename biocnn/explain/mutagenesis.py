"""Saturation mutagenesis: the change of the logit for every single-base substitution."""

import logging
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor, nn

from biocnn.explain.attributions import BATCH, evaluating
from biocnn.explain.edited_network import EditedLogits, EditedNetwork
from biocnn.explain.edits import Unsupported
from biocnn.models.sequence_network import SequenceNetwork, reverse_strand
from biocnn.nn.encode import complement, encoded, one_hot, to_tensor
from biocnn.nn.fuse_batchnorm import fuse_batchnorm
from biocnn.nn.unravel import unravel
from biocnn.nn.words import by_part

log = logging.getLogger("biocnn")
_NOTED: WeakSet[nn.Module] = WeakSet()  # networks whose slow way was logged, as they explain many batches

CHECKED = 8  # number of mutants with the largest changes, and of evenly spread ones, verified with the full network
CLOSE = 1e-5  # tolerance relative to the terms summed in a logit; observed are up to 2e-7


@torch.no_grad()
def saturation_mutagenesis(
    model: nn.Module, codes: np.ndarray | Tensor, output: int = 0, signal: np.ndarray | Tensor | None = None
) -> Tensor:
    """Compute the change of a logit for every substitution at every position.

    In networks made of our blocks only the values that an edit can change are recomputed. Each call verifies some
    mutants with the full network; if they differ by more than rounding, and for other networks, every mutant runs
    through the full network, and the log gives the reason; so it does if there are tracks. The words of a mixture are
    counted exactly.

    Parameters
    ----------
    model
        Network from (N, 4 + S, L) to logits (N, K).
    codes
        Shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    output
        Index of the logit.
    signal
        Tracks beside the bases as the network receives them, shape (N, S, L), which mutants keep; None: none.

    Returns
    -------
    change
        Shape (N, 4, L): logit of the mutant minus logit of the sequence; zero for the base present, and in padding. An
        unknown base is replaced by each of the four.
    """
    codes = (to_tensor(codes) if isinstance(codes, np.ndarray) else codes).to(_device(model))
    signal = codes.new_zeros(len(codes), 0, codes.shape[1]) if signal is None else signal
    signal = (to_tensor(signal) if isinstance(signal, np.ndarray) else signal).to(_device(model))
    if not _mutable(codes).any():
        return torch.zeros(len(codes), 4, codes.shape[1], device=codes.device)
    with evaluating(model):
        x = one_hot(codes)
        return by_part(
            model,
            output,
            lambda network: _followed(network, codes, signal, output),
            lambda words: words.changes(x, output),
        )


def _followed(model: nn.Module, codes: Tensor, signal: Tensor, output: int) -> Tensor:
    """Use the fast method if it is supported and verified, else the full network."""
    if signal.shape[1]:
        return _one_by_one(model, codes, signal, output)
    try:
        edited = EditedNetwork(fuse_batchnorm(model), output)
        change = _change(edited, model, codes)
    except Unsupported as reason:
        if model not in _NOTED:
            log.info("mutants run through the full network: edits cannot be propagated through %s", reason)
            _NOTED.add(model)
        return _one_by_one(model, codes, signal, output)
    example, new, place = _some(change, codes)
    wrong = change[example, new, place] - _mutants(model, codes, signal, output, example, new, place)
    scale, worst = max(edited.scale, float(change.abs().max())), float(wrong.abs().max())
    if not worst <= CLOSE * scale:
        message = (
            "mutants run through the full network: propagated edits differ by %.2g, in logits with terms up to %.2g"
        )
        log.warning(message, worst, scale)
        return _one_by_one(model, codes, signal, output)
    return change


def _change(edited: EditedNetwork, network: SequenceNetwork, codes: Tensor) -> Tensor:
    """Return the change for each mutation, (N, 4, L), of one strand or of the combination of two."""
    strands = [edited.logits(codes)]
    if network.strands == "both":
        known = (codes != 5)[:, None]
        reference, mutants = edited.logits(complement(reverse_strand(codes[:, None], known)[:, 0]))
        strands.append(EditedLogits(reference, reverse_strand(mutants, known)))
    combine = torch.amax if network.combine == "max" else torch.mean
    reference, mutants = (combine(torch.stack(logits), 0) for logits in zip(*strands, strict=True))
    return torch.where(_mutable(codes), mutants - reference[:, None, None], 0.0)


def _mutable(codes: Tensor) -> Tensor:
    """Return which substitutions are possible: shape (N, 4, L)."""
    base = torch.arange(4, device=codes.device).view(1, 4, 1)
    return (codes[:, None] != base) & (codes[:, None] != 5)


def _some(change: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return example, base and position of the mutants with the largest changes and of evenly spread ones."""
    mutable, length = _mutable(codes), codes.shape[1]
    size = change.abs().masked_fill_(~mutable, -1).flatten()
    largest = size.topk(min(CHECKED, len(size))).indices
    spread = torch.linspace(0, codes.numel() - 1, CHECKED, device=codes.device, dtype=torch.float64).long()
    example, place = spread // length, spread % length
    new = (codes[example, place].long() + 1) % 4
    chosen = torch.cat([largest, (example * 4 + new) * length + place]).unique()
    return unravel(chosen[mutable.flatten()[chosen]], change.shape)


def _one_by_one(model: nn.Module, codes: Tensor, signal: Tensor, output: int) -> Tensor:
    """Run every mutant through the full network."""
    change = torch.zeros(len(codes), 4, codes.shape[1], device=codes.device)
    every = _mutable(codes).nonzero(as_tuple=True)
    change[every] = _mutants(model, codes, signal, output, *every)
    return change


def _mutants(
    model: nn.Module, codes: Tensor, signal: Tensor, output: int, example: Tensor, new: Tensor, place: Tensor
) -> Tensor:
    """Return the change of the logit for each of the given mutations."""
    parts = []
    for part in torch.arange(len(example), device=codes.device).split(BATCH):
        mutants = codes[example[part]]
        mutants[torch.arange(len(part), device=part.device), place[part]] = new[part].to(codes.dtype)
        parts.append(model(encoded(mutants, signal[example[part]]))[:, output])
    return torch.cat(parts).float() - _reference(model, codes, signal, output, example)


def _reference(model: nn.Module, codes: Tensor, signal: Tensor, output: int, example: Tensor) -> Tensor:
    """Return the logits of the unmutated sequences."""
    rows, back = example.unique(return_inverse=True)
    parts = zip(codes[rows].split(BATCH), signal[rows].split(BATCH), strict=True)
    return torch.cat([model(encoded(*part))[:, output] for part in parts]).float()[back]


def _device(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
