"""Explain a sequence network: motifs, their matches, and attributions and mutations of examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from biocnn.core.checks import Checks
from biocnn.core.files import atomic
from biocnn.data.shuffle import dinucleotide_shuffle
from biocnn.explain.contributions import (
    Method,
    contributions,
    decided,
    explained_output,
    is_yes_or_no,
    worth_explaining,
)
from biocnn.explain.matches import match_motifs
from biocnn.explain.motifs import composition, kernel_motifs
from biocnn.explain.mutagenesis import saturation_mutagenesis
from biocnn.explain.seqlets import SeqletMotifs, present, seqlet_motifs
from biocnn.io.meme import Motif, write_meme
from biocnn.nn.words import network_of

LARGEST_Q, LEAST_SIMILARITY = 0.01, 0.6  # of the similar motifs listed
SIMILAR = 50  # maximum number per motif: families of factors share a motif
SEQLET_SEQUENCES = 1000
SEQLET_BASES = 200_000  # fewer sequences if they are longer than 200 bp
BACKGROUND = 500  # number of shuffled or negative sequences to estimate the background of attributions
REFERENCES, SEQLET_REFERENCES = 20, 5


@dataclass
class SequenceExplanation:
    """Content of ``write_sequences``.

    Parameters
    ----------
    motifs
        Motifs of the kernels of the first layer, by rank.
    matches
        One row per motif, by rank: the columns of ``KernelMotifs.table``, then those of ``match_motifs``, empty without
        a database.
    seqlets
        Motifs of attributions, with their sites.
    seqlet_matches
        One row per motif of ``seqlets``, by rank: the columns of its table, then those of ``match_motifs``.
    similar
        Pairs of a motif and a motif of the database with q <= 0.01 and similarity >= 0.6, at most 50 per motif: columns
        of ``match_motifs``.
    attributions
        Arrays of n examples: id, codes (n, L), attributions (n, 4, L; of all bases), change (n, 4, L; see
        ``saturation_mutagenesis``), delta (n,; see ``contributions``), output (n,; index of the explained logit),
        probability (n,), target (n,) or (n, K), and the name of the method.
    alphabet
        ACGT or ACGU.
    background
        Frequencies of the four bases in the sequences.
    """

    motifs: list[Motif]
    matches: pd.DataFrame
    seqlets: SeqletMotifs
    seqlet_matches: pd.DataFrame
    similar: pd.DataFrame
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
    method: Method | None = None,
    outputs: Sequence[str] = (),
    alphabet: str = "ACGT",
    seed: int = 0,
) -> SequenceExplanation:
    """Extract motifs from kernels and attributions, match them, and explain the examples with largest prediction.

    Parameters
    ----------
    model
        Trained network from (N, 4, L) to logits (N, K), on the device to use.
    codes
        Held-out examples, shape (N, L), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    target, probability
        Truth and prediction, shape (N,) or (N, K).
    ids
        Ids of the N examples.
    database
        Known motifs from ``read_meme``; None for no matches.
    checks
        Records the number of kernels and sequences omitted, by reason, and of seqlets.
    n_examples
        Number of examples to show.
    method
        Attribution method; None: see ``contributions.decided``.
    outputs
        Names of the K outputs.
    alphabet
        ACGT or ACGU; RNA motifs are compared on one strand only.
    seed
        Seed of shuffled sequences.
    """
    target, probability = target.reshape(len(target), -1), probability.reshape(len(probability), -1)
    explained, method = explained_output(target, probability), decided(model, codes, method)
    both_strands, known = alphabet == "ACGT", (database or {}).values()
    found = kernel_motifs(network_of(model), codes, target, outputs)
    checks.add("explain", "made", "motifs", len(found.motifs))
    for reason, number in found.left_out.items():
        checks.add("explain", "dropped", f"kernels, {reason}", number)
    checks.add("explain", "dropped", "sequences shorter than the kernels, which have no site", found.short)
    worth = worth_explaining(target)
    seqlets = _seqlets(model, codes, target, np.asarray(ids, dtype=str), worth, explained, method, both_strands, seed)
    checks.add("explain", "made", "seqlets", len(seqlets.sites))
    checks.add("explain", "dropped", "seqlets, similar to too few others", int((seqlets.sites["motif"] == "").sum()))
    checks.add("explain", "made", "motifs of seqlets", len(seqlets.motifs))
    best = [match_motifs(motifs, known, reverse_complement=both_strands) for motifs in (found.motifs, seqlets.motifs)]
    similar = match_motifs([*seqlets.motifs, *found.motifs], known, best=SIMILAR, reverse_complement=both_strands)
    rows = worth[np.argsort(-probability[worth, explained[worth]], kind="stable")[:n_examples]]
    values, delta = contributions(model, codes[rows], explained[rows], method, references=REFERENCES, seed=seed)
    attributions = {
        "id": np.array([str(ids[row]) for row in rows], dtype=str),
        "codes": codes[rows],
        "attributions": values,
        "change": _mutations(model, codes[rows], explained[rows]),
        "delta": delta,
        "output": explained[rows],
        "probability": probability[rows, explained[rows]].astype(np.float32),
        "target": target[rows],
        "method": np.array(method),
    }
    return SequenceExplanation(
        found.motifs,
        found.table.merge(best[0], on="motif", how="left"),
        seqlets,
        seqlets.table.merge(best[1], on="motif", how="left"),
        similar[(similar["q_value"] <= LARGEST_Q) & (similar["similarity"] >= LEAST_SIMILARITY)],
        attributions,
        alphabet,
        composition(codes, both_strands=False),
    )


def write_sequences(folder: str | Path, explanation: SequenceExplanation) -> None:
    """Write motifs, tables and attributions into a folder, each file atomically.

    Files: motifs.meme, matches.tsv, seqlet_motifs.meme, seqlet_matches.tsv, seqlet_motifs.npz (the contributions of
    each motif), seqlets.tsv, similar_motifs.tsv and attributions.npz.
    """
    folder, seqlets = Path(folder), explanation.seqlets
    for name, motifs in (("motifs", explanation.motifs), ("seqlet_motifs", seqlets.motifs)):
        write_meme(folder / f"{name}.meme", motifs, explanation.alphabet, explanation.background)
    tables = {"matches": explanation.matches, "seqlet_matches": explanation.seqlet_matches}
    tables |= {"seqlets": seqlets.sites, "similar_motifs": explanation.similar}
    for name, table in tables.items():
        with atomic(folder / f"{name}.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    for name, arrays in (("attributions", explanation.attributions), ("seqlet_motifs", seqlets.contributions)):
        with atomic(folder / f"{name}.npz") as temporary:
            np.savez_compressed(temporary, **arrays)


def _seqlets(
    model: nn.Module,
    codes: np.ndarray,
    target: np.ndarray,
    ids: np.ndarray,
    rows: np.ndarray,
    explained: np.ndarray,
    method: Method,
    both_strands: bool,
    seed: int,
) -> SeqletMotifs:
    """Find seqlets in evenly spaced rows.

    The background is shuffles of the same sequences. Shuffles of RNA would again contain its short and frequent sites
    (poly-U, for example): its background is negatives of the same outputs, if there are any.
    """
    most = min(SEQLET_SEQUENCES, max(1, SEQLET_BASES // codes.shape[1]), len(rows))
    rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)] if most else rows[:0]
    number = min(BACKGROUND, SEQLET_BASES // codes.shape[1]) if most else 0
    again = np.resize(rows, number)
    negative, outputs = _negatives(target, explained[again])
    if both_strands or not len(negative):
        others, outputs = dinucleotide_shuffle(codes[again], np.random.default_rng(seed)), explained[again]
    else:
        others = codes[negative]
    settings = {"method": method, "references": SEQLET_REFERENCES, "seed": seed}
    values, _ = contributions(model, codes[rows], explained[rows], **settings)
    nothing, _ = contributions(model, others, outputs, **settings)
    return seqlet_motifs(codes[rows], values, present(others, nothing), ids[rows], both_strands=both_strands)


def _negatives(target: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return evenly spaced rows with a target of 0, as many per output as in ``outputs`` or all, and their outputs."""
    pairs = [np.zeros((2, 0), int)]
    for output, number in zip(*np.unique(outputs, return_counts=True), strict=True):
        negative = np.flatnonzero(target[:, output] == 0) if is_yes_or_no(target) else np.zeros(0, int)
        chosen = negative[np.linspace(0, len(negative) - 1, min(number, len(negative))).astype(int)]
        pairs.append(np.stack([chosen, np.full(len(chosen), output)]))
    rows, of_rows = np.concatenate(pairs, axis=1)
    return rows, of_rows


def _mutations(model: nn.Module, codes: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    change = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    for output in np.unique(outputs):
        rows = np.flatnonzero(outputs == output)
        change[rows] = saturation_mutagenesis(model, codes[rows], int(output)).float().cpu().numpy()
    return change
