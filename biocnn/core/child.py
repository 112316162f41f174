"""Read untrusted binary files in a child process, so that crashes of C readers only end the child."""

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.files import check_file

SECONDS = 8.0  # CPU time granted for any file
SECONDS_PER_MB = 1.0  # in addition; readers of BCF and bigWig need a tenth
GIGABYTES = 2.0  # address space
PIECE = 1 << 20  # bytes read from the child at a time
REFUSED, NO_MEMORY = 3, 4  # exit statuses of the child

# A fresh process, not a fork: it inherits neither torch's threads nor held locks.
_START = "import sys; sys.path[:] = sys.argv[1:]; from biocnn.core.child import _serve; _serve()"


def read_in_child(
    function: Callable[..., Iterator[bytes]], path: Path, *arguments: object, seconds: float = 0.0
) -> Iterator[bytes]:
    """Yield what ``function(path, *arguments)`` yields in a child process with limited memory and time.

    Adds about 0.1 s to what the function and its imports take. Bytes are passed on as soon as they are yielded, in
    pieces of other sizes; a failure is raised after the output that preceded it.

    Parameters
    ----------
    function
        Function at the top level of a module that is quick to import; looked up by name. It reports unreadable files by
        ``InputError``.
    path
        File to read.
    arguments
        Anything that can be pickled.
    seconds
        CPU time granted in addition to that for the size of the file.

    Raises
    ------
    InputError
        If the function raises it, or the process crashes or exceeds its memory or time; names the file.
    """
    check_file(path)
    granted = SECONDS + SECONDS_PER_MB * path.stat().st_size / 1e6 + seconds
    task = pickle.dumps((function.__module__, function.__name__, (path, *arguments), granted))
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-P", "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # each thread would reserve memory
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(task)
            while piece := os.read(process.stdout.fileno(), PIECE):
                yield piece
            status = process.wait()
        finally:
            process.kill()  # in case the caller stops early
        if status:
            errors.seek(0)
            raise _failure(path, status, errors.read().decode("utf-8", "replace"), granted)


def _failure(path: Path, status: int, errors: str, seconds: float) -> Exception:
    remedy = "the file is damaged or malicious: copy or download it again"
    if status == REFUSED:
        return InputError(*json.loads(errors.splitlines()[-1]))
    if status == NO_MEMORY:
        return InputError(f"{path}: reading it takes more than {GIGABYTES:g} GB of memory", remedy)
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return InputError(f"{path}: reading it takes more than {seconds:.0f} s of CPU time", remedy)
    if status < 0:
        return InputError(f"{path}: the program that reads it crashed ({signal.Signals(-status).name})", remedy)
    return RuntimeError(f"{path}: {errors}")  # a bug in biocnn: show the child's traceback


def _serve() -> None:
    """Run in the child process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which kills the child
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output printed by C code is not data
    module, name, arguments, seconds = pickle.load(sys.stdin.buffer)
    bounds = {"RLIMIT_AS": int(GIGABYTES * 1e9), "RLIMIT_CPU": int(seconds) + 1, "RLIMIT_CORE": 0}
    for bound, value in bounds.items():
        with suppress(ValueError, OSError):  # not available on all systems
            resource.setrlimit(getattr(resource, bound), (value, value + (bound == "RLIMIT_CPU")))
    try:
        with out:
            for piece in getattr(import_module(module), name)(*arguments):
                out.write(piece)
                out.flush()
    except InputError as error:
        print("\n" + json.dumps([error.message, error.remedy]), file=sys.stderr)
        sys.exit(REFUSED)
    except MemoryError:
        sys.exit(NO_MEMORY)
