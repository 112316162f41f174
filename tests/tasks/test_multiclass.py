"""One class per image, from one-hot targets to calibrated probabilities."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from tiny import labelled, stored, task_of
from torch.nn import functional as F

from biocnn.core.errors import InputError
from biocnn.data.facts import checked
from biocnn.losses import cross_entropy

CLASSES = ["a", "b", "c"]
ROWS = np.eye(3, dtype=np.float32)


def test_probabilities_are_a_softmax() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    p = task_of("multiclass", outputs=CLASSES).probability(logits)
    np.testing.assert_allclose(p, softmax(logits.numpy(), axis=1), rtol=1e-6)


@pytest.mark.parametrize("row", [[0, 0, 0], [1, 1, 0], [0.5, 0.5, 0], [2, -1, 0]])
def test_a_target_without_exactly_one_class_is_refused(row: list[float]) -> None:
    raw = labelled(6)
    raw.y[2] = row
    with pytest.raises(InputError, match="exactly one 1"):
        checked(raw)


def test_a_class_missing_in_train_is_refused_and_one_missing_in_val_is_reported() -> None:
    task = task_of("multiclass", outputs=CLASSES)
    split = {"train": list(ROWS[[0, 1, 2]]), "val": list(ROWS[[0, 1]]), "test": list(ROWS[[0, 1, 2]])}
    assert list(task.check_split(split)) == [
        ("the val split has no example of a class: excluded from its metrics", "c")
    ]
    with pytest.raises(InputError, match="train split has no example of 'b', 'c'"):
        list(task.check_split(split | {"train": [ROWS[0]] * 4}))
    with pytest.raises(InputError, match="test split has no example of"):
        list(task.check_split(split | {"test": [ROWS[0]] * 4}))


def test_no_class_has_the_reserved_name_for_all_classes() -> None:
    assert [*task_of("multiclass", outputs=["all", "b"]).check_facts()] == [
        "a class is named 'all', which stands for all classes together"
    ]


def test_class_weights_give_each_class_the_same_total() -> None:
    task = task_of("multiclass", outputs=CLASSES, positives=[0.5, 0.3, 0.2])
    weights = task.class_weights()
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(weights * torch.tensor([0.5, 0.3, 0.2]), weights[0] * 0.5, rtol=1e-6)


def test_one_temperature_undoes_overconfidence() -> None:
    """Targets are drawn from the softmax of some logits; the network returns three times these."""
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, (4000, 3))
    kinds = [rng.choice(3, p=p) for p in softmax(z, axis=1)]
    batches = [(torch.from_numpy(3 * z), torch.from_numpy(ROWS[kinds]))]
    (temperature,) = task_of("multiclass", outputs=CLASSES).temperature(batches, 4000)
    assert temperature == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 1.5])])
def test_cross_entropy_of_rows_equals_that_of_torch(smoothing: float, weights: torch.Tensor | None) -> None:
    generator = torch.Generator().manual_seed(2)
    logits, kinds = torch.randn(7, 3, generator=generator), torch.randint(3, (7,), generator=generator)
    found = cross_entropy(logits, F.one_hot(kinds, 3).float(), weights, label_smoothing=smoothing)
    if weights is None:
        torch.testing.assert_close(found, F.cross_entropy(logits, kinds, label_smoothing=smoothing))
    else:
        each = F.cross_entropy(logits, kinds, label_smoothing=smoothing, reduction="none")
        torch.testing.assert_close(found, (weights[kinds] * each).sum() / weights[kinds].sum())
    unknown = torch.cat([F.one_hot(kinds, 3).float(), torch.full((2, 3), torch.nan)])
    more = torch.cat([logits, torch.randn(2, 3)])
    torch.testing.assert_close(cross_entropy(more, unknown, weights, label_smoothing=smoothing), found)


def test_unknown_labels_are_not_shown_as_absent() -> None:
    words = task_of("multilabel", outputs=CLASSES).words
    assert [words(np.array(y)) for y in ([1, 0, np.nan], [0, 0, 0], [1, 1, 0])] == ["a, c?", "none", "a, b"]


def test_facts_count_the_classes_of_each_split(tmp_path) -> None:
    facts = stored(labelled(24), tmp_path).facts
    counts = facts.n_positive
    assert sum(counts.train) + sum(counts.val) + sum(counts.test) == 24
    assert facts.positives == pytest.approx(np.array(counts.train) / facts.n.train)
