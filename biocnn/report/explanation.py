"""The chapter on what the network learned: kernels and their matches, attributions, activation maps."""

from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.data.meme import read_meme
from biocnn.report import images, motifs
from biocnn.report.blocks import Section, Table, plural, table
from biocnn.report.figures import Gallery, Picture
from biocnn.report.headline import SIMILAR, number, probability, top_motif
from biocnn.report.results import Results

_KERNELS, _TRACKS, _MAPS = 12, 6, 5


def explanation(results: Results, experiment: dict, gallery: Gallery) -> Section:
    """Kernels as logos with their matches, attributions of test examples, class activation maps."""
    section = Section("explanation", "Explanation")
    if len(results.matches) and (results.folder / "explain" / "motifs.meme").is_file():
        section.blocks.extend(_kernels(results, experiment, gallery))
    if (results.folder / "explain" / "attributions.npz").is_file():
        section.blocks.extend(_attributions(results, gallery))
    if (results.folder / "explain" / "cam.npz").is_file():
        section.blocks.extend(_maps(results, gallery))
    return section


def _kernels(results: Results, experiment: dict, gallery: Gallery) -> list[Picture | Table]:
    learned = {name: motif.pfm for name, motif in read_meme(results.folder / "explain" / "motifs.meme").items()}
    alphabet = results.facts.get("alphabet", "ACGT")
    matches = results.matches.drop_duplicates("motif")
    shown = matches[matches["motif"].isin(learned)].head(_KERNELS)
    if not len(shown):
        return [_match_table(matches)]
    similar = shown[shown["q_value"] <= SIMILAR]
    targets = _database(experiment) if len(similar) else {}
    caption = "What the first layer looks for: base frequencies at the sites that excite each kernel most, in bits"
    if targets:
        caption += f"; below it, aligned, the most similar motif of the database (q ≤ {number(SIMILAR, 2)})"
    named = ", ".join(similar["target_name"].unique()[:4])
    alt = f"Sequence logos of {plural(len(shown), 'kernel')}" + (f"; matches: {named}" if named else "")
    figure = motifs.kernels(shown, learned, targets, alphabet)
    best = top_motif(results) or shown.iloc[0].to_dict()
    gallery.thumbnail(motifs.emblem(learned[best["motif"]], alphabet))
    return [gallery.add("motifs", figure, alt, f"{caption}."), _match_table(matches)]


def _database(experiment: dict) -> dict[str, np.ndarray]:
    """Motifs of the database that the settings name; none where it is not at hand any more."""
    settings = (experiment.get("explain") or {}).get("motifs") or {}
    path = settings.get("database") if isinstance(settings, dict) else None
    if not path or not Path(path).is_file():
        return {}
    return {name: motif.pfm for name, motif in read_meme(path).items()}


def _match_table(matches: pd.DataFrame) -> Table:
    columns = {
        "motif": ("Kernel", str),
        "n_sites": ("Sites", lambda v: f"{v:,.0f}"),
        "information_content": ("Information (bits)", lambda v: number(v, 1)),
        "frequency": ("Frequency", number),
        "effect": ("Effect", number),
        "target_name": ("Best match", str),
        "target_id": ("Accession", str),
        "strand": ("Strand", str),
        "p_value": ("p", probability),
        "q_value": ("q", probability),
    }
    columns = {key: value for key, value in columns.items() if key in matches and matches[key].notna().any()}
    rows = [
        ["" if pd.isna(row[key]) else write(row[key]) for key, (_, write) in columns.items()]
        for row in matches.to_dict("records")
    ]
    caption = "Kernels by rank."
    if "effect" in columns:
        caption += " Effect: correlation of the kernel's largest activation in a sequence with the target."
    header = [name for name, _ in columns.values()]
    return table(caption, header, rows, "Sites, Information (bits), Frequency, Effect, p, q", "explain/matches.tsv")


def _attributions(results: Results, gallery: Gallery) -> list[Picture]:
    stored = _load(results.folder / "explain" / "attributions.npz")
    names, codes, values = stored["id"], stored["codes"], stored["attributions"].astype(np.float64)
    if not len(names):
        return []
    scores = stored["probability"].reshape(len(names), -1)[:, 0]
    targets = stored["target"].reshape(len(names), -1)[:, 0]
    # The examples of which the network is surest: what it looks at is clearest there.
    order = np.lexsort((-scores, -targets))[:_TRACKS]
    order = order[np.argsort(-scores[order], kind="stable")]
    titles = [f"{names[i]}   predicted {number(scores[i])}, true {targets[i]:.3g}" for i in order]
    alphabet = results.facts.get("alphabet", "ACGT")
    figure = motifs.tracks([codes[i] for i in order], [values[i] for i in order], titles, alphabet)
    caption = (
        "Attributions of held-out examples: gradient times input. Letters above zero speak for the prediction, "
        "letters below, upside down, against it. Position in the sequence that the network saw."
    )
    return [gallery.add("attributions", figure, f"Attribution logos of {len(order)} examples", caption)]


def _maps(results: Results, gallery: Gallery) -> list[Picture]:
    stored = _load(results.folder / "explain" / "cam.npz")
    count = min(_MAPS, len(stored["id"]))
    if not count:
        return []
    width = 105 // max(count, 3)  # characters that fit above one of so many images
    named = zip(stored["id"][:count], stored["output"][:count], strict=True)
    titles = [f"{str(name)[: max(4, width - len(output) - 2)]}  {output}" for name, output in named]
    figure = images.heat_maps(stored["image"][:count], stored["cam"][:count].astype(np.float64), titles)
    caption = "Grad-CAM: where the last features speak for the prediction, from 0 (dark) to 1 (bright)."
    return [gallery.add("cam", figure, f"Class activation maps of {count} images", caption, vector=False)]


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
