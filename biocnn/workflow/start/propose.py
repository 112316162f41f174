"""Proposals for the section data of an experiment: data readers that suit what was found."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from biocnn.core.errors import InputError
from biocnn.data.box_files import CORNER_NAMES, POINT
from biocnn.data.image_pairs import read_rows
from biocnn.io.bed import read_bed
from biocnn.io.fasta import read_fasta
from biocnn.workflow.start.look import Item

GENOME = 100_000  # bases in the first record of a FASTA file, from which it is a genome rather than examples
NOT_LABELS = ("image", "sequence", "mask", "target", "class_mask", "split", "group", "id", "width", "height")
SPECIAL = {"mask", "target", *POINT, *chain(*CORNER_NAMES)}
CLOSED = "blacklist|exclude|blocked"  # in names of BED files of regions to leave out
STRANDS = {"plus": "plus|pos|fwd|forward", "minus": "minus|neg|rev|reverse"}  # in names of bigWig files
CLASSES = "exon|intron|utr|cds|gene|repeat|annot|domain"  # in names of BED files of which bases belong to classes
OF_SEQUENCES = {"labels": "label", "values": "value"}  # kinds of columns in the settings of both readers
# Columns of tables that tell about an example rather than what is to be learned.
BESIDE = r"^(age|sex|gender|dose|magnification|stain|site|scanner|hospital|batch|cell_?line|temperature|concentration)$"
TRUTH = r"gt$|ground|truth"  # in names of folders of masks, or of clean images
GROUPS = r"bag|patient|donor|subject|animal|mouse|case|slide|plate|well|batch"


@dataclass
class Proposal:
    """A way to use the items found.

    ``words`` describe it; ``data`` are sections data, the first of which that can be read is used; ``more`` are other
    sections; ``used`` are the items that it uses; ``notes`` are comments by key.
    """

    words: str
    data: list[dict[str, Any]]
    used: list[Item]
    more: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def propose(items: list[Item]) -> list[Proposal]:
    """Return proposals, the most likely first; none if nothing fits."""
    of = {kind: [item for item in items if item.kind == kind] for kind in {item.kind for item in items}}
    found = [*_peaks(of), *_tracks(of), *_of_tables(of)] or [*_sequences(of)] or [*_of_folders(of)]
    new = [item for item in of.get("images", []) if item.role == "new"]
    for one in found:
        if of.get("images") and one.data[0]["name"].endswith("Images") and new and new[0] not in one.used:
            one.more["apply"] = {"images": new[0].path}
            one.used.append(new[0])
    return found


def _peaks(of: dict[str, list[Item]]) -> Iterator[Proposal]:
    fastas, beds, tracks = (of.get(kind, []) for kind in ("fasta", "bed", "bigwig"))
    closed = [item for item in beds if re.search(CLOSED, item.path.name.lower())]
    peaks = sorted({_word(item): item for item in sorted(beds, key=_summits) if item not in closed}.values(), key=_word)
    if not (fastas and peaks):
        return
    genome = max(fastas, key=lambda item: item.path.stat().st_size)
    common = {"genome": genome.path} | ({"blacklist": closed[0].path} if closed else {})
    more: dict[str, Any] = {}
    used = [genome, *closed[:1]]
    for item in of.get("vcf", [])[:1]:
        more["variants"] = {"vcf": item.path}
        used.append(item)
    for item in of.get("meme", [])[:1]:
        more["explain"] = {"motifs": {"database": item.path}}
        used.append(item)
    centre = "summit of each peak" if all(map(_summits, peaks)) else "middle of each interval, without summits"
    notes = {"data.window": f"bp around the {centre}"}
    if tracks:
        targets = _named(tracks)
        data = {"name": "Intervals", **common, "intervals": peaks[0].path, "targets": targets, "window": 101}
        words = f"the mean of {', '.join(targets)} in each interval of {peaks[0].path.name}"
        yield Proposal(words, [data], [*used, peaks[0], *tracks], dict(more), notes)
    positives = peaks[0].path if len(peaks) == 1 else {_word(item): item.path for item in peaks}
    data = {"name": "Intervals", **common, "positives": positives, "window": 101}
    words = f"whether a window of the genome is in {' and '.join(item.path.name for item in peaks)}"
    comments = notes | {"data.positives": "an output for each file"} if len(peaks) > 1 else notes
    bound = Proposal(words, [data], [*used, *peaks], more, comments)
    classes = {_word(item): item.path for item in peaks}
    data = {"name": "AnnotatedGenome", "genome": genome.path, "classes": classes, "window": 512}
    data |= {"ignore": closed[0].path} if closed else {}
    words = f"for each base of the genome whether it is in {' or '.join(item.path.name for item in peaks)}"
    of_bases = Proposal(words, [data], [genome, *closed[:1], *peaks], {}, {"data.window": "bp of adjacent windows"})
    annotated = any(re.search(CLASSES, item.path.name.lower()) for item in peaks) and not any(map(_summits, peaks))
    yield from (of_bases, bound) if annotated else (bound, of_bases)


def _tracks(of: dict[str, list[Item]]) -> Iterator[Proposal]:
    """Use a genome and bigWig files, in the regions of a BED file if there is one."""
    fastas, files, beds = (of.get(kind, []) for kind in ("fasta", "bigwig", "bed"))
    if not (fastas and files):
        return
    genome = max(fastas, key=lambda item: item.path.stat().st_size)
    closed = [item for item in beds if re.search(CLOSED, item.path.name.lower())][:1]
    regions = [item for item in beds if not re.search(CLOSED, item.path.name.lower())][:1]
    tracks = _by_strand(_named(files))
    data = {"name": "GenomeTracks", "genome": genome.path, "tracks": tracks, "window": 512}
    data |= {key: one[0].path for key, one in (("regions", regions), ("ignore", closed)) if one}
    where = f" in the intervals of {regions[0].path.name}" if regions else ""
    words = f"{', '.join(tracks)} at each base{where}"
    yield Proposal(words, [data], [genome, *files, *regions, *closed], {}, {"data.window": "bp of adjacent windows"})


def _named(files: list[Item]) -> dict[str, Path]:
    """Return files by name of an output: the first word of the file name if no other file has it, or all of it."""
    words = [_word(item) for item in files]
    named: dict[str, Path] = {}
    for item, word in zip(files, words, strict=True):
        name = word if words.count(word) == 1 else re.sub(r"\W+", "_", item.path.stem).strip("_")
        if name in named:
            raise InputError(f"{named[name]} and {item.path}: two outputs named {name}", "rename one of the files")
        named[name] = item.path
    return named


def _by_strand(tracks: dict[str, Path]) -> dict[str, Path | dict[str, Path]]:
    """Join the files of the two strands of a track."""
    halves: dict[str, dict[str, str]] = {strand: {} for strand in STRANDS}  # names of files by names without a strand
    for name in tracks:
        for strand, words in STRANDS.items():
            if (rest := re.sub(rf"_({words})(?=_|$)", "", name, flags=re.IGNORECASE)) != name and rest not in tracks:
                halves[strand][rest] = name
    both = [rest for rest in halves["plus"] if rest in halves["minus"]]
    joined = {rest: {strand: tracks[halves[strand][rest]] for strand in STRANDS} for rest in both}
    paired = {path for files in joined.values() for path in files.values()}
    return joined | {name: path for name, path in tracks.items() if path not in paired}


def _sequences(of: dict[str, list[Item]]) -> Iterator[Proposal]:
    """Use FASTA files with tables of labels, with negatives, or alone."""
    fastas, tables = of.get("fasta", []), [item for item in of.get("table", []) if "id" in item.columns]
    pairs = {item: [t for t in tables if _same_ids(item, t)] for item in fastas}
    tests = [item for item in fastas if re.search("test", item.path.name.lower())]
    main = [item for item in fastas if item not in tests] or fastas
    bound = [item for item in main if not re.search("neg|background|control|unbound", item.path.name.lower())] or main
    if not main or len(next(read_fasta(bound[0].path)).codes) > GENOME:
        return
    data, used = {"name": "Sequences", "sequences": bound[0].path}, list[Item]()
    for item, prefix in ((bound[0], ""), *((test, "test_") for test in tests[:1] if test != bound[0])):
        if prefix:
            data["test_sequences"] = item.path
        if pairs[item]:
            data[f"{prefix}labels"] = pairs[item][0].path
        used += [item, *pairs[item][:1]]
    others = [item for item in main if item not in bound]
    notes = {}
    if "labels" not in data:
        data["negatives"] = {"name": "given", "path": others[0].path} if others else "dinucleotide_shuffled"
        notes["data.negatives"] = "all sequences are positives" if not others else ""
        used += others[:1]
    yield Proposal(f"labels of the sequences in {bound[0].path.name}", [data], used, {}, notes)


def _of_tables(of: dict[str, list[Item]]) -> Iterator[Proposal]:
    tables = of.get("table", [])
    plain = [item for item in tables if not SPECIAL & {*item.columns}]
    for item in tables:
        columns, name = {*item.columns}, item.path.name
        table = {"table": item.path}
        if "sequence" in columns:
            ways: list[dict[str, Any]] = [{"name": "Sequences", **table}]
            if (kinds := _kinds(item)) and not any(name.startswith("label") for name in kinds):
                several = len({*kinds.values()}) > 1
                named = (
                    {column: OF_SEQUENCES.get(kind, kind) for column, kind in kinds.items()} if several else [*kinds]
                )
                ways.insert(0, ways[0] | {"targets": named})
            yield Proposal(f"labels of the sequences in {name}", ways, [item])
        if "image" not in columns:
            continue
        used = [item, *of.get("images", []), *of.get("class folders", [])]
        used = [one for one in used if one.role != "new"]
        if "mask" in columns:
            yield Proposal(f"the masks in {name}", [{"name": "Images", **table}], used)
        if "target" in columns:
            yield Proposal(f"the target image of each image in {name}", [{"name": "PairedImages", **table}], used)
        placed = [names for names in (*CORNER_NAMES, POINT) if {*names} <= columns]
        if placed:
            index = [
                t for t in tables if "image" in t.columns and not any({*names} <= {*t.columns} for names in placed)
            ]
            more = {"index": index[0].path} if index else {}
            one = {} if "label" in columns else {"classes": ["object"]}
            if placed[0] != POINT or "radius" in columns:
                boxes = {"name": "BoxedImages", **table, **more, **one}
                yield Proposal(f"the boxes in {name}", [boxes], [*used, *index[:1]])
            else:
                points = {"name": "CountedImages", **table, **more}
                yield Proposal(f"the number of objects, from the points in {name}", [points], [*used, *index[:1]])
        if not placed and plain == tables:
            yield from _of_columns(item, used)


def _of_columns(item: Item, used: list[Item]) -> Iterator[Proposal]:
    """Use the columns of a table that may be labels: all together, if there are several, and one by one."""
    kinds = _kinds(item)
    table, bag = {"table": item.path}, next((c for c in item.columns if re.search("^bag", c)), "")
    plain: dict[str, Any] = {"name": "LabelledImages", **table}
    plain = {"name": "BaggedImages", **table, "bag": bag} if bag else plain
    free = ["label"] if "label" in kinds else list(kinds)
    if len(free) > 1:
        of_values = [c for c in free if kinds[c] == "values"]
        every = {"labels": [c for c in free if c not in of_values], "values": of_values}
        words = f"the columns {', '.join(free)} of {item.path.name}, together"
        yield Proposal(words, [plain | {kind: columns for kind, columns in every.items() if columns}], used)
    for column in free:
        ways = ({} if column == "label" else {"labels": [column]}, {"values": [column]})
        of_bags = f", of each {bag}" if bag else ""
        words = f"the column {column} of {item.path.name}{of_bags}"
        yield Proposal(words, [plain | way for way in ways], used)


def _kinds(item: Item) -> dict[str, str]:
    """Return labels, values or classes (words) for each column of a table that may be what is to be learned."""
    table, found = read_rows(item.path), {}
    free = [c for c in item.columns if c not in NOT_LABELS and not re.search(GROUPS, c)]
    for column in [c for c in free if not re.search(BESIDE, c)] or free:
        numbers = pd.to_numeric(table[column], errors="coerce")
        words = "class" if numbers.isna().all() else "labels"
        found[column] = "values" if (numbers % 1 > 0).any() else words
    return found


def _of_folders(of: dict[str, list[Item]]) -> Iterator[Proposal]:
    pictures = [item for item in of.get("images", []) if item.role not in ("new", "regions")]
    roles = {role: [item for item in pictures if item.role == role] for role in ("images", "masks", "targets")}
    for item in of.get("npz", []):
        data = {"name": "LabelledImages", "npz": item.path}
        notes = {"data.npz": "to name the classes 0, 1, ..., add classes: [healthy, sick]"}
        yield Proposal(f"the labels in {item.path.name}", [data], [item], {}, notes)
    for kind in ("coco", "voc", "yolo"):
        for item in of.get(kind, []):
            images = {"images": pictures[0].path} if pictures else {}
            data = {"name": "BoxedImages", kind: item.path, **images}
            yield Proposal(f"the boxes in {item.path.name}", [data], [item, *pictures[:1]])
    for item in of.get("class folders", []):
        yield Proposal(f"the subfolder of {item.path.name}", [{"name": "LabelledImages", "folder": item.path}], [item])
    one = roles["images"] or pictures
    for role, reader in (("masks", "Images"), ("targets", "PairedImages")):
        for other in roles[role][:1] if one and one[0] not in roles[role] else ():
            ways = [{"name": reader, "images": one[0].path, role: other.path}]
            if re.search(TRUTH, other.path.name.lower()):
                ways.append({"name": "PairedImages", "images": one[0].path, "targets": other.path})
            yield Proposal(f"{role} like those in {other.path.name}", ways, [one[0], other])
    if len(roles["images"]) == 2 and not roles["masks"] + roles["targets"]:
        first, second = (item.path for item in roles["images"])
        ways = [{"name": "Images", "images": a, "masks": b} for a, b in ((first, second), (second, first))]
        ways.append({"name": "PairedImages", "images": first, "targets": second})
        yield Proposal(f"the images of one of {first.name} and {second.name} from the other", ways, roles["images"])


def _same_ids(fasta: Item, table: Item) -> bool:
    """Return whether a table is about the sequences of a FASTA file."""
    return next(read_fasta(fasta.path)).name in {*read_rows(table.path)["id"]}


def _summits(item: Item) -> bool:
    """Return whether a BED file has summits; its faults are left to its reader."""
    with suppress(InputError):
        return bool((read_bed(item.path)["summit"] >= 0).any())
    return False


def _word(item: Item) -> str:
    """Return a name of an output."""
    return re.sub(r"\W+", "_", item.path.name.split(".")[0]).strip("_") or "output"
