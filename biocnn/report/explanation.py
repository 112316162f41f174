"""The section on explanation: motifs and their matches, attributions, mutation maps, activation maps."""

from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.config.settings import Settings
from biocnn.config.strands import RNA
from biocnn.core.plurals import plural
from biocnn.explain.similarity import ALIKE as GROUPED
from biocnn.explain.similarity import similarity
from biocnn.io.meme import read_meme
from biocnn.report import images, motif_tables, motifs
from biocnn.report.attributions import attributed, evolved, files, load
from biocnn.report.bags import attention
from biocnn.report.blocks import Section, Table, Text, short, wrapped
from biocnn.report.figures import Gallery, Picture
from biocnn.report.headline import ALIKE, SIMILAR, convincing, number, top_motif
from biocnn.report.likeness import likeness
from biocnn.report.results import Results
from biocnn.report.sought import sought
from biocnn.training.word_counts import strands_of

_MOTIFS, _MAPS, _ROWS = 6, 5, 3


def explanation(results: Results, settings: Settings, gallery: Gallery) -> Section:
    """Show motifs of kernels and seqlets with their matches, attributions of test examples, activation maps."""
    section = Section("explanation", "Explanation")
    folder = results.folder / "explain"
    counts = results.table("explain/counts.tsv")
    if len(counts):
        beside = " Computed with all covariates missing." if results.facts.covariates else ""
        if results.facts.signal:
            beside = (
                " Sequences, mutants and references have the same tracks: all contributions are of bases, given these."
            )
        section.blocks.append(Text(_account(counts) + beside))
    if len(results.seqlet_matches):
        section.blocks.extend(_seqlets(results, settings, gallery))
    if len(results.matches) and (folder / "motifs.meme").is_file():
        section.blocks.extend(_kernels(results, settings, gallery))
    if (folder / "attributions.npz").is_file():
        section.blocks.extend(attributed(results, settings, gallery))
    if len(results.table("explain/evolved.tsv")):
        section.blocks.append(evolved(results, gallery))
    section.blocks.extend(files(results))
    if (folder / "cam.npz").is_file():
        section.blocks.extend(_maps(results, gallery))
    if (folder / "attention.tsv").is_file():
        section.blocks.extend(attention(results, gallery))
    section.blocks.extend(sought(results, gallery))
    if settings.explain.likeness:
        section.blocks.extend(likeness(results, gallery))
    return section


def _account(counts: pd.DataFrame) -> str:
    """Describe results and exclusions: "Found in the test examples: motifs (3); seqlets (1,204). Excluded: ..."."""
    listed = {name: "; ".join(f"{row.reason} ({row.n:,})" for row in part.rename(columns={"count": "n"}).itertuples())
              for name, part in counts.groupby("outcome")}  # fmt: skip
    parts = ["Found in the test examples: " + listed.get("made", "no motif and no seqlet")]
    return ". ".join(parts + ([f"Excluded: {listed['dropped']}"] if "dropped" in listed else [])) + "."


def _kernels(results: Results, settings: Settings, gallery: Gallery) -> list[Picture | Table]:
    learned = _pfms(results.folder / "explain" / "motifs.meme")
    matches = results.matches.drop_duplicates("motif")
    alike = matches["group"].value_counts()
    first = matches[(matches["group"] == matches["motif"]) & matches["motif"].isin(learned)]
    first = first.assign(alike=[f"and {alike[m] - 1} similar" if alike[m] > 1 else "" for m in first["motif"]])
    shown = first[first["effect"].abs() >= first["effect"].abs().max() / 3].head(_MOTIFS)
    named = (shown["motif"] + " " + shown["alike"]).str.strip()
    titles = [f"{name}, {n:,.0f} sites" for name, n in zip(named, shown["n_sites"], strict=True)]
    caption = (
        "Motifs of the first layer: base frequencies at the sites that activate a kernel most; one kernel per group of "
        "similar kernels, ordered by effect, down to a third of the largest effect"
    )
    picture = _logos(results, settings, gallery, "motifs", shown.assign(title=titles), caption)
    best = top_motif(results) or shown.iloc[0].to_dict()
    gallery.thumbnail(motifs.emblem(learned[best["motif"]], results.facts.alphabet))
    table = _drawn(results, settings, gallery, "motifs", first.assign(alike=_as_seqlets(results, settings, first)))
    return [picture, motif_tables.kernels(table, results.outputs)]


def _seqlets(results: Results, settings: Settings, gallery: Gallery) -> list[Picture | Table]:
    table = results.seqlet_matches
    shown = table.head(_MOTIFS)
    titles = [f"{m}, {n:,.0f} sites" for m, n in zip(shown["motif"], shown["n_sites"], strict=True)]
    if "output" in shown:
        titles = [f"{short(output, 20)}: {title}" for output, title in zip(shown["output"], titles, strict=True)]
    yes_or_no = results.task is not None and results.task.family == "classification"
    rna = results.facts.alphabet == RNA
    background = "the negatives with the lower predictions" if rna and yes_or_no else "shuffled sequences"
    caption = (
        f"Motifs of seqlets, aligned segments that contribute more to predictions than segments of {background} (at "
        f"most 5% expected to be false). First column: mean contribution to the {results.scale}; then base frequencies"
    )
    contributions = load(results.folder / "explain" / "seqlet_motifs.npz")
    shown = shown.assign(title=titles)
    picture = _logos(results, settings, gallery, "seqlet_motifs", shown, caption, contributions)
    return [picture, motif_tables.seqlets(_drawn(results, settings, gallery, "seqlet_motifs", table), results.scale)]


def _as_seqlets(results: Results, settings: Settings, kernels: pd.DataFrame) -> list[str]:
    """Describe which kernels are similar to each one, and which motif of seqlets is similar to it, if any."""
    folder, names = results.folder / "explain", results.seqlet_matches.get("motif", pd.Series(dtype=str)).tolist()
    seqlets = _pfms(folder / "seqlet_motifs.meme") if names else {}
    learned = _pfms(folder / "motifs.meme")
    pfms = [*(seqlets[name] for name in names), *(learned[name] for name in kernels["motif"])]
    alike = similarity(pfms, strands_of(settings, results.facts) == "both")[len(names) :, : len(names)]
    found = [f"like {names[row.argmax()]}" if names and row.max() >= GROUPED else "" for row in alike]
    return ["; ".join(filter(None, pair)) for pair in zip(kernels["alike"], found, strict=True)]


def _drawn(results: Results, settings: Settings, gallery: Gallery, name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Write each motif of a table as files, and add its logo, aligned with its match, and other similar motifs."""
    path, alphabet = results.folder / "explain" / f"{name}.meme", results.facts.alphabet
    pfms = _pfms(path)
    motif_tables.write_motifs(path, table["motif"].tolist(), pfms, alphabet, gallery.folder / "motifs")
    logos = motif_tables.logos(table, pfms, _database(settings), alphabet, f"{gallery.path}/motifs")
    return table.assign(also=_also(results, table), logo=logos)


def _logos(
    results: Results,
    settings: Settings,
    gallery: Gallery,
    name: str,
    table: pd.DataFrame,
    caption: str,
    contributions: dict[str, np.ndarray] | None = None,
) -> Picture:
    table = table.assign(convincing=convincing(table))
    similar = table[table["convincing"]]
    targets = _database(settings) if len(similar) else {}
    if targets:
        caption += f"; last column: aligned, the most significant database motif (q ≤ {number(SIMILAR, 2)}"
        caption += f" and similarity ≥ {number(ALIKE, 1)}"
        caption += "; (−): reverse complement)" if (similar["strand"] == "-").any() else ")"
    named = ", ".join(similar["target_name"].unique()[:4])
    alt = f"Sequence logos of {plural(len(table), 'motif')}" + (f"; matches: {named}" if named else "")
    alphabet = results.facts.alphabet
    learned = _pfms(results.folder / "explain" / f"{name}.meme")
    both_strands = strands_of(settings, results.facts) == "both"
    figure = motifs.motif_rows(
        table, learned, targets, alphabet, results.scale, contributions, both_strands=both_strands
    )
    return gallery.add(name, figure, alt, f"{caption}.")


def _also(results: Results, table: pd.DataFrame) -> list[str]:
    """Return the names of other database motifs that each motif is similar to."""
    similar = results.table("explain/similar_motifs.tsv")
    if not len(similar):
        return [""] * len(table)
    names = similar.groupby("motif", sort=False)["target_name"].unique()
    return [
        ", ".join([name for name in names.get(motif, []) if name != first][:4])
        for motif, first in zip(table["motif"], table["target_name"], strict=True)
    ]


def _pfms(path: Path) -> dict[str, np.ndarray]:
    return {name: motif.pfm for name, motif in read_meme(path).items()}


def _database(settings: Settings) -> dict[str, np.ndarray]:
    """Read the motif database of the settings; empty if the file no longer exists."""
    path = settings.explain.motifs.database
    return _pfms(path) if path and path.is_file() else {}


def _maps(results: Results, gallery: Gallery) -> list[Picture]:
    stored = load(results.folder / "explain" / "cam.npz")
    rows = _ROWS if results.task and not results.task.target.spatial else 1
    caption = "Grad-CAM: regions where the last feature maps support the prediction, from 0 (dark) to 1 (bright)."
    if rows > 1 and results.task and results.task.family == "classification":
        caption += (
            " Correctly predicted images of each class and others in turn, the most confident first; "
            "an image predicted wrongly is shown for the predicted class and for the true one."
        )
    pictures = []
    for row, start in enumerate(range(0, min(rows * _MAPS, len(stored["id"])), _MAPS)):
        part = slice(start, start + _MAPS)
        count, across = len(stored["id"][part]), min(len(stored["id"]), _MAPS)
        width = 105 // max(across, 3)  # characters that fit above one image
        shown = zip(*(stored[key][part] for key in ("id", "output", "true")), strict=True)
        named = [(id, output + " (true)" * bool(true)) for id, output, true in shown]
        titles = [f"{wrapped(id, width, 2)}\n{wrapped(name, width, 2)}" for id, name in named]
        figure = images.heat_maps(stored["image"][part], stored["cam"][part].astype(np.float64), titles, across)
        alt, key = f"Class activation maps of {plural(count, 'image')}", f"cam_{row + 1}" if row else "cam"
        pictures.append(gallery.add(key, figure, alt, caption if not row else "Further images.", vector=False))
    return pictures
