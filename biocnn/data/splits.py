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
    val: list[str] | float,
    test: list[str] | float,
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
        Names of groups, or the fraction of the examples.

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
        _refuse_cut_groups(groups[split == "test"], groups[split != "test"], given)
    else:
        split = pd.Series("train", index=examples.index)
        split[_draw(groups, test, seed, "test")] = "test"
    if not (split == "val").any():
        open_ = split == "train"
        split[open_ & _draw(groups[open_], val, seed + 1, "val").reindex(split.index, fill_value=False)] = "val"
    for part in PARTS:
        if not (split == part).any():
            listed = ", ".join(sorted(groups.unique())[:8])
            raise InputError(
                f"split: the {part} part is empty ({groups.nunique()} groups in all: {listed})",
                f"name groups in split.{part}, or give a larger fraction; a group is never cut",
            )
    return split


def _draw(groups: pd.Series, wanted: list[str] | float, seed: int, part: str) -> pd.Series:
    """Which rows belong to the wanted groups: those named, or as many as come nearest to the fraction."""
    counts = groups.value_counts().sort_index()
    if isinstance(wanted, list):
        for name in wanted:
            if str(name) not in counts.index:
                raise InputError(f"split.{part}: no group {name!r}", nearest(name, counts.index))
        return groups.isin([str(name) for name in wanted])
    if not 0 < wanted < 1:
        raise InputError(
            f"split.{part}: {wanted} is not a fraction", "allowed: a number above 0 and below 1, or groups"
        )
    order = np.random.default_rng([seed, 7]).permutation(len(counts))
    total = counts.iloc[order].cumsum()
    number = int((total - wanted * counts.sum()).abs().to_numpy().argmin()) + 1
    return groups.isin(total.index[: min(number, len(counts) - 1)])


def _refuse_cut_groups(test: pd.Series, rest: pd.Series, column: str) -> None:
    shared = sorted(set(test) & set(rest))
    if shared:
        raise InputError(
            f"split column {column!r} cuts {len(shared)} groups, {shared[0]!r} among them",
            "put each group into one part; or set split.group: id if these are no groups of related examples",
        )
