"""Tables of the splits: folds, and leakage between splits."""

import pandas as pd

from biocnn.report.blocks import Table, Text, counted, table
from biocnn.report.results import Results

_KINDS = {
    "exact": ("Identical", "an example of another split"),
    "reverse_complement": ("Reverse complement", "its reverse complement"),
    "overlap": ("Overlap", "a window that overlaps it"),
    "alike": ("Similar", "an image that resembles it, possibly rotated"),
    "shared": ("Image in common", "a bag with one of its images, possibly rotated"),
    "named": ("Same slide by name", "an image of the same slide or patient by name"),
}


def counts(results: Results, part: pd.DataFrame) -> dict[str, str]:
    """Return the counts that the task reports for the targets of examples, by column heading."""
    columns = [name for name in part if name.startswith("y_")]
    return results.task.counts(part[columns].to_numpy()) if results.task and columns else {}


def folds(results: Results) -> list[Table]:
    """Make a table of the folds, if there are any."""
    number = len(results.facts.folds)
    if not number:
        return []
    examples, rows = results.examples, []
    for fold in range(number):
        part = examples[examples["fold"] == fold]
        row = [str(fold), f"{len(part):,}"]
        found = counts(results, part)
        alone = part["group"].nunique() == len(part) > 8
        rows.append([*row, *found.values(), "one per example" if alone else counted(part["group"])])
    caption = "Folds, which consist of whole groups. In the runs of a fold, that fold is "
    if (examples["fold"] == -1).any():
        caption += "the validation split; the test split is in no fold."
    else:
        caption += "the test split, and the next fold (the first, after the last) is the validation split."
    return [table(caption, ["Fold", "Examples", *found, "Groups"], rows, ", ".join(["Examples", *found]))]


def leakage(results: Results) -> list[Table | Text]:
    """Make a table of the examples shared by each pair of splits; one sentence if there are none."""
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
        return [Text(f"Leakage: none. No split contains {' or '.join([', '.join(others)] * bool(others) + [last])}.")]
    header = [*["Fold"] * (len(folds) > 1), "Splits", *(_KINDS[kind][0] for kind in kinds), "Any", "Outcome"]
    rows = []
    for i, leak in leaks:
        cells = {"Fold": i, "Splits": f"{leak.pair[1]} in {leak.pair[0]}", "Any": f"{leak.any:,}"}
        cells |= {_KINDS[kind][0]: f"{getattr(leak, kind):,}" for kind in kinds}
        cells["Outcome"] = "removed" if leak.removed else "kept"
        rows.append([cells[name] for name in header])
    related = {"alike": "resemble one of its images", "shared": "have an image in common with one of its bags"}
    also = next((words for kind, words in related.items() if kind in kinds), "overlap one of its windows")
    caption = f"Leakage: examples of one split that also occur in another split, or that {also}."
    if "named" in kinds:
        caption += (
            " Examples of the same slide or patient by name are not removed; give slides or patients in data.group."
        )
    if not leaks[0][1].removed:
        caption += " They inflate the metrics; split: {remove_leaks: true} removes them."
    return [table(caption, header, rows, ",".join(_KINDS[kind][0] for kind in kinds) + ",Any")]
