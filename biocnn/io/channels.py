"""Which channel of an image is which: by name where names are known, else by their order."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from biocnn.core.errors import InputError
from biocnn.io.stored import RGB

GREY = ["grey"]


class Match(NamedTuple):
    """Numbers of the channels to take, in the order that is wanted, and what was done to find them; "" for nothing."""

    index: list[int]
    repair: str = ""


def fallback_names(count: int) -> list[str]:
    """Names of channels that a file does not name."""
    return list(GREY) if count == 1 else [f"channel{i + 1}" for i in range(count)]


def match_channels(found: Sequence[str], wanted: Sequence[str]) -> Match | None:
    """Find channels by their names, whatever their case; by their order where one side has no names of its own.

    Returns
    -------
    match
        None where the names say that these are other channels, or there are more or fewer.
    """
    index = by_name(found, wanted)
    if index is not None and len(found) > len(wanted):
        return Match(index, f"{len(wanted)} of {len(found)} channels taken by name")
    if index is not None:
        return Match(index, "channels put in another order, by name" if index != sorted(index) else "")
    if len(found) != len(wanted) or (_named(found) and _named(wanted)):
        return None
    said = f"channels taken in their order: {', '.join(found)} for {', '.join(wanted)}"
    return Match(list(range(len(found))), said)


def match_any(found: Sequence[str], known_as: Sequence[Sequence[str]]) -> Match | None:
    """Likewise, where the channels have several names: by the first of them that fit."""
    exact = (names for names in known_as if by_name(found, names) is not None)
    return next((m for m in (match_channels(found, names) for names in (*exact, *known_as)) if m is not None), None)


def by_name(found: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Numbers of the channels with these names, case, blanks and punctuation aside; None where one is missing."""
    for key in (str, _plain):
        names, needed = [key(name) for name in found], [key(name) for name in wanted]
        if set(needed) <= set(names) and len(set(names)) == len(names) and len(set(needed)) == len(needed):
            return [names.index(name) for name in needed]
    return None


def wrong_channels(where: str | Path, found: Sequence[str], needed: Sequence[str]) -> InputError:
    """What to say where an image has other channels than are needed."""
    remedy = "give images with the channels of training"
    if list(found) == RGB and len(needed) == 1:
        remedy = "convert it to grey, as the images of training were"
    elif len(found) >= len(needed) and _named(found):
        some = ", ".join(list(found)[: len(needed)])
        remedy += (
            f"; where {some} show the same under other names, name them in that order: segment.channels: [{some}] "
            "(--channels), or data.channels for images with masks"
        )
    return InputError(f"{where}: has the channels {', '.join(found)}, needed: {', '.join(needed)}", remedy)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _named(names: Sequence[str]) -> bool:
    """Whether names were given to channels, and not made up from their number."""
    return list(names) != fallback_names(len(names))
