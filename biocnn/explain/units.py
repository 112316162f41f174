"""What units of an image network look for: the patches that excite them most, and images made to excite them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from math import ceil
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.explain.ascent import Palette, excite, palette
from biocnn.explain.attributions import evaluating
from biocnn.explain.cam import default_layer
from biocnn.explain.images import canvas
from biocnn.explain.layers import Field, Layer, receptive_fields, uses
from biocnn.explain.seen_images import SeenImages
from biocnn.nn.summary import summary
from biocnn.tasks import Task

PATCHES = 9  # of each unit, from different images
SAMPLE = 8  # images on which the use of channels is measured, and from which colours are taken
SEARCHED = 1e10  # multiply-adds for the search of patches, a second or two on one CPU core
MADE, STEPS, FEWEST = 5e10, 64, 20  # multiply-adds for made images of each kind; most and fewest steps
SHIFTED = 16  # made images are shifted by up to their side divided by this
WHOLE = 0.75  # of the side of an image, from which patches are the whole image
MEASURED = 3  # units whose gradient is measured
SEEN = 0.95  # share of the gradient within the patches shown
SMALLEST, LARGEST = 15, 128  # side of patches; larger ones are reduced for display
SIDES = {1: 256, 2: 128, 3: 32}  # largest side of images made for a layer, by number of axes


@dataclass
class Units:
    """Units of one layer.

    Parameters
    ----------
    kind
        Whether they are outputs or channels of a hidden layer.
    layer
        Name of the layer; "": the outputs.
    index, names
        Index of each among the logits or channels, and its name.
    use
        Share of the channels' use by the outputs, 0 to 1; NaN for outputs.
    fields
        Receptive field along each axis; None: the whole image.
    """

    kind: Literal["output", "channel"]
    layer: str
    index: list[int]
    names: list[str]
    use: list[float]
    fields: list[Field | None]


@dataclass
class UnitPictures:
    """Content of ``write_units``.

    Parameters
    ----------
    units
        One row for each unit: kind (output or channel), unit (name), layer, index, use (see `uses`), field and shown
        (pixels of the receptive field, and of the patches), best (highest activation in an image), made (that of the
        made image), gain (by how much the latter exceeds noise) and, for outputs, prediction (for the made image).
    patches
        One row for each patch: kind, unit, rank, id, position along each axis in the image as the network sees it
        (NaN: the whole image), activation.
    arrays
        For each kind: ``KIND_patches``, shape (units, patches, H, W), with a last axis of 3 for colours, uint8;
        ``KIND_made``, without the second axis; and ``KIND_values``, the whole made images as the network sees them,
        (made, C, *spatial), float16. Of volumes the plane through the position is shown.
    lines
        Log lines.
    """

    units: pd.DataFrame = attribute(default_factory=pd.DataFrame)
    patches: pd.DataFrame = attribute(default_factory=pd.DataFrame)
    arrays: dict[str, np.ndarray] = attribute(default_factory=dict)
    lines: list[str] = attribute(default_factory=list)


def explain_units(network: nn.Module, images: SeenImages, task: Task, number: int, seed: int) -> UnitPictures:
    """Find what excites outputs, and the channels of the last hidden layer that they use most.

    Parameters
    ----------
    network
        Network from (N, C, *spatial) to logits, or boxes.
    images
        Images to search.
    task
        Task of the network.
    number
        Largest number of outputs, and of channels.
    seed
        Seed of the made images.
    """
    found = UnitPictures()
    with evaluating(network), torch.no_grad():
        cost = summary(network, images.x(0).shape[2:]).multiply_adds
        images = images.spaced(max(PATCHES, int(SEARCHED // max(cost, 1))))
        colours = palette([images.x(i)[0] for i in range(min(SAMPLE, len(images)))])
        for units in _units(network, images, task, number):
            _add_patches(found, network, images, units)
            _add_made(found, network, images, units, colours, task, seed)
    searched = f"searched in {plural(len(images), 'image')}"
    found.lines.append(f"{plural(len(found.patches), 'patch')} of {plural(len(found.units), 'unit')}, {searched}")
    return found


def write_units(folder: str | Path, found: UnitPictures) -> None:
    """Write units.tsv, patches.tsv and units.npz, each whole or not at all."""
    for name, table in (("units", found.units), ("patches", found.patches)):
        with atomic(Path(folder) / f"{name}.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    with atomic(Path(folder) / "units.npz") as temporary:
        np.savez_compressed(temporary, **found.arrays)


def _units(network: nn.Module, images: SeenImages, task: Task, number: int) -> Iterator[Units]:
    """Yield outputs, unless these are boxes, then the channels that they use most."""
    x = images.x(0)
    channels, dims = x.shape[1], x.ndim - 2
    outputs = [] if task.detects else list(range(min(number, len(task.outputs))))
    logits = [task.logit_of(k) for k in outputs]
    if outputs:
        spatial = task.target.spatial
        fields = receptive_fields(Layer(network, ""), channels, dims) if spatial else [None] * dims
        yield Units("output", "", logits, [task.outputs[k] for k in outputs], [np.nan] * len(outputs), fields)
    try:
        layer = default_layer(network, x)
    except InputError:  # the network has no hidden convolution with spatial output
        return
    with torch.enable_grad():
        use = uses(network, layer, [images.x(i) for i in range(min(SAMPLE, len(images)))], logits).cpu().numpy()
    order = np.argsort(-use, kind="stable")[:number].tolist()
    fields = receptive_fields(Layer(network, layer), channels, dims)
    yield Units("channel", layer, order, [f"channel {k}" for k in order], use[order].tolist(), fields)


def _add_patches(found: UnitPictures, network: nn.Module, images: SeenImages, units: Units) -> None:
    """Add the patches with the highest activations, each from another image."""
    layer, best, where = Layer(network, units.layer), [], []
    for number in range(len(images)):
        x = images.x(number)
        values = _inner(layer(x)[0, units.index], x.shape[2:], units.fields)
        highest = values.reshape(len(values), -1).max(1)
        best.append(highest.values.cpu().numpy())
        where.append(
            [np.unravel_index(int(place), values.shape[1:]) if values.ndim > 1 else () for place in highest.indices]
        )
    ranked = np.argsort(-np.stack(best), axis=0, kind="stable")[:PATCHES].T  # (units, patches)
    side = _side(layer, images, units, [(int(row[0]), where[row[0]][u]) for u, row in enumerate(ranked)])
    pictures, rows = [], []
    for u, (name, numbers) in enumerate(zip(units.names, ranked.tolist(), strict=True)):
        for rank, number in enumerate(numbers, 1):
            middle = [
                _middle(*pair) for pair in zip(units.fields, where[number][u] or [0] * len(units.fields), strict=True)
            ]
            pictures.append(_reduced(images.patch(number, middle, side)))
            rows.append({"kind": units.kind, "unit": name, "rank": rank, "id": images.ids[number]})
            rows[-1] |= {f"axis_{axis}": np.nan if side is None else place for axis, place in enumerate(middle)}
            rows[-1]["activation"] = float(best[number][u])
    stacked = canvas(pictures)
    found.arrays[f"{units.kind}_patches"] = stacked.reshape(len(units.index), -1, *stacked.shape[1:])
    found.patches = pd.concat([found.patches, pd.DataFrame(rows)], ignore_index=True)
    sizes = " x ".join("all" if f is None else str(f.size) for f in units.fields)
    table = {"kind": units.kind, "unit": units.names, "layer": units.layer, "index": units.index, "use": units.use}
    table |= {"field": sizes, "shown": side or "all", "best": [best[row[0]][u] for u, row in enumerate(ranked)]}
    found.units = pd.concat([found.units, pd.DataFrame(table)], ignore_index=True)


def _inner(values: Tensor, size: Sequence[int], fields: Sequence[Field | None]) -> Tensor:
    """Set values (K, *spatial) whose receptive field reaches beyond the image to -inf, unless all do."""
    inside = torch.ones_like(values[0], dtype=torch.bool) if values.ndim > 1 else values.new_tensor(1).bool()
    for axis, (length, field) in enumerate(zip(size, fields, strict=True)):
        if field is not None and values.ndim > 1:
            middles = field.middle(torch.arange(values.shape[1 + axis], device=values.device))
            near = (middles >= field.size / 2) & (middles <= length - 1 - field.size / 2)
            inside = inside & (near if near.any() else ~near).view(-1, *[1] * (values.ndim - 2 - axis))
    return values.masked_fill(~inside, -torch.inf)


def _middle(field: Field | None, position: int) -> int:
    return 0 if field is None else round(field.middle(int(position)))


def _side(layer: Layer, images: SeenImages, units: Units, places: Sequence[tuple[int, tuple[int, ...]]]) -> int | None:
    """Return the side of patches that contain 95% of the gradient of most units, in pixels; None: whole images.

    Half of the units may need more: the median over units and axes counts.
    """
    if None in units.fields:
        return None
    reaches = []
    for u, (number, position) in enumerate(places[:MEASURED]):
        with torch.enable_grad():
            x = images.x(number).detach().requires_grad_(True)
            value = layer(x)[(0, units.index[u], *position)]
            weight = torch.autograd.grad(value, x)[0][0].abs().sum(0).cpu().double().numpy()
        for axis, (field, place) in enumerate(zip(units.fields, position, strict=True)):
            along = weight.sum(axis=tuple(other for other in range(weight.ndim) if other != axis))
            distance = np.abs(np.arange(len(along)) - field.middle(int(place)))
            order = np.argsort(distance, kind="stable")
            inside = along[order].cumsum() <= SEEN * along.sum()
            reaches.append(distance[order][min(int(inside.sum()), len(order) - 1)])
    side = min(max(2 * ceil(np.median(reaches)) + 1, SMALLEST), max(field.size for field in units.fields))
    return side if side < WHOLE * min(images.x(0).shape[-2:]) else None


def _add_made(
    found: UnitPictures, network: nn.Module, images: SeenImages, units: Units, colours: Palette, task: Task, seed: int
) -> None:
    """Add images made to excite the units at the central position of their layer, as many as the budget allows."""
    layer, whole = Layer(network, units.layer), images.x(0).shape[2:]
    if None in units.fields:
        size = list(whole)
    else:
        most = SIDES[len(whole)]
        size = [min(n, most, max(32, f.size)) for n, f in zip(whole, units.fields, strict=True) if f]
    cost = 3 * summary(network, size).multiply_adds  # forward and backward
    count = min(len(units.index), int(MADE // (FEWEST * cost)))
    table, rows = found.units, found.units.index[found.units["kind"] == units.kind]
    if not count:
        found.lines.append(
            f"no images made to excite {units.kind}s: a step takes {cost / 1e9:.1f} billion multiply-adds"
        )
        return
    index, steps = units.index[:count], min(STEPS, int(MADE // (count * cost)))

    def values(x: Tensor) -> Tensor:
        return _central(layer(x))[torch.arange(len(x)), index[: len(x)]]

    spread = found.patches[found.patches["kind"] == units.kind].groupby("unit", sort=False)["activation"].std()
    # Coarse, so that rounding in activations does not change the images.
    scale = torch.tensor(spread.to_numpy()[:count], dtype=torch.float32).nan_to_num(1.0).clamp(min=1e-3)
    shown = table.loc[rows[0], "shown"]
    side = None if shown == "all" else int(shown)
    shift = (side or min(size)) // SHIFTED
    made, gain = excite(values, count, size, colours, steps, seed, scale.half().float().to(colours.mean.device), shift)
    reached, output = layer.with_output(made)
    table.loc[rows[:count], "made"] = _central(reached)[range(count), index].cpu().numpy()
    table.loc[rows[:count], "gain"] = gain.cpu().numpy()
    if units.kind == "output":
        assert isinstance(output, Tensor)
        p = _central(task.probability(output))
        table.loc[rows[:count], "prediction"] = [float(p[i, k]) for i, k in enumerate(range(count))]
    centre = [n // 2 for n in reached.shape[2:]] or [0] * len(size)
    middle = [_middle(*pair) for pair in zip(units.fields, centre, strict=True)]
    pictures = [_reduced(images.painted(x, middle, side)) for x in made.cpu()]
    found.arrays[f"{units.kind}_made"] = canvas(pictures)
    found.arrays[f"{units.kind}_values"] = made.half().cpu().numpy()


def _central(values: Tensor) -> Tensor:
    """Return the values at the central position: (N, K, *spatial) to (N, K)."""
    return values[(slice(None), slice(None), *(n // 2 for n in values.shape[2:]))]


def _reduced(picture: np.ndarray) -> np.ndarray:
    """Reduce a picture (H, W) or (H, W, 3), uint8, to at most 128 pixels on each side."""
    if max(picture.shape[:2]) <= LARGEST:
        return picture
    factor = LARGEST / max(picture.shape[:2])
    x = torch.from_numpy(np.atleast_3d(picture)).float().movedim(-1, 0)[None]
    size = [max(1, round(factor * n)) for n in picture.shape[:2]]
    small = nn.functional.interpolate(x, size=size, mode="area")[0].movedim(0, -1).round().byte().numpy()
    return small.reshape(*size, *picture.shape[2:])
