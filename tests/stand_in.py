"""A stand-in for the command biocnn: it parses arguments like biocnn, records them, and writes empty results.

With it, a whole workflow runs in seconds, with the real rules, shell lines and Snakemake.
"""

import atexit
import gc
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from trainings import SERVER

ROOT = Path(__file__).parents[1]
SCRIPT = """#!{python}
import json, os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from biocnn.workflow.cli import parser
given = vars(parser(sys.argv[1]).parse_args())
step = given.pop("function").__name__
config = given.get("config")
kept = {{"step": step, "given": given, "config": json.loads(config.read_text()) if config else None}}
with open("calls.jsonl", "a") as handle:
    handle.write(json.dumps(kept, default=str) + "\\n")
if Path("meanwhile.py").exists():
    exec(Path("meanwhile.py").read_text())
folders = "simulate genome dataset baselines explain uncertainty apply variants scan predict features".split()
files = "out model history table best per_example audit matches decided errors tsv html trainings manifest"
for key in [*files.split(), "raw", "figures", "doctor"]:
    path = given.get(key)
    taken = (("model", "predict"), ("model", "features"), ("decided", "uncertainty"))
    if path is None or (key, step) in taken or (key == "raw" and step != "check"):
        continue
    path.parent.mkdir(parents=True, exist_ok=True)
    if key in ("raw", "figures", "doctor") or (key == "out" and step in folders):
        path.mkdir(exist_ok=True)
    else:
        path.write_text("{{}}")
    if key == "manifest":
        path.with_name("ro-crate-metadata.json").write_text("{{}}")
"""


def stand_in(folder: Path, package: Path = ROOT) -> dict[str, str]:
    """Install it in a folder; return an environment in which it is found. ``package`` is the folder of biocnn."""
    script = folder / "biocnn"
    script.write_text(SCRIPT.format(python=sys.executable, root=str(package)))
    script.chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}


def run(
    work: Path, environment: dict[str, str], *options: str, snakefile: Path = ROOT / "Snakefile", status: int = 0
) -> str:
    """Run the workflow in a folder, in a process forked after the import of Snakemake; return its output."""
    with tempfile.NamedTemporaryFile() as printed:
        arguments = ["--snakefile", str(snakefile), "--cores", "2", *options]
        process = SERVER.Process(target=_snakemake, args=(arguments, work, environment, printed.name))
        process.start()
        process.join(400)
        process.kill()
        text = Path(printed.name).read_text()
    assert process.exitcode == status, text
    return text


def _snakemake(arguments: list[str], work: Path, environment: dict[str, str], printed: str) -> None:
    gc.freeze()  # garbage collections need not go through what was imported before the fork
    for stream in (1, 2):
        os.dup2(os.open(printed, os.O_WRONLY | os.O_APPEND), stream)
    os.chdir(work)
    os.environ.clear()
    os.environ.update(environment)
    python_path = environment.get("PYTHONPATH", str(ROOT))
    if python_path != str(ROOT):  # the workflow may belong to a copy of the package
        for name in [name for name in sys.modules if name.partition(".")[0] == "biocnn"]:
            del sys.modules[name]
    sys.path[:0] = python_path.split(os.pathsep)
    from snakemake.cli import main

    atexit._clear()  # of the process of the tests
    try:
        main(arguments)
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out


def calls(work: Path) -> list[dict[str, Any]]:
    """Return the arguments of steps since the last call, in order."""
    file = work / "calls.jsonl"
    found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    file.unlink(missing_ok=True)
    return found
