"""Settings of image experiments that are decided from the data: patch, widths, batch, epochs; each with a reason.

Like nnU-Net's plans, they follow from the sizes of images and objects and from a memory budget. They are made for two
CPU cores as well as for a GPU, so what costs time (pixels per batch, steps) is limited, too.
References
----------
Isensee et al., Nature Methods 18, 203-211 (2021), doi:10.1038/s41592-020-01008-z.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from biocnn.config.registry import resolve as resolve_name
from biocnn.config.schema import Chosen, check, own_settings
from biocnn.config.settings import Settings, Train
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.whole_decisions import SHALLOW, Choice, decide_whole, widths
from biocnn.tasks import make_task
from biocnn.tasks.facts import Decision, Facts
from biocnn.tasks.inputs import make_input

GIB = 2**30
MEMORY_GB = 4.0  # budget of the decisions in facts.json; an experiment may set train.memory_gb
PATCH_SIDE = {2: 256, 3: 64}  # largest side of a patch with MEMORY_GB; its pixels grow with the memory
MOST_SIDE = 512
LOCAL_SIDE = 128  # of patches of images from images, and of densities
BATCH_PIXELS = 2**17  # pixels per batch and GB: 8 patches of 256 x 256 with 4 GB
BATCH = (2, 16)
BOTTOM = {2: 8, 3: 4}  # smallest side of a patch at the deepest level, in pixels
MOST_LEVELS = 5
WIDEST = 256
# (number of images, channels of the finest level); volumes have more pixels to learn from, and cost more.
WIDTHS = {2: ((1000, 32), (100, 24), (0, 16)), 3: ((0, 16),)}
# Values kept for the backward pass, per channel and pixel: measured with biocnn.core.memory on U-Nets of 2 to 5 levels
# in 2D and 3D, 9.9 to 12.1 in float32.
KEPT = 12
STEPS = (50, 250)  # bounds of the steps per epoch
ALL_STEPS = 3000
LOCAL_STEPS = 1500  # for images from images
BOX_STEPS = 1200  # with four times the pixels per step
DENSITY_STEPS = 4000  # of small batches
EPOCHS = (12, 60)
# Smallest objects, in pixels, for a stem, whose map has a cell for so many pixels; objects span four cells or more.
STEMS = ((32, "huge", 8), (16, "large", 4), (8, "medium", 2), (0, "small", 1))
# Of Faster R-CNN: as in the papers with MANY_BOXES, else a quarter, which takes a third of the time of a step on a CPU.
HEADS = {"pyramid": 256, "dense": 1024, "sampled": 512}
MANY_BOXES = 20_000
ANCHOR = 8  # most cells of a level along the side of its anchors
COUNTED_PIXELS, COUNTED_LEVELS = 2**16, 4  # of a batch of densities, and most levels of a network
STEM_PIXELS = {"huge": 2**21, "large": 2**21, "medium": 2**19, "small": 2**18}  # of a batch
RARE = 0.05  # share of pixels below which a class is oversampled
FEW = 1000  # training images; from so many, networks learn what brightness means by themselves
FOREGROUND = 1 / 3  # share of patches with rare classes, as in nnU-Net


def decide(facts: Facts, settings: Settings | None = None) -> dict[str, Decision]:
    """Decide settings of an image experiment; earlier decisions affect later ones.

    Parameters
    ----------
    facts
        Facts about the data set: spatial_dims, task, sizes, spacing, n, pixels, class_shares, optionally objects.
    settings
        Settings of an experiment, whose values override decisions; None: decide all, with 4 GB of memory.

    Returns
    -------
    decisions
        patch, channels, batch_size, steps_per_epoch, epochs and foreground; for whole images those of
        ``whole_decisions``. A reason that starts with "given" names the setting that overrides the decision.
    """
    if not facts.sizes:  # of a user's own format
        return {}
    train, model = (settings.train, settings.model) if settings else (None, None)
    memory = train.memory_gb if train else MEMORY_GB
    choose = Choice()
    if not make_task(facts).target.spatial:
        decide_whole(facts, train, model, choose)
        choose("intensities", model, "model", _intensities(facts))
        return choose.found
    patch = choose("patch", train, "train", _patch(facts, memory))
    task = make_task(facts)
    if detects := task.detects:
        stem = choose("stem", model, "model", _stem(facts))
        if model is None or "sizes" in own_settings(model):
            choose("sizes", model, "model", _anchors(facts, stem))
            for key, width in HEADS.items():
                choose(key, model, "model", _head(facts, width))
        choose("depth", model, "model", SHALLOW)
        choose("channels", model, "model", widths(facts.n.train, len(patch)))
        batch_size = choose("batch_size", train, "train", _batch_of_pixels(patch, STEM_PIXELS[stem]))
    else:
        most = COUNTED_LEVELS if task.target.summed else MOST_LEVELS
        channels = choose("channels", model, "model", _channels(facts, patch, most))
        of_memory = _batch_size(patch, channels, memory)
        decided = _batch_of_pixels(patch, COUNTED_PIXELS) if task.target.summed else of_memory
        batch_size = choose("batch_size", train, "train", decided)
    once = max(1, math.ceil(facts.pixels / math.prod(patch) / batch_size))
    steps = choose("steps_per_epoch", train, "train", _steps(once))
    summed = task.target.summed
    wanted = DENSITY_STEPS if summed else LOCAL_STEPS if task.exact else BOX_STEPS if detects else ALL_STEPS
    choose("epochs", train, "train", _epochs(steps, wanted))
    choose("foreground", train, "train", _foreground(facts, patch))
    return choose.found


def resolve(settings: Settings, facts: Facts) -> tuple[Settings, dict[str, Decision]]:
    """Fill in all settings that are decided from the data; return also all decisions, including overridden ones.

    Raises
    ------
    InputError
        If a setting is left to the data but not decided for them, or does not have one number per dimension.
    """
    train, model = settings.train, settings.model
    dims = facts.spatial_dims
    for name, example in (("patch", 128), ("size", 64)):
        sides = getattr(train, name)
        if sides and len(sides) != dims:
            raise InputError(
                f"train.{name}: {sides}, but the data have {dims} dimensions",
                f"give {dims} numbers, for example {[example] * dims}",
            )
    decide = resolve_name(make_input(facts).decide)
    without_settings = decide(facts)
    others = {key: item for key, item in facts.decisions.items() if key not in without_settings}
    decisions = others | decide(facts, settings)
    values = {key: item.value for key, item in decisions.items()}
    train = train.model_copy(update={key: values[key] for key in values.keys() & Train.model_fields.keys()})
    model = fill_in(model, decisions)
    for key in ("epochs", "batch_size"):
        if getattr(train, key) is None:
            raise InputError(f"train.{key}: is null, but was not decided from these data", f"give train.{key} a number")
    return settings.model_copy(update={"train": train, "model": model}), decisions


def fill_in(section: Chosen, decisions: Mapping[str, Decision]) -> Chosen:
    """Return a section in which each setting that is None has the value that was decided under its name, if any.

    This includes settings of sections in it.
    """
    given = own_settings(section)
    filled = {key: decisions[key].value for key in decisions.keys() & given.keys() if given[key] is None}
    filled |= {key: fill_in(value, decisions).model_dump() for key, value in given.items() if isinstance(value, Chosen)}
    return check(type(section), section.model_dump(mode="json") | filled, "model")


def memory_per_example(channels: Sequence[int], patch: Sequence[int]) -> float:
    """Return the bytes that a training step of a U-Net of these widths takes per patch, in float32; bfloat16 halves it.

    Each level keeps about ``KEPT`` values per pixel and channel; it has a quarter (3D: an eighth) of the pixels of the
    previous level.
    """
    values = sum(width / 2 ** (len(patch) * level) for level, width in enumerate(channels))
    return 4 * KEPT * values * math.prod(patch)


def _patch(facts: Facts, memory: float) -> Decision:
    return _square(facts, memory) if facts.spatial_dims == 2 else _box(facts, memory)


def _square(facts: Facts, memory: float) -> Decision:
    """Choose a square, which can be rotated; a multiple of 16, so that it can be halved four times."""
    shortest = int(facts.sizes.shorter)
    most = min(MOST_SIDE, int(PATCH_SIDE[2] * math.sqrt(memory / MEMORY_GB)))
    why = ""
    task = make_task(facts)
    if task.exact or task.target.summed:
        what = "counts" if task.target.summed else "intensities"
        most, why = min(most, LOCAL_SIDE), f"; {what} depend on their surroundings only"
    diameter = facts.objects.diameter["95"] if facts.objects.number else 0
    if 4 * diameter > most:
        most = min(MOST_SIDE, math.ceil(4 * diameter / 16) * 16)
        why = f"; objects are up to {diameter:.0f} px wide, and a patch should contain several"
    side = max(16, min(most, shortest) // 16 * 16)
    reason = f"the largest multiple of 16 up to {most} that fits the median image (shorter side {shortest} px){why}"
    return Decision(value=[side] * 2, reason=reason)


def _box(facts: Facts, memory: float) -> Decision:
    """Choose the median volume; if it is too large, a part with the same physical length in each direction."""
    shape = [int(n) for n in facts.sizes.median]
    spacing = facts.spacing or [1.0] * len(shape)
    budget = PATCH_SIDE[3] ** 3 * memory / MEMORY_GB
    reach = max(shape) * max(spacing)
    while math.prod(sides := [min(n, reach / size) for n, size in zip(shape, spacing, strict=True)]) > budget:
        reach *= 0.99
    multiple = 16 if min(sides) >= PATCH_SIDE[3] else 8
    # Patches are padded by reflection beyond a volume, without loss: a larger patch wastes less than a smaller one.
    up = math.ceil if math.prod(shape) <= budget else round
    value = [max(multiple, up(side / multiple) * multiple) for side in sides]
    size = " x ".join(map(str, shape))
    whole = math.prod(shape) <= budget
    reason = f"holds the median volume ({size}), in multiples of {multiple}" if whole else (
        f"about {budget:,.0f} voxels of the median volume ({size}), with the same physical length in each direction; "
        f"multiples of {multiple}"
    )  # fmt: skip
    return Decision(value=value, reason=reason)


def _channels(facts: Facts, patch: list[int], most: int) -> Decision:
    dims, number = facts.spatial_dims, facts.n.train
    middle = sorted(patch)[-2]
    levels = int(min(most, 1 + math.log2(max(1, middle / BOTTOM[dims])), 1 + math.log2(min(patch))))
    why = f"{levels} levels leave {middle / 2 ** (levels - 1):g} of {middle} px of a patch"
    diameter = facts.objects.diameter["95"] if facts.objects.number else math.inf
    enough = max(3, 1 + int(math.log2(max(1, diameter / 2)))) if math.isfinite(diameter) else levels
    if enough < levels:
        levels = enough
        why = f"{levels} levels, at the deepest of which objects of up to {diameter:.0f} px span 2 to 4"
    width = next(width for least, width in WIDTHS[dims] if number >= least)
    value = [min(WIDEST, width * 2**level) for level in range(max(1, levels))]
    images = "image" if dims == 2 else "volume"
    return Decision(value=value, reason=f"{why}; {width} channels in the finest for {number:,} training {images}s")


def _batch_size(patch: list[int], channels: Any, memory: float) -> Decision:
    pixels, size = math.prod(patch), " x ".join(map(str, patch))
    work = round(BATCH_PIXELS * memory / pixels)
    widths = channels if isinstance(channels, list) else [channels]
    each = memory_per_example(widths, patch)
    fits = int(memory * GIB / each)
    value = max(1, min(fits, max(BATCH[0], min(BATCH[1], work))))
    if value == fits < BATCH[1]:
        why = f"as many as fit in train.memory_gb: {memory:g}"
    else:
        why = f"about {BATCH_PIXELS * memory:,.0f} pixels per step, {BATCH[0]} to {BATCH[1]} patches of {size}"
    return Decision(value=value, reason=f"{why}; at most about {max(0.1, each * value / GIB):.1f} GB")


def _stem(facts: Facts) -> Decision:
    if not facts.objects.number:
        return Decision(value="large", reason="no object was measured")
    diameter = facts.objects.diameter["5"]
    name, cell = next((name, cell) for least, name, cell in STEMS if diameter >= least)
    reason = f"one object in 20 is at most {diameter:.0f} px wide, so centres are found to {cell} px"
    return Decision(value=name, reason=reason)


def _anchors(facts: Facts, stem: str) -> Decision:
    """Choose the sides of anchors, doubled from level to level, so that no object is much smaller than all of them."""
    side = ANCHOR * next(cell for _, name, cell in STEMS if name == stem)
    reason = f"anchors span {ANCHOR} cells of each level"
    if facts.objects.number and (least := max(4, round(math.sqrt(2) * facts.objects.diameter["5"]))) < side:
        side, reason = least, f"one object in 20 is at most {facts.objects.diameter['5']:.0f} px wide"
    return Decision(value=[side * 2**level for level in range(5)], reason=reason)


def _head(facts: Facts, width: int) -> Decision:
    number = facts.objects.number
    many = number >= MANY_BOXES
    reason = f"{'as in' if many else 'a quarter of'} the original, for {plural(number, 'training box')}"
    return Decision(value=width if many else width // 4, reason=reason)


def _batch_of_pixels(patch: list[int], pixels: int) -> Decision:
    low, high = BATCH
    value = max(low, min(high, round(pixels / math.prod(patch))))
    size = " x ".join(map(str, patch))
    return Decision(value=value, reason=f"about {pixels:,} pixels per step, {low} to {high} patches of {size}")


def _steps(once: int) -> Decision:
    low, high = STEPS
    return Decision(
        value=min(high, max(low, once)),
        reason=f"each pixel about once ({once:,} steps), within {low} to {high}, so that validation pays off",
    )


def _epochs(steps: int, wanted: int) -> Decision:
    low, high = EPOCHS
    value = min(high, max(low, round(wanted / steps)))
    return Decision(value=value, reason=f"about {wanted:,} steps in all ({low} to {high} epochs of {steps:,} steps)")


def _foreground(facts: Facts, patch: list[int]) -> Decision:
    shares = facts.class_shares[1:]
    if not shares:
        return Decision(value=0.0, reason="pixels have no classes, so patches are random")
    rarest = min((share for share in shares if share > 0), default=0.0)
    if all(side >= n for side, n in zip(patch, facts.sizes.median, strict=True)):
        return Decision(value=0.0, reason="a patch contains a whole image, so no class is missed")
    if rarest >= RARE:
        return Decision(value=0.0, reason=f"each class has at least {RARE:.0%} of the pixels: random patches find it")
    why = f"the rarest class has {rarest:.2%} of the pixels: a third of the patches show rare classes"
    return Decision(value=round(FOREGROUND, 2), reason=why)


def _intensities(facts: Facts) -> Decision:
    few = plural(facts.n.train, "training image")
    if not make_task(facts).standardised:
        return Decision(value=False, reason="for numbers only: classes and grades were not learned better with them")
    if facts.n.train < FEW:
        return Decision(value=True, reason=f"{few}: few to learn from how numbers depend on brightness")
    return Decision(value=False, reason=f"{few}: enough to learn how numbers depend on brightness")
