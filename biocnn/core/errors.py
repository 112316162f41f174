"""What a user did, said so that the user can mend it."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """Input that cannot be used; the command line prints it without a traceback and exits with status 2.

    Parameters
    ----------
    message
        What was given, and where: file and line, or dotted key.
    remedy
        What is allowed, and the likely way out.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


_MOST_SHOWN = 20  # faults of one kind that are told one by one


def all_faults(faults: list["InputError"], what: str) -> "InputError":
    """Several faults as one: a single one as it is, else all that were found, and their remedies.

    ``what`` says of what there are so many: "of 12 images and masks cannot be used", say.
    """
    if len(faults) == 1:
        return faults[0]
    shown = [fault.message for fault in faults[:_MOST_SHOWN]]
    if len(faults) > _MOST_SHOWN:
        shown.append(f"... and {len(faults) - _MOST_SHOWN} more")
    remedies = dict.fromkeys(fault.remedy for fault in faults[:_MOST_SHOWN])
    return InputError("\n".join([f"{len(faults)} {what}:", *shown]), "\n  ".join(remedies))


class Faults(InputError):
    """Several faults, told one after the other, each with its remedy."""

    def __init__(self, faults: list[InputError]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class Collector:
    """Collects faults, so that a user sees all of them at once.

    ``with collector:`` goes on after an ``InputError``; ``collector.finish()`` raises what was found.
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
        """Raise the faults, if there are any; ``where`` is put before the message of each."""
        named = [InputError(where + fault.message, fault.remedy) for fault in self.faults] if where else self.faults
        if named:
            raise named[0] if len(named) == 1 else Faults(named)


class Diverged(InputError):
    """Training whose loss or gradient became NaN or infinite."""


class Interrupted(Exception):
    """Work that was asked to stop, and saved what it had: run again, it goes on; the exit status is 75."""


def close(word: str, allowed: Iterable[str]) -> list[str]:
    """The allowed word closest to ``word``, if any is close."""
    return get_close_matches(str(word), list(allowed), n=1)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A remedy that names the allowed word closest to ``word``, or all of them."""
    allowed = [str(a) for a in allowed]
    hints = close(word, allowed)
    listed = ", ".join(allowed[:12]) + (f", ... ({len(allowed)} in all)" if len(allowed) > 12 else "")
    return (f"did you mean {hints[0]!r}? " if hints else "") + f"allowed: {listed}"
