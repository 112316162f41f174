"""Convert first-layer kernels of a sequence network to position frequency matrices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biocnn.core.errors import InputError
from biocnn.explain.attributions import evaluating
from biocnn.explain.similarity import grouped
from biocnn.io.fasta import PADDING
from biocnn.io.meme import Motif, information
from biocnn.metrics.vectors import auroc, labelled, pearson
from biocnn.nn.encode import encoded, one_hot
from biocnn.nn.strands import BASES

COLUMNS = (
    *("motif", "rank", "group", "n_sites", "information_content"),
    *("frequency", "frequency_positive", "effect", "auroc"),
)
SITE_COLUMNS = ("example", "start", "end", "strand", "motif", "score")
# Activation of a site, as a fraction of the range from a kernel's mean to its maximum. From 0.35 to 0.65 the motifs of
# nine ChIP data sets were the same; lower values find more sites, and 0.4 gave the smallest p-values for most.
THRESHOLD = 0.4
ROUNDING = 1e-6  # changes below this fraction of an output's largest logit do not count
# Ends are trimmed while a column has less than this fraction of the information of the best column.
TRIM = 0.1
MIN_WIDTH = 4
# Minimum number of sites to estimate frequencies.
MIN_SITES = 10
PSEUDOCOUNT = 1.0
# Maximum number of bases per batch: keeps the activations of 64 kernels near 100 MB.
BATCH_BASES = 200_000
# Number of sequences on which a kernel is silenced to test whether it matters.
PROBES = 64


@dataclass
class KernelMotifs:
    """Motifs of the kernels of a network.

    Parameters
    ----------
    motifs
        Motifs by rank; ids kernel0, kernel1, ... give the index of the kernel in the layer.
    table
        One row per motif: motif (id), rank (1 = first), group (id of the first motif of its group, see
        ``similarity.grouped``), n_sites, information_content (bits, over all columns), frequency (fraction of sequences
        with a site), frequency_positive (of those with a target of 1), effect (Pearson correlation of the maximum
        activation in a sequence with the target), auroc (of that activation alone). With several outputs the last three
        refer to that with the correlation of largest magnitude, named in column output, and columns effect:NAME give
        the correlation with each. If the target is not 0 or 1, frequency_positive and auroc are NaN.
    sites
        Sites of all motifs: example (row of ``codes``), start, end (0-based, half-open, in the sequence), strand,
        motif, score (activation minus its mean over all best windows).
    left_out
        Number of kernels without a motif, by reason.
    short
        Number of sequences shorter than the kernels, which have no site.
    """

    motifs: list[Motif]
    table: pd.DataFrame
    sites: pd.DataFrame
    left_out: dict[str, int]
    short: int


@dataclass
class Sites:
    """The best window of each kernel in each sequence; all of shape (N, kernels).

    The activation is -inf in sequences shorter than the kernels.
    """

    activation: np.ndarray
    start: np.ndarray
    reverse: np.ndarray

    def of(self, rows: np.ndarray) -> "Sites":
        """Select the sites in some of the sequences."""
        return Sites(self.activation[rows], self.start[rows], self.reverse[rows])


def kernel_motifs(
    model: nn.Module,
    codes: np.ndarray,
    target: np.ndarray,
    outputs: Sequence[str] = (),
    signal: np.ndarray | None = None,
) -> KernelMotifs:
    """Convert the kernels of the first convolution to motifs, from the windows that activate them most.

    Each kernel scans the sequences (both strands if ``model.strands`` is "both"). The best window of a sequence is a
    site if its activation exceeds 40% of the range from the kernel's mean over all best windows to its maximum; so
    neither the bias nor a constant added to the four weights of a column matters. Sites are counted column by column
    with one pseudocount, spread evenly, and ends below 10% of the largest information content (relative to the base
    composition of the sequences) are trimmed, down to 4 columns. Kernels whose removal changes no logit are dead and
    are omitted; so are those with fewer than 10 sites. Motifs are ranked by |effect|. Windows that overlap padding do
    not count: sequences shorter than the kernels are omitted.

    Parameters
    ----------
    model
        Network whose first ``Conv1d`` over 4 channels, or more with tracks, scans the one-hot sequence. Only the
        weights of the bases count.
    codes
        Shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding. Held-out examples of all labels.
    target
        Targets, shape (N,) or (N, K).
    outputs
        Names of the K outputs; by default numbers.
    signal
        Tracks beside the bases as the network receives them, shape (N, S, L); None: none.

    Raises
    ------
    InputError
        If the model has no such convolution.

    References
    ----------
    Alipanahi et al., Nature Biotechnology 33, 831-838 (2015), doi:10.1038/nbt.3300, supplementary notes 10.2.
    """
    name, conv = first_convolution(model, 0 if signal is None else signal.shape[1])
    span = conv.dilation[0] * (conv.kernel_size[0] - 1) + 1
    if codes.shape[1] < span:
        codes = np.pad(codes, ((0, 0), (0, span - codes.shape[1])), constant_values=5)
    both_strands = getattr(model, "strands", "single") == "both"
    columns = target.reshape(len(target), -1).astype(float)
    with evaluating(model):
        sites = scan(conv, codes, both_strands)
        dead = _dead_kernels(model, name, codes, signal, sites)
    fits = np.isfinite(sites.activation[:, 0])
    codes, columns, sites = codes[fits], columns[fits], sites.of(fits)
    background = composition(codes, both_strands)
    kept, found, rare = [], [], 0
    for kernel in np.flatnonzero(~dead):
        activation = sites.activation[:, kernel]
        chosen = _excited(activation)
        if chosen.sum() < MIN_SITES:
            rare += 1
            continue
        start, reverse, name = sites.start[chosen, kernel], sites.reverse[chosen, kernel], f"kernel{kernel}"
        pfm = count(_windows(codes[chosen], start, reverse, span))
        first, last = _ends(pfm, background)
        kept.append((Motif(name, name, pfm[first:last], int(chosen.sum())), _facts(activation, chosen, columns)))
        start = start + np.where(reverse, span - last, first)
        places = {"example": np.flatnonzero(fits)[chosen], "start": start, "end": start + last - first}
        strand, score = np.where(reverse, "-", "+"), activation[chosen] - activation.mean()
        found.append(pd.DataFrame({**places, "strand": strand, "motif": name, "score": score}))
    kept.sort(key=lambda one: -abs(one[1]["effect"]))
    motifs = [motif for motif, _ in kept]
    first = grouped([motif.pfm for motif in motifs], both_strands)
    table = pd.DataFrame([facts for _, facts in kept], columns=[*COLUMNS, "output", "effects"])
    names = np.array([motif.id for motif in motifs], dtype=object)  # dtype object even if there are none
    table["motif"], table["rank"], table["group"] = names, np.arange(1, len(motifs) + 1), names[first]
    table["n_sites"] = [motif.nsites for motif in motifs]
    table["information_content"] = [information(motif.pfm).sum() for motif in motifs]
    left_out = {"dead: no logit depends on them": int(dead.sum()), f"fewer than {MIN_SITES} sites": rare}
    short = int((~fits).sum())
    named = _named(table, outputs or range(1, columns.shape[1] + 1))
    places = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(SITE_COLUMNS))
    return KernelMotifs(motifs, named, places, left_out, short)


def first_convolution(model: nn.Module, signal: int = 0) -> tuple[str, nn.Conv1d]:
    """Return name and module of the first ``Conv1d`` over the four bases, and the tracks of a signal."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv1d) and module.in_channels == BASES + signal and module.groups == 1:
            return name, module
    raise InputError(
        f"{type(model).__name__} has no convolution over the four bases",
        "motifs are read from an nn.Conv1d with 4 input channels; remove explain.motifs for this model",
    )


@torch.no_grad()
def scan(conv: nn.Conv1d, codes: np.ndarray, both_strands: bool) -> Sites:
    """Find the best window of each kernel in each sequence; windows lie within it and do not overlap padding."""
    weight = conv.weight.detach()[:, :BASES]
    strands = [weight, weight.flip(1, 2)] if both_strands else [weight]
    span = conv.dilation[0] * (conv.kernel_size[0] - 1) + 1
    size = max(1, BATCH_BASES // codes.shape[1])
    parts = []
    for start in range(0, len(codes), size):
        letters = torch.from_numpy(codes[start : start + size]).to(weight.device)
        x, padding = one_hot(letters).to(weight.dtype), (letters == PADDING).float()[:, None]
        touched = F.max_pool1d(padding, span, stride=1) > 0
        best = [F.conv1d(x, w, dilation=conv.dilation).masked_fill(touched, -torch.inf).max(dim=2) for w in strands]
        values = torch.stack([b.values for b in best])
        top = values.max(dim=0)
        places = torch.stack([b.indices for b in best]).gather(0, top.indices[None])[0]
        parts.append((top.values.float().cpu().numpy(), places.cpu().numpy(), top.indices.cpu().numpy() == 1))
    return Sites(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def count(windows: np.ndarray) -> np.ndarray:
    """Return the frequencies of bases, shape (L, 4), in aligned windows of shape (N, L).

    Unknown bases count a quarter for each base, padding (5) does not count.
    """
    counts = np.stack([(windows == base).sum(axis=0) for base in range(4)], axis=1) + PSEUDOCOUNT / 4
    counts += ((windows >= 4) & (windows != PADDING)).sum(axis=0)[:, None] / 4
    return counts / counts.sum(axis=1, keepdims=True)


def composition(codes: np.ndarray, both_strands: bool) -> np.ndarray:
    """Return the frequencies of the four bases, shape (4,), on one strand or both."""
    counts = np.bincount(codes.ravel(), minlength=6)[:4] + 1.0
    counts += counts[::-1] if both_strands else 0
    return counts / counts.sum()


def trim(pfm: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Trim ends with less than 10% of the information of the best column, down to the best 4 columns."""
    start, end = _ends(pfm, background)
    return pfm[start:end]


def _ends(pfm: np.ndarray, background: np.ndarray) -> tuple[int, int]:
    """Return the first column that ``trim`` keeps, and the one after the last."""
    bits = (pfm * np.log2(pfm / background)).sum(axis=1)
    kept = np.flatnonzero(bits >= TRIM * bits.max())
    start, end = int(kept[0]), int(kept[-1]) + 1
    while end - start < min(MIN_WIDTH, len(pfm)):
        left = bits[start - 1] if start > 0 else -1.0
        right = bits[end] if end < len(pfm) else -1.0
        start, end = (start - 1, end) if left >= right else (start, end + 1)
    return start, end


def correlations(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Pearson correlation with each column of ``target`` where known, shape (K,); 0 if either is constant."""
    pairs = [labelled(column, values) for column in target.T]
    return np.nan_to_num([pearson(found, column) for column, found in pairs])


def _excited(activation: np.ndarray) -> np.ndarray:
    """Return in which sequences a kernel has a site, from its maximum activations, shape (N,)."""
    mean, largest = (activation.mean(), activation.max()) if len(activation) else (0.0, 0.0)
    return activation > mean + THRESHOLD * (largest - mean)


def _facts(activation: np.ndarray, chosen: np.ndarray, target: np.ndarray) -> dict[str, object]:
    """Return the columns of ``KernelMotifs.table`` for a kernel, except its rank."""
    effects = correlations(activation, target)
    output, frequency = int(np.abs(effects).argmax()), chosen.mean()
    truth, activation, chosen = labelled(target[:, output], activation, chosen)
    yes_or_no = len(truth) and np.isin(truth, (0, 1)).all() and 0 < truth.mean() < 1
    return {
        "frequency": frequency,
        "frequency_positive": chosen[truth == 1].mean() if yes_or_no else np.nan,
        "effect": effects[output],
        "auroc": auroc(activation, truth) if yes_or_no else np.nan,
        "output": output,
        "effects": effects,
    }


def _named(table: pd.DataFrame, outputs: Sequence[str] | range) -> pd.DataFrame:
    """Add named columns for each output if there are several."""
    effects, place = table.pop("effects"), table.pop("output")
    if len(outputs) > 1:
        table["output"] = [str(outputs[i]) for i in place]
        for i, name in enumerate(outputs):
            table[f"effect:{name}"] = [one[i] for one in effects]
    return table


def _windows(codes: np.ndarray, start: np.ndarray, reverse: np.ndarray, span: int) -> np.ndarray:
    windows = codes[np.arange(len(codes))[:, None], start[:, None] + np.arange(span)]
    flipped = windows[:, ::-1]
    return np.where(reverse[:, None], np.where(flipped < 4, 3 - flipped, flipped), windows)


@torch.no_grad()
def _dead_kernels(
    model: nn.Module, name: str, codes: np.ndarray, signal: np.ndarray | None, sites: Sites
) -> np.ndarray:
    """Return the kernels without which the logits of the sequences that activate them most do not change."""
    key = f"{name}.weight" if name else "weight"
    weight = model.get_parameter(key).detach()
    dead = np.zeros(len(weight), dtype=bool)
    for kernel in range(len(weight)):
        probes = np.argsort(-sites.activation[:, kernel], kind="stable")[:PROBES]
        tracks = None if signal is None else torch.from_numpy(signal[probes]).to(weight.device)
        x = encoded(torch.from_numpy(codes[probes]).to(weight.device), tracks).to(weight.dtype)
        silenced = weight.clone()
        silenced[kernel] = 0
        without: Tensor = torch.func.functional_call(model, {key: silenced}, (x,))
        logits = model(x)
        dead[kernel] = bool(((logits - without).abs() <= ROUNDING * logits.abs().amax(0)).all())
    return dead
