"""Patches cut from stored images, by this process or in advance by worker processes, with the same result."""

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

GRACE = 5  # seconds that a worker continues after SIGTERM
Place = tuple[np.ndarray, np.ndarray]  # rows of images, shape (N,); relative positions, shape (N, axes), 0 to 1


class Cutter(Indexed):
    """Cuts batches of patches of one size.

    Parameters
    ----------
    x
        Images (C, *spatial).
    y, target
        Stored truth of the images, and its kind.
    patch
        Length of each side, in pixels.
    upscale
        Pixels of the truth per pixel of the image, along each axis.
    """

    def __init__(self, x: Ragged, y: Ragged, target: Target, patch: Sequence[int], upscale: int = 1) -> None:
        self.x, self.y, self.target, self.patch, self.upscale = x, y, target, list(patch), upscale

    def __getitem__(self, place: Place) -> tuple[Tensor, Tensor]:
        """Return patches of images (N, C, *patch), as stored, and their truth."""
        x, y = zip(*[self._cut(row, where) for row, where in zip(*place, strict=True)], strict=True)
        return to_tensor(np.stack(x)), self.target.collate(y)

    def _cut(self, row: int, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cut one patch; a smaller image lies at a random position in it, with margins as the target has them.

        With margins always at the same end, a network could recognise how an image was flipped afterwards.
        """
        x, window, missing = self.x[row], [], []
        for u, n, p in zip(where, x.shape[1:], self.patch, strict=False):
            first = int(u * (abs(n - p) + 1))
            window.append(slice(first, first + p) if n > p else slice(0, n))
            missing.append((first, p - n - first) if n < p else (0, 0))
        finer = [slice(self.upscale * side.start, self.upscale * side.stop) for side in window]
        beyond = [(self.upscale * before, self.upscale * after) for before, after in missing]
        mode = "symmetric" if self.target.mirrored else "edge"
        return cut(x, window, missing, mode=mode), self.target.crop(self.y[row], finer, beyond)


class PatchLoader:
    """Batches of patches in the requested order, with or without worker processes.

    Parameters
    ----------
    cutter
        Makes the batch of a place: a ``Cutter``, or one of whole images by their rows.
    workers
        Number of processes that cut patches in advance; 0: none.
    pin_memory
        Whether batches are put in page-locked memory, for asynchronous copies to a GPU.
    """

    def __init__(self, cutter: Indexed, workers: int, pin_memory: bool) -> None:
        self.places: list[Place] = []
        settings = {"num_workers": workers, "pin_memory": pin_memory}
        if workers:  # not fork, which copies locks held by other threads and may deadlock
            kind = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            settings |= {"persistent_workers": True, "multiprocessing_context": kind, "worker_init_fn": _stay}
        self.loader = DataLoader(cutter, batch_size=None, sampler=self.places, **settings)

    def load(self, places: Sequence[Place]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one batch for each entry of ``places``.

        Raises
        ------
        InputError
            If a worker dies or cannot return its batch; names the process and the cause.
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
            batches._shutdown_workers()  # otherwise garbage collection waits for them, in undefined order
            # Errors of the cutter keep type and traceback, as in this process. RuntimeErrors come from torch itself,
            # which raises them in workers when shared memory runs out.
            inside = "in DataLoader worker process" in str(error) and not isinstance(error, RuntimeError)
            if inside or not isinstance(error, RuntimeError | OSError | EOFError):
                raise
            raise InputError(
                f"a process that loads images failed: {dead or str(error).strip().splitlines()[-1]}",
                "if it was killed, memory ran out: lower train.workers (0: no extra process), or request more memory",
            ) from error


def _stay(number: int) -> None:
    """Leave stop requests to the training process, which needs batches until its step is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))


def _dead(workers: Sequence[multiprocessing.process.BaseProcess]) -> str:
    """Return which workers died of what; "" if all are alive."""
    multiprocessing.connection.wait([worker.sentinel for worker in workers], timeout=1)
    dead = [worker for worker in workers if worker.exitcode]
    return ", ".join(f"process {worker.pid} ended with {_status(worker.exitcode)}" for worker in dead)


def _status(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
