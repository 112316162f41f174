"""The part of the explanation on bags: the most and the least attended images of test bags."""

import numpy as np

from biocnn.core.plurals import plural
from biocnn.report import images
from biocnn.report.blocks import Table, Text, short
from biocnn.report.figures import MUTED, PAGE_WIDTH, Gallery, Picture, new_figure
from biocnn.report.headline import interval, number
from biocnn.report.results import Results

_BAGS = 6


def attention(results: Results, gallery: Gallery) -> list[Picture | Table | Text]:
    """Show the most and the least attended images of some test bags; state how well attention finds labelled ones."""
    blocks: list[Picture | Table | Text] = []
    for row in results.table("explain/attention_auroc.tsv").itertuples():
        blocks.append(
            Text(
                f"Attention ranks the images of a bag that are labelled 1 above those labelled 0 with an AUROC of "
                f"{number(row.value)} ({interval(row.low, row.high)}; mean over {plural(row.n, 'test bag')} with both, "
                "95% interval over bags). These labels were not used in training; chance is 0.5."
            )
        )
    with np.load(results.folder / "explain" / "bags.npz", allow_pickle=False) as stored:
        names, shown, weights = (stored[key][:_BAGS] for key in ("id", "images", "attention"))
    if not len(names):
        return blocks
    columns = shown.shape[2]
    size = PAGE_WIDTH / (2 * columns + 0.5)
    figure = new_figure(len(names) * (size + 0.3) + 0.2)
    widths = [1] * columns + [0.5] + [1] * columns
    grid = figure.subplots(len(names), len(widths), squeeze=False, width_ratios=widths)
    aspect = shown.shape[-2] / shown.shape[-1]
    for line, name, sides, relative in zip(grid, names, shown, weights, strict=True):
        for axes in line:
            axes.set_axis_off()
            axes.set_box_aspect(aspect)  # also of those without an image, whose titles would be higher
        for side, offset in enumerate((0, columns + 1)):
            for place in np.flatnonzero(~np.isnan(relative[side])):
                axes = line[offset + place]
                axes.set_axis_on()
                images.show(axes, images.plane(sides[side, place]))
                axes.set_title(f"{relative[side, place]:.2f}", loc="left", fontsize=6, color=MUTED, pad=2)
        line[0].set_xlabel(short(str(name), 24), fontsize=6, color=MUTED, loc="left", labelpad=2)
    for offset, words in ((0, "most attended"), (columns + 1, "least attended")):
        axes = grid[0, offset]
        axes.set_title(f"{words}\n{axes.get_title(loc='left')}", loc="left", fontsize=6.5, color=MUTED, pad=2)
    caption = (
        "Images of test bags with the most attention (left, most first) and the least (right, least last). Numbers: "
        "attention times the number of images in the bag; 1 is that of an image if all get the same. Correctly and "
        "wrongly predicted bags in turn, the most confident first. All images are in explain/attention.tsv."
    )
    if results.facts.spatial_dims == 3:
        caption += f" {images.OF_VOLUMES}"
    alt = f"Most and least attended images of {plural(len(names), 'test bag')}"
    return [*blocks, gallery.add("attention", figure, alt, caption, vector=False)]
