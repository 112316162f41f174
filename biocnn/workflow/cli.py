"""``biocnn COMMAND ...``: one command per step, and to run all, derived from the signature of its function."""

import errno
import logging
import os
import re
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from inspect import Parameter, signature
from itertools import takewhile
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from biocnn import __version__
from biocnn.core.errors import InputError, Interrupted, nearest
from biocnn.core.interrupt import exit_on_sigterm
from biocnn.workflow import steps
from biocnn.workflow.arguments import REQUIRED, text_of
from biocnn.workflow.compare import compare
from biocnn.workflow.editors import schema
from biocnn.workflow.launch import run
from biocnn.workflow.machine import machine
from biocnn.workflow.options import OPTIONS
from biocnn.workflow.rerun import rerun, verify
from biocnn.workflow.start import start

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


STEPS = (start, run, machine, *steps.STEPS, compare, verify, rerun, schema)
MORE = "more"  # parameter that receives all other arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    The exit status is 0; 2 for input that cannot be used; 75 if the step can be resumed; 128 plus the number of the
    signal that ended it (SIGTERM 143, Ctrl-C 130).
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if fault := _unknown_word(argv):
        print(f"biocnn{fault}", file=sys.stderr)
        return 2
    arguments = parsed(argv)
    # Before torch is loaded: by default, threads of GNU OpenMP that wait for others occupy their cores for long,
    # which makes small networks many times slower where other programs compute, too.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
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
    except BrokenPipeError:  # the reader, e.g. `head`, closed the pipe; without dup2 Python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MemoryError, RuntimeError) as error:
        if arguments.debug or not (isinstance(error, MemoryError) or "alloca" in str(error).lower()):
            raise
        remedy = "use smaller windows, images or batches; check the settings for a number that is too large"
        print(f"biocnn {function.__name__}: not enough memory: {error}\n  {remedy}", file=sys.stderr)
        return 2
    except OSError as error:
        if arguments.debug or not _disk(error):
            raise
        where = error.filename or "the output"
        remedy = "no partial output was left behind; free some space or choose another folder, and run again"
        print(
            f"biocnn {function.__name__}: cannot write {where}: {error.strerror or error}\n  {remedy}", file=sys.stderr
        )
        return 2
    return 0


def parsed(argv: list[str]) -> Namespace:
    """Parse the command line; for a function with the parameter ``more``, this receives what is not known."""
    command = parser(argv[0] if argv else "")
    if not any(MORE in signature(function).parameters for function in STEPS if function.__name__ in argv[:1]):
        return command.parse_args(argv)
    cut = argv.index("--") if "--" in argv else len(argv)
    arguments, unknown = command.parse_known_args(argv[:cut])
    setattr(arguments, MORE, unknown + argv[cut + 1 :])
    return arguments


def _unknown_word(argv: Sequence[str]) -> str:
    """Describe an unknown command or option and name the nearest, before argparse asks for a missing option instead."""
    steps = {function.__name__: function for function in STEPS}
    step, *rest = argv or ["--help"]
    if step not in (*steps, "-h", "--help", "--version"):
        return f": unknown command {step!r}\n  {nearest(step, [*steps, '--help'])}"
    if step in steps and MORE not in signature(steps[step]).parameters:
        known = ["-h", "--help", "--debug", *(_flag(name) for name in _options(steps[step]))]
        for word in takewhile(lambda word: word != "--", rest):
            flag = word.partition("=")[0]
            if re.match("--?[A-Za-z]", flag) and not any(option.startswith(flag) for option in known):
                return f" {step}: unknown option {flag}\n  {nearest(flag, known[1:])}"
    return ""


def _disk(error: OSError) -> bool:
    """Check for a full disk, quota or missing permission; numpy reports a full disk in words, without a number."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    closed = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
    return error.errno in full + closed or (error.errno is None and "written" in str(error))


def parser(step: str = "") -> ArgumentParser:
    """Build the parser; only ``step`` gets the options that are settings, because loading them takes a moment."""
    top = ArgumentParser("biocnn", description="Convolutional networks for sequences and images.")
    top.add_argument("--version", action="version", version=f"biocnn {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for function in STEPS:
        text = (function.__doc__ or "").splitlines()[0]
        command = commands.add_parser(function.__name__, help=text, description=function.__doc__)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.set_defaults(function=function)
        for parameter in _parameters(function):
            _add(command, function, parameter)
        for key, field in _settings(function).items() if step == function.__name__ else ():
            _add_setting(command, key, field)
    return top


def _parameters(function: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters in the signature of a command that have arguments of their own."""
    found = signature(function).parameters.values()
    return [p for p in found if p.kind is not Parameter.VAR_KEYWORD and p.name != MORE]


def _settings(function: Callable[..., Any]) -> "dict[str, FieldInfo]":
    """Return the settings that are options of a step."""
    if function.__name__ not in OPTIONS:
        return {}
    from biocnn.config.schema import option_fields  # pydantic takes longer than `biocnn --help` should
    from biocnn.config.settings import Settings

    sections = [type(Settings.model_fields[name].default) for name in OPTIONS[function.__name__]]
    return {key: field for section in sections for key, field in option_fields(section).items()}


def _add_setting(command: ArgumentParser, key: str, field: "FieldInfo") -> None:
    from biocnn.core.wording import describe

    words, _ = describe(field.annotation, tuple(field.metadata))
    words = words.removesuffix(" or null") + (", separated by commas" if "a list" in words else "")
    left_out = "" if field.default is None else f"; default: {_joined(field.default)}"
    text = f"{field.description} ({words}{left_out})".replace("%", "%%")
    command.add_argument(_flag(key), type=partial(_value, field.annotation), default=SUPPRESS, help=text)


def _joined(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _value(annotation: Any, text: str) -> Any:
    """Convert text from the command line; commas separate the entries of a list."""
    for kind in get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,):
        if kind in (int, float):
            with suppress(ValueError):
                return kind(text)
        elif get_origin(kind) is Literal and text in get_args(kind):
            return text
        elif get_origin(kind) is list:
            return [_value(get_args(kind)[0], part.strip()) for part in text.split(",")]
    return text


def _add(command: ArgumentParser, function: Callable[..., Any], parameter: Parameter) -> None:
    kind: Any = next(iter(get_args(parameter.annotation)), None) if _optional(parameter) else parameter.annotation
    default = REQUIRED if parameter.default is Parameter.empty else parameter.default
    if kind is bool:
        command.add_argument(_flag(parameter.name), action="store_true", help=text_of("", parameter.name, REQUIRED))
        return
    text = text_of(function.__name__, parameter.name, default).replace("%", "%%")
    if parameter.kind is Parameter.KEYWORD_ONLY:
        given = {"required": True} if default is REQUIRED else {"default": default}
        command.add_argument(_flag(parameter.name), type=kind, help=text, **given)
    else:
        several = get_origin(kind) is list
        many = "*" if parameter.kind is Parameter.VAR_POSITIONAL else "+" if several else None
        command.add_argument(parameter.name, type=get_args(kind)[0] if several else kind, help=text, nargs=many)


def _optional(parameter: Parameter) -> bool:
    return isinstance(parameter.annotation, UnionType)


def positional(function: Callable[..., Any], arguments: Namespace) -> list[Any]:
    """Return the positional arguments of a step, with ``*paths`` expanded."""
    found: list[Any] = []
    for parameter in _parameters(function):
        if parameter.kind is Parameter.VAR_POSITIONAL:
            found += getattr(arguments, parameter.name)
        elif parameter.kind is not Parameter.KEYWORD_ONLY:
            found.append(getattr(arguments, parameter.name))
    return found


def keywords(function: Callable[..., Any], arguments: Namespace) -> dict[str, Any]:
    """Return the keyword arguments of a step."""
    return {name: getattr(arguments, name) for name in (*_options(function), MORE) if name in arguments}


def _options(function: Callable[..., Any]) -> list[str]:
    """Return the names of the options of a step."""
    return [p.name for p in _parameters(function) if p.kind is Parameter.KEYWORD_ONLY] + list(_settings(function))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


if __name__ == "__main__":
    sys.exit(main())
