"""How the examples were divided: folds, and what the parts share."""

import pandas as pd

from biocnn.report.blocks import Table, Text, counted, table
from biocnn.report.results import Results

_KINDS = {
    "exact": ("Same", "an example of another"),
    "reverse_complement": ("Reverse complement", "its reverse complement"),
    "overlap": ("Overlap", "a window that overlaps it"),
    "alike": ("Looks alike", "an image that looks like it, turned perhaps"),
    "named": ("Same slide by name", "an image of the same slide or patient by its name"),
}


def counts(results: Results, part: pd.DataFrame) -> dict[str, str]:
    """What the task counts of the targets of some examples, by the heading of a column."""
    columns = [name for name in part if name.startswith("y_")]
    return results.task.counts(part[columns].to_numpy()) if results.task and columns else {}


def folds(results: Results) -> list[Table]:
    """A table of the folds, where there are any."""
    number = len(results.facts.folds)
    if not number:
        return []
    examples, rows = results.examples, []
    for fold in range(number):
        part = examples[examples["fold"] == fold]
        row = [str(fold), f"{len(part):,}"]
        found = counts(results, part)
        alone = part["group"].nunique() == len(part) > 8
        rows.append([*row, *found.values(), "each example is its own group" if alone else counted(part["group"])])
    caption = "Folds of whole groups. In the runs of a fold, "
    if (examples["fold"] == -1).any():
        caption += "it validates, and the test part, which is in none, judges."
    else:
        caption += "it is the test part, and the next fold (after the last, the first) validates."
    return [table(caption, ["Fold", "Examples", *found, "Groups"], rows, ", ".join(["Examples", *found]))]


def leakage(results: Results) -> list[Table | Text]:
    """What the parts share, by pair of parts; one sentence where that is nothing."""
    folds = results.facts.folds or [results.facts]
    leaks = [(i, leak) for i, fold in enumerate(folds) for leak in fold.leakage]
    if not leaks:
        return []
    kinds = [kind for kind in _KINDS if getattr(leaks[0][1], kind) is not None]
    if "reverse_complement" in kinds and results.facts.alphabet != "ACGT":
        kinds.remove("reverse_complement")
    leaks = [(i, leak) for i, leak in leaks if leak.any]
    if not leaks:
        *others, last = (_KINDS[kind][1] for kind in kinds)
        return [Text(f"Leakage: none. No part holds {' or '.join([', '.join(others)] * bool(others) + [last])}.")]
    header = [*["Fold"] * (len(folds) > 1), "Parts", *(_KINDS[kind][0] for kind in kinds), "Any", "Outcome"]
    rows = []
    for i, leak in leaks:
        cells = {"Fold": i, "Parts": f"{leak.pair[1]} in {leak.pair[0]}", "Any": f"{leak.any:,}"}
        cells |= {_KINDS[kind][0]: f"{getattr(leak, kind):,}" for kind in kinds}
        cells["Outcome"] = "removed" if leak.removed else "kept"
        rows.append([cells[name] for name in header])
    also = "look like one of its images" if "alike" in kinds else "overlap one of its windows"
    caption = f"Leakage: examples of one part that another part holds, too, or that {also}."
    if "named" in kinds:
        caption += " Names say that some are of one slide or patient: name these in data.group; they are not removed."
    if not leaks[0][1].removed:
        caption += " They flatter the metrics; split: {remove_leaks: true} takes them out."
    return [table(caption, header, rows, ",".join(_KINDS[kind][0] for kind in kinds) + ",Any")]
