"""New images beside what was found in them, for the page."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from biocnn.core.plurals import plural
from biocnn.io.display import scale_bar, unit_name
from biocnn.report.blocks import Block, Files, Mark, Text, Viewer
from biocnn.report.headline import number
from biocnn.report.results import Results

SHOWN = 4  # images
LISTED = 300  # objects of an image
_SVG = "{http://www.w3.org/2000/svg}"


def overlays(results: Results, found: pd.DataFrame, objects: pd.DataFrame, names: dict[str, str]) -> list[Block]:
    """Show new images with what was found in them, and link the pictures of all.

    Parameters
    ----------
    results
        Results with the pictures of ``biocnn.apply.overlay.write_svg``; without these, nothing is shown.
    found
        Columns image, path and n, the number of objects; a row for each image that was read.
    objects
        Columns image, name, as in the pictures, and measurements; a row for each object.
    names
        Measurements to list, with their headings.

    Returns
    -------
    blocks
        Up to 4 images, from few objects to many, and links.
    """
    folder = results.folder / "apply" / "overlays"
    drawn = found[[(folder / f"{name}.svg").is_file() for name in found["image"]]]
    if not len(drawn):
        return []
    ranked = drawn.sort_values("n", kind="stable")
    places = {round(i * (len(ranked) - 1) / (SHOWN - 1)) for i in range(SHOWN)}
    chosen = ranked.iloc[sorted(places)]
    blocks: list[Block] = []
    if len(chosen) < len(drawn):
        blocks = [Text(f"{len(chosen)} of {plural(len(drawn), 'new image')}, from few objects to many:")]
    for row in chosen.itertuples():
        blocks.append(
            _viewer(folder / f"{row.image}.svg", str(row.path), objects[objects["image"] == row.image], names)
        )
    links = [(f"apply/overlays/{name}.png", _size(folder / f"{name}.png")) for name in drawn["image"]]
    return [*blocks, Files("Pictures of all new images", links)]


def _viewer(path: Path, name: str, objects: pd.DataFrame, names: dict[str, str]) -> Viewer:
    """Read a picture, and list its objects."""
    root = ElementTree.parse(path).getroot()
    about: dict[str, Any] = json.loads(root.attrib["data-about"])
    photo, marks = root
    over = marks.find(f"{_SVG}image")
    width, height = map(int, root.attrib["viewBox"].split()[2:])
    words = [f"{about['width']:,} × {about['height']:,} pixels", about.get("plane", "")]
    field_width = about["spacing"][1] * about["width"] if "spacing" in about else 0.0
    rows = [
        [row["name"], *(number(row[key]) for key in names)]
        for row in objects.head(LISTED)[["name", *names]].to_dict("records")
    ]
    listed = "Counts" if over is not None else plural(len(objects), "object")
    listed += f", the first {LISTED} listed" if len(objects) > LISTED else ""
    return Viewer(
        name=name,
        about=", ".join(word for word in words if word),
        what="outlines" if over is None else "the density of objects",
        photo=photo.attrib["href"],
        over="" if over is None else over.attrib["href"],
        width=width,
        height=height,
        marks=[
            Mark(mark.findtext(f"{_SVG}title", ""), mark.attrib["stroke"], mark.attrib["d"])
            for mark in marks.iter(f"{_SVG}path")
        ],
        key=[*map(tuple, about["key"]), *map(tuple, about["classes"])],
        field_width=field_width,
        unit=unit_name(about.get("unit", "")),
        bar=scale_bar(field_width) if field_width else 0.0,
        listed=listed,
        header=["Object", *names.values()],
        rows=rows,
    )


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e3:,.0f} kB" if path.is_file() else ""
