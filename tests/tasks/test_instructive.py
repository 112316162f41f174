"""Examples to show: right and wrong ones of each class in turn."""

import numpy as np
from tiny import task_of

from biocnn.tasks.instructive import instructive


def test_classes_and_right_and_wrong_examples_alternate_most_confident_first() -> None:
    task = task_of("multiclass", outputs=["a", "b"])
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]])
    y = np.eye(2)[[0, 0, 1, 0, 1, 1]]  # wrong: 2, of class b, and 3, of class a
    assert task.instructive(p, y, 4) == [0, 2, 5, 3]
    assert task.instructive(p, y, 100) == [0, 2, 5, 3, 1, 4]
    assert task.instructive(p, y, 0) == []


def test_many_classes_are_all_shown_before_one_is_shown_twice() -> None:
    rng = np.random.default_rng(0)
    task = task_of("multiclass", outputs=list("abcdefgh"))
    p, y = rng.dirichlet(np.ones(8), 400), np.eye(8)[rng.integers(0, 8, 400)]
    chosen = task.instructive(p, y, 8)
    assert sorted(y[chosen].argmax(axis=1)) == list(range(8))
    assert (p[chosen].argmax(axis=1) == y[chosen].argmax(axis=1)).tolist() == [True, False] * 4


def test_positives_and_negatives_of_yes_or_no_are_shown_and_unknown_ones_are_not() -> None:
    task = task_of("binary")
    p = np.array([[0.9], [0.8], [0.2], [0.1], [0.99]])
    y = np.array([[1], [0], [1], [0], [np.nan]])
    assert task.instructive(p, y, 10) == [0, 1, 3, 2]


def test_an_example_of_several_classes_is_chosen_once() -> None:
    member = np.ones((1, 3), bool)
    assert instructive(member, member, member.astype(float), 5) == [0]
