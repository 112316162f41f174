"""Attributions of test examples: the most confident ones and mistakes, mutation maps, and a view of the genome."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from biocnn.config.settings import Settings
from biocnn.core.plurals import plural
from biocnn.explain.coordinates import on_genome
from biocnn.explain.genome_files import on_plus
from biocnn.report import motifs
from biocnn.report.blocks import Table, short, table
from biocnn.report.figures import Gallery, Picture
from biocnn.report.genome_view import View, genome_view
from biocnn.report.headline import convincing, number, probability
from biocnn.report.logo import present
from biocnn.report.mutation_map import hints, mutation_maps
from biocnn.report.results import Results

_LOGOS, _MISTAKES, _MUTATIONS = 6, 3, 3
_METHODS = {
    "deeplift": "DeepLIFT, relative to dinucleotide-preserving shuffles of the same sequence",
    "mutagenesis": "saturation mutagenesis: the change of the output by each base, minus the mean over the four bases",
    "integrated_gradients": "integrated gradients, relative to a sequence of unknown bases",
    "gradient": "gradient times input, minus the mean over the four bases",
}
_REFERENCE = {"deeplift": "the mean of its shuffles", "integrated_gradients": "a sequence of unknown bases"}


def attributed(results: Results, settings: Settings, gallery: Gallery) -> list[Picture]:
    """Show attributions of the most confident test examples, their loci, mistakes, and mutation maps."""
    stored = load(results.folder / "explain" / "attributions.npz")
    if not len(stored["id"]):
        return []
    alphabet, titles, windows = results.facts.alphabet, _titles(results, stored), _windows(results)
    figure = _logos(results, stored, titles, range(min(_LOGOS, len(titles))))
    caption = (
        (
            f"Attributions of held-out examples by {_METHODS[str(stored['method'])]}. Letters above zero increase the "
            "prediction, inverted letters below zero decrease it; sites of motifs of seqlets are labelled above."
        )
        + _beside(results) * ("signal" in stored)
        + _deviation(results, settings, stored)
    )
    alt = f"Attribution logos of {plural(len(titles[:_LOGOS]), 'example')}"
    pictures = [gallery.add("attributions", figure, alt, caption)]
    pictures += _views(results, stored, windows, gallery)
    pictures += _mistakes(results, gallery)
    n = min(_MUTATIONS, len(titles))
    codes, changes = list(stored["codes"][:n]), list(stored["change"][:n])
    figure = mutation_maps(codes, changes, titles[:n], alphabet, results.scale)
    places = [tuple(windows.loc[name]) if name in windows.index else None for name in stored["id"][:n]]
    caption = (
        f"Mutation maps: change of the {results.scale} by each single mutation (red: increase; blue: decrease; dots: "
        f"the base present). Letters: importance of a base, the mean decrease of the {results.scale} over its three "
        "mutations."
    )
    words, alt = hints(codes, changes, alphabet, places), f"Mutation maps of {plural(n, 'example')}"
    return [*pictures, gallery.add("mutation_maps", figure, alt, caption, hints=words)]


def _titles(results: Results, stored: dict[str, np.ndarray]) -> list[str]:
    names, outputs = stored["id"], stored["output"]
    targets = stored["target"].reshape(len(names), -1)[np.arange(len(names)), outputs]
    known = [number(t) if abs(t) >= 1000 else f"{t:.3g}" if np.isfinite(t) else "value unknown" for t in targets]
    known, longest = [t.replace("-", "−") for t in known], 28 if len(results.outputs) == 1 else 18
    titles = [
        f"{short(n, longest)}   predicted {number(p)}, true {t}"
        for n, p, t in zip(names, stored["probability"], known, strict=True)
    ]
    if len(results.outputs) > 1:
        titles = [f"{title}   {short(results.outputs[k], 18)}" for title, k in zip(titles, outputs, strict=True)]
    return titles


def _logos(results: Results, stored: dict[str, np.ndarray], titles: list[str], rows: Sequence[int]) -> Figure:
    codes, values = ([stored[key][row] for row in rows] for key in ("codes", "attributions"))
    signal = [stored["signal"][row] for row in rows] if "signal" in stored else []
    sites = [_sites(results, stored["id"][row], stored["output"][row]) for row in rows]
    return motifs.logos(
        codes, values, [titles[row] for row in rows], results.facts.alphabet, sites, signal, results.facts.signal
    )


def _beside(results: Results) -> str:
    """Describe the lines above the letters, if the network receives a signal."""
    if not results.facts.signal:
        return ""
    scale = " as log(1 + value)," * (results.facts.signal_scale == "log1p")
    return f" Lines: the tracks beside the bases,{scale} in standard deviations from their mean."


def _deviation(results: Results, settings: Settings, stored: dict[str, np.ndarray]) -> str:
    """State how far the sums of attributions deviate from differences of predictions, if they should be equal."""
    worst = float(np.abs(stored["delta"]).max())
    if not np.isfinite(worst):
        return ""
    pairs = zip(stored["codes"], stored["attributions"], strict=True)
    sums = np.abs([present(*pair).sum() for pair in pairs]).max()
    words = (
        f" The sums of attributions (up to {number(sums, 1)}) deviate by at most {probability(worst)} from the "
        f"difference in {results.scale} between an example and {_REFERENCE[str(stored['method'])]}"
    )
    model = results.network(settings)
    larger = getattr(model, "strands", "") == "both" and getattr(model, "combine", "max") == "max"
    if larger and str(stored["method"]) == "deeplift":
        words += (
            f", because the strand with the larger {results.scale} is explained relative to the same strand of the "
            f"shuffles, whose {results.scale} may come from the other strand"
        )
    return f"{words}."


def _mistakes(results: Results, gallery: Gallery) -> list[Picture]:
    """Show the highest-scored negatives and the lowest-scored positives, or values predicted too high and too low."""
    path = results.folder / "explain" / "mistakes.npz"
    stored = load(path) if path.is_file() else {"id": np.array([])}
    if not len(stored["id"]):
        return []
    labels = results.task is not None and results.task.family == "classification"
    words = {"over": ("negatives", "negative"), "under": ("positives", "positive")} if labels else {
        "over": ("examples predicted too high", "too high"), "under": ("examples predicted too low", "too low"),
    }  # fmt: skip
    kinds = stored["kind"]
    titles = [f"{words[k][1]}: {title}" for k, title in zip(kinds, _titles(results, stored), strict=True)]
    rows = [row for kind in words for row in np.flatnonzero(kinds == kind)[:_MISTAKES].tolist()]
    named = [len(_sites(results, *pair)) > 0 for pair in zip(stored["id"], stored["output"], strict=True)]
    counts = [(words[kind][0], int((kinds == kind).sum()), int(np.sum(named, where=kinds == kind))) for kind in words]
    which = "The highest-scored negatives and the lowest-scored positives of the test split, false or nearly so:" if (
        labels
    ) else "The test examples that are predicted too high and too low by most:"  # fmt: skip
    caption = f"{which} attributions as above."
    if len(results.seqlet_matches):
        caption += " A site of a motif is found in " + " and in ".join(
            f"{have} of the {count} {what}" for what, count, have in counts if count
        ) + " that were explained."  # fmt: skip
    alt = f"Attribution logos of {plural(len(rows), 'mistake')}"
    return [gallery.add("mistakes", _logos(results, stored, titles, rows), alt, caption)]


def _views(results: Results, stored: dict[str, np.ndarray], windows: pd.DataFrame, gallery: Gallery) -> list[Picture]:
    """Show predictions along the genome around examples, with attributions and sites of motifs."""
    path = results.folder / "explain" / "genome_view.npz"
    if not path.is_file():
        return []
    around, rows = load(path), {name: row for row, name in enumerate(stored["id"])}
    predictions, views = results.table("explain/predictions.tsv"), []
    for name, at, values in zip(around["id"], around["at"], around["prediction"], strict=True):
        row, place = rows[name], windows.loc[name]
        target, predicted = predictions.columns[(first := 5 + 2 * stored["output"][row]) : first + 2]
        near = predictions.rename(columns={target: "target", predicted: "prediction"})
        near = near[(near["chrom"] == place["chrom"]) & (near["end"] > at[0]) & (near["start"] <= at[-1])]
        sites = on_genome(_sites(results, name, stored["output"][row]).assign(id=name), windows)
        minus = np.array([place["strand"] == "-"])
        codes, attributions = on_plus(stored["codes"][[row]], stored["attributions"][[row]], minus)
        views.append(View(place["chrom"], int(place["start"]), codes[0], attributions[0], sites, at, values, near))
    labels = results.task is not None and results.task.family == "classification"
    figure = genome_view(views, results.predicted, results.facts.alphabet, labels)
    caption = (
        f"Views of the genome around examples. Above: the {results.predicted} of windows around each base, on the "
        f"strand of the example; bars: the test windows at their own{' (blue: positive; grey: negative)' * labels}. "
        "Below: attributions on the + strand within the example (shaded), with sites of motifs and their strand. "
        "Positions count from 1, as in genome browsers, for which explain/ has the same as files."
    )
    return [gallery.add("genome_view", figure, f"Predictions and attributions at {len(views)} loci", caption)]


def _windows(results: Results) -> pd.DataFrame:
    """Return the windows of test examples in the genome, by id; see ``located``."""
    table = results.table("explain/predictions.tsv")
    if "chrom" not in table:
        return pd.DataFrame(columns=["chrom", "start", "end", "strand"])
    place = table.set_index("id")[["chrom", "start", "end", "strand"]].dropna()
    return place.astype({"start": int, "end": int})


def files(results: Results) -> list[Table]:
    """List the files for genome browsers and other tools."""
    found = results.table("explain/files.tsv")
    if not len(found):
        return []
    rows = [[f"explain/{row.file}".replace(", ", ", explain/"), row.content, f"{row.number:,}", row.note]
            for row in found.astype({"note": object}).fillna({"note": ""}).itertuples()]  # fmt: skip
    caption = "Files for genome browsers and other tools; intervals are 0-based and half-open."
    columns = ["File", "Content", "Number", "Note"][: 4 if any(row[3] for row in rows) else 3]
    return [table(caption, columns, [row[: len(columns)] for row in rows], "Number")]


def evolved(results: Results, gallery: Gallery) -> Picture:
    table, stored = results.table("explain/evolved.tsv"), load(results.folder / "explain" / "evolved.npz")
    several = table["output"].nunique() > 1
    if several:  # the best one of each
        table = table.sort_values("logit", ascending=False, kind="stable").drop_duplicates("output").sort_index()
    table = table.head(_LOGOS)
    titles = [
        f"{short(row.output, 24) + ': ' if several else ''}predicted {number(row.prediction_before)}, after "
        f"{plural(row.mutations, 'mutation')} {number(row.prediction)}"
        for row in table.itertuples()
    ]
    codes, before = stored["codes"][table.index], stored["before"][table.index]
    changed = [_runs(pair[0] != pair[1]) for pair in zip(codes, before, strict=True)]
    values = list(stored["attributions"][table.index])
    figure = motifs.logos(list(codes), values, titles, results.facts.alphabet, changed)
    caption = (
        "Sequences made to excite an output: shuffled test examples, changed by the single mutation that increases the "
        f"{results.scale} most, repeatedly until one adds less than 2% of the increase so far (bars: mutated "
        f"bases). Letters: the change of the {results.scale} by a base, minus the mean over the four bases. They show "
        "what the network responds to, not what occurs in a genome."
    )
    return gallery.add("evolved", figure, f"{plural(len(table), 'sequence')} made to excite outputs", caption)


def _runs(changed: np.ndarray) -> pd.DataFrame:
    """Return the stretches of mutated bases: start, end, and an empty label."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], changed.astype(int), [0]])))
    return pd.DataFrame({"start": edges[::2], "end": edges[1::2], "label": ""})


def _sites(results: Results, name: str, output: int) -> pd.DataFrame:
    """Return the sites of motifs in an example, for one output: start, end, strand, and a label of motif and match."""
    sites, matches = results.table("explain/example_sites.tsv"), results.seqlet_matches
    if not len(sites) or not len(matches):
        return pd.DataFrame(columns=["start", "end", "strand", "label"])
    known = matches[convincing(matches)].set_index("motif")["target_name"]
    here = sites[sites["id"] == name]
    here = here[here["output"] == results.outputs[output]] if "output" in here else here
    return here.assign(label=[f"{m} ({short(known[m], 16)})" if m in known else m for m in here["motif"]])


def load(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
