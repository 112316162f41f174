"""Sequences made to excite an output: the best single mutation again and again, until none helps."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from biocnn.core.files import atomic
from biocnn.data.shuffle import dinucleotide_shuffle
from biocnn.explain.mutagenesis import saturation_mutagenesis
from biocnn.nn.encode import encoded, to_tensor
from biocnn.nn.summary import summary
from biocnn.nn.words import network_of

STARTS = 3  # shuffled sequences that each output starts from
MUTATIONS, FEWEST = 30, 6  # most mutations; below the fewest that the budget allows, nothing is made
BUDGET = 1e11  # multiply-adds if each mutant ran through the whole network; most networks need a tenth
WORTH = 0.02  # smallest gain of a mutation, as a share of all gains before it


def evolve(
    model: nn.Module, codes: np.ndarray, output: int = 0, most: int = MUTATIONS, signal: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Apply the single mutation that increases a logit most, until it adds less than 2% of the increase so far.

    Parameters
    ----------
    model
        Network from (N, 4, L) to logits (N, K).
    codes
        Sequences to start from, shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    output
        Index of the logit.
    most
        Largest number of mutations of a sequence.
    signal
        Tracks beside the bases as the network receives them, shape (N, S, L), which stay; None: none.

    Returns
    -------
    codes, change
        The mutated sequences, and the change of the logit by each mutation of these, shape (N, 4, L).
    """
    codes, rows = codes.copy(), np.arange(len(codes))
    total, active = np.zeros(len(codes)), np.ones(len(codes), dtype=bool)
    for step in range(most + 1):
        change = saturation_mutagenesis(model, codes, output, signal).cpu().numpy()
        best = change.reshape(len(codes), -1).argmax(1)
        base, place = np.unravel_index(best, change.shape[1:])
        gain = change[rows, base, place]
        active &= (gain > 0) & (gain >= WORTH * total)
        if step == most or not active.any():
            break
        codes[rows[active], place[active]] = base[active]
        total += np.where(active, gain, 0)
    return codes, change


def explain_evolution(
    model: nn.Module,
    codes: np.ndarray,
    ids: Sequence[str],
    outputs: Sequence[str],
    logits: Sequence[int],
    probability: Callable[[Tensor], Tensor],
    seed: int,
    alphabet: str,
    signal: np.ndarray | None = None,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Evolve shuffled sequences for each output.

    Parameters
    ----------
    model
        Network from (N, 4, L) to logits.
    codes, ids
        Sequences, shape (N, L), and their names; three of these are shuffled.
    outputs
        Names of the first outputs, for which sequences are made.
    logits
        Index of the logit of each.
    probability
        Maps logits to predictions.
    seed
        Seed of the shuffles.
    alphabet
        Letters of the sequences.
    signal
        Tracks of the sequences as the network receives them, shape (N, S, L), which shuffles keep; None: none.

    Returns
    -------
    table, arrays
        One row for each output and start: output, start (id of the shuffled sequence), mutations, logit and prediction
        before and after, both sequences. Arrays: codes before and after (n, L), and attributions (n, 4, L): the change
        of the logit by each base, minus the mean over the four. Both are empty if the network is too slow.
    """
    chosen = np.linspace(0, len(codes) - 1, min(STARTS, len(codes))).astype(int)
    starts, tracks = dinucleotide_shuffle(codes[chosen], np.random.default_rng(seed)), signal
    named = [ids[i] for i in chosen]
    if tracks is not None:
        tracks = tracks[chosen]
    cost = summary(network_of(model), codes.shape[1]).multiply_adds * 3 * codes.shape[1] * len(starts) * len(outputs)
    most = int(min(MUTATIONS, BUDGET // max(cost, 1)))
    rows: list[dict[str, object]] = []
    arrays: dict[str, list[np.ndarray]] = {"before": [], "codes": [], "attributions": []}
    for k, output in enumerate(outputs if most >= FEWEST else ()):
        evolved, change = evolve(model, starts, logits[k], most, tracks)
        both = [_predicted(model, one, tracks, logits[k], k, probability) for one in (starts, evolved)]
        for i, start in enumerate(named):
            row = {"output": output, "start": start, "mutations": int((starts[i] != evolved[i]).sum())}
            row |= {
                f"{what}_before": float(values[i])
                for what, values in zip(("logit", "prediction"), both[0], strict=True)
            }
            row |= {what: float(values[i]) for what, values in zip(("logit", "prediction"), both[1], strict=True)}
            letters = np.array([*f"{alphabet}N-", *"N" * 250])
            rows.append(row | {"before": "".join(letters[starts[i]]), "sequence": "".join(letters[evolved[i]])})
        found = {"before": starts, "codes": evolved, "attributions": change - change.mean(1, keepdims=True)}
        for name, values in found.items():
            arrays[name].append(values)
    return pd.DataFrame(rows), {name: np.concatenate(values) for name, values in arrays.items() if values}


def write_evolution(folder: str | Path, table: pd.DataFrame, arrays: dict[str, np.ndarray]) -> None:
    """Write evolved.tsv and evolved.npz, each whole or not at all."""
    with atomic(Path(folder) / "evolved.tsv") as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    with atomic(Path(folder) / "evolved.npz") as temporary:
        np.savez_compressed(temporary, **arrays)


@torch.no_grad()
def _predicted(
    model: nn.Module,
    codes: np.ndarray,
    signal: np.ndarray | None,
    logit: int,
    output: int,
    probability: Callable[[Tensor], Tensor],
) -> tuple[np.ndarray, np.ndarray]:
    device = next(model.parameters()).device
    tracks = None if signal is None else to_tensor(signal).to(device)
    logits = model(encoded(to_tensor(codes).to(device), tracks))
    return logits[:, logit].cpu().numpy(), probability(logits)[:, output].cpu().numpy()
