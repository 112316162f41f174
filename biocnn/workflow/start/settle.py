"""Read the data as `biocnn check` does, and settle open settings: by the data, by an answer, or by default."""

import re
import tempfile
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from biocnn.config.experiment import load
from biocnn.config.registry import target
from biocnn.config.schema import settings_schema
from biocnn.config.settings import Split
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.facts import read_data
from biocnn.data.raw import Raw
from biocnn.data.storing import divide
from biocnn.io.tile_names import of_examples
from biocnn.workflow.start.propose import GROUPS, Proposal
from biocnn.workflow.start.questions import Questions
from biocnn.workflow.start.text import yaml_of

FEW = 10  # groups, below which folds use the data better than one split
FOLDS = 5
BLOCKS = 20  # number of blocks, about, of a genome with too few contigs
# Settings that let a reader accept what it refuses, and what they mean.
LENIENT = {
    "unknown_contigs": ("skip", "leave out intervals on contigs that the genome lacks"),
    "constant": ("drop", "leave out images of a single value"),
    "normalise": ("image", "scale each image by its own intensities"),
    "geometry": ("trust_arrays", "ignore positions and pixel sizes in the headers: arrays match pixel by pixel"),
}


@dataclass
class Draft:
    """An experiment being written: its sections, comments by dotted key, the data as read, and checks of them."""

    sections: dict[str, Any]
    notes: dict[str, str]
    raw: Raw = field(init=False)
    checks: Checks = field(init=False)

    def read(self) -> None:
        """Read the data, with paths that are relative to the working folder."""
        self.checks = Checks()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "experiment.yaml"
            path.write_text(yaml_of(self.sections, {}), encoding="utf-8")
            try:
                settings = load(path).settings
            except InputError as error:
                raise InputError(error.message.replace(f"{path}: ", ""), error.remedy) from error
        self.raw = read_data(settings, self.checks)


def settle(proposal: Proposal, ask: Questions) -> Draft:
    """Return an experiment whose data can be read and split.

    Raises
    ------
    InputError
        If the data cannot be used.
    """
    draft = _read_any(proposal, ask)
    for step in (_blocks, _groups, _spacing):
        if step(draft, ask):
            draft.read()
    _split(draft, ask)
    return draft


def _read_any(proposal: Proposal, ask: Questions) -> Draft:
    """Read the data in the first way that is possible; changes that a reader makes only on request come last."""
    faults: list[InputError] = []
    keys = [(data, key) for data in proposal.data for key in LENIENT if key in _settings_of(data)]
    for data, key in [*((data, "") for data in proposal.data), *keys]:
        value, meaning = LENIENT.get(key, ("", ""))
        sections = {"data": data | ({key: value} if key else {})} | deepcopy(proposal.more)
        draft = Draft(sections, dict(proposal.notes))
        try:
            draft.read()
        except InputError as error:
            faults.append(error)
            continue
        if key and ask.choose(f"{faults[0].message}\n{meaning}?", {"yes": "", "no": ""}) == "no":
            break
        draft.notes |= {f"data.{key}": meaning} if key else {}
        return draft
    raise faults[0]


def _settings_of(data: dict[str, Any]) -> Collection[str]:
    """Return the names of the settings of a data reader."""
    return settings_schema(target("data", data["name"])).model_fields


def _blocks(draft: Draft, ask: Questions) -> bool:
    """Make groups of blocks if there are too few contigs for train, val and test."""
    raw = draft.raw
    if raw.contigs is None or raw.examples["group"].nunique() >= len(("train", "val", "test")):
        return False
    bases = int(raw.examples["end"].max())
    size = max(10 ** (len(str(bases // BLOCKS)) - 1), 1)
    draft.sections["data"]["block"] = max(round(bases / BLOCKS / size) * size, 10 * draft.sections["data"]["window"])
    draft.notes["data.block"] = f"bp: groups are blocks; contigs are too few ({raw.examples['group'].nunique()})"
    return True


def _groups(draft: Draft, ask: Questions) -> bool:
    """Group images by a column of the table, or by their names, such as slide3_tile2."""
    data, examples = draft.sections["data"], draft.raw.examples
    if "group" not in _settings_of(data) or not examples["group"].is_unique:
        return False
    columns = [c for c in examples if re.search(GROUPS, c) and 1 < examples[c].nunique() < len(examples)]
    pieces = of_examples(examples)
    if columns and "table" in data:
        options = {c: plural(examples[c].nunique(), "different value") for c in columns} | {
            "none": "all are independent"
        }
        chosen = ask.choose("Which column names units that belong together, such as patients?", options)
        draft.notes["data.group"] = "column that a split never cuts"
    elif pieces and "table" not in data:
        noted = f"Names look like pieces of {len(set(pieces.names))} larger images, such as {pieces.names[0]}"
        options = {pieces.pattern: "keep pieces of one together", "none": "all are independent"}
        chosen = ask.choose(f"{noted}. What must a split not cut?", options)
        draft.notes["data.group"] = f"part of the name that a split never cuts. {noted}"
    else:
        return False
    if chosen != "none":
        data["group"] = chosen
    return chosen != "none"


def _spacing(draft: Draft, ask: Questions) -> bool:
    facts = draft.raw.facts
    if "spacing" not in _settings_of(draft.sections["data"]) or facts.spacing:
        return False
    sides = ["depth, ", ""][facts.spatial_dims == 2] + "height, width"
    given = ask.numbers(f"Size of a pixel in um ({sides}), not stated in the files", facts.spatial_dims)
    if given:
        draft.sections["data"]["spacing"] = given
        draft.notes["data.spacing"] = f"um ({sides}) of a pixel"
    else:
        example = ", ".join(["0.5"] * facts.spatial_dims)
        draft.notes["data"] = f"size of a pixel unknown; if you know it, add spacing: [{example}]  (um: {sides})"
    return bool(given)


def _split(draft: Draft, ask: Questions) -> None:
    """Check that the data can be split, and choose between folds and one split."""
    examples, number = draft.raw.examples, draft.raw.examples["group"].nunique()
    if "split" in examples:
        draft.checks.add("split", "note", "examples have their splits already", len(examples))
        divide(draft.raw, examples.copy(), Split(), 1, Checks())
        return
    folds = max(min(FOLDS, number), 3)
    once = {"val": 0.15, "test": 0.15}
    options = {
        "folds": f"{plural(folds, 'training')}, in which each group is tested once",
        "once": "one training, with about 15% of the groups for each of validation and test",
    }
    order = ["folds", "once"] if number < FEW else ["once", "folds"]
    question = f"There are {plural(number, 'group')} that a split must not cut. How to split them?"
    chosen = ask.choose(question, {key: options[key] for key in order}) if number < FEW else "once"
    for key in sorted(order, key=lambda key: key != chosen):
        split: dict[str, Any] = {"folds": folds} if key == "folds" else once
        try:
            divide(draft.raw, examples.copy(), Split(**split), 1, Checks())
        except InputError as error:
            fault = error
            continue
        draft.sections["split"] = split
        draft.notes["split"] = f"{plural(number, 'group')}: {options[key]}"
        return
    raise fault
