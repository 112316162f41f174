"""Pictures of what an image network looks for: kernels, feature maps, and what excites its units."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biocnn.core.plurals import plural
from biocnn.report.blocks import short
from biocnn.report.figures import MUTED, PAGE_WIDTH, Gallery, Picture
from biocnn.report.headline import number
from biocnn.report.results import Results

_KERNELS, _ACROSS = 48, 16  # kernels shown, and how many in a row
_BOUNDS = (1, 99.5)  # percentiles of feature maps that become black and white
_LABEL, _APART, _GAP, _TITLE = 1.3, 0.25, 0.05, 0.18  # names of units, and distances, in widths of a picture


def sought(results: Results, gallery: Gallery) -> Iterator[Picture]:
    """Yield the pictures of the files of the explain step that exist."""
    folder = results.folder / "explain"
    if (folder / "units.npz").is_file():
        yield from _units(results, gallery, folder)
    if (folder / "feature_maps.npz").is_file():
        yield _feature_maps(_load(folder / "feature_maps.npz"), gallery)
    if (folder / "kernels.npz").is_file():
        yield _kernels(_load(folder / "kernels.npz"), results, gallery)


def _units(results: Results, gallery: Gallery, folder: Path) -> Iterator[Picture]:
    arrays, table = _load(folder / "units.npz"), results.table("explain/units.tsv")
    for kind, rows in table.groupby("kind", sort=False) if len(table) else ():
        patches, made = arrays[f"{kind}_patches"], arrays.get(f"{kind}_made", ())
        figure = excited(_names(rows, results), patches, made)
        whole = str(rows["shown"].iloc[0]) == "all"
        first = rows.iloc[0]
        pieces = "the images" if whole else f"the patches of {first['shown']} × {first['shown']} pixels"
        what = (
            "each output"
            if kind == "output"
            else f"the channels of the last hidden layer ({first['layer']}) that outputs use most"
        )
        caption = (
            f"What excites {what}: {pieces} with the highest {results.scale if kind == 'output' else 'activation'}"
        )
        caption += ", each from another test image, in descending order"
        if not whole:
            caption += f" (receptive field: {first['field'].replace('x', '×')} pixels; 95% of the gradient is inside)"
        if len(made):
            few = f" (of the first {len(made)})" if len(made) < len(rows) else ""
            caption += (
                f". Left{few}: an image made to excite it, by gradient ascent from noise"
                f"{'; its ' + results.predicted + ' is given' if kind == 'output' else ''}"
            )
        alt = f"What excites {len(rows)} {kind}s of the network"
        yield gallery.add(f"excites_{kind}s", figure, alt, f"{caption}.", vector=False)


def _names(rows: pd.DataFrame, results: Results) -> list[str]:
    found = []
    for row in rows.to_dict("records"):
        if row["kind"] == "output":
            value = row.get("prediction", np.nan)
            note = number(value) if np.isfinite(value) else ""
        else:
            note = f"use {row['use']:.0%}" if np.isfinite(row["use"]) else ""
        found.append(f"{short(row['unit'], 16)}\n{note}".strip())
    return found


def excited(names: list[str], patches: np.ndarray, made: np.ndarray) -> Figure:
    """Draw a row for each unit: its name, a made image if there is one, and patches.

    Parameters
    ----------
    names
        Names of the units, of one or two lines.
    patches
        Shape (units, patches, H, W) or (units, patches, H, W, 3), uint8.
    made
        Shape (made, H, W) or (made, H, W, 3), uint8, of the first units.
    """
    tall, left = patches.shape[2] / patches.shape[3], _LABEL + (1 + _APART) * bool(len(made))
    figure, axes = _sheet(
        left + patches.shape[1], tall * len(names), max(patches.shape[1] + bool(len(made)), 8) + _LABEL + _APART
    )
    for row, name in enumerate(names):
        first, *rest = name.split("\n")
        middle = tall * (row + 0.5)
        axes.text(0, middle, first, va="bottom" if rest else "center", fontsize=6.5)
        axes.text(0, middle + 0.05, "".join(rest), va="top", fontsize=6, color=MUTED)
        if row < len(made):
            _put(axes, made[row], _LABEL, tall * row, tall)
        for k, patch in enumerate(patches[row]):
            _put(axes, patch, left + k, tall * row)
    return figure


def _sheet(width: float, height: float, across: float) -> tuple[Figure, Axes]:
    """Return a figure for pictures of width 1, of which ``across`` would fill a page, and its only axes."""
    figure = Figure(figsize=(width * PAGE_WIDTH / across, height * PAGE_WIDTH / across))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return figure, axes


def _put(axes: Axes, picture: np.ndarray, x: float, y: float, most: float = np.inf, **scale: Any) -> None:
    """Draw a picture, by default one of bytes, with its corner at a place of a sheet, at most this tall."""
    tall = picture.shape[0] / picture.shape[1]
    width = min(1.0, most / tall)
    extent = (x, x + width - _GAP, y + width * tall - _GAP, y)
    scale = scale or {"cmap": "gray", "vmin": 0, "vmax": 255}
    axes.imshow(picture, extent=extent, aspect="auto", interpolation="nearest", **scale)


def _kernels(stored: dict[str, np.ndarray], results: Results, gallery: Gallery) -> Picture:
    kernels = stored["kernels"]
    colours = kernels.ndim == 4 and kernels.shape[1] == 3
    order = np.argsort(-np.abs(kernels).reshape(len(kernels), -1).max(1), kind="stable")[:_KERNELS]
    volumes = kernels.ndim == 5
    planes = kernels[order, :, kernels.shape[2] // 2] if volumes else kernels[order]
    caption = (
        f"The {plural(len(order), 'kernel')} of the first layer"
        if len(order) == len(kernels)
        else (f"The {len(order)} of {len(kernels)} kernels of the first layer with the largest weights")
    )
    sizes = " × ".join(map(str, kernels.shape[2:]))
    caption += f", {sizes} {'voxels (middle plane)' if volumes else 'pixels'}, largest weights first. "
    if colours:
        caption += "Red, green and blue are the weights of the three channels; mid grey is zero."
    else:
        names = ", ".join(results.facts.channels) or "the image"
        caption += "Red: positive weights; blue: negative"
        caption += f"; one row for each channel ({names})." if planes.shape[1] > 1 else "."
    figure = kernel_grid(planes, colours=colours)
    return gallery.add("kernels", figure, f"{plural(len(order), 'kernel')} of the first layer", caption, vector=False)


def kernel_grid(kernels: np.ndarray, *, colours: bool) -> Figure:
    """Draw kernels of shape (n, C, H, W), as colours or with a row for each channel, on a scale symmetric around 0."""
    scale = max(float(np.abs(kernels).max()), 1e-12)
    planes = 1 if colours else kernels.shape[1]
    tall, lines = kernels.shape[2] / kernels.shape[3], -(-len(kernels) // _ACROSS)
    figure, axes = _sheet(max(min(len(kernels), _ACROSS), 8), lines * planes * tall, _ACROSS)
    for i, kernel in enumerate(kernels):
        x, y = i % _ACROSS, i // _ACROSS * planes * tall
        if colours:
            _put(axes, np.clip(0.5 + 0.5 * np.moveaxis(kernel, 0, -1) / scale, 0, 1), x, y)
        for k, plane in enumerate(() if colours else kernel):
            _put(axes, plane, x, y + k * tall, cmap="RdBu_r", vmin=-scale, vmax=scale)
    return figure


def _feature_maps(stored: dict[str, np.ndarray], gallery: Gallery) -> Picture:
    layers, channels = stored["layers"].tolist(), stored["channels"]
    maps = [stored[f"maps_{row}"] for row in range(len(layers))]
    sizes = [" × ".join(map(str, size)) for size in stored["sizes"]]
    caption = (
        f"Feature maps of test image {stored['id']} in {plural(len(layers), 'layer')}, from the first to the last: the "
        "channels that vary most, each from its lowest value (black) to its highest (white)."
    )
    figure = feature_maps(stored["image"], layers, sizes, channels, maps)
    return gallery.add("feature_maps", figure, f"Feature maps of {plural(len(layers), 'layer')}", caption, vector=False)


def feature_maps(
    image: np.ndarray, layers: list[str], sizes: list[str], channels: np.ndarray, maps: list[np.ndarray]
) -> Figure:
    """Draw an image and, for each layer, a row with its name, the size of its maps, and the maps (n, H, W)."""
    across, tall = 1 + channels.shape[1], image.shape[0] / image.shape[1] + _TITLE
    figure, axes = _sheet(across, len(layers) * tall, across)
    _put(axes, image, 0, _TITLE)
    for row, (layer, size) in enumerate(zip(layers, sizes, strict=True)):
        top = row * tall + _TITLE
        axes.text(1, top - 0.03, f"{short(layer, 40)}: {size}", fontsize=6.5)
        for k, values in enumerate(maps[row][: channels.shape[1]].astype(np.float32), start=1):
            low, high = np.percentile(values, _BOUNDS)
            _put(axes, values, k, top, cmap="gray", vmin=low, vmax=high)
    return figure


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
