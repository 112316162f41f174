"""Images that are pieces of one thing by their names, as slide3_tile2 is of slide3."""

import re
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from biocnn.io.image_paths import unique_ids

_PIECE = r"(?:tile|patch|crop|fov|field|roi|region|section|slice|frame|part|view|pos|site)s?"
_NUMBERS = r"\(?[xyzrc]?\d+\)?(?:[-_., x]*[xyzrc]?\d+)*"
# What comes between the name of the whole and the numbers of the piece: a word, or before places in it nothing.
_BY_WORD = re.compile(rf"^(?P<whole>.+?)(?P<mark>[-_. ]*{_PIECE}[-_. ]*){_NUMBERS}$", re.IGNORECASE)
_BY_PLACE = re.compile(r"^(?P<whole>.+?)(?P<mark>[-_. ]+)(?:x?\d+[-_,]+y?\d+|r\d+[-_,]*c\d+|\d+x\d+)$", re.IGNORECASE)
# A name of a number, and a number: patient3_2. Without the first number it says nothing: img_0002.
_BY_NUMBER = re.compile(r"^(?P<whole>.*[A-Za-z][-_. ]?\d+)(?P<mark>[-_. ]+)\d+$")


@dataclass(frozen=True)
class Wholes:
    """What images are pieces of.

    Parameters
    ----------
    names
        Of each image, the name of the whole.
    mark
        What follows that name in most images.
    """

    names: list[str]
    mark: str

    @property
    def pattern(self) -> str:
        """A regular expression that finds the whole in the name of an image."""
        return f"(.+){re.escape(self.mark)}"


def wholes(names: list[str]) -> Wholes | None:
    """What images are pieces of, if their names say so: all of them, of at least two things, most with several pieces.

    Parameters
    ----------
    names
        File names without suffix.
    """
    for pattern in (_BY_WORD, _BY_PLACE, _BY_NUMBER):
        found = [match for name in names if (match := pattern.match(name))]
        if not names or len(found) < len(names):
            continue
        of = [match["whole"] for match in found]
        counts = Counter(of)
        together = sum(n for n in counts.values() if n > 1)
        if len(counts) > 1 and 2 * together > len(names):
            return Wholes(of, Counter(match["mark"] for match in found).most_common(1)[0][0])
    return None


def of_examples(examples: pd.DataFrame) -> Wholes | None:
    """Likewise, of a table of images, by their files where there are such; None where groups say more than names."""
    if "group" not in examples or not examples["group"].is_unique:
        return None
    return wholes(unique_ids(examples["image"].tolist()) if "image" in examples else examples["id"].tolist())
