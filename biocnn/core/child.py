"""Reading a foreign binary file in a child process: where the C code of a reader crashes, only the child ends."""

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

SECONDS = 8.0  # of CPU, for any file
SECONDS_PER_MB = 1.0  # beyond that; readers of BCF and bigWig take a tenth
GIGABYTES = 2.0  # of address space
PIECE = 1 << 20  # bytes taken from the child at a time
REFUSED, NO_MEMORY = 3, 4  # exit statuses of the child

# A fresh process, not a fork: threads of torch and locks held elsewhere do not come along.
_START = "import sys; sys.path[:] = sys.argv[1:]; from biocnn.core.child import _serve; _serve()"


def read_in_child(
    function: Callable[..., Iterator[bytes]], path: Path, *arguments: object, seconds: float = 0.0
) -> Iterator[bytes]:
    """What ``function(path, *arguments)`` yields, run in a process of its own with bounds on memory and time.

    Takes about .1 s beside what the function takes and imports. Bytes come as soon as they are yielded, in
    pieces of another size; a failure is raised behind what came before it.

    Parameters
    ----------
    function
        Found by its name: it stands at the top level of a module, one that is quick to import. What it cannot read
        it says by an ``InputError``.
    path
        The file.
    arguments
        Anything that can be pickled.
    seconds
        CPU time that the work may take beside what is granted by the size of the file.

    Raises
    ------
    InputError
        That of the function; or one that names the file, where the process crashes, or takes too much memory or time.
    """
    check_file(path)
    granted = SECONDS + SECONDS_PER_MB * path.stat().st_size / 1e6 + seconds
    task = pickle.dumps((function.__module__, function.__name__, (path, *arguments), granted))
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [sys.executable, "-P", "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # each would reserve memory
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
            process.kill()  # where the caller wants no more
        if status:
            said.seek(0)
            raise _failure(path, status, said.read().decode("utf-8", "replace"), granted)


def _failure(path: Path, status: int, said: str, seconds: float) -> Exception:
    remedy = "the file is damaged, or made to do harm: copy or download it again"
    if status == REFUSED:
        return InputError(*json.loads(said.splitlines()[-1]))
    if status == NO_MEMORY:
        return InputError(f"{path}: reading it takes more than {GIGABYTES:g} GB of memory", remedy)
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return InputError(f"{path}: reading it did not end within {seconds:.0f} s of computation", remedy)
    if status < 0:
        return InputError(f"{path}: the program that reads it crashed ({signal.Signals(-status).name})", remedy)
    return RuntimeError(f"{path}: {said}")  # a fault of biocnn: with the child's traceback


def _serve() -> None:
    """What the child does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends the child
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C code prints is no data
    module, name, arguments, seconds = pickle.load(sys.stdin.buffer)
    bounds = {"RLIMIT_AS": int(GIGABYTES * 1e9), "RLIMIT_CPU": int(seconds) + 1, "RLIMIT_CORE": 0}
    for bound, value in bounds.items():
        with suppress(ValueError, OSError):  # not every system has each
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
