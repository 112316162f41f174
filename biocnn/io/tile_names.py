"""Recognise images that are pieces of a larger one by name, e.g. slide3_tile2 of slide3."""

import re
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from biocnn.io.image_paths import unique_ids

_PIECE = r"(?:tile|patch|crop|fov|field|roi|region|section|slice|frame|part|view|pos|site)s?"
_NUMBERS = r"\(?[xyzrc]?\d+\)?(?:[-_., x]*[xyzrc]?\d+)*"
# A word separates the name of the whole from the numbers of the piece; positions need no word.
_BY_WORD = re.compile(rf"^(?P<whole>.+?)(?P<mark>[-_. ]*{_PIECE}[-_. ]*){_NUMBERS}$", re.IGNORECASE)
_BY_PLACE = re.compile(r"^(?P<whole>.+?)(?P<mark>[-_. ]+)(?:x?\d+[-_,]+y?\d+|r\d+[-_,]*c\d+|\d+x\d+)$", re.IGNORECASE)
# A numbered name and a number: patient3_2. Without the first number nothing follows: img_0002.
_BY_NUMBER = re.compile(r"^(?P<whole>.*[A-Za-z][-_. ]?\d+)(?P<mark>[-_. ]+)\d+$")


@dataclass(frozen=True)
class Wholes:
    """The larger images that images are pieces of.

    Parameters
    ----------
    names
        Name of the whole of each image.
    mark
        Text that follows this name in most images.
    """

    names: list[str]
    mark: str

    @property
    def pattern(self) -> str:
        """Regular expression that extracts the whole from the name of an image."""
        return f"(.+){re.escape(self.mark)}"


def wholes(names: list[str]) -> Wholes | None:
    """Find the wholes of images if all names have the form of pieces, of several wholes, most with several pieces.

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
    """Find the wholes of a table of images, by file name if available; None if the table states groups."""
    if "group" not in examples or not examples["group"].is_unique:
        return None
    return wholes(unique_ids(examples["image"].tolist()) if "image" in examples else examples["id"].tolist())
