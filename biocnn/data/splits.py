"""Which examples train, choose and judge; a group is never cut."""

import numpy as np
import pandas as pd

from biocnn.errors import InputError, nearest

PARTS = ("train", "val", "test")


def assign(
    examples: pd.DataFrame,
    seed: int,
    group: str,
    column: str | None,
    val: list[str | int] | float,
    test: list[str | int] | float,
) -> pd.Series:
    """The part of each example.

    Parameters
    ----------
    examples
        Has the column ``group`` names, and ``split`` where the data came with one: then only what that column leaves
        open is decided here (val is taken out of train where it names no val; test stays what it is).
    seed
        Decides which groups are drawn where ``val`` or ``test`` are fractions.
    group
        Column whose values are never cut.
    column
        Column with train, val and test.
    val, test
        Names of groups, or the fraction of the examples (for val, of those that are not test); names go first.

    Returns
    -------
    split
        Values train, val and test; same index as ``examples``.

    Raises
    ------
    InputError
        For an unknown column or group, a group in two parts, or a part that is empty.
    """
    for key, name in (("group", group), ("column", column)):
        if name is not None and name not in examples:
            raise InputError(f"split.{key}: no column {name!r} in the examples", nearest(name, examples.columns))
    groups = examples[group].astype(str)
    given = column or ("split" if "split" in examples else None)
    if given:
        split = examples[given].astype(str)
        wrong = sorted(set(split) - set(PARTS))
        if wrong:
            raise InputError(f"split column {given!r} holds {wrong[0]!r}", "allowed: train, val, test")
        _refuse_cut_groups(groups, split, given)
    else:
        split = pd.Series("train", index=examples.index)
    open_ = [("val", val)] if given else [("test", test), ("val", val)]
    undecided = [(part, wanted) for part, wanted in open_ if not (split == part).any()]
    for part, wanted in sorted(undecided, key=lambda entry: not isinstance(entry[1], list)):  # names first
        rest = groups[split == "train"]
        spare = 1 + (part == "test" and not (split == "val").any())  # groups to leave for the parts to come
        if isinstance(wanted, list):
            chosen = _named(rest, groups, wanted, part)
        else:
            chosen = _drawn(rest, wanted, seed + (part == "val"), part, spare)
        split[chosen.index[chosen]] = part
    for part in PARTS:
        if not (split == part).any():
            listed = ", ".join(sorted(groups.unique())[:8])
            raise InputError(
                f"split: the {part} part is empty ({groups.nunique()} groups in all: {listed})",
                f"name groups in split.{part}, or give a larger fraction; a group is never cut",
            )
    return split


def _named(rest: pd.Series, groups: pd.Series, wanted: list[str | int], part: str) -> pd.Series:
    """Which of the remaining rows belong to the named groups."""
    names = [str(name) for name in wanted]
    for name in names:
        if not (groups == name).any():
            raise InputError(f"split.{part}: no group {name!r}", nearest(name, sorted(groups.unique())))
        if not (rest == name).any():
            raise InputError(f"split.{part}: group {name!r} is in another part already", "name each group once")
    return rest.isin(names)


def _drawn(rest: pd.Series, fraction: float, seed: int, part: str, spare: int) -> pd.Series:
    """Which of the remaining rows belong to as many random groups as come nearest to the fraction."""
    if not 0 < fraction < 1:
        raise InputError(
            f"split.{part}: {fraction} is not a fraction", "allowed: a number above 0 and below 1, or groups"
        )
    counts = rest.value_counts().sort_index()
    order = np.random.default_rng([seed, 7]).permutation(len(counts))
    total = counts.iloc[order].cumsum()
    number = int((total - fraction * counts.sum()).abs().to_numpy().argmin()) + 1
    return rest.isin(total.index[: max(min(number, len(counts) - spare), 0)])


def _refuse_cut_groups(groups: pd.Series, split: pd.Series, column: str) -> None:
    parts = split.groupby(groups).nunique()
    cut = parts.index[parts > 1]
    if len(cut):
        raise InputError(
            f"split column {column!r} cuts {len(cut)} groups, {cut[0]!r} among them",
            "put each group into one part; or set split.group: id if these are no groups of related examples",
        )
