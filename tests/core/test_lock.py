"""One writer at a time, even if processes die: on this machine, and on others that share the folder."""

import json
import os
import random
import threading
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace

import pytest
from trainings import SERVER

from biocnn.core import lock
from biocnn.core.errors import InputError
from biocnn.core.lock import Lock

NOBODY = 2**22 + 1  # no process has this id


def times(beat: float, stale: float) -> None:
    lock.BEAT, lock.STALE = beat, stale


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.05)
    monkeypatch.setattr(lock, "STALE", 1.0)


def held_by(path: Path, host: str, pid: int, **more: str) -> None:
    """Write a lock file as another process would."""
    path.write_text(json.dumps({"token": f"of {host} {pid}", "host": host, "pid": pid, **more}))


def hold(path: Path, ready: Queue, end: Barrier) -> None:
    """Hold the lock in a child process until told to stop."""
    times(0.05, 1.0)
    with Lock(path, print):
        ready.put(os.getpid())
        end.wait()


def test_the_lock_is_held_from_entry_to_exit(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/lock"
    with Lock(path, print) as held:
        about = json.loads(path.read_text())
        assert about["pid"] == os.getpid()
        held.confirm()
    assert list(path.parent.iterdir()) == []


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a lock is waited for."""
    monkeypatch.setattr(
        lock, "time", SimpleNamespace(sleep=lambda _: pytest.fail("it waits"), monotonic=time.monotonic)
    )


def test_a_live_process_is_waited_for_and_reported(tmp_path: Path) -> None:
    path, lines, released = tmp_path / "lock", [], threading.Event()
    ready, end = SERVER.Queue(), SERVER.Barrier(2)
    process = SERVER.Process(target=hold, args=(path, ready, end))
    process.start()
    pid = ready.get()
    threading.Timer(2 * lock.STALE, lambda: (released.set(), end.wait())).start()
    with Lock(path, lines.append) as held:
        assert released.is_set(), "a dead process would be waited for half as long"
        held.confirm()
    process.join()
    assert len(lines) == 1
    assert f"waiting for process {pid} on {os.uname().nodename}" in lines[0]
    assert "to stop it: kill, scancel" in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_may_vanish_while_waiting(tmp_path: Path) -> None:
    path = tmp_path / "folder/lock"
    with Lock(path, print) as other:
        release = threading.Timer(0.3, lambda: (path.unlink(), path.parent.rmdir()))
        release.start()
        with Lock(path, print) as held:
            held.confirm()
        release.join()
        assert other.token != held.token
    assert list(path.parent.iterdir()) == []


def test_waiting_is_reported_from_time_to_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "REMIND", 0.1)
    path, lines = tmp_path / "lock", []

    def log(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            path.unlink()

    with Lock(path, print), Lock(path, log):
        assert len(lines) == 3


def test_the_lock_of_a_dead_process_on_this_machine_is_taken_at_once(tmp_path: Path, no_waiting: None) -> None:
    path, lines = tmp_path / "lock", []
    ready, end = SERVER.Queue(), SERVER.Barrier(2)
    process = SERVER.Process(target=hold, args=(path, ready, end))
    process.start()
    pid = ready.get()
    process.kill()
    process.join()
    with Lock(path, lines.append) as held:
        held.confirm()
    assert lines == [f"process {pid} on {os.uname().nodename} is dead: took over its lock"]


def test_a_lock_without_heartbeat_of_another_machine_is_taken_once_stale(tmp_path: Path) -> None:
    path, lines = tmp_path / "lock", []
    held_by(path, "elsewhere", 1, job="4711")
    written = path.stat().st_mtime
    with Lock(path, lines.append):
        assert path.stat().st_mtime - written > lock.STALE
    assert lines[-1] == "process 1 on elsewhere, job 4711 is dead: took over its lock"


def test_a_lock_long_without_heartbeat_is_taken_at_once(tmp_path: Path, no_waiting: None) -> None:
    held_by(tmp_path / "lock", "elsewhere", 1)
    os.utime(tmp_path / "lock", (time.time() - 99,) * 2)
    with Lock(tmp_path / "lock", print) as held:
        held.confirm()


@pytest.mark.parametrize(
    "content",
    ["", '{"token": "a", "ho', "null", "[]", '{"host": 3, "pid": 1}']
    + [json.dumps({"host": lock.host(), "pid": pid}) for pid in ("a", -1, 10**30)],
)
def test_a_damaged_lock_is_taken_once_stale(content: str, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(content)
    with Lock(tmp_path / "lock", print) as held:
        held.confirm()


def test_the_heartbeat_of_another_machine_is_respected(tmp_path: Path) -> None:
    """The heartbeat comes from a lock of this process, under the name of another machine."""
    path, lines = tmp_path / "lock", []
    with Lock(path, print) as other:
        about = json.loads(path.read_text()) | {"host": "elsewhere"}
        path.write_text(json.dumps(about))
        ended = threading.Event()
        threading.Timer(1.5 * lock.STALE, lambda: (ended.set(), other.__exit__())).start()
        with Lock(path, lines.append):
            assert ended.is_set()
        assert "on elsewhere" in lines[0]


def test_a_process_that_lost_its_lock_notices(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with Lock(path, print) as held:
        held_by(path, "elsewhere", 5)
        with pytest.raises(InputError, match="taken over by process 5 on elsewhere while this one was silent"):
            held.confirm()
        before = path.stat().st_mtime_ns
        time.sleep(0.2)
        assert path.stat().st_mtime_ns == before, "no heartbeat for a lock of another process"
    assert path.exists()
    path.unlink()
    with Lock(path, print) as held:
        path.unlink()
        with pytest.raises(InputError, match="taken over"):
            held.confirm()


def test_a_process_that_died_while_taking_over_does_not_block_others_forever(tmp_path: Path) -> None:
    held_by(tmp_path / "lock", lock.host(), NOBODY)
    (tmp_path / ".lock.takeover").mkdir()
    with Lock(tmp_path / "lock", print) as held:
        held.confirm()
    assert list(tmp_path.iterdir()) == []


def compete(path: Path, barrier: Barrier, found: Queue, number: int, rounds: int) -> None:
    """Compete for the lock in a child process, and often die while holding it."""
    times(0.02, 60.0)
    faults, chance = [], random.Random(number)
    for turn in range(rounds):
        barrier.wait()
        with Lock(path, lambda line: None) as held:
            try:
                (path.parent / "inside").touch(exist_ok=False)
                held.confirm()
                (path.parent / "inside").unlink()
            except (FileExistsError, InputError) as error:
                faults.append(str(error))
            if chance.random() < 0.7:
                dead = path.with_name(f"dead{number}")
                held_by(dead, lock.host(), NOBODY + turn)
                dead.replace(path)
    found.put(faults)


def test_only_one_of_many_competing_processes_holds_the_lock(tmp_path: Path) -> None:
    number, rounds, path = 4, 40, tmp_path / "lock"
    held_by(path, lock.host(), NOBODY)
    barrier, found = SERVER.Barrier(number), SERVER.Queue()
    children = [SERVER.Process(target=compete, args=(path, barrier, found, i, rounds)) for i in range(number)]
    for child in children:
        child.start()
    assert [found.get() for _ in children] == [[]] * number
    for child in children:
        child.join()
