"""A child process reads foreign files: bytes are unchanged; its crash, memory use or hang affects nothing else."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from biocnn.core.child import PIECE, read_in_child
from biocnn.core.errors import InputError


def copy(path: Path, times: int) -> Iterator[bytes]:
    os.write(1, b"printed by a library")
    for _ in range(times):
        yield path.read_bytes()


def crash(path: Path, number: int) -> Iterator[bytes]:
    yield path.read_bytes()
    os.kill(os.getpid(), number)


def exhaust_memory(path: Path) -> Iterator[bytes]:
    yield np.ones(10**10).tobytes()


def hang(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    while True:
        pass


def refuse(path: Path) -> Iterator[bytes]:
    yield b""
    raise InputError(f"{path}: é\nno good", "take another")


def fail(path: Path) -> Iterator[bytes]:
    yield b""
    raise KeyError("an internal error")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "some.file").write_bytes(bytes(range(256)) * 3)
    return tmp_path / "some.file"


def test_bytes_are_passed_unchanged_even_if_libraries_print(path: Path) -> None:
    times = PIECE // 256
    assert b"".join(read_in_child(copy, path, times)) == path.read_bytes() * times


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE"])
def test_after_a_crash_the_data_read_are_returned_and_the_file_is_named(path: Path, name: str) -> None:
    pieces = read_in_child(crash, path, getattr(signal, name))
    assert next(pieces) == path.read_bytes()
    with pytest.raises(InputError, match=rf"some\.file: the program that reads it crashed \({name}\)"):
        next(pieces)


def test_memory_is_limited(path: Path) -> None:
    with pytest.raises(InputError, match=r"some\.file: reading it takes more than 2 GB of memory"):
        list(read_in_child(exhaust_memory, path))


def test_time_is_limited(path: Path) -> None:
    with pytest.raises(InputError, match=r"some\.file: reading it takes more than 1 s of CPU time"):
        list(read_in_child(hang, path, seconds=-7))


def test_errors_of_the_function_are_passed_on(path: Path) -> None:
    with pytest.raises(InputError) as refused:
        list(read_in_child(refuse, path))
    assert (refused.value.message, refused.value.remedy) == (f"{path}: é\nno good", "take another")
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*in fail.*KeyError: 'an internal error'"):
        list(read_in_child(fail, path))
    with pytest.raises(InputError, match="no such file"):
        list(read_in_child(copy, path.with_name("gone"), 1))


def test_the_child_ends_if_its_reader_is_abandoned(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **more: started.append(popen(*given, **more)) or started[0])
    pieces = read_in_child(hang, path)
    next(pieces)
    pieces.close()
    assert started[0].returncode == -signal.SIGKILL, "it must not run on until its time is over"
