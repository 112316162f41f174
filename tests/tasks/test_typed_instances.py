"""Objects with classes: what is learned, weighted, refused and decided."""

import numpy as np
import pytest
import torch
from tiny import images, stored, task_of
from torch.nn import functional as F

from biocnn import losses
from biocnn.core.errors import InputError
from biocnn.tasks.facts import BySplit

OUTPUTS = ["background", "inside", "boundary", "distance", "even", "odd"]


def test_the_loss_adds_the_cross_entropy_of_known_classes() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 6, 9, 8, generator=generator)
    target = torch.randint(0, 3, (2, 4, 9, 8), generator=generator).to(torch.uint8)
    target[:, 3][target[:, 3] == 2] = 255
    outlines = losses.instances(logits[:, :4], target[:, :3])
    kinds = target[:, 3].long()
    of_kinds = F.cross_entropy(logits[:, 4:], kinds, ignore_index=255)
    torch.testing.assert_close(losses.instances(logits, target, kind=0.5), outlines + 0.5 * of_kinds)
    weights = torch.tensor([1.0, 2.0, 3.0, 0.5, 4.0])
    outlines = losses.instances(logits[:, :4], target[:, :3], weights[:3])
    of_kinds = F.cross_entropy(logits[:, 4:], kinds, weights[3:], ignore_index=255)
    torch.testing.assert_close(losses.instances(logits, target, weights), outlines + of_kinds)
    target[:, 3] = 255
    torch.testing.assert_close(losses.instances(logits, target), losses.instances(logits[:, :4], target[:, :3]))


def test_a_data_set_stores_the_class_of_each_pixel_and_counts_objects(tmp_path) -> None:
    raw = images(8, task="typed_instances")
    dataset = stored(raw, tmp_path)
    for row in range(8):
        labels, (ids, kinds) = raw.y(row), raw.classes(row).T
        np.testing.assert_array_equal(dataset.classes[row], raw.classes(row))
        np.testing.assert_array_equal(dataset.y[row][3], np.where(labels > 0, labels % 2, 255))
        assert dataset.examples[["y_0", "y_1"]].iloc[row].tolist() == [(kinds == k).sum() for k in (0, 1)]
        assert set(ids) == set(np.unique(labels)) - {0}
    pixels = np.array([[(dataset.y[row][3] == k).sum() for k in (0, 1)] for row in dataset.rows("train")]).sum(axis=0)
    assert dataset.facts.object_shares == pytest.approx(pixels / pixels.sum())
    assert sum(dataset.facts.n_positive.test) == sum(len(dataset.classes[row]) for row in dataset.rows("test"))


def test_class_weights_make_all_classes_equal() -> None:
    task = task_of("typed_instances", outputs=OUTPUTS, class_shares=[0.8, 0.1, 0.1], object_shares=[0.25, 0.75])
    weights = task.class_weights()
    torch.testing.assert_close(weights[3:] * torch.tensor([0.25, 0.75]), torch.full((2,), 0.375))
    torch.testing.assert_close(weights[:3], task_of("instances", class_shares=[0.8, 0.1, 0.1]).class_weights())


def test_a_class_without_training_objects_is_refused_and_one_without_others_noted() -> None:
    task = task_of("typed_instances", outputs=OUTPUTS)
    both, even = ((None, None, None, np.array(n)) for n in ([1, 1], [2, 0]))
    notes = list(task.check_split({"train": [both], "val": [even, even], "test": [both]}))
    assert notes == [("the val split has no object of a class: excluded from its metrics", "odd")]
    with pytest.raises(InputError, match="the train split has no object of 'odd'"):
        list(task.check_split({"train": [even], "val": [both], "test": [both]}))


@pytest.mark.parametrize(
    ("outputs", "fault"), [(OUTPUTS[:5], "two classes or more"), ([*"abcd", "x", "objects"], "'objects'")]
)
def test_facts_that_no_typed_objects_can_have(outputs: list[str], fault: str) -> None:
    assert fault in "; ".join(task_of("typed_instances", outputs=outputs).facts.faults())


def test_the_temperature_is_that_of_classes_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    kinds = torch.randint(0, 2, (4, 1, 1, 20, 20), generator=generator)
    logits = torch.zeros(4, 1, 6, 20, 20)
    said = torch.where(torch.rand(kinds.shape, generator=generator) < 0.8, kinds, 1 - kinds)
    logits[:, :, 4:] = 5 * torch.cat([1 - said, said], 2)  # as sure as .993, but right in 80%
    y = torch.cat([torch.zeros(4, 1, 3, 20, 20), kinds], 2).to(torch.uint8)
    numbers = BySplit[list[int]](train=[1, 1], val=[800, 800], test=[1, 1])
    task = task_of("typed_instances", outputs=OUTPUTS, n_positive=numbers)
    found = task.temperature(zip(logits, y, strict=True), 4)
    assert found[:4] == [1.0] * 4
    assert found[4:] == [pytest.approx(5 / np.log(0.8 / 0.2), rel=0.1)] * 2
    assert task.tempered == ["even"]


def test_a_table_gives_the_class_of_each_object() -> None:
    labels = np.array([[0, 1, 1, 2]], np.int32)
    p = np.zeros((6, 1, 4), np.float32)
    p[4:] = [[[0, 0.9, 0.7, 0.5]], [[1, 0.1, 0.3, 0.5]]]
    same, table = task_of("typed_instances", outputs=OUTPUTS).with_table(p, labels)
    assert same is labels
    assert table["label"].tolist() == [1, 2]
    assert table["class"].tolist() == ["even", "even"]
    np.testing.assert_allclose(table[["score", "entropy"]], [[0.8, 0.7219281], [0.5, 1]], rtol=1e-6)
