"""Find the workflow that belongs to this package, and start Snakemake with it."""

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError
from biocnn.workflow.naming import flow

# With -P, so that files in the working folder cannot shadow packages.
START = "import sys; from snakemake.cli import main; sys.argv[0] = 'snakemake'; main()"
QUIET_START = f"from biocnn.workflow.launch import leave_out_mechanics; leave_out_mechanics(); {START}"
# First words of messages on how Snakemake works rather than on what it does.
MECHANICS = (
    "Assuming unrestricted", "Building DAG", "Execute ", "Provided resources", "Rules claiming", "Select jobs",
    "Singularity", "Using shell",
)  # fmt: skip
OURS = {
    "--config": "use --data-root and --gpus",
    "-C": "use --data-root and --gpus",
    "--snakefile": "`snakemake --snakefile ...` runs other workflows",
    "-s": "`snakemake --snakefile ...` runs other workflows",
}  # options of Snakemake that `biocnn run` sets
OPTIONS = "BIOCNN_RUN"  # environment variable: options of `biocnn run`, for the command in the report
# With these options, only Snakemake's reports on rules name the jobs that failed or would run.
DETAILED = ("--executor", "-e", "--profile", "--workflow-profile", "--dry-run", "--dryrun", "-n")


def run(
    *experiments: str, cores: str | None = None, data_root: Path | None = None, gpus: int | None = None,
    verbose: bool = False, more: Sequence[str] = (),
) -> None:  # fmt: skip
    """Run experiments in the current folder: everything from the check of the data to results/NAME/report.html.

    A rerun resumes, and repeats only what changed. Other arguments are passed on to Snakemake, for example --dry-run,
    or --workflow-profile DIR for a cluster; those that are not options of Snakemake, after --.
    """
    command = snakemake_command(experiments, cores, data_root, gpus, verbose, more)
    named = {"--cores": cores, "--data-root": data_root, "--gpus": gpus}
    words = [word for name, value in named.items() if value is not None for word in (name, str(value))]
    sys.stdout.flush()
    os.execve(command[0], command, environment() | {OPTIONS: shlex.join([*words, *(["--", *more] if more else [])])})


def environment() -> dict[str, str]:
    """Return an environment in which rules find the command biocnn, although none may be activated."""
    path = os.pathsep.join(filter(None, [os.environ.get("PATH"), str(Path(sys.executable).parent)]))
    return {**os.environ, "PATH": path}


def snakemake_command(
    experiments: Sequence[str],
    cores: str | None,
    data_root: Path | None,
    gpus: int | None,
    verbose: bool,
    more: Sequence[str],
) -> list[str]:
    """Return the command that runs experiments; parameters as for ``run``."""
    if find_spec("snakemake") is None:
        raise InputError("Snakemake is not installed", "pip install 'biocnn[workflow]'")
    options = {word.partition("=")[0] for word in more}
    for option in options & OURS.keys():
        raise InputError(f"{option}: cannot be passed on to Snakemake, because biocnn sets it", OURS[option])
    if cores is not None and cores.isdigit() and int(cores) < 1:
        raise InputError(f"--cores: {cores}", "give 1 or more, for example --cores 2, or all")
    root = None if data_root is None else str(data_root)
    given: dict[str, Any] = {"experiments": list(experiments) or None, "data_root": root, "gpus": gpus}
    config = [f"{key}={flow(value)}" for key, value in given.items() if value is not None]
    limit = [] if cores is None else ["--cores", cores]
    brief = not (verbose or options & {*DETAILED})
    quiet = ["--quiet", "host", "reason", "rules"] * brief
    own = ["--snakefile", str(snakefile()), *limit, *quiet, *(["--config", *config] if config else [])]
    return [sys.executable, "-P", "-c", QUIET_START if brief else START, *more, *own]


def leave_out_mechanics() -> None:
    """Keep messages of Snakemake that mean nothing to people who do not know it from terminal and log."""
    logging.getLogger("snakemake.logging").addFilter(lambda record: not str(record.msg).startswith(MECHANICS))


def snakefile() -> Path:
    """Return the Snakefile: of the repository that contains this package, or as installed with it.

    Raises
    ------
    InputError
        If there is none.
    """
    from importlib.metadata import PackageNotFoundError, files  # takes longer to import than the other commands need

    own = Path(__file__).parents[2] / "Snakefile"
    try:
        installed = [Path(str(file.locate())) for file in files("biocnn") or () if file.name == own.name]
    except PackageNotFoundError:
        installed = []
    for path in (own, *installed):
        if path.is_file():
            return path.resolve()
    raise InputError("the Snakefile of biocnn is not installed with it", "install biocnn again, with pip")
