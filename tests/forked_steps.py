"""The command biocnn for tests of the workflow: each step runs in a process forked after the imports that take long."""

import atexit
import gc
import json
import os
import shutil
import socket
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path

from trainings import SERVER

from biocnn.workflow import cli

SCRIPT = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode() + b"\\n")
    sys.exit(int(server.makefile().read()))
"""


@cache
def environment() -> dict[str, str]:
    """Write the command to a folder and answer its calls; return an environment in which it is found."""
    folder = Path(tempfile.mkdtemp())
    address, script = str(folder / "socket"), folder / "biocnn"
    script.write_text(SCRIPT.format(python=sys.executable, address=address))
    script.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        process = SERVER.Process(target=serve, args=(listener, os.getpid()))
        process.start()
    atexit.register(process.kill)
    atexit.register(shutil.rmtree, folder)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path}


def serve(listener: socket.socket, tests: int) -> None:
    """Fork a process for each call, as long as the process of the tests lives."""
    from biocnn.report import figures

    figures.PAPER_DPI = figures.PAGE_DPI = figures.THUMBNAIL_DPI = 30  # drawing many pixels takes long
    gc.freeze()
    listener.settimeout(5)
    with suppress(ProcessLookupError):
        while True:
            os.kill(tests, 0)
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                if os.fork() == 0:
                    step(connection)
                connection.close()


def step(connection: socket.socket) -> None:
    """Run one step in this process, with the streams, folder and environment of its caller; return its status."""
    status: object = 1
    try:
        _, streams, *_ = socket.recv_fds(connection, 1, 3)
        arguments, folder, environment = json.loads(connection.makefile().readline())
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        status = cli.main(arguments)
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(str(status or 0).encode())
        os._exit(0)
