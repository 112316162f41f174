"""Settings for whole images that are decided from the data: size, network, batch, epochs; each with a reason.

They are made for two CPU cores as well as for a GPU: what costs time (pixels, widths, epochs) is limited.
"""

import math
from typing import Any

from biocnn.config.schema import Section
from biocnn.core.plurals import plural
from biocnn.tasks.facts import Decision, Facts

MOST_SIDE = {2: 128, 3: 32}  # pixels of the longest side that a network sees
ALIKE = 1.25  # ratio of sizes up to which images are cropped to a common one
# Longest side up to which a large stem, which divides sides by four, would leave too little. The other stems leave at
# most the pixels of 64 x 64 or 16 x 16 x 16, for which a ResNet of depth 18, with the widths for few images, takes 0.6
# (2D) or 0.2 (3D) thousand million multiply-adds.
SMALL = 64
MANY = 20_000  # training images from which a network has the widths of the original
BATCHES = ((2000, 64), (300, 32), (0, 16))  # (number of training images, images per batch)
SEEN = {2: 120_000, 3: 30_000}  # images, repeats included, that a training sees
EPOCHS = (15, 100)
SHALLOW = Decision(value=18, reason="the smallest ResNet; deeper ones need more images")


class Choice:
    """Decisions, which settings of the experiment override."""

    def __init__(self) -> None:
        self.found: dict[str, Decision] = {}

    def __call__(self, key: str, section: Section | None, name: str, decided: Decision) -> Any:
        """Return the setting of this name in a section if it is given, else what is decided.

        It is recorded unless the section has no such setting, because it belongs to another network.
        """
        given = getattr(section, key, None)
        decision = decided if given is None else Decision(value=given, reason=f"given: {name}.{key}")
        if section is None or key in type(section).model_fields:
            self.found[key] = decision
        return decision.value


def decide_whole(
    facts: Facts, train: Section | None, model: Section | None, choose: Choice, where: str = "model"
) -> None:
    """Decide size and fit; stem, depth and channels of a ResNet; batch_size, steps_per_epoch and epochs.

    Parameters
    ----------
    facts
        Facts about the data set: spatial_dims, sizes, spacing, n.
    train, model
        Sections of an experiment, whose values override decisions; None: decide all.
    choose
        Receives the decisions.
    where
        Dotted key of the section of the network.
    """
    assert facts.n
    number = facts.n.train
    size = choose("size", train, "train", _size(facts))
    choose("fit", train, "train", _fit(facts))
    choose("stem", model, where, _stem(size))
    choose("depth", model, where, SHALLOW)
    choose("channels", model, where, widths(number, len(size)))
    batch_size = next(batch for least, batch in BATCHES if number >= least)
    why = f"for {plural(number, 'training image')}"
    choose("batch_size", train, "train", Decision(value=batch_size, reason=why))
    choose("steps_per_epoch", train, "train", Decision(value=None, reason="each image once"))
    choose("epochs", train, "train", _epochs(number, len(size)))


def _size(facts: Facts) -> Decision:
    assert facts.sizes
    median, most = facts.sizes.median, MOST_SIDE[facts.spatial_dims]
    shrink = min(1.0, most / max(median))
    value = [max(1, round(n * shrink)) for n in median]
    found = " x ".join(f"{n:g}" for n in median)
    if shrink == 1:
        return Decision(value=value, reason=f"the median image ({found} px)")
    return Decision(value=value, reason=f"the median image ({found} px), reduced to at most {most} px")


def _fit(facts: Facts) -> Decision:
    assert facts.sizes
    small, large = facts.sizes.smallest, facts.sizes.largest
    if small == large:
        return Decision(value="crop", reason="all images have the same size: nothing is cropped")
    if facts.spacing:
        return Decision(value="crop", reason="all images have the same pixel size, which crops preserve")
    sides = ", ".join(f"{a} to {b}" for a, b in zip(small, large, strict=True))
    if all(b <= ALIKE * a for a, b in zip(small, large, strict=True)):
        return Decision(value="crop", reason=f"sizes are similar ({sides} px)")
    return Decision(value="stretch", reason=f"sizes differ ({sides} px), and so may scales")


def _stem(size: list[int]) -> Decision:
    if max(size) > SMALL:
        return Decision(value="large", reason="the first level has a quarter of the pixels along each axis")
    if math.prod(size) <= SMALL**2:
        return Decision(value="small", reason=f"images of up to {SMALL**2:,} px keep their size at the first level")
    left = " x ".join(str(math.ceil(n / 2)) for n in size)
    return Decision(value="medium", reason=f"the first level has {left} voxels: half the size costs an eighth")


def widths(number: int, dims: int) -> Decision:
    """Decide the widths of a ResNet's four stages, for a number of training images."""
    many, volumes = number >= MANY, dims == 3
    first = 64 // (1 if many else 2) // (2 if volumes else 1)
    share = {64: "as in", 32: "half of", 16: "a quarter of"}[first]
    why = f"{share} the original, for {plural(number, 'training image')}"
    return Decision(value=[first * 2**stage for stage in range(4)], reason=why + "; volumes cost more" * volumes)


def _epochs(number: int, dims: int) -> Decision:
    (low, high), seen = EPOCHS, SEEN[dims]
    value = min(high, max(low, math.ceil(seen / number)))
    return Decision(value=value, reason=f"about {seen:,} images in all, repeats included ({low} to {high} epochs)")
