"""The sections on new images: objects in them, predictions for them, or these restored."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.image import imread

from biocnn.apply.overlay import thumbnail_path
from biocnn.core.plurals import plural
from biocnn.report import curves
from biocnn.report.blocks import Block, Picture, Section, Table, Text, counted, table, wrapped
from biocnn.report.figures import MUTED, PAGE_WIDTH, Gallery, new_figure
from biocnn.report.headline import interval, number
from biocnn.report.image_gallery import BELOW, WIDEST
from biocnn.report.images import bare
from biocnn.report.overlays import overlays
from biocnn.report.results import Results
from biocnn.tasks import Task

_IN_PIXELS = ("area", "perimeter", "axis_major", "axis_minor", "neighbour_distance", "surface")
_POWERS = str.maketrans("23", "²³")
_UNCERTAIN = 10  # images
_LIKELY = 3  # outputs of an image
_PREVIEWS = 3  # restored images
_ACROSS = 6  # images in a row
_CHANNELS = 2  # whose mean intensities are listed beside pictures
_QUANTILES = {"Median": 0.5, "25%": 0.25, "75%": 0.75, "Minimum": 0.0, "Maximum": 1.0}


def predictions(results: Results, gallery: Gallery) -> Section:
    """Count what is predicted for new images, list the most uncertain ones, and show some."""
    section, path = Section("predictions", "New images"), "apply/predictions.csv"
    found = results.table(path, ",")
    if not len(found):
        return section
    processing = _processing(results, path)
    found = found[found["skipped"].isna()]
    found = found.assign(thumbnail=found["bag" if "bag" in found else "image"])
    if "bag" in found:
        found = found.assign(path=found["bag"])
    section.blocks.append(Text(f"Predictions for {plural(len(found), f'new {_one(found)}')} are in {path}."))
    for part in results.parts or [results]:
        own = found.rename(columns=_names(part.task)) if results.parts else found
        section.blocks.extend([Text(f"Output {part.name}.")] if results.parts else [])
        section.blocks.extend(_predicted(own, part.outputs))
        where = gallery.within(part.name) if results.parts else gallery
        section.blocks.extend(_pictured(results.folder / "apply", own, part.outputs, where))
        if "uncertainty" in own:
            section.blocks.append(_uncertain(own, part.outputs))
    section.blocks.extend(processing)
    return section


def _pictured(folder: Path, found: pd.DataFrame, outputs: list[str], gallery: Gallery) -> list[Picture]:
    """Show the least and the most certain new images, or those with the highest and lowest value of an output."""
    found = found[[thumbnail_path(folder, str(name)).is_file() for name in found["thumbnail"]]]
    by = "uncertainty" if "uncertainty" in found else f"value_{outputs[0]}"
    if not len(found) or by not in found:
        return []
    ordered = found.sort_values(by, kind="stable")
    most = min(_ACROSS, -(-len(ordered) // 2))
    words = ("Least certain", "Most certain") if by == "uncertainty" else ("Highest", "Lowest")
    rows = dict(zip(words, (ordered[::-1][:most], ordered[: min(most, len(ordered) - most)]), strict=True))
    rows = {name: part for name, part in rows.items() if len(part)}
    size = PAGE_WIDTH / _ACROSS
    figure = new_figure(len(rows) * (size + 0.45))
    grid = figure.subplots(len(rows), _ACROSS, squeeze=False)
    for line, (name, part) in zip(grid, rows.items(), strict=True):
        for axes, one in zip(line, part.to_dict("records"), strict=False):
            axes.imshow(imread(thumbnail_path(folder, str(one["thumbnail"]))))
            bare(axes)
            axes.set_title(wrapped(_decided(one, outputs), WIDEST, 2), fontsize=6.5, loc="left")
            axes.set_xlabel(wrapped(one["path"], BELOW), fontsize=5.5, color=MUTED, loc="left", labelpad=1)
        for axes in line[len(part) :]:
            axes.set_visible(False)
        line[0].set_ylabel(name)
    what = _one(found)
    caption = f"New {what}s with their predictions."
    caption += " Of a bag, the image with most attention is shown." if "bag" in found else ""
    return [gallery.add("new_images", figure, f"New {what}s with their predictions", caption, vector=False)]


def _decided(row: dict[str, Any], outputs: list[str]) -> str:
    """Return what is predicted for an image, with its probability."""
    if kind := next((row[name] for name in ("class", "grade") if name in row), None):
        return f"{kind} {number(row[f'probability_{kind}'], 2)}"
    if f"value_{outputs[0]}" in row:
        return f"{outputs[0]} {number(row[f'value_{outputs[0]}'])}"
    likely = max(outputs, key=lambda name: row[f"probability_{name}"])
    return f"{likely} {number(row[f'probability_{likely}'], 2)}"


def _names(task: Task) -> dict[str, str]:
    """Return the names that the columns of a part would have if there were no other parts."""
    names = {f"{word}{task.suffix}": word for word in ("class", "grade", "uncertainty", "disagreement")}
    for title, output in zip(task.titles, task.outputs, strict=True):
        names |= {f"{word}_{title}": f"{word}_{output}" for word in ("probability", "predicted", "value")}
    return names


def _one(found: pd.DataFrame) -> str:
    return "bag" if "bag" in found else "image"


def _predicted(found: pd.DataFrame, outputs: list[str]) -> list[Table]:
    """Summarise predictions: images of each class, images with each output, or values."""
    what = f"{_one(found).capitalize()}s"
    if kind := next((name for name in ("class", "grade") if name in found), ""):
        counts = found[kind].astype(str).value_counts().reindex(outputs, fill_value=0)
        rows = [[name, f"{n:,}", f"{n / len(found):.1%}"] for name, n in counts.items()]
        return [
            table(
                f"Predicted {kind}{'es' if kind == 'class' else 's'}.",
                [kind.capitalize(), what, "Share"],
                rows,
                f"{what}, Share",
            )
        ]
    if yes := {name: found[f"predicted_{name}"] == "yes" for name in outputs if f"predicted_{name}" in found}:
        rows = [[name, f"{which.sum():,}", f"{which.mean():.1%}"] for name, which in yes.items()]
        caption = f"{what} that have an output, with a probability of at least 0.5."
        return [table(caption, ["Output", what, "Share"], rows, f"{what}, Share")]
    values = found[[f"value_{name}" for name in outputs]].quantile(list(_QUANTILES.values()))
    rows = [[name, *map(number, values[f"value_{name}"])] for name in outputs]
    return [table("Predicted values.", ["Output", *_QUANTILES], rows, ",".join(_QUANTILES))]


def _uncertain(found: pd.DataFrame, outputs: list[str]) -> Table:
    """List the most uncertain images."""
    measures = [name for name in ("uncertainty", "disagreement") if name in found]
    shown = found.sort_values("uncertainty", ascending=False, kind="stable").head(_UNCERTAIN)
    p = shown[[f"probability_{name}" for name in outputs]].to_numpy()
    likely = [
        ", ".join(f"{outputs[k]} ({number(row[k])})" for k in np.argsort(-row, kind="stable")[:_LIKELY]) for row in p
    ]
    rows = [
        [image, words, *map(number, numbers)]
        for image, words, numbers in zip(shown["path"], likely, shown[measures].to_numpy(), strict=True)
    ]
    caption = f"The most uncertain new {_one(found)}s. Uncertainty: entropy of the mean probabilities, "
    caption += "0 (certain) to 1 (all equal)"
    caption += "; disagreement: the part of it by which the models differ." if measures[1:] else "."
    header = [_one(found).capitalize(), "Probabilities", *(name.capitalize() for name in measures)]
    return table(caption, header, rows, ",".join(header[2:]))


def counts(results: Results) -> Section:
    """Summarise the numbers of objects in new images, and list the images whose counts are least certain."""
    section, path = Section("counts", "New images"), "apply/counts.csv"
    found = results.table(path, ",")
    if not len(found):
        return section
    found = found[found["skipped"].isna()]
    where = plural(found["image"].nunique(), "new image")
    number_of = plural(round(found["count"].sum()), "object")
    words = f"{number_of} in {where}. All counts are in {path}; apply/density has the densities, "
    section.blocks.append(Text(words + "whose sums are the counts, and apply/overlays pictures of them."))
    numbered = found.groupby(["image", "path"], sort=False)["count"].sum().rename("n").reset_index()
    counted_ = found.rename(columns={"class": "name"})
    section.blocks.extend(overlays(results, numbered, counted_, {"count": "Count", "low": "Low", "high": "High"}))
    quantiles = found.groupby("class", sort=False)["count"].quantile(list(_QUANTILES.values())).unstack()
    rows = [[name, *map(number, values)] for name, values in zip(quantiles.index, quantiles.to_numpy(), strict=True)]
    caption = "Numbers of objects per new image."
    section.blocks.append(table(caption, ["Class", *_QUANTILES], rows, ",".join(_QUANTILES)))
    if "sd" in found:
        shown = found.assign(share=found["sd"] / found["count"].clip(lower=1))
        shown = shown.sort_values("share", ascending=False, kind="stable").head(_UNCERTAIN)
        columns = ["path", "class", "count", "low", "high", "sd"]
        rows = [
            [path, name, number(count), interval(low, high), number(sd)]
            for path, name, count, low, high, sd in shown[columns].itertuples(index=False)
        ]
        caption = (
            "New images on whose counts the models disagree most, for their size; points drawn there by hand are most "
            "useful for training. Standard deviation: of the counts of the models."
        )
        header = ["Image", "Class", "Count", "90% interval", "Standard deviation"]
        section.blocks.append(table(caption, header, rows, ",".join(header[2:])))
    section.blocks.extend(_processing(results, path))
    return section


def restored(results: Results, gallery: Gallery) -> Section:
    """Show what the networks made of new images, beside these, and list those on which the networks differ most."""
    section, path = Section("restored", "New images"), "apply/images.csv"
    previews = results.folder / "apply" / "previews"
    if not previews.is_dir():
        return section
    section.blocks.extend(_processing(results, path))
    found = results.table(path, ",")
    found = found[found["skipped"].isna()]
    several = "sd" in found
    words = f"{plural(len(found), 'new image')} restored: the images are in apply/restored"
    words += ", and the standard deviation of the networks in apply/sd" if several else ""
    section.blocks.append(Text(f"{words}."))
    shown = found.sort_values("sd", ascending=False, kind="stable") if several else found
    strips = {row.path: imread(previews / f"{row.image}.png") for row in shown.head(_PREVIEWS).itertuples()}
    caption = "Middle of new images"
    caption += ", those on which the networks differ most first" if several and len(found) > 1 else ""
    caption += ": as given; restored" + (
        "; standard deviation of the networks, from 0 (dark) to its largest value." if several else "."
    )
    caption += " Image and restored image are each stretched from their 1st to their 99.8th percentile."
    figure = _strips(strips, ["Image", "Restored", "Standard deviation"][: 2 + several])
    section.blocks.append(gallery.add("restored", figure, "New images, and these restored", caption, vector=False))
    if several:
        rows = [[row.path, number(row.sd)] for row in shown.head(_UNCERTAIN).itertuples()]
        caption = (
            "New images on which the networks differ most. Standard deviation: of their values, root mean square over "
            "the image, in its intensities."
        )
        section.blocks.append(table(caption, ["Image", "Standard deviation"], rows, "Standard deviation", path))
    return section


def _strips(strips: dict[str, np.ndarray], headings: list[str]) -> Figure:
    """Draw pictures of equally wide parts side by side, a row each, with their names."""
    width = PAGE_WIDTH / len(headings)
    heights = [width * len(strip) / (strip.shape[1] / len(headings)) for strip in strips.values()]
    figure = new_figure(sum(heights) + 0.2 * len(heights))
    grid = figure.subplots(len(strips), len(headings), squeeze=False, height_ratios=heights)
    for place, (row, (name, strip)) in enumerate(zip(grid, strips.items(), strict=True)):
        for axes, part, heading in zip(row, np.split(strip, len(headings), axis=1), headings, strict=True):
            axes.imshow(part, interpolation="nearest")
            bare(axes, heading if place == 0 else "")
        row[0].set_ylabel(wrapped(name, 24))
    return figure


def objects(results: Results, gallery: Gallery) -> Section:
    """Show measurements of the objects in new images, and how the images were processed."""
    section = Section("objects", "Objects")
    if (results.folder / "apply" / "previews").is_dir():
        return section
    found = results.table("apply/objects.csv", ",")
    section.blocks.extend(_boxes(results) + (_measured(results, gallery, found) if len(found) else _none(results)))
    section.blocks.extend(_processing(results, "apply/images.csv"))
    return section


def _none(results: Results) -> list[Block]:
    """State that there are no objects in the new images, if these were looked for, and show the images."""
    images_ = results.table("apply/images.csv", ",")
    if not len(images_) or not (results.folder / "apply" / "objects.csv").is_file():
        return []
    nothing = pd.DataFrame(columns=["image", "name"])
    shown = _numbered(images_, nothing)
    text = f"No objects were found in {plural(len(shown), 'new image')}."
    return [Text(text), *overlays(results, shown, nothing, {})]


def _measured(results: Results, gallery: Gallery, found: pd.DataFrame) -> list[Block]:
    """Show the objects in new images with their pictures, and summarise their measurements."""
    kinds = f": {counted(found['class'])}" if found["class"].nunique() > 1 else ""
    images_ = results.table("apply/images.csv", ",")
    where = plural(images_.loc[images_["skipped"].isna(), "image"].nunique(), "new image")
    blocks: list[Block] = [Text(f"{plural(len(found), 'object')} in {where}{kinds}. All are in apply/objects.csv.")]
    blocks.extend(overlays(results, _numbered(images_, found), *_listed(found)))
    places = [name for name in found if re.fullmatch(r"label|centroid_.*|[xyz]_(min|max)", name)]
    measured = found.drop(columns=places).select_dtypes("number")
    rows = [
        [_measurement(name), *map(number, found)] for name, found in measured.quantile([0.5, 0.25, 0.75, 0, 1]).items()
    ]
    header = ["Measurement", "Median", "25%", "75%", "Minimum", "Maximum"]
    caption = "Measurements of all objects; intensities are in the units of the image."
    blocks.append(table(caption, header, rows, ",".join(header[1:]), "apply/objects.csv"))
    area = _size_of(measured)
    figure = curves.sizes(measured[area].to_numpy(), _measurement(area))
    return [*blocks, gallery.add("objects", figure, "Histogram of object sizes", "Object sizes.")]


def _numbered(images_: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return the number of objects, n, in each image that was read."""
    read = images_.loc[images_["skipped"].isna(), ["image", "path"]].drop_duplicates()
    return read.assign(n=read["image"].map(found["image"].value_counts()).fillna(0))


def _listed(found: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the objects with their names in pictures, and the measurements to list."""
    size = _size_of(found)
    names = [size, *[name for name in found if name.endswith("_mean")][:_CHANNELS], "score"]
    named = found["class"].astype(str) + " " + found["label"].astype(str)
    return found.assign(name=named), {name: _measurement(name) for name in names if name in found}


def _size_of(found: pd.DataFrame) -> str:
    """Return the name of the sizes of objects, which is that in units if all have one."""
    sizes = ("area_um2", "area_mm2", "volume_um3", "volume_mm3", "area")
    return next(name for name in sizes if name in found and found[name].notna().all())


def _boxes(results: Results) -> list[Block]:
    """Count the boxes of each class in new images, and list the images on which the models disagree most."""
    images_ = results.table("apply/images.csv", ",")
    if not len(images_) or not (results.folder / "apply" / "boxes.csv").is_file():
        return []
    read = images_[images_["skipped"].isna()]
    where = plural(read["image"].nunique(), "new image")
    words = f"{plural(int(read['n_objects'].sum()), 'object')} in {where}. All are in apply/boxes.csv, and for other "
    blocks: list[Block] = [Text(words + "programs in apply/coco.json; apply/overlays has pictures with the boxes.")]
    rows = []
    for name, part in read.groupby("class", sort=False):
        number_of, score = part["n_objects"], np.average(part["score_mean"].fillna(0), weights=part["n_objects"] + 1e-9)
        counts = [f"{number_of.sum():,}", f"{(number_of > 0).sum():,}", number(number_of.mean(), 1)]
        rows.append([name, *counts, f"{number_of.min():,}–{number_of.max():,}", number(score)])
    found = results.table("apply/boxes.csv", ",")
    names = dict(read[["path", "image"]].drop_duplicates().to_numpy())
    number_in = (found.groupby("image").cumcount() + 1).astype(str)
    sides = {"width": found["x1"] - found["x0"], "height": found["y1"] - found["y0"]}
    listed = found.assign(image=found["image"].map(names), name=found["label"].astype(str) + " " + number_in, **sides)
    units = [name for name in found if re.fullmatch("(width|height)_[a-z]+", name)]
    columns = ["score", "x0", "y0", *(units or sides)]
    blocks.extend(overlays(results, _numbered(images_, listed), listed, {name: _measurement(name) for name in columns}))
    header = ["Class", "Objects", "Images with any", "Mean per image", "Range", "Mean score"]
    blocks.append(table("Objects in new images.", header, rows, ",".join(header[1:]), "apply/images.csv"))
    if "disagreement" in read:
        each = read.groupby(["image", "path"], sort=False).agg({"disagreement": "first", "n_objects": "sum"})
        shown = each.sort_values("disagreement", ascending=False, kind="stable").head(_UNCERTAIN)
        rows = [[path, f"{n:,.0f}", number(value)] for (_, path), value, n in shown.itertuples()]
        caption = (
            "New images on which the models disagree most; boxes drawn there by hand are most useful for training. "
            "Disagreement: 1 minus the mean share of the models that find an object."
        )
        blocks.append(table(caption, ["Image", "Objects", "Disagreement"], rows, "Objects,Disagreement"))
    return blocks


def _processing(results: Results, path: str) -> list[Table]:
    """Make tables of the processing of new images, and of skipped images; ``path`` is the table of images."""
    counts, images_ = results.table("apply/counts.tsv"), results.table(path, ",")
    if not len(images_):  # other files were made of the images
        return []
    blocks = []
    if len(counts):
        columns = ["outcome", "reason", "count", "example"][: 4 if counts["example"].notna().any() else 3]
        rows = counts[columns].to_numpy().tolist()
        caption = "Processing of new images."
        blocks.append(table(caption, [name.capitalize() for name in columns], rows, "Count", "apply/counts.tsv"))
    skipped = images_[images_["skipped"].notna()]
    if len(skipped):
        rows = [[getattr(row, "path", row[1]), row.skipped] for row in skipped.itertuples(index=False)]
        caption = f"{plural(len(rows), 'new image')} skipped."
        blocks.append(table(caption, ["Image", "Reason"], rows, full=path))
    return blocks


def _measurement(name: str) -> str:
    """Format the name of a measurement: 'area_um2' becomes 'Area (µm²)'."""
    units = {
        f"_{u}{power}": f" ({'µm' if u == 'um' else u}{power.translate(_POWERS)})"
        for u in ("um", "mm")
        for power in ("2", "3", "")
    }
    ending = next((ending for ending in units if name.endswith(ending)), None)
    unit = units[ending] if ending else " (pixels)" if name in _IN_PIXELS else ""
    words = name.removesuffix(ending or "").replace("_", " ")
    return words[:1].upper() + words[1:] + unit
