"""Recognisers: what may be learned from files and folders of certain kinds, and the section data for it."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pandas as pd

from biocnn.core.errors import InputError
from biocnn.data.box_files import CORNER_NAMES, POINT
from biocnn.data.image_pairs import in_one_folder
from biocnn.io.bed import read_bed
from biocnn.io.fasta import read_fasta
from biocnn.workflow.start.kinds import NEW, Item

GENOME = 100_000  # bases in the first record of a FASTA file, from which it is a genome rather than examples
NOT_LABELS = ("image", "sequence", "mask", "target", "class_mask", "split", "group", "id", "width", "height")
SPECIAL = {"mask", "target", *POINT, *chain(*CORNER_NAMES)}
CLOSED = "blacklist|exclude|blocked"  # in names of BED files of regions to leave out
STRANDS = {"plus": "plus|pos|fwd|forward", "minus": "minus|neg|rev|reverse"}  # in names of bigWig files
CLASSES = "exon|intron|utr|cds|gene|repeat|annot|domain"  # in names of BED files of which bases belong to classes
NEGATIVES = "neg|background|control|unbound"  # in names of FASTA files
OF_SEQUENCES = {"labels": "label", "values": "value"}  # kinds of columns in the settings of both readers
# Columns of tables that tell about an example rather than what is to be learned.
BESIDE = r"^(age|sex|gender|dose|magnification|stain|site|scanner|hospital|batch|cell_?line|temperature|concentration)$"
TRUTH = r"gt$|ground|truth"  # in names of folders of masks, or of clean images
GROUPS = r"bag|patient|donor|subject|animal|mouse|case|slide|plate|well|batch"
ADJACENT = {"data.window": "bp of adjacent windows"}
CLASS_NAMES = {"data.npz": "to name the classes 0, 1, ..., add classes: [healthy, sick]"}
ALONE: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "npz": ("LabelledImages", "npz", "the labels in", CLASS_NAMES),
    "coco": ("BoxedImages", "coco", "the boxes in", {}),
    "voc": ("BoxedImages", "voc", "the boxes in", {}),
    "yolo": ("BoxedImages", "yolo", "the boxes in", {}),
    "class folders": ("LabelledImages", "folder", "the subfolder of", {}),
}  # kinds that suffice: their data reader, its setting, and what is learned, with notes

Found = dict[str, list[Item]]  # items by kind
Data = dict[str, Any]  # settings of a data reader; items stand for their paths, None for no value


@dataclass
class Proposal:
    """A way to use the items found.

    ``words`` describe it; ``data`` are sections data, the first of which that can be read is used; ``more`` are other
    sections; ``notes`` are comments by key; ``used`` are the items that it uses.
    """

    words: str
    data: list[Data]
    more: dict[str, Data] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    used: list[Item] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data, self.more = self._paths(self.data), self._paths(self.more)

    def _paths(self, value: Any) -> Any:
        """Replace items by their paths, note that they are used, and leave out settings without a value."""
        if isinstance(value, dict):
            found = {key: self._paths(one) for key, one in value.items()}
            return {key: one for key, one in found.items() if one not in (None, {})}
        if isinstance(value, list):
            return [self._paths(one) for one in value]
        if not isinstance(value, Item):
            return value
        self.used += [value] * (value not in self.used)
        return str(value.path)


def propose(items: list[Item]) -> list[Proposal]:
    """Return proposals, the most likely first; none if nothing fits."""
    of: Found = defaultdict(list)
    for item in items:
        of[item.kind].append(item)
    for rank in RANKS:
        if found := [one for ways in rank for one in ways(of)]:
            break
    new = _first([item for item in of["images"] if item.role == NEW])
    for one in found:
        if one.data[0]["name"].endswith("Images"):
            named = [*of["images"], *of["class folders"]] if "table" in one.data[0] else []  # by the cells of the table
            one.used += [item for item in named if item.role != NEW]
            if new and new not in one.used:
                one.more["apply"] = {"images": str(new.path)}
                one.used.append(new)
    return found


def _genome(of: Found) -> tuple[Item, Item | None, list[Item]]:
    """Return the genome, a BED file of regions to leave out, and the other BED files."""
    closed = [item for item in of["bed"] if re.search(CLOSED, item.path.name.lower())]
    genome = max(of["fasta"], key=lambda item: item.path.stat().st_size)
    return genome, _first(closed), [item for item in of["bed"] if item not in closed]


def _peaks(of: Found) -> Iterator[Proposal]:
    if not of["fasta"] or not of["bed"]:
        return
    genome, closed, beds = _genome(of)
    peaks = dict(sorted({_word(item): item for item in sorted(beds, key=_summits)}.items()))
    if not peaks:
        return
    names, summits = [item.path.name for item in peaks.values()], [*map(_summits, peaks.values())]
    more: dict[str, Data] = {
        "variants": {"vcf": _first(of["vcf"])},
        "explain": {"motifs": {"database": _first(of["meme"])}},
    }
    centre = "summit of each peak" if all(summits) else "middle of each interval, without summits"
    notes = {"data.window": f"bp around the {centre}"}
    intervals, first = {"name": "Intervals", "genome": genome, "blacklist": closed}, next(iter(peaks.values()))
    if of["bigwig"]:
        targets = _named(of["bigwig"])
        words = f"the mean of {', '.join(targets)} in each interval of {names[0]}"
        yield Proposal(words, [intervals | {"intervals": first, "targets": targets, "window": 101}], more, notes)
    data = intervals | {"positives": peaks if len(peaks) > 1 else first, "window": 101}
    notes = notes | ({"data.positives": "an output for each file"} if len(peaks) > 1 else {})
    bound = Proposal(f"whether a window of the genome is in {' and '.join(names)}", [data], more, notes)
    data = {"name": "AnnotatedGenome", "genome": genome, "classes": peaks, "window": 512, "ignore": closed}
    words = f"for each base of the genome whether it is in {' or '.join(names)}"
    of_bases = Proposal(words, [data], notes=ADJACENT)
    annotated = not any(summits) and any(re.search(CLASSES, name.lower()) for name in names)
    yield from (of_bases, bound) if annotated else (bound, of_bases)


def _tracks(of: Found) -> Iterator[Proposal]:
    if not of["fasta"] or not of["bigwig"]:
        return
    genome, closed, beds = _genome(of)
    tracks = _by_strand(_named(of["bigwig"]))
    data: Data = {"name": "GenomeTracks", "genome": genome, "tracks": tracks, "window": 512}
    words = f"{', '.join(tracks)} at each base" + (f" in the intervals of {beds[0].path.name}" if beds else "")
    yield Proposal(words, [data | {"regions": _first(beds), "ignore": closed}], notes=ADJACENT)


def _named(files: list[Item]) -> dict[str, Item]:
    """Return files by name of an output: the first word of the file name if no other file has it, or all of it."""
    words = [_word(item) for item in files]
    named: dict[str, Item] = {}
    for item, word in zip(files, words, strict=True):
        name = word if words.count(word) == 1 else re.sub(r"\W+", "_", item.path.stem).strip("_")
        if name in named:
            raise InputError(f"{named[name].path} and {item.path}: two outputs named {name}", "rename one of the files")
        named[name] = item
    return named


def _by_strand(tracks: dict[str, Item]) -> dict[str, Item | dict[str, Item]]:
    """Join the files of the two strands of a track."""
    halves: dict[str, dict[str, str]] = {}  # names of files by names without a strand
    for name in tracks:
        for strand, words in STRANDS.items():
            if (rest := re.sub(rf"_({words})(?=_|$)", "", name, flags=re.IGNORECASE)) != name and rest not in tracks:
                halves.setdefault(rest, {})[strand] = name
    both = {rest: names for rest, names in halves.items() if len(names) == len(STRANDS)}
    joined = {rest: {strand: tracks[names[strand]] for strand in STRANDS} for rest, names in both.items()}
    return joined | {
        name: item for name, item in tracks.items() if not any(name in names.values() for names in both.values())
    }


def _sequences(of: Found) -> Iterator[Proposal]:
    """Use FASTA files with tables of labels, with negatives, or alone."""
    if not of["fasta"]:
        return
    tests = [item for item in of["fasta"] if "test" in item.path.name.lower()]
    main = [item for item in of["fasta"] if item not in tests] or tests
    bound = [item for item in main if not re.search(NEGATIVES, item.path.name.lower())] or main
    first, test, others = bound[0], _first(tests), [item for item in main if item not in bound]
    if len(next(read_fasta(first.path)).codes) > GENOME:
        return
    data: Data = {"name": "Sequences", "sequences": first, "labels": _labels_of(first, of)}
    if test and test is not first:
        data |= {"test_sequences": test, "test_labels": _labels_of(test, of)}
    if not data["labels"]:
        data["negatives"] = {"name": "given", "path": others[0]} if others else "dinucleotide_shuffled"
    notes = {} if others else {"data.negatives": "all sequences are positives"}
    yield Proposal(f"labels of the sequences in {first.path.name}", [data], notes=notes)


def _labels_of(fasta: Item, of: Found) -> Item | None:
    """Return a table about the sequences of a FASTA file."""
    name = next(read_fasta(fasta.path)).name
    return next((item for item in of["table"] if "id" in item.columns and name in {*item.table["id"]}), None)


def _tables(of: Found) -> Iterator[Proposal]:
    plain = not any(SPECIAL & {*item.columns} for item in of["table"])
    for item in of["table"]:
        columns, name, placed = {*item.columns}, item.path.name, _placed(item)
        if "sequence" in columns:
            ways: list[Data] = [{"name": "Sequences", "table": item}]
            kinds = {column: OF_SEQUENCES.get(kind, kind) for column, kind in _kinds(item).items()}
            labels = {column: kind for column, kind in kinds.items() if column.startswith("label")}
            targets = labels or kinds
            various = "class" in targets.values() or len({*targets.values()}) > 1
            if various or not labels:
                ways.insert(0, ways[0] | {"targets": targets if various else [*targets]})
            yield Proposal(f"labels of the sequences in {name}", ways)
        if "image" not in columns:
            continue
        if "mask" in columns:
            yield Proposal(f"the masks in {name}", [{"name": "Images", "table": item}])
        if "target" in columns:
            yield Proposal(f"the target image of each image in {name}", [{"name": "PairedImages", "table": item}])
        if placed:
            index = next((one for one in of["table"] if "image" in one.columns and not _placed(one)), None)
            boxes = placed[0] != POINT or "radius" in columns
            data: Data = {"name": "BoxedImages" if boxes else "CountedImages", "table": item, "index": index}
            data["classes"] = ["object"] if boxes and "label" not in columns else None
            words = f"the {'boxes' if boxes else 'number of objects, from the points'} in {name}"
            yield Proposal(words, [data])
        elif plain:
            yield from _of_columns(item)


def _placed(item: Item) -> list[list[str]]:
    """Return the names of columns of a table that are places in images."""
    return [names for names in (*CORNER_NAMES, POINT) if {*names} <= {*item.columns}]


def _of_columns(item: Item) -> Iterator[Proposal]:
    """Use the columns of a table that may be labels: all together, if there are several, and one by one."""
    kinds = _kinds(item)
    bag = next((column for column in item.columns if column.startswith("bag")), None)
    data = {"name": "BaggedImages" if bag else "LabelledImages", "table": item, "bag": bag}
    free = ["label"] if "label" in kinds else [*kinds]
    if len(free) > 1:
        values = [column for column in free if kinds[column] == "values"]
        labels = [column for column in free if column not in values]
        words = f"the columns {', '.join(free)} of {item.path.name}, together"
        yield Proposal(words, [data | {"labels": labels or None, "values": values or None}])
    for column in free:
        ways = [data | {"labels": None if column == "label" else [column]}, data | {"values": [column]}]
        words = f"the column {column} of {item.path.name}" + (f", of each {bag}" if bag else "")
        yield Proposal(words, ways)


def _kinds(item: Item) -> dict[str, str]:
    """Return labels, values or classes (words) for each column of a table that may be what is to be learned."""
    found = {}
    free = [column for column in item.columns if column not in NOT_LABELS and not re.search(GROUPS, column)]
    for column in [column for column in free if not re.search(BESIDE, column)] or free:
        numbers = pd.to_numeric(item.table[column], errors="coerce")
        found[column] = "values" if (numbers % 1 > 0).any() else "class" if numbers.isna().all() else "labels"
    return found


def _alone(of: Found) -> Iterator[Proposal]:
    """Use an item alone; boxes with a folder of images, or with images at the paths that they state."""
    for kind, (reader, key, words, notes) in ALONE.items():
        images = _first(_pictures(of)) if reader == "BoxedImages" else None
        for item in of[kind]:
            yield Proposal(f"{words} {item.path.name}", [{"name": reader, key: item, "images": images}], notes=notes)


def _pairs(of: Found) -> Iterator[Proposal]:
    """Use two folders of images, one to be predicted from the other, or one with images and their masks."""
    pictures = _pictures(of)
    plain = [item for item in pictures if item.role == "images"]
    first = (plain or pictures)[0] if pictures else None
    others = {role: _first([item for item in pictures if item.role == role]) for role in ("masks", "targets")}
    for role, reader in (("masks", "Images"), ("targets", "PairedImages")):
        if (other := others[role]) and first and first.role != role:
            ways = [{"name": reader, "images": first, role: other}]
            if re.search(TRUTH, other.path.name.lower()):
                ways.append({"name": "PairedImages", "images": first, "targets": other})
            yield Proposal(f"{role} like those in {other.path.name}", ways)
    if len(plain) == 2 == len(pictures):
        names = " and ".join(item.path.name for item in plain)
        ways = [{"name": "Images", "images": a, "masks": b} for a, b in (plain, plain[::-1])]
        ways.append({"name": "PairedImages", "images": plain[0], "targets": plain[1]})
        yield Proposal(f"the images of one of {names} from the other", ways)
    for item in pictures:
        with suppress(InputError):  # a single image in pieces
            if in_one_folder(item.path, "mask"):
                words = f"masks like those beside the images in {item.path.name}"
                yield Proposal(words, [{"name": "Images", "images": item, "masks": item}])


def _pictures(of: Found) -> list[Item]:
    return [item for item in of["images"] if item.role not in (NEW, "regions")]


def _first(items: list[Item]) -> Item | None:
    return next(iter(items), None)


def _summits(item: Item) -> bool:
    """Return whether a BED file has summits; its faults are left to its reader."""
    with suppress(InputError):
        return bool((read_bed(item.path)["summit"] >= 0).any())
    return False


def _word(item: Item) -> str:
    """Return a name of an output."""
    return re.sub(r"\W+", "_", item.path.name.split(".")[0]).strip("_") or "output"


# What may be learned; a rank is used if those above it yield nothing. What is asked follows from the settings of the
# data reader: QUESTIONS in settle.py.
RANKS = ((_peaks, _tracks, _tables), (_sequences,), (_alone, _pairs))
