"""Errors about user input, with remedies."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """Invalid input; the command line prints it without a traceback and exits with status 2.

    Parameters
    ----------
    message
        What was given and where: file and line, or dotted key.
    remedy
        What is allowed, and the likely remedy.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


_MOST_SHOWN = 20  # errors of one kind that are listed


def all_faults(faults: list["InputError"], what: str) -> "InputError":
    """Merge errors into one that lists their messages and remedies; a single error is returned unchanged.

    ``what`` follows the number of errors in the message, e.g. "of 12 images and masks cannot be used".
    """
    if len(faults) == 1:
        return faults[0]
    shown = [fault.message for fault in faults[:_MOST_SHOWN]]
    if len(faults) > _MOST_SHOWN:
        shown.append(f"... and {len(faults) - _MOST_SHOWN} more")
    remedies = dict.fromkeys(fault.remedy for fault in faults[:_MOST_SHOWN])
    return InputError("\n".join([f"{len(faults)} {what}:", *shown]), "\n  ".join(remedies))


class Faults(InputError):
    """Several errors, listed one after the other, each with its remedy."""

    def __init__(self, faults: list[InputError]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class Collector:
    """Collects errors, so that users see all of them at once.

    ``with collector:`` continues after an ``InputError``; ``collector.finish()`` raises what was collected.
    """

    def __init__(self) -> None:
        self.faults: list[InputError] = []

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, InputError):
            self.faults += error.faults if isinstance(error, Faults) else [error]
            return True
        return False

    def finish(self, where: str = "") -> None:
        """Raise the collected errors, if any; ``where`` precedes each message."""
        named = [InputError(where + fault.message, fault.remedy) for fault in self.faults] if where else self.faults
        if named:
            raise named[0] if len(named) == 1 else Faults(named)


class Diverged(InputError):
    """The loss or gradient became NaN or infinite in training."""


class Interrupted(Exception):
    """The work was stopped on request and saved its state: a rerun resumes it; the exit status is 75."""


SYNONYMS = {"segment": "predict", "apply": "predict"}  # words that users may try for a command


def close(word: str, allowed: Iterable[str]) -> list[str]:
    """Return the allowed word closest to ``word`` in a list, empty if none is close."""
    allowed = list(allowed)
    meant = SYNONYMS.get(str(word))
    return [meant] if meant in allowed else get_close_matches(str(word), allowed, n=1)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return a remedy that suggests the allowed word closest to ``word`` and lists the allowed ones."""
    allowed = [str(a) for a in allowed]
    hints = close(word, allowed)
    listed = ", ".join(allowed[:12]) + (f", ... ({len(allowed)} in all)" if len(allowed) > 12 else "")
    return (f"did you mean {hints[0]!r}? " if hints else "") + f"allowed: {listed}"
