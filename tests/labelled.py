"""Read images with labels, and find what was counted or refused; used by several test files."""

import numpy as np
import pytest

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.facts import read as validated
from biocnn.data.labelled_images import LabelledImages
from biocnn.data.raw import Raw

rng = np.random.default_rng(5)


def read(**options) -> tuple[Raw, Checks]:
    checks = Checks()
    return validated(LabelledImages(**options), 1, checks), checks


def counts(checks: Checks) -> dict[str, int]:
    return dict(zip(checks.frame()["reason"], checks.frame()["count"], strict=True))


def refused(*words: str, **options) -> None:
    with pytest.raises(InputError) as caught:
        read(**options)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy


def pictures(*shape: int, dtype=np.uint8) -> np.ndarray:
    found = rng.integers(0, 200, shape).astype(dtype)
    found.reshape(shape[0], -1)[:, 0] = 201  # one brightest pixel: otherwise such small images count as saturated
    return found
