"""What steps are given: an experiment, and the names of runs and trials.

Apart from this file: trainings run again if any file that they import changes, so keep other functions out of it.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from biocnn.core.errors import InputError

if TYPE_CHECKING:
    from biocnn.config.experiment import Experiment


def load_experiment(config: Path, data_root: Path) -> "Experiment":
    """Load an experiment, see ``biocnn.config.experiment.load``."""
    from biocnn.config.experiment import load  # pydantic would slow down `biocnn --help`

    return load(config, data_root)


def numbers(name: str, *words: str) -> list[int]:
    """Return the numbers in a name such as fold0-seed1."""
    found = re.fullmatch("-".join(rf"{word}(\d{{1,10}})" for word in words), name)
    if not found:
        raise InputError(f"invalid name {name!r}", f"for example {'-'.join(f'{word}0' for word in words)}")
    return [int(number) for number in found.groups()]
