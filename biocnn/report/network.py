"""The network as a figure: its stages in order, with the size of what they compute and their weights."""

from collections import Counter
from dataclasses import dataclass, field
from math import log2, sqrt

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import nn

from biocnn.config.search_space import own_modules
from biocnn.config.settings import Settings
from biocnn.core.errors import InputError
from biocnn.core.palette import BLUE, GREEN, ORANGE, PURPLE
from biocnn.nn.summary import CONV, TRANSPOSED, Row, Summary, summary
from biocnn.nn.words import WordMixture
from biocnn.report.figures import FAINT, MUTED, PAGE_WIDTH, Gallery, Picture, new_figure
from biocnn.report.results import Results
from biocnn.training.checkpoint import load_model
from biocnn.training.metadata import Metadata

_ROW = 9  # stages side by side
_LINKS = 8  # skip connections; of networks with more, e.g. detectors, none is drawn
_BASE, _STEP = 0.95, 0.13  # height of the lowest skip connection, and of each further one above it
_ANY = 128  # size along an axis, if the network takes any
_KINDS = {
    **{kind.__name__: ("convolution", BLUE) for kind in CONV},
    **{kind.__name__: ("up-convolution", GREEN) for kind in TRANSPOSED},
    nn.Linear.__name__: ("linear", PURPLE),
    nn.LSTM.__name__: ("LSTM", PURPLE),
}


@dataclass
class Stage:
    """Successive layers of one part of the network, whose outputs have one size.

    ``sources`` are the numbers of other stages whose outputs it receives.
    """

    name: str
    shape: tuple[int, ...]
    weights: int = 0
    layers: Counter = field(default_factory=Counter)
    sources: set[int] = field(default_factory=set)

    @property
    def colour(self) -> str:
        """Colour of the most frequent kind of layer; orange without weights."""
        kinds = [colour for name, colour in _KINDS.values() for _ in range(self.layers[name])]
        return Counter(kinds).most_common(1)[0][0] if kinds else ORANGE


def drawn(results: Results, settings: Settings, gallery: Gallery) -> list[Picture]:
    """Draw the network of the first run; nothing if it cannot be loaded, or is a user's own and fails on zeros."""
    path, own = results.model(results.runs[0]), own_modules(settings)
    assert path
    try:
        model, meta = load_model(path, trust=own)
        network = model.network if isinstance(model, WordMixture) else model
        size = _size(meta)
        found = summary(network, size)
    except InputError:
        return []
    except Exception:
        if not own:
            raise
        return []
    first = (meta.facts.in_channels, *([size] * meta.facts.spatial_dims if isinstance(size, int) else size))
    figure = figure_of(stages(found), first)
    arcs = " Arrows above the boxes are skip connections." if _links(stages(found)) else ""
    name = results.network(settings).name
    caption = (
        f"{name}: {found.weights:,} weights, {found.multiply_adds:,} multiply-adds for an input of "
        f"{' × '.join(map(str, first))}. Each box: channels × size of what a stage computes, its layers with weights, "
        f"and the number of weights. Higher boxes are larger, wider ones have more channels (not to scale).{arcs}"
    )
    return [gallery.add("network", figure, f"The stages of {name}", caption)]


def _size(meta: Metadata) -> int | list[int]:
    """Return the size of an input along each axis."""
    train = meta.experiment.train
    return train.patch or train.size or meta.facts.window or _ANY


def stages(found: Summary) -> list[Stage]:
    """Join the successive layers of each part of a network while the size of their output stays."""
    made: list[Stage] = []
    at: list[int] = []  # stage of each layer
    for row in found.rows:
        part, space = row.name.partition(".")[0], row.shape[2:]
        if not made or made[-1].name != part or made[-1].shape[1:] != space:
            made.append(Stage(part, row.shape[1:]))
        stage = made[-1]
        at.append(len(made) - 1)
        stage.shape, stage.weights = row.shape[1:], stage.weights + row.weights
        stage.sources |= {at[source] for source in row.sources} - {at[-1]}
        if kind := _kind(row):
            stage.layers[kind] += 1
    return made


def _kind(row: Row) -> str:
    return _KINDS[row.kind][0] if row.kind in _KINDS else ""


def figure_of(found: list[Stage], first: tuple[int, ...]) -> Figure:
    """Draw stages from left to right, in as many rows as needed, after the input of shape ``first``."""
    every, links = [Stage("input", first), *found], _links(found)
    count = -(-len(every) // _ROW)
    rows = np.array_split(np.arange(len(every)), count)
    top = _BASE + _STEP * max(links.values(), default=-1) + 0.05
    width = max(map(len, rows))
    figure = new_figure((0.95 + top) * 0.95 * count, min(PAGE_WIDTH, max(3.0, 0.95 * width)))
    largest = max(max(stage.shape[1:], default=1) for stage in every)
    widest = max(stage.shape[0] for stage in every)
    for axes, row in zip(figure.subplots(count, 1, squeeze=False)[:, 0], rows, strict=True):
        axes.set(xlim=(row[0] - 0.5, row[0] + width - 0.5), ylim=(-0.95, top))
        axes.set_axis_off()
        for place in row.tolist():
            follows = any(not links or not s.sources or place - 1 in s.sources for s in found[place : place + 1])
            _draw(axes, place, every[place], largest, widest, follows)
        for (start, end), level in links.items():
            _link(axes, start, end, _BASE + _STEP * level)
    return figure


def _links(found: list[Stage]) -> dict[tuple[int, int], int]:
    """Return the pairs of places, input first, that a skip connection joins, and how high above them to draw each."""
    pairs = [(start + 1, end + 1) for end, stage in enumerate(found) for start in stage.sources if start < end - 1]
    levels: dict[tuple[int, int], int] = {}
    for start, end in sorted(pairs if len(pairs) <= _LINKS else [], key=lambda pair: pair[1] - pair[0]):
        taken = {level for (a, b), level in levels.items() if a < end and start < b}
        levels[start, end] = next(level for level in range(len(pairs)) if level not in taken)
    return levels


def _link(axes: Axes, start: int, end: int, height: float) -> None:
    """Draw what lies in these axes of an arrow over the stages between two places."""
    style = {"color": MUTED, "linewidth": 0.7, "clip_on": True}
    axes.plot([start + 0.06, start + 0.06, end - 0.06], [0.82, height, height], **style)
    if axes.get_xlim()[0] < end < axes.get_xlim()[1]:
        arrow = {"arrowstyle": "-|>", "mutation_scale": 5, "color": MUTED, "linewidth": 0.7}
        axes.add_patch(FancyArrowPatch((end - 0.06, height), (end - 0.06, 0.8), shrinkA=0, shrinkB=0, **arrow))


def _draw(axes: Axes, place: int, stage: Stage, largest: int, widest: int, follows: bool) -> None:
    height = 0.08 + 0.92 * sqrt(max(stage.shape[1:], default=0) / largest)
    width = 0.14 + 0.42 * log2(stage.shape[0]) / max(log2(widest), 1)
    colour = FAINT if stage.name == "input" else stage.colour
    style = {"boxstyle": "round,pad=0,rounding_size=0.04", "facecolor": colour, "edgecolor": "none"}
    axes.add_patch(FancyBboxPatch((place - width / 2, -height / 2 + 0.12), width, height, **style))
    if follows:
        ends = (place + width / 2 + 0.03, 0.12), (place + 0.68, 0.12)
        axes.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=5, color=MUTED, linewidth=0.7))
    shape = " × ".join(map(str, stage.shape))
    axes.text(place, 0.68, shape, ha="center", va="bottom", fontsize=6.5)
    layers = [f"{count} {kind}{'s' * (count > 1 and kind != 'linear')}" for kind, count in stage.layers.items()]
    counted = [f"{stage.weights:,} weights"] if stage.weights else []
    lines = [stage.name.replace("_", " "), *layers, *counted]
    axes.text(place, -0.45, "\n".join(lines), ha="center", va="top", fontsize=6.5, linespacing=1.25)
