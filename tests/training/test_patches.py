"""Patches cut by other processes equal those of this process, and a process that dies is reported."""

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import experiment, images, stored
from trainings import same_weights

from biocnn.config.settings import Train
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.io.ragged import Ragged
from biocnn.training.patches import Cutter, PatchLoader
from biocnn.training.runs import train_run


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(images(12), tmp_path_factory.mktemp("cells"))


def places(number: int, seed: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return batches of three patches anywhere."""
    random = np.random.default_rng(seed)
    return [(random.integers(0, 12, 3), random.random((3, 4))) for _ in range(number)]


def slow(cells: Dataset, **more: Any) -> "Slow":
    return Slow(cells.x, cells.y, cells.task.target, [16, 16], **more)


class Slow(Cutter):
    """Cuts slowly, or fails on request."""

    def __init__(self, *arguments: Any, seconds: float = 0.0, error: Exception | None = None) -> None:
        super().__init__(*arguments)
        self.seconds, self.error = seconds, error

    def __getitem__(self, place):
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        return super().__getitem__(place)


def equal(one, other) -> bool:
    return all(a.equal(b) for pair in zip(one, other, strict=True) for a, b in zip(*pair, strict=True))


def test_workers_give_the_same_patches_in_the_same_order(cells: Dataset) -> None:
    """Also in the second epoch, with the same workers, and after an epoch that was ended early."""
    alone, helped = (
        PatchLoader(Cutter(cells.x, cells.y, cells.task.target, [16, 16]), workers, False) for workers in (0, 2)
    )
    for number, end in ((7, None), (7, 3), (0, None), (5, None)):
        found = helped.load(places(number, number))
        found = [batch for _, batch in zip(range(end), found, strict=False)] if end else list(found)
        assert equal(found, list(alone.load(places(number, number)))[:end])


def test_images_are_sent_to_workers_by_path(tmp_path: Path) -> None:
    array = np.arange(10**6, dtype=np.uint8).reshape(1, 1000, 1000)
    Ragged.write(tmp_path / "x.npy", [array], np.uint8)
    sent = pickle.dumps(Ragged(tmp_path / "x.npy"))
    assert len(sent) < 1000
    assert isinstance(pickle.loads(sent).values, np.memmap)
    np.testing.assert_array_equal(pickle.loads(sent)[0], array)


def workers() -> list[Any]:
    return [child for child in multiprocessing.active_children() if child.daemon]


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_killed_worker_is_reported_with_a_remedy(seconds: float, cells: Dataset) -> None:
    """It is killed while its batches wait to be fetched, and while it cuts one."""
    before = workers()
    loader = PatchLoader(slow(cells, seconds=seconds), 1, False)
    batches = loader.load(places(100))
    next(batches)
    (worker,) = set(workers()) - set(before)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(InputError, match=f"process {worker.pid} ended with SIGKILL") as caught:
        list(batches)
    assert "lower train.workers" in caught.value.remedy


def test_requests_to_stop_do_not_end_workers(cells: Dataset) -> None:
    """Ctrl-C and schedulers signal all processes, but the current step needs its batch."""
    before = workers()
    batches = PatchLoader(slow(cells, seconds=0.1), 1, False).load(places(8))
    next(batches)
    (worker,) = set(workers()) - set(before)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, number)
    assert len(list(batches)) == 7


@pytest.mark.parametrize("number", [0, 1])
def test_an_error_in_a_worker_is_the_same_as_in_the_main_process(number: int, cells: Dataset) -> None:
    loader = PatchLoader(slow(cells, error=ValueError("this image is odd")), number, False)
    with pytest.raises(ValueError, match="this image is odd"):
        list(loader.load(places(2)))


def test_a_failed_transfer_is_reported(cells: Dataset) -> None:
    """With torch's message when shared memory runs out."""
    loader = PatchLoader(slow(cells, error=RuntimeError("unable to allocate shared memory(shm)")), 1, False)
    with pytest.raises(InputError, match=r"images failed: RuntimeError: unable to allocate shared memory") as caught:
        list(loader.load(places(2)))
    assert "(0: no extra process)" in caught.value.remedy


def test_training_does_not_depend_on_workers(cells: Dataset) -> None:
    """Weights and history are equal; the files differ in their settings, which name the workers."""
    unet = {"name": "UNet", "channels": [4, 8], "dropout": 0.1}
    augment = [{"name": "flip"}, {"name": "noise", "sd": 0.1}]
    found = []
    for number in (0, 1, 2):
        train = Train(epochs=2, batch_size=4, steps_per_epoch=5, threads=1, workers=number)
        settings = experiment(unet, data="Images", augment=augment, train=train)
        model, history, meta = train_run(settings, cells, 1)
        found.append((model, history.drop(columns="seconds"), meta.best_epoch))
    for model, history, best in found[1:]:
        assert same_weights(model, found[0][0])
        assert history.equals(found[0][1])
        assert best == found[0][2]
    assert torch.is_tensor(next(found[0][0].parameters()))
