"""Patches cut from stored images, by this process or by others beforehand; both give the same."""

import multiprocessing
import multiprocessing.connection
import signal
from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Indexed

from biocnn.core.errors import InputError
from biocnn.io.ragged import Ragged
from biocnn.nn.encode import to_tensor
from biocnn.tasks.target import Target, cut

GRACE = 5  # seconds that a worker goes on after SIGTERM
Place = tuple[np.ndarray, np.ndarray]  # rows of images, shape (N,); where in them, shape (N, axes), 0-1


class Cutter(Indexed):
    """Cuts batches of patches of one size.

    Parameters
    ----------
    x
        Images (C, *spatial).
    y, target
        Their stored truth, and what kind of truth it is.
    patch
        Length of each side, in pixels.
    """

    def __init__(self, x: Ragged, y: Ragged, target: Target, patch: Sequence[int]) -> None:
        self.x, self.y, self.target, self.patch = x, y, target, list(patch)

    def __getitem__(self, place: Place) -> tuple[Tensor, Tensor]:
        """Patches of images (N, C, *patch), as stored, and their truth."""
        x, y = zip(*[self._cut(row, where) for row, where in zip(*place, strict=True)], strict=True)
        return to_tensor(np.stack(x)), self.target.collate(y)

    def _cut(self, row: int, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One patch; smaller images lie anywhere in it, mirrored around them.

        Always at the same end, what is mirrored would tell networks which way an image was flipped afterwards.
        """
        x, window, missing = self.x[row], [], []
        for u, n, p in zip(where, x.shape[1:], self.patch, strict=False):
            first = int(u * (abs(n - p) + 1))
            window.append(slice(first, first + p) if n > p else slice(0, n))
            missing.append((first, p - n - first) if n < p else (0, 0))
        return cut(x, window, missing, mode="symmetric"), self.target.crop(self.y[row], window, missing)


class PatchLoader:
    """Batches of patches in the order asked for, whoever cuts them.

    Parameters
    ----------
    cutter
        What cuts.
    workers
        Processes that do so, while others learn; 0: none.
    pin_memory
        Whether batches lie where a GPU can fetch them by itself.
    """

    def __init__(self, cutter: Cutter, workers: int, pin_memory: bool) -> None:
        self.places: list[Place] = []
        settings = {"num_workers": workers, "pin_memory": pin_memory}
        if workers:  # neither copies threads, as a fork does, which may leave locks held for ever
            kind = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            settings |= {"persistent_workers": True, "multiprocessing_context": kind, "worker_init_fn": _stay}
        self.loader = DataLoader(cutter, batch_size=None, sampler=self.places, **settings)

    def load(self, places: Sequence[Place]) -> Iterator[tuple[Tensor, Tensor]]:
        """One batch for each entry of ``places``.

        Raises
        ------
        InputError
            Where a worker dies, or cannot hand over what it cut: names the process and the cause.
        """
        self.places[:] = places
        if not self.loader.num_workers:
            yield from self.loader
            return
        batches = iter(self.loader)
        workers = multiprocessing.active_children()
        try:
            yield from batches
        except Exception as error:
            dead = _dead(workers)
            batches._shutdown_workers()  # else they are waited for when the error is forgotten, in no good order
            # What the cutter raises in a worker keeps its type and its traceback, as it would in this process; torch
            # itself raises RuntimeErrors there, where memory to share is short.
            inside = "in DataLoader worker process" in str(error) and not isinstance(error, RuntimeError)
            if inside or not isinstance(error, RuntimeError | OSError | EOFError):
                raise
            raise InputError(
                f"a process that loads images failed: {dead or str(error).strip().splitlines()[-1]}",
                "if it was killed, memory was short: lower train.workers, or ask for more; 0 loads in this process",
            ) from error


def _stay(number: int) -> None:
    """Leave requests to stop to the process that trains, which needs its batches until the step is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))


def _dead(workers: Sequence[multiprocessing.process.BaseProcess]) -> str:
    """Which process died of what; "" where all live."""
    multiprocessing.connection.wait([worker.sentinel for worker in workers], timeout=1)
    dead = [worker for worker in workers if worker.exitcode]
    return ", ".join(f"process {worker.pid} ended with {_status(worker.exitcode)}" for worker in dead)


def _status(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
