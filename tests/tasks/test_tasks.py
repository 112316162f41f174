"""Truths about every registered task, including new ones."""

import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import torch
from tiny import task_of

from biocnn.config.registry import REGISTRY, find
from biocnn.core.errors import InputError
from biocnn.tasks import Task, make_task

TASKS = pytest.mark.parametrize("name", REGISTRY["tasks"])
OF_LOGITS = pytest.mark.parametrize("name", [name for name in REGISTRY["tasks"] if find("tasks", name).losses])


@TASKS
def test_a_task_knows_its_name(name: str) -> None:
    task = find("tasks", name)
    assert task.name == name
    assert task.__doc__
    assert set(task.inputs) <= set(REGISTRY["inputs"])
    assert task.inputs
    assert set(task.losses) <= set(REGISTRY["losses"])
    assert set(task.headline) <= set(task.metrics)
    assert task.label
    assert task.family


@OF_LOGITS
def test_its_metrics_exist(name: str) -> None:
    from biocnn import metrics

    task = find("tasks", name)
    known = task.catalogue() if task.target.labelled else metrics.__all__
    assert set(task.metrics) <= set(known)


@OF_LOGITS
def test_probability_keeps_the_shape_and_the_decision_is_one_map(name: str) -> None:
    task = task_of(name, outputs=list("abcd"))
    size = (9, 8)[: task.facts.spatial_dims]
    task = make_task(task.facts_with(None))
    space, generator = size if task.target.spatial else (), torch.Generator().manual_seed(1)
    logits = torch.randn(2, task.facts.out_channels, *space, generator=generator)
    p = task.probability(logits)
    assert p.shape == (2, 4, *space)
    if task.target.labelled:
        decided = task.decide(p[0].numpy(), {})
        assert decided.shape == size
        assert set(np.unique(decided)) <= {0, *task.classes().values()} or not task.classes()
        assert ((task.entropy(p[0].numpy()) >= 0) & (task.entropy(p[0].numpy()) <= 4)).all()


def test_tasks_and_inputs_import_nothing_heavy() -> None:
    """A dry run reads their attributes."""
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


def truths(task: Task, n: int = 6) -> list[np.ndarray]:
    """Return data like a reader: values that every vector task accepts, or two squares per image."""
    if not task.target.spatial:
        return list((np.add.outer(np.arange(n), np.arange(len(task.outputs))) % 2).astype(np.float32))
    if not task.target.labelled:
        shape = (n, len(task.outputs), *[16] * task.facts.spatial_dims)
        return list(np.random.default_rng(1).normal(5, 3, shape).astype(np.float32))
    image = np.zeros((16, 16), np.int32 if task.objects else np.uint8)
    image[2:6, 2:6], image[9:14, 8:15] = 1, 2 if task.objects or len(task.outputs) > 1 else 1
    return [np.roll(image, k, axis=1) for k in range(n)]


@OF_LOGITS
def test_a_task_covers_targets_training_evaluation_and_tuning(name: str) -> None:
    """Follow data set and training from step to step, each with the result of the previous one."""
    fitting = [n for n in (4, 1, 6) if not list(task_of(name, outputs=list("abcdef")[:n]).facts.faults())]
    outputs = fitting[0]
    task = task_of(name, outputs=list("abcdef")[:outputs])

    classes = [np.array([[1, 0], [2, 1]])] if outputs == 6 else []  # of objects
    encode = task.encode_typed if classes else task.encode
    stored = [encode(truth, *classes) for truth in truths(task)]
    seen = [task.remember(truth, kept) for truth, kept in zip(truths(task), stored, strict=True)]
    parts = {"train": seen[:4], "val": seen[4:], "test": seen[4:]}
    assert list(task.check_split(parts)) == []
    measured = task.measure(parts)
    task = make_task(task_of(name, outputs=list("abcdef")[:outputs], **measured).facts_with(None))
    channels = task.facts.out_channels
    assert all(len(column) == 6 for column in task.columns(seen).values())
    assert task.without_metric(stored) == []

    y = task.target.collate(stored)
    logits = torch.randn(6, channels, *y.shape[2:], generator=torch.Generator().manual_seed(2), requires_grad=True)
    task.check_output(logits, y)
    losses = [task.make_loss(None, "none", torch.device("cpu"))]
    for wrong in (logits[:3], logits[..., None], torch.cat([logits, logits], 1)):
        with pytest.raises(InputError, match="model: the output has shape"):
            losses[0](wrong, y)
    with suppress(InputError):  # without classes
        losses.append(task.make_loss(None, "balanced", torch.device("cpu")))
    for loss in losses:
        value = loss(logits, y)
        value.backward()
        assert value.isfinite()
        assert logits.grad.isfinite().all()
    logits = logits.detach()
    score = task.score()
    score.add(task.probability(logits), y)
    assert [f"val_{key}" for key in score.value()][:1] == ([task.monitored] if task.monitor else [])
    assert np.isfinite(list(score.value().values())).all()
    temperature = task.temperature(((one[None], truth[None]) for one, truth in zip(logits, y, strict=True)), 6)
    assert len(temperature) in (0, 1, outputs)
    p = task.probability(logits).numpy()
    if task.positives:
        assert len(temperature) == outputs
        np.testing.assert_array_equal(p, logits.sigmoid().numpy())
    tuned = task.tune(p[:2], truths(task)[:2])
    if task.target.labelled:
        assert task.decide(p[0], tuned).shape == (16, 16)
    elif task.judge.endswith("ValueJudge"):
        assert {metric for _, metric, _ in task.judged(p[0], stored[0], p[0])} == set(task.metrics)


@pytest.mark.parametrize(
    ("name", "outputs", "y", "words"),
    [
        ("multiclass", ["a", "b"], [0, 1], "b"),
        ("binary", ["sick"], [1], "sick"),
        ("binary", ["sick"], [0], "not sick"),
        ("multilabel", ["a", "b", "c"], [1, np.nan, 1], "a, b?, c"),
        ("multilabel", ["a", "b"], [0, 0], "none"),
        ("regression", ["a", "b"], [1.25, np.nan], "a 1.25"),
    ],
)
def test_targets_in_words(name: str, outputs: list[str], y: list[float], words: str) -> None:
    assert task_of(name, outputs=outputs).words(np.array(y, np.float32)) == words
