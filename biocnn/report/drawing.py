"""Figures as SVG: a file for papers, and a smaller copy for the page, in the page's colours."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from html import escape

from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.offsetbox import OffsetBox
from matplotlib.spines import Spine
from matplotlib.text import Text
from PIL import Image

# Elements that stay vectors in figures of images, for sharp words and lines.
_SHARP = (Text, Axis, Spine, OffsetBox)
_UNUSED = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", re.DOTALL)


def as_svg(figure: Figure, dpi: int, vector: bool = True) -> str:
    """Draw a figure as SVG with a transparent background.

    Parameters
    ----------
    figure
        Laid out; its background becomes transparent.
    dpi
        Resolution of images in the figure.
    vector
        Whether everything is drawn as lines and areas; else everything in the axes except words, because images with
        outlines have many.
    """
    for part in (figure, *figure.axes):
        if to_rgb(part.get_facecolor()) == (1, 1, 1):
            part.patch.set_visible(False)
    if not vector:
        for axes in figure.axes:
            for artist in axes.get_children():
                if not isinstance(artist, _SHARP) and artist is not axes.get_legend() and artist not in axes.child_axes:
                    artist.set_rasterized(True)
    figure.suppressComposite = True  # several images in the same axes would be joined at the wrong scale
    buffer = io.BytesIO()
    figure.set_dpi(dpi)
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue().decode("utf-8")


def for_page(svg: str, name: str, alt: str, colours: dict[str, str]) -> str:
    """Shorten an SVG for use in a page.

    Removes what a page does not need, makes names of elements unique, and compresses images without loss.

    Parameters
    ----------
    svg
        Text of the file.
    name
        Unique name of the figure in the page.
    alt
        Alternative text.
    colours
        CSS variable that replaces each colour; a program that does not know it uses the colour.
    """
    body = re.sub(
        r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL
    )
    box = re.search(r'viewBox="([^"]+)"', body)
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    used = {*re.findall(r'href="#([^"]+)"', body), *re.findall(r"url\(#([^)]+)\)", body)}
    short = {key: f"{name}-{i}" for i, key in enumerate(sorted(used))}
    body = re.sub(r' id="([^"]+)"', lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", body)
    body = re.sub(r'href="#([^"]+)"', lambda found: f'href="#{short[found[1]]}"', body)
    body = re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{short[found[1]]})", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r' d="([^"]*)"', lambda found: f' d="{_rounded(found[1])}"', body)
    body = re.sub(r"data:image/png;base64,\s*([^\"]+)", lambda found: _compressed(found[1]), body)
    for colour, variable in colours.items():
        body = re.sub(rf": {colour}(?=[;\"])", f": var({variable}, {colour})", body, flags=re.IGNORECASE)
    body = re.sub(r">\s+<", "><", body).strip()
    assert box
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box[1]}" role="img" aria-label="{escape(alt)}">{body}</svg>'
    )


def with_hints(svg: str, hints: Mapping[str, Sequence[str]]) -> str:
    """Give the cells of heat maps words that a browser shows at the pointer, and write the cells more briefly.

    Parameters
    ----------
    svg
        Text of the file.
    hints
        Words for each cell, row by row, by the ``gid`` of the map (a ``QuadMesh``).
    """
    for name, words in hints.items():
        cells = re.search(rf'<g id="{re.escape(name)}">(.*?)</g>', svg, re.DOTALL)
        assert cells, name
        paths = re.findall(r'<path d="([^"]+)"[^>]*?fill: (#\w+)[^>]*>', cells[1])
        drawn = "".join(_cell(*path, hint) for path, hint in zip(paths, words, strict=True))
        svg = f'{svg[: cells.start()]}<g shape-rendering="crispEdges">{drawn}</g>{svg[cells.end() :]}'
    return svg


def _cell(path: str, fill: str, hint: str) -> str:
    x, y, right, _, _, low, *_ = (round(float(one), 2) for one in re.findall(r"-?[\d.]+", path))  # without seams
    box = f"M{x:.2f} {y:.2f}h{right - x:.2f}v{low - y:.2f}h{x - right:.2f}z"
    return f'<path d="{box}" fill="{fill}"><title>{escape(hint)}</title></path>'


def _rounded(path: str) -> str:
    """Round the coordinates of a path to a hundredth of a point."""
    numbers = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), path)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", numbers.strip()).replace("\n", " ")


def _compressed(data: str) -> str:
    """Convert a PNG image to WebP, which is half as large, without loss."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(data))).save(buffer, "WEBP", lossless=True, method=4, quality=60)
    return data_uri(buffer.getvalue(), "image/webp")


def data_uri(data: bytes, media_type: str) -> str:
    """Encode data as a URI, so that the page needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
