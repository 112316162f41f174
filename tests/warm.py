"""Imported by the server that forks processes of tests: what each of them would compute or import for itself."""

import inspect

import smart_open  # noqa: F401
from snakemake.cli import get_argument_parser

from biocnn.config.code_digests import PACKAGE, code, code_of_step
from biocnn.workflow import steps

get_argument_parser()  # imports all plugins
code(PACKAGE.rglob("*.py"))
for name, thing in vars(steps).items():
    if inspect.isfunction(thing) and thing.__module__.startswith("biocnn.workflow."):
        code_of_step(name, None, ())
