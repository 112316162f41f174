"""Shuffled negatives: redrawn each epoch in training, constant for validation and test."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import chosen, sequences, stored
from trainings import resumed, same_weights, stopped, trained

from biocnn.core.checks import Checks
from biocnn.data import negatives
from biocnn.data.dataset import Dataset
from biocnn.data.fresh_shuffles import FreshShuffles
from biocnn.data.positives import Positives
from biocnn.data.raw import Raw
from biocnn.data.shuffle import dinucleotide_shuffle
from biocnn.training.batches import SequenceBatches, make

CPU = torch.device("cpu")


def shuffled(flank: int = 4, lengths: range | None = None, kind: str = "shuffled") -> Raw:
    """Return 40 sequences and a shuffle of each."""
    raw = sequences(40, flank=flank, lengths=lengths)
    codes = [raw.x(i) for i in range(40)]
    codes += [dinucleotide_shuffle(c[None], np.random.default_rng(i))[0] for i, c in enumerate(codes)]
    table = pd.concat([raw.examples.assign(kind="positive"), raw.examples.assign(kind=kind)], ignore_index=True)
    table["id"] = [f"s{i}" for i in range(80)]
    return Raw(table, codes.__getitem__, np.repeat([[1.0], [0.0]], 40, axis=0), raw.facts)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(shuffled(), tmp_path_factory.mktemp("shuffled"))


def drawn(batches: SequenceBatches, epoch: int, seed: int = 1, size: int = 7) -> torch.Tensor:
    """Return what the network sees in an epoch, by example."""
    plan = batches.plan(seed, epoch, size, None)
    each = [batches.get(index)[0] for index in plan]
    longest = max(x.shape[2] for x in each)
    x = torch.cat([torch.nn.functional.pad(x, (0, longest - x.shape[2])) for x in each])
    return x[torch.cat(plan).argsort()]


def pairs(x: torch.Tensor) -> list[Counter]:
    codes = torch.where(x.sum(1) > 0, x.argmax(1), 5).tolist()
    return [Counter(pairwise(row)) for row in codes]


def test_negatives_change_with_the_epoch_and_keep_their_dinucleotides(dataset: Dataset) -> None:
    batches = make(dataset, dataset.rows("train"), CPU)
    fresh = torch.tensor((dataset.examples["kind"].iloc[dataset.rows("train")] == "shuffled").tolist())
    plain = torch.cat([x for x, _ in batches.plain()])
    first, second = drawn(batches, 0), drawn(batches, 1)
    for one, other in ((plain, first), (first, second), (plain, second)):
        same = (one == other).flatten(1).all(1)
        assert same.equal(~fresh)
        assert pairs(one) == pairs(other)
    assert torch.cat([x for x, _ in batches.plain()]).equal(plain)


def test_draws_are_a_function_of_seed_and_epoch_only(dataset: Dataset) -> None:
    rows = dataset.rows("train")
    augment = chosen({"name": "reverse_complement"}, {"name": "shift", "max": 4})
    wanted = drawn(make(dataset, rows, CPU, augment), 3)
    batches = make(dataset, rows, CPU, augment)
    assert not drawn(batches, 2).equal(wanted)
    assert drawn(batches, 3, size=20).equal(wanted)
    assert not drawn(batches, 3, seed=2).equal(wanted)


@pytest.mark.parametrize("part", ["val", "test"])
def test_validation_and_test_never_change(dataset: Dataset, part: str) -> None:
    batches = make(dataset, dataset.rows(part), CPU)
    assert drawn(batches, 1).equal(torch.cat([x for x, _ in batches.plain()]))


def test_negatives_without_fresh_never_change(tmp_path: Path) -> None:
    dataset = stored(shuffled(kind="negative"), tmp_path)
    batches = make(dataset, dataset.rows("train"), CPU)
    assert drawn(batches, 1).equal(torch.cat([x for x, _ in batches.plain()]))


@pytest.mark.parametrize(("fresh", "kind"), [(True, "shuffled"), (False, "negative")])
def test_the_setting_fresh_determines_the_kind(fresh: bool, kind: str) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (3, 20), dtype=np.uint8)
    positives = Positives(pd.DataFrame({"id": ["a", "b", "c"], "group": "g"}), codes, lambda path: None)
    made = negatives.dinucleotide_shuffled(positives, np.random.default_rng(0), Checks(), fresh=fresh)
    assert (made.examples["kind"] == kind).all()


def test_lengths_may_differ(tmp_path: Path) -> None:
    dataset = stored(shuffled(0, range(20, 60)), tmp_path)
    batches = make(dataset, dataset.rows("train"), CPU)
    plain = torch.cat([x for x, _ in batches.plain()])
    found = drawn(batches, 1)
    assert not found.equal(plain)
    assert pairs(found) == pairs(plain)
    assert found.sum(1).equal(plain.sum(1))  # padding stays where it is


def test_the_window_and_its_flanks_are_shuffled_separately() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (50, 40), dtype=np.uint8)
    examples = pd.DataFrame({"kind": ["shuffled"] * 50, "split": "train"})
    found = FreshShuffles(codes, examples, 10).draw(1, 0)
    for piece in (slice(0, 10), slice(10, 30), slice(30, 40)):
        for before, after in zip(codes[:, piece], found[:, piece], strict=True):
            assert Counter(pairwise(before)) == Counter(pairwise(after))


def test_a_negative_never_becomes_a_positive() -> None:
    # ACAGA has one other order, AGACA.
    codes = np.array([[0, 1, 0, 2, 0], [0, 2, 0, 1, 0]], np.uint8)
    examples = pd.DataFrame({"kind": ["positive", "shuffled"], "split": "train"})
    found = [FreshShuffles(codes, examples, 0).draw(1, epoch).tolist() for epoch in range(20)]
    assert found == [[[0, 2, 0, 1, 0]]] * 20
    free = FreshShuffles(codes, examples.assign(kind="shuffled"), 0)
    assert len({free.draw(1, epoch).tobytes() for epoch in range(20)}) == 4


def test_every_order_is_equally_probable_when_redrawn() -> None:
    # ACAGATA: three ways out of A and back, in any of 6 orders.
    codes = np.tile(np.array([0, 1, 0, 2, 0, 3, 0], np.uint8), (6000, 1))
    fresh = FreshShuffles(codes, pd.DataFrame({"kind": ["shuffled"] * 6000, "split": "train"}), 0)
    counts = Counter(map(bytes, fresh.draw(1, 0)))
    assert len(counts) == 6
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 20.5  # 99.9% quantile with 5 degrees of freedom


def test_a_resumed_training_uses_the_same_draws(dataset: Dataset, tmp_path: Path) -> None:
    settings = {"epochs": 3, "batch_size": 16, "save_minutes": 0}
    whole, history, _ = trained(dataset, **settings)
    stopped(dataset, tmp_path, (5, True), **settings)
    model, again, lines = resumed(dataset, tmp_path, **settings)
    assert "resuming from step 5" in lines[0]
    assert same_weights(model, whole)
    assert again.drop(columns="seconds").equals(history.drop(columns="seconds"))
