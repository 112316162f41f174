"""Tables of learned motifs: frequency, effect and similar database motifs."""

from collections.abc import Callable, Sequence

import pandas as pd

from biocnn.report.blocks import Table, table
from biocnn.report.headline import convincing, number, probability

_FACTS: dict[str, tuple[str, Callable]] = {
    "n_sites": ("Sites", lambda v: f"{v:,.0f}"),
    "information_content": ("Bits", lambda v: number(v, 1)),
    "frequency": ("Frequency", number),
    "frequency_positive": ("in positives", number),
}
_MATCH: dict[str, tuple[str, Callable]] = {
    "match": ("Best match", str),
    "p_value": ("p", probability),
    "e_value": ("E", probability),
    "q_value": ("q", probability),
}
_MOST = 12
_NUMERIC = "Sites, Bits, Frequency, in positives, Effect, AUROC, Contribution, p, E, q"


def kernels(matches: pd.DataFrame, outputs: Sequence[str]) -> Table:
    """Make a table of kernels, one per group, from rows of matches.tsv with columns ``alike`` (text) and ``also``."""
    effects = {f"effect:{name}": (str(name), number) for name in outputs}
    columns = {
        "kernel": ("Kernel", str),
        **_FACTS,
        "effect": ("Effect", number),
        "auroc": ("AUROC", number),
        **effects,
        **_MATCH,
    }
    matches = matches.assign(kernel=matches["motif"] + "\n" + matches["alike"])
    most = f"First {_MOST} of {len(matches)} kernels" if len(matches) > _MOST else "Kernels"
    caption = (
        f"{most} by effect, one per group of similar kernels. Frequency: fraction of sequences with a site. Effect: "
        "correlation between the maximum activation in a sequence and the target; AUROC: of that activation alone"
    )
    several = f"; {', '.join(map(str, outputs))}: correlation with each output" if len(outputs) > 1 else ""
    several += "; all kernels are in explain/matches.tsv" if len(matches) > _MOST else ""
    return _written(f"{caption}{several}.", matches.head(_MOST), columns, ",".join(map(str, outputs)))


def seqlets(matches: pd.DataFrame, scale: str) -> Table:
    """Make a table of seqlet motifs, which contribute to ``scale``, from seqlet_matches.tsv with a column ``also``."""
    columns = {
        "motif": ("Motif", str),
        "output": ("Output", str),
        **_FACTS,
        "contribution": ("Contribution", lambda v: number(v, 1)),
        **_MATCH,
    }
    within = ", within each output" if "output" in matches else ""
    caption = (
        f"Motifs of seqlets, ordered by summed contributions{within}. Frequency: fraction of explained examples with a "
        f"site. Contribution: to the {scale}, mean over sites."
    )
    return _written(caption, matches, columns)


def _written(caption: str, matches: pd.DataFrame, columns: dict[str, tuple[str, Callable]], numeric: str = "") -> Table:
    """Make a table of the columns with values; matches that are not convincing are omitted."""
    also = matches["also"].where(matches["also"] == "", ", also " + matches["also"])
    target = matches[["target_name", "target_id"]].astype(object).fillna("")  # numeric if there was no database
    matches = matches.assign(match=target["target_name"] + "\n" + target["target_id"] + also)
    matches = matches.assign(**{key: matches[key].where(convincing(matches)) for key in _MATCH if key in matches})
    columns = {key: value for key, value in columns.items() if key in matches and matches[key].notna().any()}
    rows = [
        ["" if pd.isna(row[key]) else write(row[key]) for key, (_, write) in columns.items()]
        for row in matches.to_dict("records")
    ]
    return table(caption, [name for name, _ in columns.values()], rows, f"{_NUMERIC}, {numeric}")
