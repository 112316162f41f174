"""Truths about every task of the registry: a new one enrols itself."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny import task_of

from biocnn.config.registry import REGISTRY, find

TASKS = pytest.mark.parametrize("name", REGISTRY["tasks"])


@TASKS
def test_a_task_says_who_it_is(name: str) -> None:
    task = find("tasks", name)
    assert task.name == name
    assert task.__doc__
    assert set(task.inputs) <= set(REGISTRY["inputs"])
    assert task.inputs
    assert set(task.losses) <= set(REGISTRY["losses"])
    assert task.losses
    assert set(task.headline) <= set(task.metrics)
    assert task.label
    assert task.family


@TASKS
def test_its_metrics_exist(name: str) -> None:
    from biocnn import metrics

    task = find("tasks", name)
    known = task.catalogue() if task.target.spatial else metrics.__all__
    assert set(task.metrics) <= set(known)


@TASKS
def test_probability_keeps_the_shape_and_what_is_decided_is_one_map(name: str) -> None:
    task, size = task_of(name, outputs=list("abcd")), (9, 8)
    logits = torch.randn(2, 4, *(size if task.target.spatial else ()), generator=torch.Generator().manual_seed(1))
    p = task.probability(logits)
    assert p.shape == logits.shape
    if task.target.spatial:
        decided = task.decide(p[0].numpy(), {})
        assert decided.shape == size
        assert set(np.unique(decided)) <= {0, *task.classes().values()} or not task.classes()
        assert ((task.entropy(p[0].numpy()) >= 0) & (task.entropy(p[0].numpy()) <= 4)).all()


def test_tasks_and_inputs_are_light() -> None:
    """A dry run reads what they say of themselves."""
    code = (
        "import sys; from biocnn.config.registry import REGISTRY, find\n"
        "for kind in ('tasks', 'inputs'):\n"
        "    for name in REGISTRY[kind]: find(kind, name)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "scipy", "skimage", "pandas"} & set(loaded)


@pytest.mark.parametrize("name", REGISTRY["inputs"])
def test_an_input_has_a_task(name: str) -> None:
    kind = find("inputs", name)
    assert kind.name == name
    assert kind.__doc__
    assert any(name in find("tasks", task).inputs for task in REGISTRY["tasks"])
