"""What is damaged, and how its files are made and read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Target(NamedTuple):
    """A format: functions that make and read valid files, and how to damage them.

    ``make`` writes into an empty folder and returns the file to damage.

    ``weight`` is the relative number of inputs.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    kind: str = "binary"
    weight: int = 4
