"""``biocnn STEP ...``: one sub-command per step, read off the signature of its function."""

import errno
import logging
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from types import UnionType
from typing import Any, get_args

from biocnn.core.errors import InputError, Interrupted
from biocnn.core.interrupt import exit_on_sigterm
from biocnn.workflow.steps import STEPS


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step.

    The exit status is 0; 2 where the input cannot be used; 75 where the step can go on later; 128 and the number of the
    signal where one ended it (SIGTERM 143, Ctrl-C 130).
    """
    arguments = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    function = arguments.function
    try:
        with exit_on_sigterm():
            function(*positional(function, arguments), **keywords(function, arguments))
    except KeyboardInterrupt:
        print(f"biocnn {function.__name__}: interrupted", file=sys.stderr)
        return 130
    except InputError as error:
        if arguments.debug:
            raise
        print(f"biocnn {function.__name__}: {error}", file=sys.stderr)
        return 2
    except Interrupted as interrupted:
        print(f"biocnn {function.__name__}: {interrupted}", file=sys.stderr)
        return 75
    except BrokenPipeError:  # the reader, `head` say, has seen enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MemoryError, RuntimeError) as error:
        if arguments.debug or not (isinstance(error, MemoryError) or "alloca" in str(error).lower()):
            raise
        remedy = "smaller windows, images or batches take less; is a number in the settings too large?"
        print(f"biocnn {function.__name__}: there is not enough memory: {error}\n  {remedy}", file=sys.stderr)
        return 2
    except OSError as error:
        if arguments.debug or not _disk(error):
            raise
        where = error.filename or "the output"
        remedy = "nothing half-written was left behind; free some space, or choose another folder, and run again"
        print(
            f"biocnn {function.__name__}: cannot write {where}: {error.strerror or error}\n  {remedy}", file=sys.stderr
        )
        return 2
    return 0


def _disk(error: OSError) -> bool:
    """Whether the disk is full, over quota, or the place is closed to us; numpy says so in words, without a number."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    closed = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
    return error.errno in full + closed or (error.errno is None and "written" in str(error))


def parser() -> ArgumentParser:
    """The command line."""
    top = ArgumentParser("biocnn", description="Convolutional networks for sequences and images; see Snakefile.")
    commands = top.add_subparsers(required=True, metavar="STEP")
    for function in STEPS:
        text = (function.__doc__ or "").splitlines()[0]
        command = commands.add_parser(function.__name__, help=text, description=function.__doc__)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.set_defaults(function=function)
        for parameter in signature(function).parameters.values():
            _add(command, parameter)
    return top


def _add(command: ArgumentParser, parameter: Parameter) -> None:
    kind = next(iter(get_args(parameter.annotation)), None) if _optional(parameter) else parameter.annotation
    if parameter.kind is Parameter.KEYWORD_ONLY:
        required = parameter.default is Parameter.empty
        flag = f"--{parameter.name.replace('_', '-')}"
        if kind is bool:
            command.add_argument(flag, action="store_true")
        else:
            command.add_argument(flag, type=kind, required=required, default=None if required else parameter.default)
    else:
        many = {"nargs": "*"} if parameter.kind is Parameter.VAR_POSITIONAL else {}
        command.add_argument(parameter.name, type=kind, **many)


def _optional(parameter: Parameter) -> bool:
    return isinstance(parameter.annotation, UnionType)


def positional(function: Callable[..., Any], arguments: Namespace) -> list[Any]:
    """The positional arguments of a step, those of ``*paths`` laid out."""
    found: list[Any] = []
    for parameter in signature(function).parameters.values():
        if parameter.kind is Parameter.VAR_POSITIONAL:
            found += getattr(arguments, parameter.name)
        elif parameter.kind is not Parameter.KEYWORD_ONLY:
            found.append(getattr(arguments, parameter.name))
    return found


def keywords(function: Callable[..., Any], arguments: Namespace) -> dict[str, Any]:
    """The keyword arguments of a step."""
    parameters = signature(function).parameters.values()
    return {p.name: getattr(arguments, p.name) for p in parameters if p.kind is Parameter.KEYWORD_ONLY}


if __name__ == "__main__":
    sys.exit(main())
