"""Find sites of known motifs in attributions of single examples."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from biocnn.explain.alignment import SIMILAR
from biocnn.explain.seqlets import SITE_COLUMNS, SeqletMotifs, present

WEAKEST = 0.5  # smallest summed contributions of a site, relative to those of the motif


def find_sites(
    codes: np.ndarray, attributions: np.ndarray, motifs: Mapping[str, np.ndarray], both_strands: bool
) -> pd.DataFrame:
    """Find segments whose contributions resemble those of a motif.

    The cosine between the contributions of the bases present and the mean contributions of the motif is at least 0.6,
    as for the members of a motif, and their sum is at least half of that of the motif. Of overlapping segments the one
    with the larger product of both counts.

    Parameters
    ----------
    codes
        Shape (L,), uint8: 0-3 = ACGT(U), 4 = unknown, 5 = padding.
    attributions
        Shape (4, L): contributions of all bases.
    motifs
        Mean contributions, shape (width, 4), by name; see ``SeqletMotifs``.
    both_strands
        Whether a motif may lie on either strand.

    Returns
    -------
    sites
        Columns start, end (0-based, half-open), strand, motif, score (summed contributions); in order of position.
    """
    shown = present(codes[None], attributions[None])[0] * (codes == np.arange(4)[:, None])
    found = []
    for name, motif in motifs.items():
        if len(motif) > len(codes):
            continue
        windows = np.lib.stride_tricks.sliding_window_view(shown, len(motif), axis=1).transpose(1, 2, 0)
        sums, size = windows.sum(axis=(1, 2)), np.linalg.norm(windows, axis=(1, 2)) * np.linalg.norm(motif)
        strong = sums * np.sign(motif.sum()) >= WEAKEST * abs(motif.sum())
        for strand, pattern in (("+", motif), ("-", motif[::-1, ::-1]))[: 1 + both_strands]:
            cosine = (windows * pattern).sum(axis=(1, 2)) / np.maximum(size, 1e-12)
            for start in np.flatnonzero(strong & (cosine >= SIMILAR)):
                weight = cosine[start] * abs(sums[start])
                found.append((weight, start, start + len(motif), strand, name, sums[start]))
    free, kept = np.ones(len(codes), dtype=bool), []
    for _, start, end, *rest in sorted(found, key=lambda one: -one[0]):
        if free[start:end].all():
            free[start:end] = False
            kept.append((start, end, *rest))
    return pd.DataFrame(sorted(kept), columns=list(SITE_COLUMNS[1:]))


def example_sites(
    explained: Mapping[str, np.ndarray], seqlets: SeqletMotifs, outputs: Sequence[str] | None, both_strands: bool
) -> pd.DataFrame:
    """Find the sites of motifs of seqlets in examples, each for its output.

    Parameters
    ----------
    explained
        Arrays id, codes, attributions and output of n examples; see ``SequenceExplanation``.
    seqlets
        Motifs; of several outputs, see ``join_outputs``.
    outputs
        Names of several outputs; None if there is one.
    both_strands
        Whether a motif may lie on either strand.

    Returns
    -------
    sites
        Columns id, those of ``find_sites``, and for several outputs output.
    """
    columns = [*SITE_COLUMNS, *["output"] * (outputs is not None)]
    tables = [pd.DataFrame(columns=columns)]
    for i, k in enumerate(explained["output"]):
        own = seqlets.table if outputs is None else seqlets.table[seqlets.table["output"] == outputs[k]]
        motifs = {name: seqlets.contributions[name] for name in own["motif"]}
        found = find_sites(explained["codes"][i], explained["attributions"][i], motifs, both_strands)
        if len(found):
            tables.append(found.assign(id=explained["id"][i], output=outputs[k] if outputs else "")[columns])
    return pd.concat(tables[1:] or tables, ignore_index=True)
