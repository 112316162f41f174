"""The meaning of labels of images: one class for each, or several labels of 0 and 1; nothing is guessed silently."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.data.splits import SPLITS
from biocnn.io.tables import MISSING
from biocnn.tasks.facts import Decision, Part

MOST_NUMBERS = 32  # distinct numbers up to which they may be classes without being named
FEW = 3  # images of a class below which it cannot be in train, val and test
_OWN = 0.5  # share of images that are the only one of their class, from which labels are no classes
_SHOWN = 3
_AS_NUMBERS = "to predict numbers of images, name their columns in data.values instead of data.labels; "
_WHOLE = re.compile(r"([+-]?\d+)\.0*")  # as written by programs that store whole numbers as floats


class Labels(NamedTuple):
    """Labels of N images.

    ``y`` has the shape (N, K), float32: one-hot rows, or 0, 1 and nan (unknown); ``outputs`` are the names of its
    columns, ``task`` is decided from the labels; ``names`` is the class of each image, None with several labels;
    ``keep`` is False for images to drop, bool of shape (N,); ``parts`` are those of targets of several kinds.
    """

    y: np.ndarray
    outputs: list[str]
    task: Decision
    keep: np.ndarray
    names: list[str] | None = None
    parts: Sequence[Part] = ()


def one_class(
    labels: pd.Series,
    classes: list[str] | None,
    reason: str,
    checks: Checks,
    source: str,
    what: str = "images",
    left_out: str = "dropped",
) -> Labels:
    """Understand labels as one class for each image.

    Parameters
    ----------
    labels
        Text; the index states the origin of each label, for messages.
    classes
        Classes to keep, in the order of the outputs; None: all, sorted by name, or by number.
    reason
        Why this is the task.
    checks, source
        Receive counts of what was repaired and dropped, under this name of the data.
    what, left_out
        As for ``of_classes``.

    Raises
    ------
    InputError
        If a label is missing, labels are numbers rather than classes, two spellings may mean one class, a class of
        ``classes`` has no image, or most images are the only one of their class.
    """
    labels, classes = of_classes(labels, classes, what, checks, source, left_out)
    keep, found = labels.isin(classes).to_numpy(), labels.value_counts()
    _check_counts(found[classes], what, source)
    rare = [f"{name} ({found[name]})" for name in classes if found[name] < FEW]
    too_few = f"classes with fewer than {FEW} {what}, too few for train, val and test"
    checks.add(source, "note", too_few, len(rare), ", ".join(rare))
    y = (pd.Index(classes).get_indexer(labels)[:, None] == np.arange(len(classes))).astype(np.float32)
    decision = Decision(value="multiclass", reason=f"{reason}: {len(classes)} classes")
    return Labels(y, list(classes), decision, keep, labels.tolist())


def note_numbers(labels: Labels, checks: Checks, source: str) -> None:
    """Record that names of classes are numbers, which may be quantities or grades."""
    if len(labels.outputs) > 2 and all(np.isfinite(_number(name)) for name in labels.outputs):
        doubt = "labels are numbers, used as classes without an order: quantities are for values, ranks for grades"
        checks.add(source, "note", doubt, len(labels.y), f"{len(labels.outputs)} classes")


def ordered(labels: Labels, name: str, classes: list[str] | None, source: str) -> Labels:
    """Return labels as grades, whose order is that of ``classes`` or of their numbers.

    Raises
    ------
    InputError
        If neither is known.
    """
    words = [output for output in labels.outputs if not np.isfinite(_number(output))]
    if classes is None and words:
        raise InputError(
            f"{source}: the order of the grades {shown(labels.outputs)} is unknown",
            "list them from the lowest to the highest, e.g. "
            f"data.classes: {{{name}: [{', '.join(labels.outputs[:4])}]}}",
        )
    reason = f"ordered grades in data.grades: {name}, from {labels.outputs[0]} to {labels.outputs[-1]}"
    return labels._replace(task=Decision(value="ordinal", reason=reason))


def of_classes(
    labels: pd.Series, classes: list[str] | None, what: str, checks: Checks, source: str, left_out: str = "dropped"
) -> tuple[pd.Series, list[str]]:
    """Return labels of ``what`` (plural) in one spelling, and the classes to keep; otherwise as ``one_class``.

    ``left_out`` is the outcome of those of other classes.

    Raises
    ------
    InputError
        If a label is missing, labels are numbers rather than classes, two spellings may mean one class, or nothing has
        a class of ``classes``.
    """
    _refuse_missing(labels[labels.str.lower().isin(MISSING) & ~labels.isin(classes or [])], len(labels), what, source)
    labels = _respelled(labels, classes, checks, source)
    found = labels.value_counts(sort=False)
    if classes is None:
        _refuse_numbers(found, source)
        classes = sorted(found.index, key=lambda name: (_number(name), name))
    for name in classes:
        if name not in found:
            message = f"data.classes: none of the {what} in {source} has the label {name!r}"
            raise InputError(message, nearest(name, found.index))
        checks.add(source, "read", f"{what} of class {name}", found[name])
    for name, number in found.items():
        if name not in classes:
            checks.add(source, left_out, f"{what} of class {name}, which data.classes does not list", number)
    return labels, list(classes)


def several_labels(labels: pd.DataFrame, reason: str, checks: Checks, source: str, *, alone: bool = True) -> Labels:
    """Understand columns as labels of 0 and 1, unknown where a cell is empty (or NA, NaN, null, none or .).

    Parameters
    ----------
    labels
        Text, a column for each output; the index states the origin of each row, for messages.
    reason, checks, source
        As for ``one_class``.
    alone
        Whether there are no other targets, so that rows without a known label are dropped.

    Raises
    ------
    InputError
        If a label is something else, or all of one output are unknown.
    """
    y = labels.apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
    unknown = labels.apply(lambda column: column.str.lower().isin(MISSING)).to_numpy()
    for row, k in np.argwhere(~np.isin(y, (0, 1)) & ~unknown)[:1]:
        name, wrong = labels.columns[k], (~np.isin(y[:, k], (0, 1)) & ~unknown[:, k]).sum()
        raise InputError(
            f"{source} {labels.index[row]}: {name} is {labels.iat[row, k]!r} ({plural(wrong, 'such label')})",
            "of several data.labels, each is 0 or 1, or empty if it is unknown; or a class, if no cell of the column "
            f"is 0 or 1, or data.classes: {{{name}: [...]}} lists all; for numbers give data.values",
        )
    keep = ~unknown.all(axis=1) if alone else np.ones(len(labels), bool)
    for name, column in zip(labels, unknown.T, strict=True):
        if column.all():
            raise InputError(f"{source}: all labels of {name} are unknown", "leave it out of data.labels")
        place = "".join(labels.index[keep & column][:1])
        checks.add(source, "note", f"{name} is unknown: not used in training and evaluation", column[keep].sum(), place)
    checks.add(source, "dropped", "no known label", (~keep).sum(), "".join(labels.index[~keep][:1]))
    if alone and (y[keep] == 1).sum(axis=1).tolist() == [1] * keep.sum():
        checks.add(source, "note", "each image has exactly one of the labels: are they classes?", keep.sum())
    return Labels(y, list(labels), Decision(value="multilabel", reason=reason), keep)


def note_splits(names: list[str], split: pd.Series, outputs: list[str], checks: Checks, source: str) -> None:
    """Record the classes that a given split lacks."""
    for name in SPLITS:
        present = {label for label, where in zip(names, split, strict=True) if where == name}
        lacking = [label for label in outputs if label not in present] if present else []
        effect = "cannot be learned" if name == "train" else "not evaluated there"
        checks.add(source, "note", f"classes without an image in {name}: {effect}", len(lacking), ", ".join(lacking))


def shown(places: Iterable[str]) -> str:
    """List the first few of some places."""
    places = [str(place) for place in places]
    return ", ".join(places[:_SHOWN]) + (f", ... ({len(places)} in all)" if len(places) > _SHOWN else "")


def _refuse_missing(missing: pd.Series, number: int, what: str, source: str) -> None:
    if len(missing):
        raise InputError(
            f"{source}: {len(missing)} of {number} {what} have no label: {shown(missing.index)}",
            f"label them, or remove them; {missing.iloc[0]!r} can be a class if data.classes lists it",
        )


def _respelled(labels: pd.Series, classes: list[str] | None, checks: Checks, source: str) -> pd.Series:
    """Return labels with one spelling for each class: that of ``classes``; refuse several spellings without these."""
    if classes is None:
        new = labels.map(lambda label: match[1] if (match := _WHOLE.fullmatch(label)) else label)
        _refuse_spellings(new, source)
        reason = "label of a whole number, read without decimals"
    else:
        listed = {_key(name): name for name in reversed(classes)}
        new = labels.map(lambda label: label if label in classes else listed.get(_key(label), label))
        reason = "label respelled as in data.classes"
    changed = labels[new != labels]
    checks.add(source, "repaired", reason, len(changed), "".join(changed[:1]))
    return new


def _refuse_spellings(labels: pd.Series, source: str) -> None:
    names: dict[str, list[str]] = {}
    for name in labels.unique():
        names.setdefault(_key(name), []).append(name)
    for alike in names.values():
        if len(alike) > 1:
            raise InputError(
                f"{source}: labels that differ only in case, blanks or zeros: "
                + "; ".join(f"{name!r} ({shown(labels.index[labels == name])})" for name in alike),
                "write them alike; or list all classes in data.classes, either these or one spelling for both",
            )


def _key(label: str) -> str:
    """Return what spellings of one class have in common."""
    number = _number(label)
    return str(number) if np.isfinite(number) else "".join(label.split()).casefold()


def _number(label: str) -> float:
    """Return a label as a number; infinite if it is none."""
    try:
        return float(label)
    except ValueError:
        return np.inf


def _refuse_numbers(found: pd.Series, source: str) -> None:
    """Refuse labels, given their counts, that measure something: fractions, or many different numbers."""
    numbers = [number for name in found.index if np.isfinite(number := _number(name))]
    whole = all(number.is_integer() for number in numbers)
    if 2 * len(numbers) > len(found) and (not whole or len(numbers) > MOST_NUMBERS):
        what = f"{len(numbers)} different whole numbers" if whole else "numbers with decimals"
        raise InputError(
            f"{source}: the labels are {what} ({shown(found.index)}), not classes",
            f"{_AS_NUMBERS}if they are classes, list them in data.classes",
        )


def _check_counts(found: pd.Series, what: str, source: str) -> None:
    """Refuse classes, given their numbers of examples, that nothing can be learned about."""
    if len(found) < 2:
        raise InputError(
            f"{source}: all {found.sum()} {what} are of class {found.index[0]!r}",
            f"give {what} of at least two classes",
        )
    own = found.index[found == 1]
    if len(own) >= _OWN * found.sum():
        raise InputError(
            f"{source}: {len(own)} of {found.sum()} {what} are the only one of their class ({shown(own)})",
            f"{_AS_NUMBERS}for classes give several images of each; is data.labels a column of names or ids?",
        )
