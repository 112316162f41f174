"""One writer at a time: a lock file with a heartbeat, for folders that several machines may share."""

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

BEAT = 5.0  # seconds between signs of life
STALE = 60.0  # seconds of silence after which a holder counts as dead
REMIND = 600.0  # seconds between lines of the log while a living holder is waited for


class Lock:
    """Held from entering to leaving the context; a thread touches the file every few seconds.

    A living process is waited for, however long it takes: it may be at the same work, left behind by a workflow that
    was killed. The lock of a process that is gone is taken over: at once where that can be seen (same machine), else
    once its heartbeat has been silent for ``STALE`` seconds.

    Parameters
    ----------
    path
        The lock file.
    log
        Takes one line at a time.

    Raises
    ------
    InputError
        In ``confirm``, where another process took the lock meanwhile.
    """

    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        self.path, self.log, self.token = path, log, uuid.uuid4().hex
        self._done = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Lock":
        told = -math.inf
        while not self._take():
            holder = self._holder()
            if self._is_dead(holder) and self._remove(holder):
                continue
            if holder and time.monotonic() - told > REMIND:
                told = time.monotonic()
                self.log(
                    f"waiting for process {_named(holder)}, which is at work in {self.path.parent} and holds its lock "
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
        """Make sure that the lock is still ours: a machine that slept may have been given up for dead."""
        holder = self._holder()
        if holder.get("token") != self.token:
            raise InputError(
                f"{self.path}: taken over by process {_named(holder)} while this one was silent",
                "let that one go on; this one has written nothing since",
            )

    def _take(self) -> bool:
        """Create the lock file, unless there is one."""
        about = {"token": self.token, "host": host(), "pid": os.getpid(), "job": os.environ.get("SLURM_JOB_ID", "")}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "x", encoding="utf-8") as handle:
                handle.write(json.dumps(about))
        except (FileExistsError, FileNotFoundError):  # the latter: who had it removed the folder, being done
            return False
        return True

    def _is_dead(self, holder: dict[str, Any]) -> bool:
        return gone(holder) or self._silence(self.path) > STALE

    def _remove(self, holder: dict[str, Any]) -> bool:
        """Remove the lock of a dead process, unless somebody was quicker; whether the place is free."""
        # One process at a time: what it looks at once more is then what it removes, and no living one's lock.
        gate = self.path.with_name(f".{self.path.name}.takeover")
        try:
            gate.mkdir()
        except FileNotFoundError:
            return False
        except FileExistsError:
            if self._silence(gate) > STALE:  # of a process that was killed right here
                with suppress(OSError):
                    gate.rmdir()
            return False
        try:
            if self._holder() != holder or not self._is_dead(holder):
                return False
            self.path.unlink(missing_ok=True)
        finally:
            gate.rmdir()
        self.log(f"process {_named(holder)} is gone: its lock was taken over")
        return True

    def _holder(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            known = isinstance(found["host"], str) and isinstance(found["pid"], int) and 0 < found["pid"] < 1 << 31
            return found if known else {}
        except (OSError, ValueError, LookupError, TypeError):  # damaged: nobody's, so that its silence decides
            return {}

    def _silence(self, path: Path) -> float:
        """Seconds since a file was last touched, by the clock of the file system."""
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
            with suppress(OSError):  # a file server that does not answer now may do so at the next beat
                if self._holder().get("token") == self.token:
                    os.utime(self.path)


def host() -> str:
    """The machine, and where processes have numbers of their own (containers), which of these."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {os.readlink(space) if space.exists() else ''}".strip()


def gone(holder: dict[str, Any]) -> bool:
    """Whether the holder, a process of a ``host`` and ``pid``, ran on this machine and runs no more."""
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
