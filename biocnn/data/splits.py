"""Assignment of examples to train, val and test; a group is never cut."""

import heapq
from hashlib import blake2b

import numpy as np
import pandas as pd

from biocnn.config.settings import Split
from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.tasks.facts import BySplit

SPLITS = ("train", "val", "test")
UNUSED = "not used"  # of training examples beyond a share, and in trials
TRAIN_DEV = "train_dev"  # optional: drawn from the training split like its examples, but not trained on
HELD_OUT = ("val", "test")
PREDICTED = (*HELD_OUT, TRAIN_DEV, "train")  # in the order of metrics.tsv; of train, a sample
FRACTION = 0.15  # default fraction of val and of test
Wanted = list[str | int] | float | None


def assign(examples: pd.DataFrame, seed: int, wanted: Split, strata: pd.Series | None = None) -> pd.Series:
    """Assign each example to a split.

    Parameters
    ----------
    examples
        Table with the column named by ``wanted.group``, and ``split`` if the data have one: then only missing splits
        are assigned here (val is taken out of train if that column has no val; test is kept).
    seed
        Determines the groups that are drawn if ``val`` or ``test`` are fractions.
    wanted
        The experiment's section split. Named groups are assigned first; a fraction is of the examples (for val, of
        those outside test), by default ``FRACTION``. With ``hashed``, a hash of a group's name alone decides whether
        the fraction includes it: no group moves when others are added.
    strata
        Class of each example: a fraction is drawn of each class, so that every split has examples of all classes if
        there are enough groups; a group counts as its most frequent class. None: of all examples together.

    Returns
    -------
    split
        Values train, val and test; same index as ``examples``.

    Raises
    ------
    InputError
        If a column or group is unknown, a group is in two splits, or a split is empty.
    """
    groups, split = _given(examples, wanted)
    open_ = [("val", wanted.val)] if split is not None else [("test", wanted.test), ("val", wanted.val)]
    split = pd.Series("train", index=examples.index) if split is None else split
    undecided = [(name, chosen) for name, chosen in open_ if not (split == name).any()]
    for name, chosen in sorted(undecided, key=lambda entry: not isinstance(entry[1], list)):  # named groups first
        spare = 1 + (name == "test" and not (split == "val").any())  # groups to leave for the remaining splits
        split[_choose(groups[split == "train"], groups, chosen, seed, name, spare, wanted.hashed, strata)] = name
    for name in SPLITS:
        if not (split == name).any():
            listed = ", ".join(sorted(groups.unique())[:8])
            raise InputError(
                f"split: the {name} split is empty ({plural(groups.nunique(), 'group')} in all: {listed})",
                f"name groups in split.{name}, or give a larger fraction; a group is never cut"
                + _of_contigs(examples, groups),
            )
    return split


def assign_folds(examples: pd.DataFrame, seed: int, wanted: Split, strata: pd.Series | None = None) -> pd.Series:
    """Assign each example to a fold, such that all folds have about the same number of examples.

    Parameters
    ----------
    examples, seed
        As for ``assign``; a test split that the data have is in no fold.
    wanted
        The experiment's section split, with a number of folds. The groups or the fraction of ``test`` are in no fold;
        None: each fold is the test split once. With ``hashed``, a group's name alone decides its fold: no group moves
        when others are added, but folds differ in size.
    strata
        Class of each example, as for ``assign``: folds have about the same number of each class.

    Returns
    -------
    fold
        From 0; -1: in no fold, but always test.

    Raises
    ------
    InputError
        If a column or group is unknown, or there are too few groups or folds.
    """
    if wanted.val is not None:
        raise InputError("split.val and split.folds: cannot be combined", "leave out one: each fold is val once")
    folds = wanted.folds or 0
    groups, split = _given(examples, wanted)
    held_out = split == "test" if split is not None else pd.Series(False, index=examples.index)
    if wanted.test is not None and not held_out.any():
        held_out |= groups.index.isin(_choose(groups, groups, wanted.test, seed, "test", folds, wanted.hashed, strata))
    if folds < 3 and not held_out.any():
        raise InputError(f"split.folds: {folds} folds leave none to train on", "one is test, one val: give 3 or more")
    rest = groups[~held_out]
    hint = _of_contigs(examples, groups)
    numbers = _hashed_folds(rest, folds) if wanted.hashed else balanced_folds(rest, folds, seed, hint, strata)
    return numbers.reindex(examples.index, fill_value=-1)


def sizes(split: pd.Series) -> BySplit[int]:
    """Return the number of examples in each split."""
    return BySplit[int](**{name: int((split == name).sum()) for name in SPLITS})


def balanced_folds(
    groups: pd.Series, folds: int, seed: int, hint: str = "", strata: pd.Series | None = None
) -> pd.Series:
    """Assign each row to a fold: the largest group first, each to the fold with the fewest rows so far.

    Parameters
    ----------
    groups
        Name of each row's group.
    folds
        Number of folds.
    seed
        Determines the order of groups of the same size.
    hint
        End of the remedy if there are too few groups.
    strata
        Class of each row: each group goes to the fold with the fewest rows of its class so far.

    Raises
    ------
    InputError
        If there are fewer groups than folds.
    """
    counts = groups.value_counts().sort_index()
    if len(counts) < folds:
        listed = ", ".join(map(str, counts.index[:8]))
        raise InputError(
            f"split: {plural(len(counts), 'group')} cannot be divided into {folds} folds ({listed})",
            "ask for fewer folds, or for smaller groups; a group is never cut" + hint,
        )
    order = np.random.default_rng([seed, 7]).permutation(len(counts))
    counts = counts.iloc[order].sort_values(ascending=False, kind="stable")
    totals, numbers = [0] * folds, {}
    for stratum in _by_stratum(counts, groups, strata):
        sizes = [(0, total, fold) for fold, total in enumerate(totals)]
        heapq.heapify(sizes)
        for name, count in stratum.items():
            size, total, fold = sizes[0]
            numbers[name], totals[fold] = fold, total + count
            heapq.heapreplace(sizes, (size + count, total + count, fold))
    return groups.map(numbers)


def _by_stratum(counts: pd.Series, groups: pd.Series, strata: pd.Series | None) -> list[pd.Series]:
    """Divide the numbers of rows of groups by the most frequent class of each group, in the order of classes."""
    if strata is None:
        return [counts]
    classes = strata.loc[groups.index].groupby(groups).agg(lambda rows: rows.value_counts().sort_index().idxmax())
    return [stratum for _, stratum in counts.groupby(classes.reindex(counts.index), sort=True)]


def splits_of_fold(numbers: pd.Series, fold: int, folds: int) -> pd.Series:
    """Return the split of each example in one fold, given the numbers from ``assign_folds``.

    The fold itself is test and the next one (after the last, the first) is val; if the test split is in no fold, the
    fold itself is val.
    """
    split = pd.Series("train", index=numbers.index)
    held_out = (numbers == -1).any()
    split[numbers == (fold if held_out else (fold + 1) % folds)] = "val"
    split[numbers == (-1 if held_out else fold)] = "test"
    return split


def set_aside(split: pd.Series, share: float | None, seed: int) -> pd.Series:
    """Move a share of the training examples, drawn whatever their groups, to train_dev unless the data have one."""
    if share is None or (split == TRAIN_DEV).any():
        return split
    train = np.flatnonzero(split == "train")
    number = round(share * len(train))
    if not 0 < number < len(train):
        raise InputError(
            f"split.train_dev: {share:g} of {len(train)} training examples is {'all' if number else 'none'}",
            "give another share, for example train_dev: 0.1",
        )
    found = split.copy()
    found.iloc[np.random.default_rng([seed, 11]).choice(train, number, replace=False)] = TRAIN_DEV
    return found


def with_share(
    split: pd.Series, groups: pd.Series, share: float, seed: int, strata: pd.Series | None = None
) -> pd.Series:
    """Keep a share of the training examples; others become "not used".

    A larger share contains each smaller one, and has the nearest number of examples that whole groups allow.

    Parameters
    ----------
    split, groups
        Split and group of each example.
    share
        Share of the training examples, above 0 and below 1.
    seed
        Determines the groups that are drawn.
    strata
        Class of each example; a share is drawn of each class, at least one group.

    Raises
    ------
    InputError
        If there are too few groups to leave one out.
    """
    train = split == "train"
    kept = _drawn(groups[train], share, seed + 2, 0, strata)
    if kept.all():
        raise InputError(
            f"train.learning_curve: {share:g} of {plural(groups[train].nunique(), 'training group')} is all of them",
            "leave this share out, or make groups smaller; a group is never cut",
        )
    found = split.copy()
    found[kept.index[~kept]] = UNUSED
    return found


def _of_contigs(examples: pd.DataFrame, groups: pd.Series) -> str:
    """Return advice on more groups if these are contigs; else ""."""
    if "chrom" not in examples or not (groups == examples["chrom"]).all():
        return ""
    return "; groups are contigs here; data.block: 1000000 makes them blocks of this many bp"


def _given(examples: pd.DataFrame, wanted: Split) -> tuple[pd.Series, pd.Series | None]:
    """Return the group of each example, and its split if the data have one."""
    for key, name in (("group", wanted.group), ("column", wanted.column)):
        if name is not None and name not in examples:
            raise InputError(f"split.{key}: no column {name!r} in the examples", nearest(name, examples.columns))
    groups = examples[wanted.group].astype(str)
    given = wanted.column or ("split" if "split" in examples else None)
    if given is None:
        return groups, None
    split = examples[given].astype(str)
    wrong = sorted(set(split) - set(PREDICTED))
    if wrong:
        raise InputError(f"split column {given!r} contains {wrong[0]!r}", "allowed: train, val, test, train_dev")
    _refuse_cut_groups(groups, split.replace(TRAIN_DEV, "train"), given)
    return groups, split


def _choose(
    rest: pd.Series,
    groups: pd.Series,
    wanted: Wanted,
    seed: int,
    name: str,
    spare: int,
    hashed: bool,
    strata: pd.Series | None,
) -> pd.Index:
    """Return the index of the remaining rows that are assigned to a split."""
    if isinstance(wanted, list):
        return rest.index[_named(rest, groups, wanted, name)]
    fraction = FRACTION if wanted is None else wanted
    if not 0 < fraction < 1:
        raise InputError(
            f"split.{name}: {fraction:g} is not a fraction", "allowed: a number above 0 and below 1, or groups"
        )
    if hashed:
        return rest.index[rest.map({group: _hash(name, group) < fraction for group in rest.unique()}).astype(bool)]
    return rest.index[_drawn(rest, fraction, seed + (name == "val"), spare, strata)]


def _named(rest: pd.Series, groups: pd.Series, wanted: list[str | int], split: str) -> pd.Series:
    """Find the remaining rows that belong to the named groups."""
    names = [str(name) for name in wanted]
    for name in names:
        if not (groups == name).any():
            raise InputError(f"split.{split}: no group {name!r}", nearest(name, sorted(groups.unique())))
        if not (rest == name).any():
            raise InputError(f"split.{split}: group {name!r} is already in another split", "list each group once")
    return rest.isin(names)


def _drawn(rest: pd.Series, fraction: float, seed: int, spare: int, strata: pd.Series | None) -> pd.Series:
    """Draw random groups whose number of rows is nearest to the fraction; return whether each row is in one."""
    drawn: list[str] = []
    for counts in _by_stratum(rest.value_counts().sort_index(), rest, strata):
        order = np.random.default_rng([seed, 7]).permutation(len(counts))
        total = counts.iloc[order].cumsum()
        number = int((total - fraction * counts.sum()).abs().to_numpy().argmin()) + 1
        drawn += total.index[: max(min(number, len(counts) - spare), 0)].tolist()
    return rest.isin(drawn)


def _hashed_folds(groups: pd.Series, folds: int) -> pd.Series:
    numbers = groups.map({name: int(_hash("fold", name) * folds) for name in groups.unique()})
    empty = sorted(set(range(folds)) - set(numbers))
    if empty:
        raise InputError(
            f"split: fold {empty[0]} of {folds} is empty ({plural(groups.nunique(), 'group')} in all)",
            "ask for fewer folds, or leave out split.hashed; a group is never cut",
        )
    return numbers


def _hash(what: str, name: str) -> float:
    """Hash to a number from 0 to below 1, uniform over names and different for each ``what``."""
    return int.from_bytes(blake2b(f"{what} {name}".encode(), digest_size=6).digest()) / 2**48


def _refuse_cut_groups(groups: pd.Series, split: pd.Series, column: str) -> None:
    splits = split.groupby(groups).nunique()
    cut = splits.index[splits > 1]
    if len(cut):
        raise InputError(
            f"split column {column!r} cuts {plural(len(cut), 'group')}, for example {cut[0]!r}",
            "put each group into one split; or set split.group: id if these are not groups of related examples",
        )
