"""Recognise files and folders by their content, with the functions that the data readers use."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.files import exists
from biocnn.core.text import text_of
from biocnn.data.image_pairs import read_rows
from biocnn.data.splits import SPLITS
from biocnn.io.bed import read_bed
from biocnn.io.image_paths import image_paths, passed_over
from biocnn.io.kinds import SUFFIXES, is_zarr
from biocnn.io.labelled_npz import LabelledNpz

BIGWIG = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")  # first bytes, in either byte order
TABLES = (".csv", ".tsv", ".tab")
BEDS = (".bed", ".narrowpeak", ".broadpeak")
STARTS = {">": "fasta", "##fileformat=VCF": "vcf", "BCF": "vcf", "MEME version": "meme"}
INDICES = (".fai", ".gzi", ".tbi", ".csi", ".yaml", ".yml")  # beside data, and experiments
WORDS = {
    "regions": r"^fov|^roi",
    "new": r"new|unlabel|unannot|apply",
    "masks": r"mask|label|seg|gt$|ground|truth|annot|manual|outline",
    "targets": r"clean|target|high|sharp|denois|^hr$|output",
}  # in names of folders, by what is in these
LARGE = 200_000_000  # bytes of a text file beyond which it is neither a table nor, without its suffix, BED
DEEP = 2  # levels of folders that are searched


@dataclass(frozen=True)
class Item:
    """A file or folder, what it is ("" if unknown), the columns of a table, and why a table cannot be read."""

    path: Path
    kind: str
    columns: tuple[str, ...] = ()
    fault: str = ""

    @property
    def role(self) -> str:
        """Return what a folder of images contains according to its name: images, or a key of ``WORDS``."""
        return next((role for role, words in WORDS.items() if re.search(words, self.path.name.lower())), "images")


def look(paths: Iterable[Path], deep: int = DEEP) -> Iterator[Item]:
    """Yield the items at these paths; a folder that is not data itself is searched."""
    for path in paths:
        if not exists(path):
            raise InputError(f"{path}: no such file or folder", "check the path")
        if path.is_file():
            yield _file(path)
        elif kind := kind_of(path):
            yield Item(path, kind)
            yield from (
                _file(other) for other in passed_over(path) if other.is_file() and kind in ("images", "class folders")
            )
        elif deep:
            yield from look(entries_of(path), deep - 1)


def entries_of(folder: Path) -> list[Path]:
    """List what is in a folder, except hidden files, indices, and what belongs to biocnn."""
    found = (path for path in sorted(folder.iterdir()) if path.name[0] != "." and path.name != "results")
    return [path for path in found if path.suffix.lower() not in INDICES]


def kind_of(path: Path) -> str:
    """Return images, class folders (one of images per class), voc, yolo, or "" for anything else."""
    with suppress(InputError):
        if is_zarr(path) or any(image.suffix.lower() != ".npz" for image in image_paths(path)):
            return "images"
    entries = entries_of(path)
    if any(entry.suffix.lower() == ".xml" for entry in entries):
        return "voc"
    texts = [entry for entry in entries if entry.suffix.lower() == ".txt" and entry.name != "classes.txt"]
    if (
        texts
        and len(texts) >= len(entries) - 1
        and all(re.match(rb"\d+( [\d.]+){4}\s|$", _start(one)[0]) for one in texts)
    ):
        return "yolo"
    inner = [entry for entry in entries if entry.is_dir()]
    kinds = {kind_of(entry) for entry in inner}
    of_splits = {entry.name for entry in inner} <= {*SPLITS}
    named = any(Item(entry, "images").role != "images" for entry in inner)
    whole = kinds == {"class folders"} if of_splits else kinds == {"images"} and len(inner) > 1 and not named
    return "class folders" if inner and whole else ""


def _file(path: Path) -> Item:
    name = path.name.lower().removesuffix(".gz")
    if path.suffix.lower() == ".npz":
        with suppress(InputError):
            LabelledNpz(path)
            return Item(path, "npz")
    if path.name.lower().endswith(SUFFIXES):
        return Item(path, "image")
    head, fault = _start(path)
    if head.startswith(BIGWIG):
        return Item(path, "bigwig")
    text = head.decode("utf-8", "replace").lstrip()
    for start, kind in STARTS.items():
        if text.startswith(start):
            return Item(path, kind)
    if name.endswith(BEDS):
        return Item(path, "bed")
    if path.stat().st_size > LARGE:
        return Item(path, "", fault=fault)
    if name.endswith(".json"):
        with suppress(ValueError, AttributeError):
            return Item(path, "coco" if {"images", "annotations"} <= json.loads(path.read_text("utf-8")).keys() else "")
    try:
        columns = tuple(read_rows(path).columns)
        if {"image", "sequence", "id"} & {*columns}:
            return Item(path, "table", columns)
        remedy = "remove the line of names if this is BED" if "start" in columns else "rename the column in question"
        reason = f"no column image, sequence or id (columns: {', '.join(columns[:8])}); {remedy}"
    except InputError as error:
        reason = _reason(error, path)
    with suppress(InputError):
        read_bed(path)
        return Item(path, "bed")
    return Item(path, "", fault=reason if name.endswith(TABLES) else fault)


def _start(path: Path) -> tuple[bytes, str]:
    """Return the first bytes of a file: of its text, or, with the reason, if it is none."""
    try:
        head = next(text_of(path, 4096), b"")
        return head, "" if head else "empty"
    except InputError as error:
        with open(path, "rb") as handle:
            return handle.read(4), _reason(error, path)


def _reason(error: InputError, path: Path) -> str:
    return f"{error.message.removeprefix(f'{path}: ')}; {error.remedy}"
