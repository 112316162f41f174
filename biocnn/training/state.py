"""Saved states of a training in progress: written atomically, verified when read; the last two are kept."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from biocnn.core.files import atomic, sha256
from biocnn.core.lock import Lock
from biocnn.training.optimizer import Optimizer, optimizer_tensors, restore_optimizer

DIGEST = hashlib.sha256().digest_size
STOP, OVER = "stop", "over"  # files: request to stop; mark of a finished training


class StateFolder:
    """Folder of the states from which one training resumes, under a lock; a context manager.

    A state file is a SHA-256 digest followed by safetensors with JSON in the header. Nothing in it is executed.

    Parameters
    ----------
    root
        Folder of this run, with one subfolder per fingerprint. A file ``stop`` in it ends the training, which keeps its
        best epoch.
    fingerprint
        Fingerprint of settings, code and data; states of other fingerprints are never read.
    log
        Called with each log line.
    """

    def __init__(self, root: str | Path, fingerprint: str, log: Callable[[str], None]) -> None:
        self.root, self.log = Path(root), log
        self.folder = self.root / fingerprint
        self.stop_file = self.root / STOP
        self.lock = Lock(self.root / "lock", log)

    def __enter__(self) -> "StateFolder":
        with ExitStack() as stack:  # releases the lock on failure
            stack.enter_context(self.lock)
            self._tidy()
            stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.lock.__exit__(*exception)
        with suppress(OSError):  # not empty
            self.root.rmdir()

    def put_back(self, paths: Sequence[Path]) -> bool:
        """Restore these files from an identical, finished training; return whether there is one.

        It may belong to another experiment, for example to the same one before it was renamed.
        """
        results = Path(os.path.abspath(self.root / "../../../.."))  # of results/EXPERIMENT/runs/RUN/state
        others = results.glob(f"*/runs/{self.root.parent.name}/{self.root.name}/{self.folder.name}")
        for folder in [self.folder, *sorted(others)]:
            kept = {path: folder / path.name for path in paths}
            with suppress(OSError, ValueError):
                marked = json.loads((folder / OVER).read_text())
                if marked != {copy.name: sha256(copy) for copy in kept.values()}:
                    continue
                for path, copy in kept.items():
                    _link(copy, path)
                    os.utime(path)  # Snakemake considers a file outdated that is older than its inputs
                if folder != self.folder:
                    self.log(f"taken from {os.path.relpath(folder)}")
                    self.close(paths)
                return True
        return False

    def close(self, paths: Sequence[Path] = ()) -> None:
        """Remove the states of this training and of other finished ones, once its files are written.

        Links to its files ``paths`` are kept for ``put_back``; they take no space. A workflow that was killed considers
        the files themselves incomplete and removes them.
        """
        for mark in self.root.glob(f"*/{OVER}"):
            shutil.rmtree(mark.parent)
        (self.root / STOP).unlink(missing_ok=True)
        for path in paths:
            _link(path, self.folder / path.name)
        if paths:
            (self.folder / OVER).write_text(json.dumps({path.name: sha256(path) for path in paths}))

    def _tidy(self) -> None:
        """Remove files left by a process killed while saving; log states of other fingerprints."""
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.glob(".*.tmp"):
            shutil.rmtree(left)
        folders = [path for path in self.root.glob("[!.]*") if path.is_dir() and path != self.folder]
        others = [path.name for path in folders if not (path / OVER).exists()]
        if others:
            self.log(f"states of other settings, code or data are kept in {self.root}: {', '.join(sorted(others))}")

    def save(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        """Write a state to the disk, then remove all but the last two.

        Raises
        ------
        InputError
            If another process has taken over the folder.
        """
        self.lock.confirm()
        old = self._files()
        number = int(old[-1].stem) + 1 if old else 1
        stored = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
        content = safetensors.torch.save(stored, {"progress": json.dumps(progress)})
        with atomic(self.folder / f"{number:08d}.state") as temporary, open(temporary, "wb") as handle:
            handle.write(hashlib.sha256(content).digest())
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        for path in old[:-1]:
            path.unlink()
        if progress["over"]:
            (self.folder / OVER).touch()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return tensors and progress of the newest intact state, or None; damaged ones are renamed and logged."""
        for path in reversed(self._files()):
            if found := _read(path):
                if found[1]["over"]:  # its process may have been killed before it made the mark
                    (self.folder / OVER).touch()
                return found
            path.rename(path.with_suffix(".damaged"))
            self.log(f"{path}: damaged state; resuming from the previous one, if there is one")
        return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.state"))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return tensors and progress; None if the file is damaged or cannot be read."""
    try:
        content = path.read_bytes()
        digest, content = content[:DIGEST], content[DIGEST:]
        if hashlib.sha256(content).digest() != digest:
            return None
        size = int.from_bytes(content[:8], "little")
        progress = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["progress"])
        return (safetensors.torch.load(content), progress) if "over" in progress else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError, safetensors.SafetensorError):
        return None


def _link(source: Path, path: Path) -> None:
    """Make a hard link, or a copy if the file system has no hard links."""
    with atomic(path) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def clear(root: Path, unfinished: bool = False) -> None:
    """Remove the states of finished trainings, once their models are saved, and the stop file.

    With ``unfinished``, remove the states of unfinished ones, too.
    """
    for path in root.glob("[!.]*"):
        if path.is_dir() and (unfinished or (path / OVER).exists()):
            shutil.rmtree(path, ignore_errors=True)
    (root / STOP).unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        root.rmdir()


@dataclass
class Progress:
    """Progress of a training; with weights and moments, all that is needed to resume."""

    precision: str
    started_in: str = ""  # precision at the start of the current epoch, if it was another one
    epoch: int = 0  # completed epochs, including validation
    done: int = 0  # completed steps of the current epoch
    loss_sum: float = 0.0  # over these steps
    epoch_seconds: float = 0.0  # time spent on these steps
    seconds: float = 0.0  # total time
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0  # from 1; 0: none yet
    over: str = ""  # why the training ended; empty while it runs


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of weights and running statistics."""
    return {key: value.detach().clone() for key, value in model.state_dict().items()}


def pack(model: nn.Module, average: nn.Module, best: dict[str, Tensor], optimizer: Optimizer) -> dict[str, Tensor]:
    """Return current weights, their average if it is another network, best weights and optimizer state, by name."""
    parts = {"model": model.state_dict(), "best": best, "optimizer": optimizer_tensors(optimizer)}
    if average is not model:
        parts["average"] = average.state_dict()
    return {f"{part}.{key}": value for part, tensors in parts.items() for key, value in tensors.items()}


def unpack(tensors: dict[str, Tensor], model: nn.Module, average: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Restore weights, their average and optimizer state in place; return the best weights, on the model's device."""
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "average": {}}
    for key, value in tensors.items():
        part, _, name = key.partition(".")
        parts[part][name] = value
    model.load_state_dict(parts["model"])
    if average is not model:
        average.load_state_dict(parts["average"])
    restore_optimizer(optimizer, parts["optimizer"])
    return {key: parts["best"][key].to(value.device) for key, value in model.state_dict().items()}
