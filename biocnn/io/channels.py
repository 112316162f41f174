"""Match the channels of an image: by name where names are known, else by order."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from biocnn.core.errors import InputError
from biocnn.io.stored_image import RGB

GREY = ["grey"]


class Match(NamedTuple):
    """Indices of the channels in the wanted order, and a note on how they were matched ("" if trivially)."""

    index: list[int]
    repair: str = ""


def fallback_names(count: int) -> list[str]:
    """Return default names for channels that a file does not name."""
    return list(GREY) if count == 1 else [f"channel{i + 1}" for i in range(count)]


def match_channels(found: Sequence[str], wanted: Sequence[str]) -> Match | None:
    """Match channels by name, ignoring case; by order if either side has only default names.

    Returns
    -------
    match
        None if the names or the number of channels do not match.
    """
    index = by_name(found, wanted)
    if index is not None and len(found) > len(wanted):
        return Match(index, f"{len(wanted)} of {len(found)} channels selected by name")
    if index is not None:
        return Match(index, "channels reordered by name" if index != sorted(index) else "")
    if len(found) != len(wanted) or (_named(found) and _named(wanted)):
        return None
    note = f"channels matched by order: {', '.join(found)} for {', '.join(wanted)}"
    return Match(list(range(len(found))), note)


def match_any(found: Sequence[str], known_as: Sequence[Sequence[str]]) -> Match | None:
    """Match channels that go by several sets of names: by the first set that fits."""
    exact = (names for names in known_as if by_name(found, names) is not None)
    return next((m for m in (match_channels(found, names) for names in (*exact, *known_as)) if m is not None), None)


def by_name(found: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Return the indices of the named channels, ignoring case, blanks and punctuation; None if one is missing."""
    for key in (str, _plain):
        names, needed = [key(name) for name in found], [key(name) for name in wanted]
        if set(needed) <= set(names) and len(set(names)) == len(names) and len(set(needed)) == len(needed):
            return [names.index(name) for name in needed]
    return None


def wrong_channels(where: str | Path, found: Sequence[str], needed: Sequence[str]) -> InputError:
    """Return the error for an image whose channels are not those needed."""
    remedy = "give images with the same channels as the training images"
    if list(found) == RGB and len(needed) == 1:
        remedy = "convert it to greyscale, like the training images"
    elif len(found) >= len(needed) and _named(found):
        some = ", ".join(list(found)[: len(needed)])
        remedy += (
            f"; if {some} are the same channels under other names, list them in that order: apply.channels: [{some}] "
            "(--channels), or data.channels for images with masks"
        )
    return InputError(f"{where}: has channels {', '.join(found)}; needed: {', '.join(needed)}", remedy)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _named(names: Sequence[str]) -> bool:
    """Return whether the names are real, not the default ones."""
    return list(names) != fallback_names(len(names))
