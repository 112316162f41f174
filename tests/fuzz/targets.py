"""All that is damaged, by name."""

import shutil
from pathlib import Path

from tests.fuzz.image_formats import IMAGE_FORMATS
from tests.fuzz.sequence_formats import SEQUENCE_FORMATS
from tests.fuzz.step_outputs import STEP_OUTPUTS

TARGETS = SEQUENCE_FORMATS | IMAGE_FORMATS | STEP_OUTPUTS


def copied(source: Path, target: Path) -> Path:
    """Return a separate copy of the files of a target."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
