"""Virtual environments of the peers, one per pinned list of requirements."""

import hashlib
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent


class NotInstalled(Exception):
    """The environment of a peer cannot be created; the message gives the reason."""


def python_of(name: str) -> str:
    """Return the interpreter of an environment, created if it is missing or its requirements have changed.

    ``biocnn`` is the project's own. The others get the project's version of torch first, and then exactly what is
    listed: --no-deps, because the list is complete, and omits unused dependencies of a peer.
    """
    if name == "biocnn":
        return sys.executable
    requirements, folder = HERE / f"requirements-{name}.txt", HERE / ".venvs" / name
    wanted = torch.__version__.split("+")[0]
    stamp, content = folder / "installed", hashlib.sha256(requirements.read_bytes() + wanted.encode()).hexdigest()
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != content:
        print(f"installing benchmarks/{requirements.name}", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", f"torch=={wanted}")
        _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(requirements))
        stamp.write_text(content)
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalled((done.stderr or done.stdout).strip().splitlines()[-1])
