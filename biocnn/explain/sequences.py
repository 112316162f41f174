"""Explain a sequence network: motifs, their matches, and attributions and mutations of examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from biocnn.config.strands import RNA
from biocnn.core.checks import Checks
from biocnn.core.files import atomic
from biocnn.data.shuffle import dinucleotide_shuffle
from biocnn.explain.contributions import (
    Method,
    contributions,
    decided,
    explained_output,
    is_yes_or_no,
    worst,
    worth_explaining,
)
from biocnn.explain.hits import example_sites
from biocnn.explain.matches import match_motifs
from biocnn.explain.motifs import composition, kernel_motifs
from biocnn.explain.mutagenesis import saturation_mutagenesis
from biocnn.explain.seqlets import SITE_COLUMNS, SeqletMotifs, join_outputs, present, seqlet_motifs
from biocnn.io.meme import Motif, write_meme
from biocnn.nn.words import network_of

LARGEST_Q, LEAST_SIMILARITY = 0.01, 0.6  # of the similar motifs listed
SIMILAR = 50  # maximum number per motif: families of factors share a motif
SEQLET_SEQUENCES = 1000  # number of sequences with seqlets, of all outputs together
SEQLET_BASES = 200_000  # fewer sequences if they are longer than 200 bp
BACKGROUND = 500  # number of shuffled or negative sequences to estimate the background of attributions
OF_OUTPUT = 50  # minimum number of sequences of each output; groups have at least 15 seqlets
REFERENCES, SEQLET_REFERENCES = 20, 5


@dataclass
class Regions:
    """Attributed sequences: ids (n,), codes (n, L) and attributions of all bases (n, 4, L), for one output."""

    ids: np.ndarray
    codes: np.ndarray
    values: np.ndarray


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
        Motifs of attributions, with their sites; if there are several outputs, of each (see ``join_outputs``).
    seqlet_matches
        One row per motif of ``seqlets``, by rank: the columns of its table, then those of ``match_motifs``.
    similar
        Pairs of a motif and a motif of the database with q <= 0.01 and similarity >= 0.6, at most 50 per motif: columns
        of ``match_motifs``.
    kernel_sites
        Sites of the first motif of each group of kernels: id (of the sequence), start, end (0-based, half-open, in the
        window), strand, motif, score (activation minus its mean).
    regions
        For each output, the sequences in which seqlets were searched, with their attributions.
    attributions
        Arrays of n examples: id, codes (n, L), attributions (n, 4, L; of all bases), change (n, 4, L; see
        ``saturation_mutagenesis``), delta (n,; see ``contributions``), output (n,; index of the explained logit),
        probability (n,), target (n,) or (n, K), and the name of the method.
    mistakes
        The same arrays, without change, of the examples with the largest and the smallest difference between prediction
        and target, and kind (n,): "over" or "under".
    example_sites
        Sites of motifs of seqlets in ``attributions`` and ``mistakes``, see ``hits.find_sites``: id, start, end,
        strand, motif, score; for several outputs also output.
    alphabet
        ACGT or ACGU.
    both_strands
        Whether motifs may lie on either strand.
    background
        Frequencies of the four bases in the sequences.
    """

    motifs: list[Motif]
    matches: pd.DataFrame
    seqlets: SeqletMotifs
    seqlet_matches: pd.DataFrame
    similar: pd.DataFrame
    kernel_sites: pd.DataFrame
    regions: list[Regions]
    attributions: dict[str, np.ndarray]
    mistakes: dict[str, np.ndarray]
    example_sites: pd.DataFrame
    alphabet: str
    both_strands: bool
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
    n_regions: int | None = None,
    method: Method | None = None,
    outputs: Sequence[str] = (),
    alphabet: str = "ACGT",
    both_strands: bool = True,
    seed: int = 0,
    signal: np.ndarray | None = None,
) -> SequenceExplanation:
    """Extract motifs from kernels and attributions, match them, and explain the examples with largest prediction.

    Parameters
    ----------
    model
        Trained network from (N, 4 + S, L) to logits (N, K), on the device to use.
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
        Number of examples to show, and of mistakes in each direction.
    n_regions
        Number of sequences in which seqlets are searched, of all outputs together; None: 1,000, and fewer if they are
        longer than 200 bp.
    method
        Attribution method; None: see ``contributions.decided``.
    outputs
        Names of the K outputs.
    alphabet
        ACGT or ACGU.
    both_strands
        Whether motifs of DNA may lie on either strand, and are compared with reverse complements; never those of RNA.
    seed
        Seed of shuffled sequences.
    signal
        Tracks beside the bases as the network receives them, shape (N, S, L); None: none. They are the same in
        sequences, mutants and shuffles, so that all contributions are of bases.
    """
    target, probability = target.reshape(len(target), -1), probability.reshape(len(probability), -1)
    explained, method = explained_output(target, probability), decided(model, codes, method, signal)
    signal = np.zeros((len(codes), 0, codes.shape[1]), np.float32) if signal is None else signal
    rna, known = alphabet == RNA, (database or {}).values()
    both_strands = both_strands and not rna
    found = kernel_motifs(network_of(model), codes, target, outputs, signal)
    checks.add("explain", "made", "motifs", len(found.motifs))
    for reason, number in found.left_out.items():
        checks.add("explain", "dropped", f"kernels, {reason}", number)
    checks.add("explain", "dropped", "sequences shorter than the kernels, which have no site", found.short)
    names, several = np.asarray(ids, dtype=str), target.shape[1] > 1
    of_each, regions = [], []
    for output in range(target.shape[1]):
        one, part = _seqlets(
            model, codes, signal, target, probability, names, output, method, seed, n_regions, both_strands, rna
        )  # fmt: skip
        of_each.append(one)
        regions.append(part)
    named = [*(outputs or map(str, range(1, len(of_each) + 1)))] if several else None
    seqlets = join_outputs(of_each, named) if named else of_each[0]
    checks.add("explain", "made", "seqlets", len(seqlets.sites))
    checks.add("explain", "dropped", "seqlets, similar to too few others", int((seqlets.sites["motif"] == "").sum()))
    checks.add("explain", "made", "motifs of seqlets", len(seqlets.motifs))
    best = [match_motifs(motifs, known, reverse_complement=both_strands) for motifs in (found.motifs, seqlets.motifs)]
    similar = match_motifs([*seqlets.motifs, *found.motifs], known, best=SIMILAR, reverse_complement=both_strands)

    def explained_for(rows: np.ndarray, of: np.ndarray) -> dict[str, np.ndarray]:
        values, delta = contributions(
            model, codes[rows], of, method, references=REFERENCES, seed=seed, signal=signal[rows]
        )
        beside = {"signal": signal[rows]} if signal.shape[1] else {}
        return beside | {
            "id": names[rows],
            "codes": codes[rows],
            "attributions": values,
            "delta": delta,
            "output": of,
            "probability": probability[rows, of].astype(np.float32),
            "target": target[rows],
            "method": np.array(method),
        }

    worth = worth_explaining(target)
    rows = worth[np.argsort(-probability[worth, explained[worth]], kind="stable")[:n_examples]]
    attributions = explained_for(rows, explained[rows])
    attributions["change"] = _mutations(model, codes[rows], signal[rows], explained[rows])
    rows, of, kind = worst(target, probability, n_examples)
    mistakes = explained_for(rows, of) | {"kind": kind}
    sites = [example_sites(one, seqlets, named, both_strands) for one in (attributions, mistakes)]
    first = found.sites[found.sites["motif"].isin(found.table["group"])]
    first = first.assign(id=names[first["example"].to_numpy(int)])[list(SITE_COLUMNS)]
    return SequenceExplanation(
        found.motifs,
        found.table.merge(best[0], on="motif", how="left"),
        seqlets,
        seqlets.table.merge(best[1], on="motif", how="left"),
        similar[(similar["q_value"] <= LARGEST_Q) & (similar["similarity"] >= LEAST_SIMILARITY)],
        first,
        regions,
        attributions,
        mistakes,
        pd.concat(sites, ignore_index=True).drop_duplicates(ignore_index=True),
        alphabet,
        both_strands,
        composition(codes, both_strands=False),
    )


def write_sequences(folder: str | Path, explanation: SequenceExplanation) -> None:
    """Write motifs, tables and attributions into a folder, each file atomically.

    Files: motifs.meme, matches.tsv, kernel_sites.tsv, seqlet_motifs.meme, seqlet_matches.tsv, seqlet_motifs.npz (the
    contributions of each motif), seqlets.tsv, similar_motifs.tsv, attributions.npz, mistakes.npz and example_sites.tsv.
    """
    folder, seqlets = Path(folder), explanation.seqlets
    for name, motifs in (("motifs", explanation.motifs), ("seqlet_motifs", seqlets.motifs)):
        write_meme(
            folder / f"{name}.meme",
            motifs,
            explanation.alphabet,
            explanation.background,
            both_strands=explanation.both_strands,
        )
    tables = {"matches": explanation.matches, "seqlet_matches": explanation.seqlet_matches}
    tables |= {"seqlets": seqlets.sites, "similar_motifs": explanation.similar}
    tables |= {"kernel_sites": explanation.kernel_sites, "example_sites": explanation.example_sites}
    for name, table in tables.items():
        with atomic(folder / f"{name}.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    arrays_of = {"attributions": explanation.attributions, "mistakes": explanation.mistakes}
    for name, arrays in (arrays_of | {"seqlet_motifs": seqlets.contributions}).items():
        with atomic(folder / f"{name}.npz") as temporary:
            np.savez_compressed(temporary, **arrays)


def _seqlets(
    model: nn.Module,
    codes: np.ndarray,
    signal: np.ndarray,
    target: np.ndarray,
    probability: np.ndarray,
    ids: np.ndarray,
    output: int,
    method: Method,
    seed: int,
    n_regions: int | None,
    both_strands: bool,
    rna: bool,
) -> tuple[SeqletMotifs, Regions]:
    """Find the seqlets of an output in evenly spaced sequences with a true or large target; return these as well.

    The background is shuffles of the same sequences. Shuffles of RNA would again contain its short and frequent sites
    (poly-U, for example): its background is negatives, if there are any.
    """
    most = max(1, SEQLET_BASES // codes.shape[1])

    def limited(number: int) -> int:
        """Return the number of sequences, up to this, that are used for one output."""
        return min(number, max(OF_OUTPUT, number // target.shape[1]))

    rows = _spaced(worth_explaining(target[:, [output]]), limited(n_regions or min(SEQLET_SEQUENCES, most)))
    negative = _clear_negatives(target[:, output], probability[:, output]) if rna else np.zeros(0, int)
    number = limited(min(BACKGROUND, most)) if len(rows) else 0
    apart = _spaced(negative, number) if len(negative) else np.resize(rows, number)
    others = codes[apart] if len(negative) else dinucleotide_shuffle(codes[apart], np.random.default_rng(seed))
    given = {"references": SEQLET_REFERENCES, "seed": seed}
    values, nothing = (
        contributions(model, x, np.full(len(x), output), method, **given, signal=beside)[0]
        for x, beside in ((codes[rows], signal[rows]), (others, signal[apart]))
    )
    motifs = seqlet_motifs(codes[rows], values, present(others, nothing), ids[rows], both_strands=both_strands, rna=rna)
    return motifs, Regions(ids[rows], codes[rows], values)


def _clear_negatives(target: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the half of the negatives with the lower predictions, of targets and predictions (N,).

    The others may contain sites, bound where the experiment did not look or not bound for another reason; seqlets would
    then have to exceed segments like themselves.
    """
    negative = np.flatnonzero(target == 0) if is_yes_or_no(target) else np.zeros(0, int)
    order = np.argsort(probability[negative], kind="stable")
    return np.sort(negative[order[: (len(negative) + 1) // 2]])


def _spaced(rows: np.ndarray, most: int) -> np.ndarray:
    """Return evenly spaced rows, at most this number."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)] if len(rows) else rows


def _mutations(model: nn.Module, codes: np.ndarray, signal: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    change = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    for output in np.unique(outputs):
        rows = np.flatnonzero(outputs == output)
        found = saturation_mutagenesis(model, codes[rows], int(output), signal[rows])
        change[rows] = found.float().cpu().numpy()
    return change
