"""Read the data as `biocnn check` does, and settle open settings: by the data, by an answer, or by default."""

import re
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from biocnn.config.experiment import settings_of
from biocnn.config.registry import target
from biocnn.config.schema import settings_schema
from biocnn.config.settings import Settings, Split
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.facts import read_data
from biocnn.data.raw import Raw
from biocnn.data.splits import SPLITS
from biocnn.data.storing import divide
from biocnn.io.tile_names import of_examples
from biocnn.tasks.inputs import make_input
from biocnn.workflow.start.questions import Questions
from biocnn.workflow.start.recognisers import BESIDE, GROUPS, Proposal

FEW = 10  # groups, below which folds use the data better than one split
FOLDS = 5
BLOCKS = 20  # number of blocks, about, of a genome with too few contigs
Answer = tuple[Any, str] | None  # a setting and a comment
# Settings that let a reader accept what it refuses, where its remedy names them, and what they mean.
LENIENT = {
    "unknown_contigs": ("skip", "leave out intervals on contigs that the genome lacks"),
    "negatives": ("dinucleotide_shuffled", "there is no room for windows without peaks: shuffle the bases of peaks"),
    "overlaps": ("first", "bases in two classes are of the one that is listed first"),
    "mask_type": ("instances", "each value of a mask is an object of its own, not a class"),
    "constant": ("drop", "leave out images of a single value"),
    "normalise": ("image", "scale each image by its own intensities"),
    "geometry": ("trust_arrays", "ignore positions and pixel sizes in the headers: arrays match pixel by pixel"),
}


@dataclass
class Draft:
    """An experiment being written: its sections, comments by dotted key, the data as read, and checks of them."""

    sections: dict[str, Any]
    notes: dict[str, str]
    settings: Settings = field(init=False)
    raw: Raw = field(init=False)
    checks: Checks = field(init=False)

    def read(self) -> None:
        """Read the data, with paths that are relative to the working folder."""
        self.checks, self.settings = Checks(), settings_of(self.sections)
        self.raw = read_data(self.settings, self.checks)

    def read_leniently(self, ask: Questions) -> None:
        """Read the data; where that is refused, let the reader accept it, if wanted."""
        data = self.sections["data"]
        while True:
            try:
                return self.read()
            except InputError as error:
                named = (key for key, (value, _) in LENIENT.items() if f"{key}: {value}" in error.remedy)
                key = next((key for key in named if key not in data), None)
                if not key or ask.choose(f"{error.message}\n{LENIENT[key][1]}?", {"yes": "", "no": ""}) == "no":
                    raise
                data[key], self.notes[f"data.{key}"] = LENIENT[key]


def settle(proposal: Proposal, ask: Questions) -> Draft:
    """Return an experiment whose data can be read and split.

    Raises
    ------
    InputError
        If the data cannot be used.
    """
    draft = _read_any(proposal, ask)
    for key, question in QUESTIONS.items():
        data = draft.sections["data"]
        known = settings_schema(target("data", data["name"])).model_fields
        if key in known.keys() - data.keys() and (answer := question(draft, ask)):
            data[key], draft.notes[f"data.{key}"] = answer
            draft.read_leniently(ask)
    _split(draft, ask)
    return draft


def _read_any(proposal: Proposal, ask: Questions) -> Draft:
    """Read the data in the first way that is possible; changes that a reader makes only on request come last."""
    faults: list[InputError] = []
    for lenient in (False, True):
        for data in proposal.data:
            draft = Draft({"data": dict(data), **proposal.more}, dict(proposal.notes))
            try:
                draft.read_leniently(ask) if lenient else draft.read()
                return draft
            except InputError as error:
                faults.append(error)
    raise faults[0]


def _blocks(draft: Draft, ask: Questions) -> Answer:
    """Make groups of blocks if there are too few contigs for train, val and test."""
    number = draft.raw.examples["group"].nunique()
    if draft.raw.contigs is None or number >= len(SPLITS):
        return None
    bases = int(draft.raw.examples["end"].max())
    size = max(10 ** (len(str(bases // BLOCKS)) - 1), 1)
    block = max(round(bases / BLOCKS / size) * size, 10 * draft.sections["data"]["window"])
    return block, f"bp: groups are blocks; contigs are too few ({number})"


def _flank(draft: Draft, ask: Questions) -> Answer:
    """Keep less around windows if neighbouring peaks overlap so much that all blocks are one group."""
    few = "block" in draft.sections["data"] and draft.raw.examples["group"].nunique() < len(SPLITS)
    return (0, "bp kept around windows: none, because neighbouring windows overlap") if few else None


def _negatives(draft: Draft, ask: Questions) -> Answer:
    """Shuffle peaks if the genome has less than half as many windows without peaks as positives."""
    kinds = draft.raw.examples.get("kind", pd.Series(dtype=object)).value_counts()
    few = kinds.get("negative", 0) < kinds.get("positive", 0) / 2 and "shuffled" not in kinds
    note = "shuffled peaks: there is little room for windows without peaks"
    return (LENIENT["negatives"][0], note) if few else None


def _covariates(draft: Draft, ask: Questions) -> Answer:
    """Ask whether the network receives what a table tells about each example beside what is to be learned."""
    data, examples = draft.sections["data"], draft.raw.examples
    found = [c for c in examples if re.search(BESIDE, c) and examples[c].nunique() > 1 and c != data.get("group")]
    names = ", ".join(found)
    options = {"no": "it sees the example alone", "yes": "beware of what gives the answer away, such as a hospital"}
    if found and ask.choose(f"Does the network also receive {names} of each example?", options) == "yes":
        return found, ""
    if found:
        draft.notes["data.table"] = f"with covariates: [{names}] the network would also receive these columns"
    return None


def _groups(draft: Draft, ask: Questions) -> Answer:
    """Group images by a column of the table, or by their names, such as slide3_tile2."""
    examples, pieces = draft.raw.examples, of_examples(draft.raw.examples)
    if "table" in draft.sections["data"]:
        counts = {column: examples[column].nunique() for column in examples if re.search(GROUPS, column)}
        options = {column: plural(n, "different value") for column, n in counts.items() if 1 < n < len(examples)}
        question = "Which column names units that belong together, such as patients?"
        note = "column that a split never cuts"
    elif pieces:
        noted = f"Names look like pieces of {len(set(pieces.names))} larger images, such as {pieces.names[0]}"
        question, note = f"{noted}. What must a split not cut?", f"part of the name that a split never cuts. {noted}"
        options = {pieces.pattern: "keep pieces of one together"}
    else:
        return None
    if not options or not examples["group"].is_unique:
        return None
    chosen = ask.choose(question, options | {"none": "all are independent"})
    return (chosen, note) if chosen != "none" else None


def _spacing(draft: Draft, ask: Questions) -> Answer:
    facts = draft.raw.facts
    if facts.spacing:
        return None
    sides = ["depth, ", ""][facts.spatial_dims == 2] + "height, width"
    given = ask.numbers(f"Size of a pixel in um ({sides}), not stated in the files", facts.spatial_dims)
    if not given:
        example = ", ".join(["0.5"] * facts.spatial_dims)
        draft.notes["data"] = f"size of a pixel unknown; if you know it, add spacing: [{example}]  (um: {sides})"
    return (given, f"um ({sides}) of a pixel") if given else None


# What is asked or decided, in this order: by a setting of the data reader, unless the proposal contains it.
QUESTIONS = {
    "block": _blocks,
    "flank": _flank,
    "negatives": _negatives,
    "group": _groups,
    "spacing": _spacing,
    "covariates": _covariates,
}


def _split(draft: Draft, ask: Questions) -> None:
    """Check that the data can be split, and choose between folds and one split."""
    examples, data, number = draft.raw.examples, draft.sections["data"], draft.raw.examples["group"].nunique()
    if "split" in examples:
        draft.checks.add("split", "note", "examples have their splits already", len(examples))
        divide(draft.raw, examples.copy(), Split(), 1, Checks())
        return
    unit = "group" if draft.raw.contigs is None else "block" if "block" in data else "contig"
    unit = make_input(draft.raw.facts).name if examples["group"].is_unique else unit
    units, folds = plural(number, unit), min(FOLDS, number)
    if number < len(SPLITS) and "block" in data:
        raise InputError(
            f"overlapping windows of {data['window']} bp form {plural(number, 'group')}, too few for training, "
            "validation and test",
            "give peaks of more of the genome, fewer peaks, or write an experiment with a smaller data.window",
        )
    if number < len(SPLITS):
        message = f"{units}, too few for training, validation and test"
        raise InputError(message, f"give at least {len(SPLITS)}, better 20 or more")
    ways: dict[str, tuple[dict[str, Any], str]] = {
        "folds": ({"folds": folds}, f"{plural(folds, 'training')}, in which each {unit} is tested once"),
        "once": ({"val": 0.15, "test": 0.15}, "one training, with about 15% of them for each of validation and test"),
    }
    options = {key: words for key, (_, words) in ways.items()}
    question = f"How to split {units} into training, validation and test?"
    chosen = ask.choose(question, options) if number < FEW else "once"
    for key in sorted(ways, key=lambda key: key != chosen):
        split, words = ways[key]
        try:
            divide(draft.raw, examples.copy(), Split(**split), 1, Checks())
        except InputError as error:
            fault = error
            continue
        draft.sections["split"], draft.notes["split"] = split, f"{units}: {words}"
        draft.settings = draft.settings.model_copy(update={"split": Split(**split)})
        return
    raise fault
