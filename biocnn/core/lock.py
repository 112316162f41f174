"""A lock file with a heartbeat, for folders shared by several machines."""

import json
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError

BEAT = 5.0  # seconds between heartbeats
STALE = 60.0  # seconds without a heartbeat after which a holder counts as dead
REMIND = 600.0  # seconds between log lines while waiting for a live holder


class Lock:
    """A lock held within a context; a thread touches its file every few seconds.

    A live process is waited for, however long it takes: it may do the same work, left behind by a killed workflow. The
    lock of a dead process is taken over: at once if that can be determined (same machine), else after ``STALE`` seconds
    without a heartbeat.

    Parameters
    ----------
    path
        Lock file.
    log
        Called with each log line.

    Raises
    ------
    InputError
        In ``confirm``, if another process has taken over the lock.
    """

    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        self.path, self.log, self.token = path, log, uuid.uuid4().hex
        self._done = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Lock":
        reminded = -math.inf
        while not self._take():
            holder = self._holder()
            if self._is_dead(holder) and self._remove(holder):
                continue
            if holder and time.monotonic() - reminded > REMIND:
                reminded = time.monotonic()
                self.log(
                    f"waiting for process {_named(holder)}, which works in {self.path.parent} and holds its lock "
                    "(to stop it: kill, scancel)"
                )
            time.sleep(BEAT / 5)
        self._beating.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._beating.join()
        if self._holder().get("token") == self.token:
            self.path.unlink(missing_ok=True)

    def confirm(self) -> None:
        """Check that the lock is still ours: a suspended machine may have been considered dead."""
        holder = self._holder()
        if holder.get("token") != self.token:
            raise InputError(
                f"{self.path}: taken over by process {_named(holder)} while this one was silent",
                "let that process continue; this one has written nothing since",
            )

    def _take(self) -> bool:
        """Create the lock file unless it exists."""
        about = {"token": self.token, "host": host(), "pid": os.getpid(), "job": os.environ.get("SLURM_JOB_ID", "")}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "x", encoding="utf-8") as handle:
                handle.write(json.dumps(about))
        except (FileExistsError, FileNotFoundError):  # the latter: the holder finished and removed the folder
            return False
        return True

    def _is_dead(self, holder: dict[str, Any]) -> bool:
        return gone(holder) or self._silence(self.path) > STALE

    def _remove(self, holder: dict[str, Any]) -> bool:
        """Remove the lock of a dead process, unless another process does so first; return whether it is free."""
        # The gate admits one process at a time, so that the lock it rechecks is the one it removes.
        gate = self.path.with_name(f".{self.path.name}.takeover")
        try:
            gate.mkdir()
        except FileNotFoundError:
            return False
        except FileExistsError:
            if self._silence(gate) > STALE:  # left by a process that was killed at this point
                with suppress(OSError):
                    gate.rmdir()
            return False
        try:
            if self._holder() != holder or not self._is_dead(holder):
                return False
            self.path.unlink(missing_ok=True)
        finally:
            gate.rmdir()
        self.log(f"process {_named(holder)} is dead: took over its lock")
        return True

    def _holder(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            known = isinstance(found["host"], str) and isinstance(found["pid"], int) and 0 < found["pid"] < 1 << 31
            return found if known else {}
        except (OSError, ValueError, LookupError, TypeError):  # damaged: no known holder, so the heartbeat decides
            return {}

    def _silence(self, path: Path) -> float:
        """Return the seconds since a file was last touched, by the clock of the file system."""
        probe = self.path.with_name(f".{self.path.name}.{self.token}.now")
        try:
            probe.touch()
            return probe.stat().st_mtime - path.stat().st_mtime
        except FileNotFoundError:
            return 0.0
        finally:
            probe.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._done.wait(BEAT):
            with suppress(OSError):  # a file server that does not respond now may do so at the next beat
                if self._holder().get("token") == self.token:
                    os.utime(self.path)


def host() -> str:
    """Return the machine and its PID namespace, which differs between containers."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {os.readlink(space) if space.exists() else ''}".strip()


def gone(holder: dict[str, Any]) -> bool:
    """Return whether the holder, given by ``host`` and ``pid``, ran on this machine and has ended."""
    if holder.get("host") != host():
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _named(holder: dict[str, Any]) -> str:
    job = f", job {holder['job']}" if holder.get("job") else ""
    return f"{holder.get('pid', '?')} on {holder.get('host', '?').split(' ')[0]}{job}"
