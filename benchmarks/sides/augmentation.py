"""Augment patches with their masks by one tool, in one thread: biocnn's default set, or the same in MONAI.

Frequency and range of each change are equal; MONAI changes one patch at a time, biocnn a batch.
"""

import math
import time
from collections.abc import Callable
from importlib.metadata import version

import torch
from torch import Tensor

from benchmarks.sides.common import read_task, report

Change = Callable[[Tensor, Tensor, int], object]
REPEATS = 10
BATCH = 12


def biocnn(patch: list[int]) -> Change:
    """The default set of augmentations."""
    from biocnn.augment import DRAWS
    from biocnn.augment.sets import resolve_augment
    from biocnn.tasks.facts import Facts
    from biocnn.tasks.target import ClassMap
    from biocnn.training.batches import augmentations, augmented, draws

    facts = Facts(
        kind="image", task="mask", spatial_dims=2, in_channels=1, out_channels=1, outputs=["disc"], spacing=[1.0, 1.0]
    )
    functions = augmentations(resolve_augment("default", facts, patch))

    def change(x: Tensor, y: Tensor, number: int) -> object:
        drawn = {name: draws(1, number, name, (len(x), DRAWS)) for name, _ in functions}
        x, move = augmented(functions, x, drawn, torch.arange(len(x)))
        return x, ClassMap().warp(y, move, patch)

    return change


def monai(patch: list[int]) -> Change:
    """Dictionary transforms; elastic and affine transforms are combined."""
    import monai.transforms as t

    both = ["image", "mask"]
    move = t.Rand2DElasticd(
        both,
        spacing=(32, 32),
        magnitude_range=(0, 4),
        prob=0.5,
        rotate_range=math.pi,
        scale_range=0.3,
        mode=["bilinear", "nearest"],
        padding_mode="reflection",
    )
    change = t.Compose(
        [
            *[t.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in (0, 1)],
            t.RandRotate90d(both, prob=0.75, spatial_axes=(0, 1)),
            move,
            t.RandGaussianSmoothd("image", prob=0.1, **{f"sigma_{axis}": (0.5, 1.5) for axis in "xy"}),
            t.RandSimulateLowResolutiond("image", prob=0.1, upsample_mode="bilinear", zoom_range=(0.5, 1.0)),
            t.RandScaleIntensityd("image", prob=0.5, factors=0.4),
            t.RandShiftIntensityd("image", prob=0.5, offsets=0.1),
            t.RandAdjustContrastd("image", prob=0.3, gamma=(1 / 1.5, 1.5)),
            t.RandGaussianNoised("image", prob=0.2, std=0.1),
        ]
    )
    return lambda x, y, number: [change({"image": a, "mask": b}) for a, b in zip(x, y, strict=True)]


def main() -> None:
    """Report the mean time per patch."""
    task = read_task()
    torch.manual_seed(1)
    x, y = (torch.randint(0, 3, (BATCH, 1, *task["patch"]), dtype=torch.uint8) for _ in range(2))
    x, change = x.float() / 2, {"biocnn": biocnn, "MONAI": monai}[task["tool"]](task["patch"])
    change(x, y, 0)
    began = time.perf_counter()
    for number in range(REPEATS):
        change(x, y, number)
    seconds = (time.perf_counter() - began) / REPEATS / BATCH
    report({"patch": seconds}, version=version(task["tool"].lower()))


main()
