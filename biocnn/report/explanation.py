"""The section on explanation: motifs and their matches, attributions, mutation maps, activation maps."""

from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.config.settings import Settings
from biocnn.config.strands import RNA
from biocnn.explain.sequences import SEQLET_SEQUENCES
from biocnn.io.meme import read_meme
from biocnn.report import images, motif_tables, motifs
from biocnn.report.bags import attention
from biocnn.report.blocks import Section, Table, Text, plural, short, wrapped
from biocnn.report.figures import Gallery, Picture
from biocnn.report.headline import ALIKE, SIMILAR, convincing, number, probability, top_motif
from biocnn.report.likeness import likeness
from biocnn.report.logo import present
from biocnn.report.mutation_map import mutation_maps
from biocnn.report.results import Results
from biocnn.report.sought import sought
from biocnn.training.words import strands_of

_MOTIFS, _TRACKS, _MUTATIONS, _MAPS, _ROWS = 6, 6, 3, 5, 3
_METHODS = {
    "deeplift": "DeepLIFT, relative to dinucleotide-preserving shuffles of the same sequence",
    "mutagenesis": "saturation mutagenesis: the change of the output by each base, minus the mean over the four bases",
    "integrated_gradients": "integrated gradients, relative to a sequence of unknown bases",
    "gradient": "gradient times input, minus the mean over the four bases",
}
_REFERENCE = {"deeplift": "the mean of its shuffles", "integrated_gradients": "a sequence of unknown bases"}


def explanation(results: Results, settings: Settings, gallery: Gallery) -> Section:
    """Show motifs of kernels and seqlets with their matches, attributions of test examples, activation maps."""
    section = Section("explanation", "Explanation")
    folder = results.folder / "explain"
    counts = results.table("explain/counts.tsv")
    if len(counts):
        covariates = " All of it is computed with all covariates missing." if results.facts.covariates else ""
        section.blocks.append(Text(_account(counts) + covariates))
    if len(results.seqlet_matches):
        section.blocks.extend(_seqlets(results, settings, gallery))
    if len(results.matches) and (folder / "motifs.meme").is_file():
        section.blocks.extend(_kernels(results, settings, gallery))
    if (folder / "attributions.npz").is_file():
        section.blocks.extend(_attributions(results, settings, gallery))
    if len(results.table("explain/evolved.tsv")):
        section.blocks.append(_evolved(results, gallery))
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
    return [picture, motif_tables.kernels(first.assign(also=_also(results, first)), results.outputs)]


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
    contributions = _load(results.folder / "explain" / "seqlet_motifs.npz")
    shown = shown.assign(title=titles)
    picture = _logos(results, settings, gallery, "seqlet_motifs", shown, caption, contributions)
    return [picture, motif_tables.seqlets(table.assign(also=_also(results, table)), results.scale)]


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


def _attributions(results: Results, settings: Settings, gallery: Gallery) -> list[Picture]:
    stored = _load(results.folder / "explain" / "attributions.npz")
    names, codes, scores = stored["id"], stored["codes"], stored["probability"]
    if not len(names):
        return []
    targets = stored["target"].reshape(len(names), -1)[np.arange(len(names)), stored["output"]]
    titles = [
        f"{short(n, 28)}   predicted {number(p)}, true {f'{t:.3g}' if np.isfinite(t) else 'value unknown'}"
        for n, p, t in zip(names, scores, targets, strict=True)
    ]
    if len(results.outputs) > 1:
        titles = [
            f"{title}   {short(results.outputs[k], 20)}" for title, k in zip(titles, stored["output"], strict=True)
        ]
    alphabet = results.facts.alphabet
    sites = _sites(results, names[:_TRACKS], stored["output"])
    figure = motifs.tracks(
        list(codes[:_TRACKS]), list(stored["attributions"][:_TRACKS]), titles[:_TRACKS], alphabet, sites
    )
    caption = (
        f"Attributions of held-out examples by {_METHODS[str(stored['method'])]}. Letters above zero increase the "
        "prediction, inverted letters below zero decrease it; motifs of seqlets, which are searched for in at most "
        f"{SEQLET_SEQUENCES:,} examples, are labelled above."
    )
    worst = float(np.abs(stored["delta"]).max())
    if np.isfinite(worst):
        sums = np.abs([present(*pair).sum() for pair in zip(codes, stored["attributions"], strict=True)]).max()
        caption += (
            f" The sums of attributions (up to {number(sums, 1)}) deviate by at most {probability(worst)} from the "
            f"difference in {results.scale} between an example and {_REFERENCE[str(stored['method'])]}"
        )
        model = results.network(settings)
        larger = getattr(model, "strands", "") == "both" and getattr(model, "combine", "max") == "max"
        if larger and str(stored["method"]) == "deeplift":
            caption += (
                f", because the strand with the larger {results.scale} is explained relative to the same strand of the "
                f"shuffles, whose {results.scale} may come from the other strand"
            )
        caption += "."
    alt = f"Attribution logos of {len(titles[:_TRACKS])} examples"
    pictures = [gallery.add("attributions", figure, alt, caption)]
    n = min(_MUTATIONS, len(names))
    figure = mutation_maps(list(codes[:n]), list(stored["change"][:n]), titles[:n], alphabet, results.scale)
    caption = (
        f"Mutation maps: change of the {results.scale} by each single mutation (red: increase; blue: decrease; dots: "
        f"the base present). Letters: importance of a base, the mean decrease of the {results.scale} over its three "
        "mutations."
    )
    return [*pictures, gallery.add("mutation_maps", figure, f"Mutation maps of {n} examples", caption)]


def _evolved(results: Results, gallery: Gallery) -> Picture:
    table, stored = results.table("explain/evolved.tsv"), _load(results.folder / "explain" / "evolved.npz")
    several = table["output"].nunique() > 1
    if several:  # the best one of each
        table = table.sort_values("logit", ascending=False, kind="stable").drop_duplicates("output").sort_index()
    table = table.head(_TRACKS)
    titles = [
        f"{short(row.output, 24) + ': ' if several else ''}predicted {number(row.prediction_before)}, after "
        f"{plural(row.mutations, 'mutation')} {number(row.prediction)}"
        for row in table.itertuples()
    ]
    codes, before = stored["codes"][table.index], stored["before"][table.index]
    changed = [_runs(pair[0] != pair[1]) for pair in zip(codes, before, strict=True)]
    values = list(stored["attributions"][table.index])
    figure = motifs.tracks(list(codes), values, titles, results.facts.alphabet, changed)
    caption = (
        "Sequences made to excite an output: shuffled test examples after the single mutation that increases the "
        f"{results.scale} most, again and again until one adds less than 2% of the increase so far (bars: mutated "
        f"bases). Letters: the change of the {results.scale} by a base, minus the mean over the four bases. They show "
        "what the network responds to, not what occurs in a genome."
    )
    return gallery.add("evolved", figure, f"{len(table)} sequences made to excite outputs", caption)


def _runs(changed: np.ndarray) -> pd.DataFrame:
    """Return the stretches of mutated bases: start, end, and an empty label."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], changed.astype(int), [0]])))
    return pd.DataFrame({"start": edges[::2], "end": edges[1::2], "label": ""})


def _sites(results: Results, names: np.ndarray, outputs: np.ndarray) -> list[pd.DataFrame]:
    """Return the seqlets with a motif in each example, for its output: start, end, and a label of motif and match."""
    sites, matches = results.table("explain/seqlets.tsv"), results.seqlet_matches
    if not len(matches):
        return []
    known = matches[convincing(matches)].set_index("motif")["target_name"]
    sites = sites[sites["motif"].notna()]
    sites = sites.assign(label=[f"{m} ({short(known[m], 16)})" if m in known else m for m in sites["motif"]])
    sites = sites.assign(output=sites.get("output", results.outputs[0]))
    return [
        sites[(sites["id"] == name) & (sites["output"] == results.outputs[output])]
        for name, output in zip(names, outputs, strict=False)
    ]


def _maps(results: Results, gallery: Gallery) -> list[Picture]:
    stored = _load(results.folder / "explain" / "cam.npz")
    rows = _ROWS if results.task and not results.task.target.spatial else 1
    caption = "Grad-CAM: regions where the last feature maps support the prediction, from 0 (dark) to 1 (bright)."
    if rows > 1:
        caption += (
            " Correctly predicted images of each class and others in turn, those predicted with most confidence first; "
            "an image predicted wrongly is shown for the predicted class and for the true one."
        )
    pictures = []
    for row, start in enumerate(range(0, min(rows * _MAPS, len(stored["id"])), _MAPS)):
        part = slice(start, start + _MAPS)
        count = len(stored["id"][part])
        width = 105 // max(count, 3)  # characters that fit above one image
        shown = zip(*(stored[key][part] for key in ("id", "output", "true")), strict=True)
        named = [(id, output + " (true)" * bool(true)) for id, output, true in shown]
        titles = [f"{short(id, width)}\n{wrapped(name, width)}" for id, name in named]
        figure = images.heat_maps(stored["image"][part], stored["cam"][part].astype(np.float64), titles)
        alt, key = f"Class activation maps of {count} images", f"cam_{row + 1}" if row else "cam"
        pictures.append(gallery.add(key, figure, alt, caption if not row else "Further images.", vector=False))
    return pictures


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
