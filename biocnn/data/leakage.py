"""Leakage between splits: identical examples, overlapping windows, near-duplicate images."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from biocnn.config.registry import resolve
from biocnn.core.checks import Checks
from biocnn.data.duplicates import alike, small_version
from biocnn.data.raw import Raw
from biocnn.data.sampling import overlapping
from biocnn.io.fasta import reverse_complement
from biocnn.io.tile_names import of_examples
from biocnn.tasks.facts import Leak
from biocnn.tasks.inputs import make_input

PAIRS = (("train", "test"), ("train", "val"), ("val", "test"))
KINDS = {
    "exact": "{1} examples that are the same as a {0} example",
    "reverse_complement": "{1} examples that are the reverse complement of a {0} example",
    "overlap": "{1} windows that overlap a {0} window",
    "alike": "{1} images that look like a {0} image, possibly mirrored or rotated",
    "shared": "{1} bags with an image that a {0} bag also has, possibly mirrored or rotated",
    "named": "{1} images of the same slide (or patient) as a {0} image, by their names",
}
_DOUBTFUL = ("named",)  # reported, but not removed
REMOVED = "removed"  # split of examples that were taken out


@dataclass(frozen=True)
class Identity:
    """Identify examples by numbers that are equal for matching examples, and by windows.

    Parameters
    ----------
    exact
        One number for all examples with the same content, shape (N,).
    either_strand
        One number for all examples that are equal or reverse complements, shape (N,).
    windows
        Start and end, (N, 2), with contigs laid end to end; None for examples without a genome.
    pairs
        Indices of near-duplicate images, (M, 2); None for sequences.
    shared
        Whether examples are bags, and pairs those with an image in common.
    wholes
        One number for all images that are pieces of one slide or patient according to their names, shape (N,); None if
        names do not show this, or groups already do.
    """

    exact: np.ndarray
    either_strand: np.ndarray
    windows: np.ndarray | None
    pairs: np.ndarray | None = None
    wholes: np.ndarray | None = None
    shared: bool = False


def identify(raw: Raw) -> Identity:
    """Digest every example once."""
    return resolve(make_input(raw.facts).identify)(raw)


def identify_sequences(raw: Raw) -> Identity:
    """Identify sequences by the window without its flanks, for DNA on either strand."""
    flank = raw.facts.flank
    own, either = [], []
    for row in range(len(raw.examples)):
        x = raw.x(row)
        x = x[flank : len(x) - flank]
        own.append(_digest(x))
        either.append(min(own[-1], _digest(reverse_complement(x))) if raw.facts.alphabet == "ACGT" else own[-1])
    windows = _windows(raw.examples) if {"chrom", "start", "end"} <= set(raw.examples) else None
    return Identity(_numbers(own), _numbers(either), windows)


def identify_images(raw: Raw) -> Identity:
    """Identify images by all pixels, by a thumbnail, and by name."""
    own, small = [], []
    for row in range(len(raw.examples)):
        x = raw.x(row)
        own.append(_digest(x))
        small.append(small_version(x))
    pairs = np.array([pair[:2] for pair in alike(np.stack(small))], int).reshape(-1, 2)
    of = of_examples(raw.examples)
    return Identity(_numbers(own), _numbers(own), None, pairs, _numbers(of.names) if of else None)


def identify_bags(raw: Raw) -> Identity:
    """Identify bags by their images in any order; pairs have an image in common, by its pixels or thumbnail."""
    own, small, bag, first = [], [], [], dict[bytes, int]()
    for row in range(len(raw.examples)):
        digests = [_digest(image) for image in raw.x(row)]
        own.append(b"".join(sorted(digests)))
        for digest, image in zip(digests, raw.x(row), strict=True):
            if first.setdefault(digest, len(first)) == len(small):
                small.append(small_version(image))
            bag.append((first[digest], row))
    holders = pd.DataFrame(bag, columns=["image", "bag"]).drop_duplicates()
    near = pd.DataFrame([pair[:2] for pair in alike(np.stack(small))], columns=["image", "other"], dtype=int)
    near = pd.concat([near, pd.DataFrame({"image": range(len(small)), "other": range(len(small))})])
    pairs = near.merge(holders, on="image").merge(holders, left_on="other", right_on="image")[["bag_x", "bag_y"]]
    pairs = pairs[pairs["bag_x"] != pairs["bag_y"]].drop_duplicates()
    return Identity(_numbers(own), _numbers(own), None, pairs.to_numpy(int), shared=True)


def _numbers(found: list[Any]) -> np.ndarray:
    """Return one number per distinct value."""
    return pd.factorize(np.array(found, object))[0]


def _digest(x: np.ndarray) -> bytes:
    return blake2b(f"{x.shape}".encode() + x.tobytes(), digest_size=16).digest()


def _windows(examples: pd.DataFrame) -> np.ndarray:
    columns = [pd.to_numeric(examples[name], errors="coerce") for name in ("start", "end")]
    known = (examples["chrom"].notna() & columns[0].notna() & columns[1].notna()).to_numpy()
    start, end = (column.fillna(0).to_numpy(np.int64) for column in columns)
    # Examples without a position, e.g. shuffled ones, get no length and a contig of their own.
    start, end = np.where(known, start, 0), np.where(known, end, 0)
    contig = np.where(known, pd.factorize(examples["chrom"])[0], -1)
    low = start.min()
    return np.stack([start, end], axis=1) - low + (contig * (end.max() - low + 1))[:, None]


def leaks(identity: Identity, split: pd.Series) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Return, for each pair of splits and kind of leak, the rows of the second split with a match in the first."""
    found = {}
    for pair in PAIRS:
        first, second = (np.flatnonzero(split == name) for name in pair)
        exact = np.isin(identity.exact[second], identity.exact[first])
        found[pair] = {"exact": second[exact]}
        if identity.pairs is None:
            either = np.isin(identity.either_strand[second], identity.either_strand[first])
            found[pair]["reverse_complement"] = second[either & ~exact]
        else:
            both = np.concatenate([identity.pairs, identity.pairs[:, ::-1]])
            partners = both[np.isin(both[:, 0], first), 1]
            found[pair]["shared" if identity.shared else "alike"] = second[np.isin(second, partners) & ~exact]
        if identity.wholes is not None:
            found[pair]["named"] = second[np.isin(identity.wholes[second], identity.wholes[first])]
        if identity.windows is not None:
            found[pair]["overlap"] = second[overlapping(identity.windows[second], identity.windows[first])]
    return found


def account(
    identity: Identity, split: pd.Series, remove: bool, ids: pd.Series, checks: Checks
) -> tuple[pd.Series, list[Leak]]:
    """Count leaks and, with ``remove``, take them out of the second split of each pair.

    Parameters
    ----------
    identity
        Identity of all examples.
    split
        Split of each example.
    remove
        Whether to take leaks out.
    ids
        Name of each example, for the checks.
    checks
        Receives a row for each pair of splits and kind of leak found.

    Returns
    -------
    split, rows
        Split of each example, ``REMOVED`` if it was taken out; and a row for each pair of splits.
    """
    rows, cleaned = [], split.copy()
    for pair, kinds in leaks(identity, split).items():
        every = np.unique(np.concatenate(list(kinds.values())))
        counts = {kind: len(found) for kind, found in kinds.items()}
        rows.append(Leak(pair=list(pair), **counts, any=len(every), removed=remove))
        for kind, found in kinds.items():
            outcome = "dropped" if remove and kind not in _DOUBTFUL else "note"
            checks.add("split", outcome, KINDS[kind].format(*pair), len(found), "".join(ids.iloc[found[:1]]))
        if remove:
            certain = [found for kind, found in kinds.items() if kind not in _DOUBTFUL]
            cleaned.iloc[np.unique(np.concatenate(certain))] = REMOVED
    return cleaned, rows
