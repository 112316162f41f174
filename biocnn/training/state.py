"""States of a training under way: written whole, checked when read, the last but one kept."""

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
import torch
from torch import Tensor, nn

from biocnn.core.files import atomic, sha256
from biocnn.core.lock import Lock
from biocnn.training.optimizer import optimizer_tensors, restore_optimizer

DIGEST = hashlib.sha256().digest_size
STOP, OVER = "stop", "over"  # files: asks a training to end; says that it has


class StateFolder:
    """Where one training saves what it needs to go on, under a lock: use it as a context.

    A file holds a SHA-256 digest and then safetensors, with the rest as JSON in its header. Nothing in it is executed.

    Parameters
    ----------
    root
        States of this run; those of each fingerprint lie in a folder of their own. A file ``stop`` in it ends the
        training, which keeps its best epoch.
    fingerprint
        Of settings, code and data: a state of another one is never read.
    log
        Takes one line at a time.
    """

    def __init__(self, root: str | Path, fingerprint: str, log: Callable[[str], None]) -> None:
        self.root, self.log = Path(root), log
        self.folder = self.root / fingerprint
        self.stop_file = self.root / STOP
        self.lock = Lock(self.root / "lock", log)

    def __enter__(self) -> "StateFolder":
        with ExitStack() as stack:  # whatever fails here, the lock is not kept
            stack.enter_context(self.lock)
            self._tidy()
            stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.lock.__exit__(*exception)
        with suppress(OSError):  # there is something in it
            self.root.rmdir()

    def put_back(self, paths: Sequence[Path]) -> bool:
        """Give these files what an identical training that is over has written to them; whether there is one."""
        kept = {path: self.folder / path.name for path in paths}
        with suppress(OSError, ValueError):
            whole = json.loads((self.folder / OVER).read_text()) == {here.name: sha256(here) for here in kept.values()}
            for path, here in kept.items() if whole else ():
                _link(here, path)
                os.utime(path)  # Snakemake takes a file older than what it was made from for one of old data
            return whole
        return False

    def close(self, paths: Sequence[Path] = ()) -> None:
        """Remove the states of this training and all that is kept of others, once it is over and has written its files.

        ``paths``, what it has written, are kept for ``put_back``, as links, which take no room: a workflow that was
        killed meanwhile takes them for incomplete and removes them.
        """
        for mark in self.root.glob(f"*/{OVER}"):
            shutil.rmtree(mark.parent)
        (self.root / STOP).unlink(missing_ok=True)
        for path in paths:
            _link(path, self.folder / path.name)
        if paths:
            (self.folder / OVER).write_text(json.dumps({path.name: sha256(path) for path in paths}))

    def _tidy(self) -> None:
        """Remove what a process that was killed while it saved has left; name states that are not ours."""
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.glob(".*.tmp"):
            shutil.rmtree(left)
        folders = [path for path in self.root.glob("[!.]*") if path.is_dir() and path != self.folder]
        others = [path.name for path in folders if not (path / OVER).exists()]
        if others:
            self.log(
                f"states of other settings, code or data are left alone in {self.root}: {', '.join(sorted(others))}"
            )

    def save(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        """Write a state; only once it is whole and on the disk, the last but one is removed.

        Raises
        ------
        InputError
            Where another process has taken over the folder.
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
        """Tensors and progress of the newest whole state, or None; a damaged one is set aside, and the log says so."""
        for path in reversed(self._files()):
            if found := _read(path):
                if found[1]["over"]:  # its process may have been killed before it could say so
                    (self.folder / OVER).touch()
                return found
            path.rename(path.with_suffix(".damaged"))
            self.log(f"{path}: damaged state; going on from the one before it, if there is one")
        return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.state"))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and progress; None where the file is damaged, or cannot be read."""
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
    """Another name for a file, or where the file system has none, a copy."""
    with atomic(path) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def clear(root: Path, unfinished: bool = False) -> None:
    """Remove the states of trainings that are over, once their models are saved, and the request to stop.

    With ``unfinished``, the states of others, too.
    """
    for path in root.glob("[!.]*"):
        if path.is_dir() and (unfinished or (path / OVER).exists()):
            shutil.rmtree(path, ignore_errors=True)
    (root / STOP).unlink(missing_ok=True)
    with suppress(OSError):  # other states are left in it
        root.rmdir()


@dataclass
class Progress:
    """How far a training has come: with weights and moments, all that is needed to go on."""

    precision: str
    begun_in: str = ""  # the precision in which the epoch under way was begun, where it is another one
    epoch: int = 0  # whole epochs, validated
    done: int = 0  # steps of the next epoch
    loss_sum: float = 0.0  # of those steps
    epoch_seconds: float = 0.0  # spent on them
    seconds: float = 0.0  # spent on everything
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0  # counted from 1; 0: none yet
    over: str = ""  # why training has ended


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """Weights and running statistics, as they are now."""
    return {key: value.detach().clone() for key, value in model.state_dict().items()}


def pack(model: nn.Module, best: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights, the best weights, and moments, under names of their own."""
    parts = {"model": model.state_dict(), "best": best, "optimizer": optimizer_tensors(optimizer)}
    return {f"{part}.{key}": value for part, tensors in parts.items() for key, value in tensors.items()}


def unpack(tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Put weights and moments back; the best weights, on the model's device."""
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
    for key, value in tensors.items():
        part, _, name = key.partition(".")
        parts[part][name] = value
    model.load_state_dict(parts["model"])
    restore_optimizer(optimizer, parts["optimizer"])
    return {key: parts["best"][key].to(value.device) for key, value in model.state_dict().items()}
