"""Files of boxes, read to one table: corners as rows and columns, and where each box is from."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from biocnn.core.errors import Collector, InputError, all_faults, nearest
from biocnn.core.files import check_file
from biocnn.core.plurals import plural
from biocnn.core.text import read_lines
from biocnn.data.image_pairs import check_columns, check_rows, read_rows
from biocnn.data.labels import shown
from biocnn.io.image_paths import stem
from biocnn.io.tables import MISSING

CORNERS = ["r0", "c0", "r1", "c1"]
POINT = ["y", "x"]
CORNER_NAMES = (["y0", "x0", "y1", "x1"], ["ymin", "xmin", "ymax", "xmax"])  # of columns with corners, as in CORNERS
_YOLO_NAMES = "classes.txt"
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no", *MISSING)


class BoxFile(NamedTuple):
    """Images with boxes, as their files give them.

    ``images`` has the column image (paths that start at ``base``), and any others. ``boxes`` has the columns image,
    label (text), ignored (bool), the corners r0, c0, r1, c1 (float64), and where (text for messages). Corners are edges
    of pixels, or with ``origin`` 1 pixels counted from 1 that are part of the box; or with ``relative`` shares of the
    image's height and width. ``sizes`` are the height and width of images as stated with the boxes, by image.
    """

    images: pd.DataFrame
    boxes: pd.DataFrame
    base: Path
    origin: int = 0
    relative: bool = False
    sizes: dict[str, tuple[int, int]] = {}  # noqa: RUF012 (never changed)


def from_table(
    table: Path,
    base: Path,
    *,
    listed: bool,
    group: str | None,
    origin: int,
    radius: float | None,
    classes: list[str] | None,
) -> BoxFile:
    """Read a table with one row per box, or per point and its radius; a row without coordinates is an image without.

    Parameters
    ----------
    table
        CSV or TSV.
    base
        Folder that paths start at.
    listed
        Whether another table lists the images; else they are checked here.
    group
        Column of the groups; None: ``group`` if it exists.
    origin
        0: corners are edges of pixels; 1: they are pixels, counted from 1 and part of the box.
    radius
        Of points, in pixels; None: there is a column radius.
    classes
        If there is no column label, the one class of all boxes.

    Raises
    ------
    InputError
        If a column, cell or image is missing or invalid, or an image is in several splits or groups.
    """
    rows = read_rows(table)
    check_columns(rows, table, ["image"])
    given = _coordinates(rows, table, radius)
    if "label" not in rows:
        if len(classes or []) != 1:
            remedy = f"{nearest('label', rows)}; or if all boxes are of one class, name it, e.g. data.classes: [cell]"
            raise InputError(f"{table}: no column 'label' in its first line", remedy)
        rows["label"] = classes[0]
    images, boxes = of_objects(rows, given, table, base, listed=listed, group=group)
    points = given[0] == POINT[0]
    boxes[CORNERS] = _around(boxes[given].to_numpy(), origin, radius) if points else boxes[given].to_numpy()
    return BoxFile(images, boxes[["image", "label", "ignored", "where", *CORNERS]], base, 0 if points else origin)


def of_objects(
    rows: pd.DataFrame, given: list[str], table: Path, base: Path, *, listed: bool, group: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return images, and objects with the coordinates in the columns ``given`` as numbers, of a table; as from_table.

    Objects have the columns image, label, ignored (bool), where (text for messages), and the coordinates (float64).
    """
    columns = ["image", *(name for name in ("split", "id", group or "group") if name in rows and not listed)]
    place = POINT if set(POINT) <= set(given) else given
    empty = rows[place].apply(lambda column: column.str.lower().isin(MISSING)).all(axis=1)
    collector = Collector()
    with collector:
        numbers = _numbers(rows.loc[~empty, given], table)
    images = rows.drop_duplicates("image")[columns]
    with collector:
        _refuse_several(rows, columns[1:], table)
    with collector:
        images = images if listed else check_rows(images, table, base, ["image"], group)
    with collector:
        ignored = _flags(rows, table)
    collector.finish()
    objects = rows[["image", "label"]].assign(ignored=ignored, where=f"{table.name} line " + rows.index.astype(str))
    return images.reset_index(drop=True), objects[~empty].join(numbers)


def from_coco(path: Path, base: Path) -> BoxFile:
    """Read a JSON file of COCO: images, annotations and categories; a crowd is neither object nor background.

    Raises
    ------
    InputError
        If the file is not of this format, or an annotation cannot be used.
    """
    check_file(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images = _by_id(content, "images", path)
        names = {number: str(Path(one["file_name"])) for number, one in images.items()}
        sizes = {names[number]: (one.get("height"), one.get("width")) for number, one in images.items()}
        classes = {number: str(one["name"]) for number, one in _by_id(content, "categories", path).items()}
        annotations = [dict(one) for one in content["annotations"]]
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a JSON file of COCO ({type(error).__name__}: {error})",
            "it needs images (id, file_name), categories (id, name) and annotations (image_id, category_id, bbox)",
        ) from error
    found, faults = [], []
    for number, one in enumerate(annotations):
        where = f"annotation {one.get('id', number)}"
        try:
            for key, known in (("image_id", names), ("category_id", classes)):
                if one[key] not in known:
                    raise ValueError(f"{key} {one[key]!r} is not an id in this file")
            x, y, width, height = map(float, one["bbox"])
        except (KeyError, TypeError, ValueError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else error
            remedy = "give image_id, category_id and bbox (x, y, width, height) of each"
            faults.append(InputError(f"{path.name}: {where}: {reason}", remedy))
            continue
        image, label = names[one["image_id"]], classes[one["category_id"]]
        found.append((image, label, bool(one.get("iscrowd")), f"{path.name} {where}", y, x, y + height, x + width))
    if faults:
        raise all_faults(faults, f"of {len(annotations)} annotations cannot be used")
    return BoxFile(_images(list(names.values())), _boxes(found, path), base, sizes=_stated(sizes))


def _by_id(content: dict[str, Any], key: str, path: Path) -> dict[Any, dict[str, Any]]:
    """Return the items of a list by their id; refuse an id of two items, because annotations would be ambiguous."""
    found = {one["id"]: one for one in content[key]}
    if len(found) < len(content[key]):
        again = pd.Series([one["id"] for one in content[key]])
        again = again[again.duplicated()].unique()
        raise InputError(f"{path}: {key} share an id: {shown(again)}", "give each an id of its own")
    return found


def from_voc(folder: Path, base: Path, origin: int) -> BoxFile:
    """Read a folder of XML files of Pascal VOC; images are called by the stems of these files.

    Raises
    ------
    InputError
        If there is no such file, or some cannot be used.
    """
    paths, found, sizes, collector = sorted(folder.glob("*.xml")), [], {}, Collector()
    if not paths:
        raise InputError(f"{folder}: no XML file in this folder", "give the folder with an XML file per image")
    for path in paths:
        with collector:
            try:
                root = ElementTree.parse(path).getroot()
                if root.tag != "annotation":
                    raise ValueError(f"its outermost element is {root.tag}")
                sizes[path.stem] = root.findtext("size/height"), root.findtext("size/width")
                for number, item in enumerate(root.iter("object"), 1):
                    corners = [float(item.findtext(f"bndbox/{name}", "")) for name in CORNER_NAMES[1]]
                    label, ignored = item.findtext("name", "").strip(), item.findtext("difficult", "0").strip() == "1"
                    found.append((path.stem, label, ignored, f"{path.name} object {number}", *corners))
            except (OSError, ValueError, TypeError, LookupError, ElementTree.ParseError) as error:
                raise InputError(
                    f"{path}: not an annotation of Pascal VOC ({error})",
                    "each object of an annotation needs a name, and a bndbox with xmin, ymin, xmax and ymax as numbers",
                ) from error
    if collector.faults:
        raise all_faults(collector.faults, f"of {len(paths)} files cannot be used")
    names = [path.stem for path in paths]
    return BoxFile(_images(names), _boxes(found, folder), base, origin, sizes=_stated(sizes))


def from_yolo(folder: Path, base: Path, classes: list[str] | None) -> BoxFile:
    """Read a folder of text files of YOLO; images are called by the stems of these files.

    The names of the classes are the lines of a file classes.txt in this folder, else ``classes``, else their numbers.

    Raises
    ------
    InputError
        If there is no such file, or some cannot be used.
    """
    paths = [path for path in sorted(folder.glob("*.txt")) if path.name != _YOLO_NAMES]
    if not paths:
        raise InputError(f"{folder}: no text file in this folder", "give the folder with a text file per image")
    listed, found, collector = folder / _YOLO_NAMES, [], Collector()
    names = [line.strip() for line in read_lines(listed) if line.strip()] if listed.is_file() else classes
    for path in paths:
        with collector:
            found += _yolo_lines(path, names)
    if collector.faults:
        raise all_faults(collector.faults, f"of {len(paths)} files cannot be used")
    return BoxFile(_images([path.stem for path in paths]), _boxes(found, folder), base, relative=True)


def _yolo_lines(path: Path, names: list[str] | None) -> Iterator[tuple]:
    for line, text in enumerate(read_lines(path), 1):
        if not text.strip():
            continue
        try:
            number, x, y, width, height = map(float, text.split())
            k = int(number)
            label = str(k) if names is None else names[k]
            if k != number or k < 0:
                raise ValueError(f"class {number:g}")
            if not (0 <= x <= 1 and 0 <= y <= 1):
                raise ValueError("its centre is outside the image")
        except (ValueError, OverflowError) as error:
            raise InputError(
                f"{path} line {line}: {text.strip()!r:.60} is not a box ({error})",
                "each line needs five numbers: class (from 0), x and y of the centre, width, height; all but the first "
                "from 0 to 1; outlines and scores are not read",
            ) from error
        except IndexError as error:
            raise InputError(
                f"{path} line {line}: class {k}, but there are names for 0 to {len(names) - 1}",
                f"name all classes in {_YOLO_NAMES} or data.classes, in the order of their numbers",
            ) from error
        where = f"{path.name} line {line}"
        yield path.stem, label, False, where, y - height / 2, x - width / 2, y + height / 2, x + width / 2


def _images(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"image": names}, dtype=object)


def _boxes(found: list[tuple], source: Path) -> pd.DataFrame:
    """Return the table of boxes; refuse infinite corners."""
    boxes = pd.DataFrame(found, columns=["image", "label", "ignored", "where", *CORNERS])
    wrong = ~np.isfinite(boxes[CORNERS].to_numpy(np.float64)).all(axis=1)
    if wrong.any():
        raise InputError(
            f"{source}: {plural(wrong.sum(), 'box')} with NaN or infinite coordinates: {shown(boxes['where'][wrong])}",
            "correct or remove them",
        )
    return boxes


def _stated(sizes: dict[str, tuple]) -> dict[str, tuple[int, int]]:
    """Return the sizes of images that state one; some programs write 0."""
    numbers = pd.DataFrame(sizes.values(), index=list(sizes), columns=[0, 1]).apply(pd.to_numeric, errors="coerce")
    known = numbers[(numbers > 0).all(axis=1)].astype(int)
    return dict(zip(known.index, known.itertuples(index=False, name=None), strict=True))


def located(file: BoxFile, images: pd.DataFrame, base: Path, source: str) -> BoxFile:
    """Return boxes of these images, in which those of the file are found by their path, or their name without suffix.

    Raises
    ------
    InputError
        If an image of the file is not among them (names the nearest), or one of them is listed twice.
    """
    if (again := images["image"].duplicated()).any():
        raise InputError(
            f"{source}: {plural(again.sum(), 'image')} listed more than once: {shown(images['image'][again])}",
            "list each image once: in two splits, what is learned from one would be tested with the same",
        )
    place = places(file, images["image"].tolist(), base, source)
    sizes = {place[name]: size for name, size in file.sizes.items()}
    return file._replace(
        images=images, boxes=file.boxes.assign(image=file.boxes["image"].map(place)), base=base, sizes=sizes
    )


def places(file: BoxFile, paths: list[str], base: Path, source: str) -> dict[str, str]:
    """Return the path of each image of the file; see ``located``."""
    stems = pd.Series(paths, index=[stem(Path(path)) for path in paths])
    known = stems[~stems.index.duplicated(keep=False)].to_dict() | dict(zip(paths, paths, strict=True))
    place = {name: known.get(name) or known.get(stem(Path(name))) for name in file.images["image"]}
    if lost := [name for name, path in place.items() if path is None]:
        raise InputError(
            f"{source}: {len(lost)} of {len(place)} annotated images are not in {base}: {shown(lost)}",
            nearest(lost[0], known if "." in lost[0] else stems.index),
        )
    return place


def _coordinates(rows: pd.DataFrame, table: Path, radius: float | None) -> list[str]:
    """Return the names of the columns with corners, or with points and their radius."""
    for names in CORNER_NAMES:
        if set(names) <= set(rows):
            if radius is not None:
                raise InputError("data.radius: is for points, but the table has corners", "leave it out")
            return names
    if not set(POINT) <= set(rows):
        raise InputError(
            f"{table}: no columns with the corners of boxes in its first line ({', '.join(rows)})",
            "call them x0, y0, x1, y1 (or xmin, ymin, xmax, ymax); for points x, y and radius",
        )
    if (radius is None) == ("radius" not in rows):
        raise InputError(
            f"{table}: {'no radius' if radius is None else 'a column radius, and data.radius'}",
            "points need either a column radius or data.radius, in pixels, e.g. data.radius: 10; boxes need columns "
            "x0, y0, x1 and y1, where x1 is x0 plus the width",
        )
    return [*POINT, *["radius"] * (radius is None)]


def _numbers(cells: pd.DataFrame, table: Path) -> pd.DataFrame:
    """Return cells as float64; refuse what are not numbers, and radii that are not above 0."""
    numbers = cells.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    wrong = ~np.isfinite(numbers.to_numpy()) | ((numbers.columns == "radius") & (numbers <= 0).to_numpy())
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"{table} line {cells.index[row]}: {cells.columns[column]} is {cells.iat[row, column]!r} "
            f"({plural(wrong.any(axis=1).sum(), 'such row')})",
            f"give pixels as numbers{', a radius above 0,' * ('radius' in numbers)} or leave all coordinates empty for "
            "an image without objects",
        )
    return numbers


def _refuse_several(rows: pd.DataFrame, columns: list[str], table: Path) -> None:
    """Refuse different values in rows of one image."""
    for column in columns:
        values = rows.groupby("image", sort=False)[column].unique()
        several = values[values.str.len() > 1]
        if len(several):
            leak = ": what is learned from one would be tested with the same" if column == "split" else ""
            raise InputError(
                f"{table}: {plural(len(several), 'image')} in more than one {column}{leak}: "
                + shown(f"{name} ({', '.join(found)})" for name, found in several.items()),
                f"give all rows of an image the same {column}",
            )


def _flags(rows: pd.DataFrame, table: Path) -> pd.Series:
    """Return which boxes are marked as difficult."""
    given = rows["difficult"].str.lower() if "difficult" in rows else pd.Series("", index=rows.index)
    wrong = given[~given.isin([*_YES, *_NO])]
    if len(wrong):
        raise InputError(f"{table} line {wrong.index[0]}: difficult is {wrong.iloc[0]!r}", "allowed: 0, 1, or empty")
    return given.isin(_YES)


def _around(points: np.ndarray, origin: int, radius: float | None) -> np.ndarray:
    """Return boxes (M, 4) around points (M, 2), or points with their radius (M, 3); edges of pixels counted from 0."""
    radii = points[:, 2:] if radius is None else np.full((len(points), 1), radius)
    middle = points[:, :2] - origin / 2  # the middle of pixel 1 is half a pixel from the edge
    return np.concatenate([middle - radii, middle + radii], axis=1)
