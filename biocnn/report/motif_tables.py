"""Tables of learned motifs: logos, frequency, effect and similar database motifs; and each motif as files."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.report.blocks import Drawing, Table, table
from biocnn.report.headline import convincing, number, probability
from biocnn.report.logo import small_logo

_FACTS: dict[str, tuple[str, Callable]] = {
    "n_sites": ("Sites", lambda v: f"{v:,.0f}"),
    "information_content": ("Bits", lambda v: number(v, 1)),
    "frequency": ("Frequency", number),
    "frequency_positive": ("in positives", number),
}
_MATCH: dict[str, tuple[str, Callable]] = {
    "match": ("Best match", str),
    "q_value": ("q", probability),
}
_LOGO: dict[str, tuple[str, Callable]] = {"logo": ("Logo", lambda drawing: drawing)}
_MOST = 12
_NUMERIC = "Sites, Bits, Frequency, in positives, Effect, AUROC, Contribution, q"
_BELOW = " Below a logo: its match, aligned"


def kernels(matches: pd.DataFrame, outputs: Sequence[str]) -> Table:
    """Make a table of kernels, one per group, from rows of matches.tsv with columns logo, alike (text) and also."""
    effects = {f"effect:{name}": (str(name), number) for name in outputs}
    columns = {
        "kernel": ("Kernel", str),
        **_LOGO,
        **_MATCH,
        **_FACTS,
        "effect": ("Effect", number),
        "auroc": ("AUROC", number),
        **effects,
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
    """Make a table of motifs, which contribute to ``scale``, from seqlet_matches.tsv with columns logo and also."""
    columns = {
        "motif": ("Motif", str),
        **_LOGO,
        **_MATCH,
        "output": ("Output", str),
        **_FACTS,
        "contribution": ("Contribution", lambda v: number(v, 1)),
    }
    within = ", within each output" if "output" in matches else ""
    caption = (
        f"Motifs of seqlets, ordered by summed contributions{within}; groups with similar motifs (mean similarity of "
        "at least .7) are joined. Frequency: fraction of explained examples with a site. Contribution: to the "
        f"{scale}, mean over sites."
    )
    return _written(caption, matches, columns)


def logos(
    matches: pd.DataFrame, motifs: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray], alphabet: str, path: str
) -> list[Drawing]:
    """Draw each motif above its convincing match, aligned.

    Parameters
    ----------
    matches
        Rows with the columns of matches.tsv.
    motifs, targets
        Frequencies of motifs and of database motifs, shape (L, 4), by name and by identifier.
    alphabet
        Four letters.
    path
        Folder of ``write_motifs``, from the page.
    """
    drawn = []
    for row, similar in zip(matches.to_dict("records"), convincing(matches), strict=True):
        motif, lines = row["motif"], [(motifs[row["motif"]], 0)]
        alt = f"Logo of {motif}"
        if similar and str(row["target_id"]) in targets:
            target = targets[str(row["target_id"])]
            lines.append((target[::-1, ::-1] if row["strand"] == "-" else target, int(row["offset"])))
            alt += f" above {row['target_name']}"
        files = [(kind, f"{path}/{motif}.{kind.lower()}") for kind in ("SVG", "MEME")]
        drawn.append(Drawing(small_logo(lines, alphabet, f"logo-{motif}", alt), files))
    return drawn


def write_motifs(
    meme: Path, names: Sequence[str], motifs: Mapping[str, np.ndarray], alphabet: str, folder: Path
) -> None:
    """Write some motifs of a MEME file as files of their own, NAME.meme, and their logos as NAME.svg."""
    folder.mkdir(exist_ok=True)
    header, *blocks = re.split(r"^(?=MOTIF )", meme.read_text(encoding="utf-8"), flags=re.MULTILINE)
    of_name = {block.split()[1]: block for block in blocks}
    for name in names:
        (folder / f"{name}.meme").write_text(header + of_name[name], encoding="utf-8")
        logo = small_logo([(motifs[name], 0)], alphabet, "logo", f"Logo of {name}")
        (folder / f"{name}.svg").write_text(logo, encoding="utf-8")


def _written(caption: str, matches: pd.DataFrame, columns: dict[str, tuple[str, Callable]], numeric: str = "") -> Table:
    """Make a table of the columns with values; matches that are not convincing are omitted."""
    similar = convincing(matches)
    also = matches["also"].where(matches["also"] == "", ", also " + matches["also"])
    target = matches[["target_name", "target_id"]].astype(object).fillna("")  # numeric if there was no database
    compared = matches["target_id"].notna().any()
    match = (target["target_name"] + "\n" + target["target_id"] + also).where(
        similar, "no\u00a0match\nin your database"
    )
    matches = matches.assign(match=match if compared else np.nan)
    values = [key for key in _MATCH if key in matches and key != "match"]
    matches = matches.assign(**{key: matches[key].where(similar) for key in values})
    columns = {key: value for key, value in columns.items() if key in matches and matches[key].notna().any()}
    rows = [
        ["" if key != "logo" and pd.isna(row[key]) else write(row[key]) for key, (_, write) in columns.items()]
        for row in matches.to_dict("records")
    ]
    turned = " (reverse-complemented if its strand is −)" * bool((matches["strand"][similar] == "-").any())
    caption += f"{_BELOW}{turned}." if similar.any() else ""
    caption += "" if compared else " Without a database (explain.motifs.database), motifs have no names."
    return table(caption, [name for name, _ in columns.values()], rows, f"{_NUMERIC}, {numeric}")
