"""What a sequence network learned: motifs, their matches, and attributions of some examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from biocnn.data.checks import Checks
from biocnn.data.meme import Motif, write_meme
from biocnn.encode import one_hot
from biocnn.explain.attributions import base_contributions
from biocnn.explain.matches import match_motifs
from biocnn.explain.motifs import composition, kernel_motifs
from biocnn.files import atomic


@dataclass
class SequenceExplanation:
    """What ``write_sequences`` stores.

    Parameters
    ----------
    motifs
        Of the kernels of the first layer, by rank.
    matches
        One row a motif, by rank: the columns of ``KernelMotifs.table``, then those of ``match_motifs``, empty where
        there is no database.
    attributions
        Of n examples: id, codes (n, L), attributions (n, 4, L; see ``base_contributions``), probability (n,), target
        (n,) or (n, K).
    alphabet
        ACGT or ACGU.
    background
        Shares of the four bases in the sequences.
    """

    motifs: list[Motif]
    matches: pd.DataFrame
    attributions: dict[str, np.ndarray]
    alphabet: str
    background: np.ndarray


def explain_sequences(
    model: nn.Module,
    codes: np.ndarray,
    target: np.ndarray,
    probability: np.ndarray,
    ids: Sequence[str],
    database: dict[str, Motif] | None,
    checks: Checks,
    *,
    n_examples: int = 8,
    output: int = 0,
    alphabet: str = "ACGT",
) -> SequenceExplanation:
    """Extract motifs, name them, and attribute the predictions of the examples of which the network is surest.

    Parameters
    ----------
    model
        Trained network on the device where the work shall be done; (N, 4, L) to logits (N, K).
    codes
        Held-out examples as the model sees them, shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    target, probability
        Truth and prediction, shape (N,) or (N, K).
    ids
        Of the N examples.
    database
        Known motifs, of ``read_meme``; None: motifs stay without a name.
    checks
        Takes the number of kernels left out, by reason.
    n_examples
        How many examples to attribute.
    output
        Index of the output whose logit is attributed.
    alphabet
        ACGT or ACGU; RNA motifs are compared on one strand only.
    """
    found = kernel_motifs(model, codes, target)
    checks.add("explain", "made", "motifs", len(found.motifs))
    for reason, number in found.left_out.items():
        checks.add("explain", "dropped", f"kernels, {reason}", number)
    matches = match_motifs(found.motifs, (database or {}).values(), reverse_complement=alphabet == "ACGT")
    rows = _surest(target, probability, output, n_examples)
    device = next(model.parameters()).device
    attributions = {
        "id": np.array([str(ids[row]) for row in rows], dtype=str),
        "codes": codes[rows],
        "attributions": _contributions(model, codes[rows], output, device),
        "probability": probability.reshape(len(probability), -1)[rows, output].astype(np.float32),
        "target": target[rows],
    }
    table = found.table.merge(matches, on="motif", how="left")
    return SequenceExplanation(found.motifs, table, attributions, alphabet, composition(codes, both_strands=False))


def write_sequences(folder: str | Path, explanation: SequenceExplanation) -> None:
    """Write ``motifs.meme``, ``matches.tsv`` and ``attributions.npz``, each whole or not at all."""
    folder = Path(folder)
    write_meme(folder / "motifs.meme", explanation.motifs, explanation.alphabet, explanation.background)
    with atomic(folder / "matches.tsv") as temporary:
        explanation.matches.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    with atomic(folder / "attributions.npz") as temporary:
        np.savez_compressed(temporary, **explanation.attributions)


def _surest(target: np.ndarray, probability: np.ndarray, output: int, number: int) -> np.ndarray:
    """Rows of largest prediction among the positives, or among all where the target is not yes or no."""
    truth = target.reshape(len(target), -1)[:, output]
    predicted = probability.reshape(len(probability), -1)[:, output]
    positive = truth == 1 if np.isin(truth, (0, 1)).all() else np.ones(len(truth), dtype=bool)
    rows = np.flatnonzero(positive)
    return rows[np.argsort(-predicted[rows], kind="stable")[:number]]


def _contributions(model: nn.Module, codes: np.ndarray, output: int, device: torch.device) -> np.ndarray:
    if not len(codes):
        return np.zeros((0, 4, codes.shape[1]), dtype=np.float32)
    x = one_hot(torch.from_numpy(codes).to(device))
    return base_contributions(model, x, output).float().cpu().numpy()
