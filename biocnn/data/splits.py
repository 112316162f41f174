"""Which examples train, choose and judge; a group is never cut."""

import heapq
from hashlib import blake2b

import numpy as np
import pandas as pd

from biocnn.config.settings import Split
from biocnn.core.errors import InputError, nearest

SPLITS = ("train", "val", "test")
FRACTION = 0.15  # of val and of test, where the experiment does not say
Wanted = list[str | int] | float | None


def assign(examples: pd.DataFrame, seed: int, wanted: Split) -> pd.Series:
    """The part of each example.

    Parameters
    ----------
    examples
        Has the column ``wanted.group`` names, and ``split`` where the data came with one: then only what that column
        leaves open is decided here (val is taken out of train where it names no val; test stays what it is).
    seed
        Decides which groups are drawn where ``val`` or ``test`` are fractions.
    wanted
        The experiment's section split. Names of groups go first; a fraction is of the examples (for val, of those that
        are not test), ``FRACTION`` where there is none. With ``hashed`` a group's name alone decides, by a hash,
        whether the fraction takes it: no group moves when others are added.

    Returns
    -------
    split
        Values train, val and test; same index as ``examples``.

    Raises
    ------
    InputError
        For an unknown column or group, a group in two parts, or a part that is empty.
    """
    groups, split = _given(examples, wanted)
    open_ = [("val", wanted.val)] if split is not None else [("test", wanted.test), ("val", wanted.val)]
    split = pd.Series("train", index=examples.index) if split is None else split
    undecided = [(part, names) for part, names in open_ if not (split == part).any()]
    for part, names in sorted(undecided, key=lambda entry: not isinstance(entry[1], list)):  # names first
        spare = 1 + (part == "test" and not (split == "val").any())  # groups to leave for the parts to come
        split[_choose(groups[split == "train"], groups, names, seed, part, spare, wanted.hashed)] = part
    for part in SPLITS:
        if not (split == part).any():
            listed = ", ".join(sorted(groups.unique())[:8])
            raise InputError(
                f"split: the {part} part is empty ({groups.nunique()} groups in all: {listed})",
                f"name groups in split.{part}, or give a larger fraction; a group is never cut"
                + _of_contigs(examples, groups),
            )
    return split


def assign_folds(examples: pd.DataFrame, seed: int, wanted: Split) -> pd.Series:
    """The fold of each example: groups are dealt out so that all folds have about as many examples.

    Parameters
    ----------
    examples, seed
        As for ``assign``; a test part that the data came with is in no fold.
    wanted
        The experiment's section split, with a number of folds. The groups or the fraction of ``test`` are in no fold;
        None: each fold is the test part once. With ``hashed`` a group's name alone decides about its fold: no group
        moves when others are added, but folds differ in size.

    Returns
    -------
    fold
        From 0; -1: in no fold, but test always.

    Raises
    ------
    InputError
        For an unknown column or group, too few groups, or too few folds.
    """
    if wanted.val is not None:
        raise InputError("split.val: is given, and so is split.folds", "leave out one: each fold is val once")
    folds = wanted.folds or 0
    groups, split = _given(examples, wanted)
    held_out = split == "test" if split is not None else pd.Series(False, index=examples.index)
    if wanted.test is not None and not held_out.any():
        held_out |= groups.index.isin(_choose(groups, groups, wanted.test, seed, "test", folds, wanted.hashed))
    if folds < 3 and not held_out.any():
        raise InputError(f"split.folds: {folds} folds leave none to train", "one is test, one val: allowed: 3 or more")
    rest = groups[~held_out]
    hint = _of_contigs(examples, groups)
    numbers = _hashed_folds(rest, folds) if wanted.hashed else balanced_folds(rest, folds, seed, hint)
    return numbers.reindex(examples.index, fill_value=-1)


def balanced_folds(groups: pd.Series, folds: int, seed: int, hint: str = "") -> pd.Series:
    """The fold of each row: the largest group goes first, each into the fold that has fewest rows so far.

    Parameters
    ----------
    groups
        Name of each row's group.
    folds
        How many.
    seed
        Order of groups of one size.
    hint
        End of the remedy where there are too few groups.

    Raises
    ------
    InputError
        Where there are fewer groups than folds.
    """
    counts = groups.value_counts().sort_index()
    if len(counts) < folds:
        listed = ", ".join(map(str, counts.index[:8]))
        raise InputError(
            f"split: {len(counts)} groups do not make {folds} folds ({listed})",
            "ask for fewer folds, or for smaller groups; a group is never cut" + hint,
        )
    order = np.random.default_rng([seed, 7]).permutation(len(counts))
    counts = counts.iloc[order].sort_values(ascending=False, kind="stable")
    sizes = [(0, fold) for fold in range(folds)]
    numbers = {}
    for name, count in counts.items():
        size, numbers[name] = sizes[0]
        heapq.heapreplace(sizes, (size + count, numbers[name]))
    return groups.map(numbers)


def splits_of_fold(numbers: pd.Series, fold: int, folds: int) -> pd.Series:
    """The part of each example in one fold, where ``assign_folds`` gave the numbers.

    The fold itself is the test part and the next one (after the last, the first) the validation part; where a test part
    is in no fold, the fold itself is the validation part.
    """
    split = pd.Series("train", index=numbers.index)
    held_out = (numbers == -1).any()
    split[numbers == (fold if held_out else (fold + 1) % folds)] = "val"
    split[numbers == (-1 if held_out else fold)] = "test"
    return split


def _of_contigs(examples: pd.DataFrame, groups: pd.Series) -> str:
    """What makes more groups, where these are contigs; else nothing."""
    if "chrom" not in examples or not (groups == examples["chrom"]).all():
        return ""
    return "; groups are contigs here, and with data.block: 1000000, say, stretches of so many bp"


def _given(examples: pd.DataFrame, wanted: Split) -> tuple[pd.Series, pd.Series | None]:
    """The group of each example, and its part where the data came with one."""
    for key, name in (("group", wanted.group), ("column", wanted.column)):
        if name is not None and name not in examples:
            raise InputError(f"split.{key}: no column {name!r} in the examples", nearest(name, examples.columns))
    groups = examples[wanted.group].astype(str)
    given = wanted.column or ("split" if "split" in examples else None)
    if given is None:
        return groups, None
    split = examples[given].astype(str)
    wrong = sorted(set(split) - set(SPLITS))
    if wrong:
        raise InputError(f"split column {given!r} holds {wrong[0]!r}", "allowed: train, val, test")
    _refuse_cut_groups(groups, split, given)
    return groups, split


def _choose(
    rest: pd.Series, groups: pd.Series, wanted: Wanted, seed: int, part: str, spare: int, hashed: bool
) -> pd.Index:
    """Index of the remaining rows that belong to a part."""
    if isinstance(wanted, list):
        return rest.index[_named(rest, groups, wanted, part)]
    fraction = FRACTION if wanted is None else wanted
    if not 0 < fraction < 1:
        raise InputError(
            f"split.{part}: {fraction} is not a fraction", "allowed: a number above 0 and below 1, or groups"
        )
    if hashed:
        return rest.index[rest.map({name: _hash(part, name) < fraction for name in rest.unique()}).astype(bool)]
    return rest.index[_drawn(rest, fraction, seed + (part == "val"), spare)]


def _named(rest: pd.Series, groups: pd.Series, wanted: list[str | int], part: str) -> pd.Series:
    """Which of the remaining rows belong to the named groups."""
    names = [str(name) for name in wanted]
    for name in names:
        if not (groups == name).any():
            raise InputError(f"split.{part}: no group {name!r}", nearest(name, sorted(groups.unique())))
        if not (rest == name).any():
            raise InputError(f"split.{part}: group {name!r} is in another part already", "name each group once")
    return rest.isin(names)


def _drawn(rest: pd.Series, fraction: float, seed: int, spare: int) -> pd.Series:
    """Which of the remaining rows belong to as many random groups as come nearest to the fraction."""
    counts = rest.value_counts().sort_index()
    order = np.random.default_rng([seed, 7]).permutation(len(counts))
    total = counts.iloc[order].cumsum()
    number = int((total - fraction * counts.sum()).abs().to_numpy().argmin()) + 1
    return rest.isin(total.index[: max(min(number, len(counts) - spare), 0)])


def _hashed_folds(groups: pd.Series, folds: int) -> pd.Series:
    numbers = groups.map({name: int(_hash("fold", name) * folds) for name in groups.unique()})
    empty = sorted(set(range(folds)) - set(numbers))
    if empty:
        raise InputError(
            f"split: fold {empty[0]} of {folds} is empty ({groups.nunique()} groups in all)",
            "ask for fewer folds, or leave out split.hashed; a group is never cut",
        )
    return numbers


def _hash(what: str, name: str) -> float:
    """At least 0 and below 1, evenly spread over names, and another number for each ``what``."""
    return int.from_bytes(blake2b(f"{what} {name}".encode(), digest_size=6).digest()) / 2**48


def _refuse_cut_groups(groups: pd.Series, split: pd.Series, column: str) -> None:
    parts = split.groupby(groups).nunique()
    cut = parts.index[parts > 1]
    if len(cut):
        raise InputError(
            f"split column {column!r} cuts {len(cut)} groups, {cut[0]!r} among them",
            "put each group into one part; or set split.group: id if these are no groups of related examples",
        )
