"""`biocnn start`: inspect files, recognise their purpose, ask for what they do not state, and write an experiment."""

import logging
import os
import re
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from biocnn.core.errors import InputError
from biocnn.core.plurals import plural

if TYPE_CHECKING:
    from biocnn.tasks.facts import Facts

log = logging.getLogger("biocnn")
GENERIC = ("index", "table", "images", "labels", "boxes", "points", "data", "train", "peaks")  # uninformative names
LEFT_OUT = "Settings that follow from the data, such as the network, are left out; docs/settings.md lists all settings."
MOST = 10  # files without a use that are listed
UNUSED = {"images": "not used; name a folder of new images new_photos, for example, or set apply: {images: FOLDER}"}
LACKS = {
    "bed": "give the genome of the intervals as well, a FASTA file",
    "bigwig": "give the genome of the tracks as well, a FASTA file",
    "fasta": "give peaks or other intervals (BED, narrowPeak) or bigWig files of the genome as well",
    "images": "give their masks as well, under the same names in a second folder (biocnn start PHOTOS MASKS), or as "
    "1_mask.png beside 1.png. For classes of images, move those of each class into a subfolder. For other answers, "
    "write a table (CSV) with the column image and one of what is to be predicted",
    "image": "give folders rather than single images: one of images and one of masks, or one for each class",
}  # what files need to be learned from
NOTHING = (
    "give a genome and peaks or bigWig files, sequences and labels, images and masks (or targets, boxes, "
    "points), a folder of images per class, a table with a column image or sequence, or an .npz file"
)


def start(*files: Path, name: str | None = None, yes: bool = False) -> None:
    """Write NAME.yaml into the current folder: an experiment for these files and folders, and how to run it.

    Without FILES, the current folder is inspected. The data are read as by `biocnn check`; questions are only about
    what they do not state.
    """
    from biocnn.core.files import atomic
    from biocnn.workflow.naming import check_name
    from biocnn.workflow.start.estimate import time_of
    from biocnn.workflow.start.kinds import entries_of, look, recognised
    from biocnn.workflow.start.questions import Questions
    from biocnn.workflow.start.recognisers import propose
    from biocnn.workflow.start.settle import settle
    from biocnn.workflow.start.text import comment, yaml_of

    ask = Questions(not yes and sys.stdin.isatty())
    if not files and recognised(Path()).kind == "class folders":
        raise InputError(
            "the subfolders here may be classes of images, or images and what is to be predicted from them",
            "if they are classes, move them into a folder, and give that: biocnn start FOLDER; else give both",
        )
    items = list(look([_seen(path) for path in files] or entries_of(Path())))
    proposals = {one.words: one for one in propose(items)}
    if not proposals:
        listed = [f"{item.path}: {item.what}" for item in items] or ["no files"]
        remedy = next((lacks for kind, lacks in LACKS.items() if kind in {item.kind for item in items}), NOTHING)
        shown = "; ".join(_few(listed))
        raise InputError(f"nothing that can be learned from ({shown})", f"{remedy}; docs/input.md lists all data")
    words = dict.fromkeys(proposals, "")
    proposal = proposals[ask.choose("What is to be predicted?", words) if len(words) > 1 else next(iter(words))]
    out = Path(f"{(name or _name(proposal.data[0])).removesuffix('.yaml')}.yaml")
    check_name(out.stem, out)
    if out.exists():
        raise InputError(f"{out}: already exists", "choose another name: --name NAME")
    for item in proposal.used:
        log.info("%s: %s", item.path, item.what)
    draft = settle(proposal, ask)
    command = f"biocnn run {quote(str(out))} --cores {os.cpu_count()}"
    left = [f"{one.path}: {one.fault or UNUSED.get(one.kind, 'not used')}" for one in items if one not in proposal.used]
    read = [*draft.checks.lines(), *_few(left)]
    for line in [*read, *(f"assumed: {line}" for line in ask.assumed)]:
        log.info("%s", line)
    time, predicted = time_of(draft.settings, draft.raw), _predicted(draft.raw.facts)
    time = time and f", {time}"
    short = "train: {epochs: 6, steps_per_epoch: 50}"
    quick = [f"For a first look in less time, add the line  {short}; or use a GPU"] * ("hour" in time)
    head = [f"Predicts {predicted}. To run it in this folder{time}:", f"  {command}", *quick, "", LEFT_OUT]
    for title, lines in (("What was read", read), ("Assumed", ask.assumed)):
        head += ["", f"{title}:", *(f"  {line}" for line in lines)] if lines else []
    with atomic(out) as path:
        path.write_text(comment("\n".join(head)) + yaml_of(draft.sections, draft.notes), encoding="utf-8")
    log.info("%s: written; predicts %s", out, predicted)
    for line in [f"Next{time}: {command}", *quick]:
        log.info("%s", line)


def _seen(path: Path) -> Path:
    """Return a path relative to the current folder, if it is in there."""
    path = Path(os.path.abspath(path.expanduser()))
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _few(lines: list[str]) -> list[str]:
    return lines[:MOST] + [f"... and {plural(len(lines) - MOST, 'more file')}"] * (len(lines) > MOST)


def _predicted(facts: "Facts") -> str:
    """Describe what is learned from the data."""
    from biocnn.tasks import make_task
    from biocnn.tasks.inputs import make_input

    task = make_task(facts)
    outputs = "" if task.objects else f" ({', '.join(facts.outputs[:8])})"  # of objects: maps, which have no meaning
    return task.label.format(one=make_input(facts).name) + outputs


def _name(data: dict[str, Any]) -> str:
    """Return a name for the experiment: that of the file or folder with the answers."""
    answers = ("positives", "intervals", "tracks", "labels", "table", "npz", "folder", "coco", "voc", "yolo")
    keys = (*answers, "images", "sequences")
    value = next(data[key] for key in keys if isinstance(data.get(key), str | dict))
    path = Path("_".join(value) if isinstance(value, dict) else value).resolve()
    word = path.name.split(".")[0]
    word = path.parent.name if word.lower() in GENERIC and not isinstance(value, dict) else word
    return re.sub(r"[^A-Za-z0-9_-]+", "_", word)[:40].strip("_-") or "mine"
