"""The rows of the GPU benchmark, each in its own process: ``python -m benchmarks.gpu.rows ROW`` prints results by line.

Rates are examples (training), pixels, variants, mutants or windows per second. Peers run in the same process, in turn.
"""

import statistics
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from benchmarks.gpu.measure import DEVICE, REHEARSAL, clock, compare, emit, idle, product_rate, size, timed, why
from benchmarks.gpu.peers import basic_unet, training
from benchmarks.plain import Conv5, DeepBind, ResNet18
from biocnn.apply.variants.scoring import Ensemble
from biocnn.config.schema import choose
from biocnn.config.settings import Settings, Split
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.data.storing import write
from biocnn.explain import saturation_mutagenesis
from biocnn.nn.encode import one_hot
from biocnn.nn.summary import summary
from biocnn.prediction.model import Model
from biocnn.tasks.facts import Facts
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.metadata import Metadata
from biocnn.training.runs import train_run

RNG = np.random.default_rng(1)
SEQUENCE = {
    "kind": "sequence", "task": "binary", "in_channels": 4, "spatial_dims": 1, "outputs": ["bound"], "alphabet": "ACGT",
    "flank": 0,
}  # fmt: skip
IMAGE = {"kind": "image", "in_channels": 1, "channels": ["grey"], "dtype": "uint8"}


class Repeated(Dataset):
    """A data set whose training split repeats each example, for long epochs."""

    times = 1

    def rows(self, *names: str) -> np.ndarray:
        found = super().rows(*names)
        return np.tile(found, self.times) if names == ("train",) else found


def stored(folder: Path, facts: dict[str, Any], x: Any, y: Any, number: int, times: int = 1) -> Dataset:
    """Store examples; an eighth, at most 64, are for validation and as many for the test split."""
    kept = min(64, max(2, number // 8))
    split = np.repeat(["train", "val", "test"], [number - 2 * kept, kept, kept])
    table = pd.DataFrame({"id": [f"e{i}" for i in range(number)], "split": split})
    table["group"] = table["id"]
    facts = Facts(**{"out_channels": len(facts["outputs"]), **facts})
    write(Raw(table, x, y, facts), Split(column="split"), 1, folder / "dataset")
    dataset = Repeated(folder / "dataset")
    dataset.times = times
    return dataset


def sequences(folder: Path, length: int, number: int, times: int) -> Dataset:
    """Store random sequences, half of them with a planted motif."""
    codes, y = RNG.integers(0, 4, (number, length), dtype=np.uint8), (np.arange(number) % 2).astype(np.float32)
    codes[1::2, length // 2 : length // 2 + 12] = [0, 1, 2, 3] * 3
    return stored(folder, SEQUENCE | {"window": length}, codes.__getitem__, y[:, None], number, times)


def fields(folder: Path, shape: tuple[int, ...], number: int) -> Dataset:
    """Store noisy images or volumes of bright balls, with their masks."""
    grid = np.indices(shape)
    y = []
    for _ in range(number):
        centres = [RNG.integers(0, side, 6) for side in shape]
        near = sum((grid[k][..., None] - centre) ** 2 for k, centre in enumerate(centres))
        y.append((near < (min(shape) / 8) ** 2).any(-1).astype(np.uint8))
    x = [(60 + 90 * mask + RNG.normal(0, 20, shape)).clip(0, 255).astype(np.uint8)[None] for mask in y]
    facts = IMAGE | {"task": "mask", "spatial_dims": len(shape), "outputs": ["ball"]}
    return stored(folder, facts, x.__getitem__, y.__getitem__, number)


def pictures(folder: Path, side: int, number: int, times: int) -> Dataset:
    """Store noisy colour images of eight classes that differ in brightness."""
    kinds = np.arange(number) % 8
    x = [(20 * kind + RNG.normal(50, 20, (3, side, side))).clip(0, 255).astype(np.uint8) for kind in kinds]
    facts = IMAGE | {"task": "multiclass", "spatial_dims": 2, "in_channels": 3, "channels": ["r", "g", "b"]}
    facts |= {"outputs": [f"c{k}" for k in range(8)]}
    return stored(folder, facts, x.__getitem__, np.eye(8, dtype=np.float32)[kinds], number, times)


def train_row(
    name: str,
    dataset: Dataset,
    model: dict[str, Any],
    shape: Any,
    peers: dict[str, Callable[[], nn.Module]],
    data: tuple[Tensor, Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    augment: Any = (),
    **train: Any,
) -> None:
    """Compare a training with plain loops, and print its share of the matrix rate and the idle time of the device.

    Parameters
    ----------
    shape
        Size of an example, for the count of multiply-adds.
    peers
        Networks by the name of their side.
    data
        Resident examples of the peers.
    """  # fmt: skip
    train = {"epochs": 3, "words": "none", "first_kernels": "random", "schedule": "constant"} | train
    settings = Settings(
        data={"name": "Given"}, model=choose("models", model, "model"),
        augment=augment if isinstance(augment, str) else list(augment), train=train,
    )  # fmt: skip
    seen: dict[str, Any] = {}

    def epoch() -> float:
        """Train, and return the seconds of an epoch after the first."""
        network, history, _ = train_run(settings, dataset, 1, log=lambda line: print(line, file=sys.stderr))
        seconds = history["seconds"].tolist()
        seen.update(network=network, precision=history["precision"].iloc[-1], seconds=seconds)
        return statistics.median(seconds[1:])

    batch = train["batch_size"]
    steps = train.get("steps_per_epoch") or -(-len(dataset.rows("train")) // batch)
    examples = len(dataset.rows("train")) if "steps_per_epoch" not in train else steps * batch
    emit(row=name, side="biocnn", first=examples / epoch(), precision=seen["precision"], seconds=seen["seconds"])
    each = summary(seen["network"].cpu(), shape).multiply_adds
    kind = torch.bfloat16 if seen["precision"] == "bfloat16" else torch.float32
    rates = {"bfloat16": product_rate(), seen["precision"]: product_rate(kind)}
    emit(row=name, multiply_adds=each, product_rates=rates)
    sides: dict[str, Callable[[], float]] = {"biocnn": lambda: examples / epoch()}
    for side, make in peers.items():
        try:
            sides[side] = training(make(), *data, loss, batch, size(min(steps, 60), 2), seen["precision"])
        except Exception as error:
            emit(row=name, side=side, **why(error))
    compare(name, sides)
    emit(row=name, achieved=3 * each * examples / statistics.median(seen["seconds"][1:]), product_rates=rates)
    emit(row=name, **idle(epoch))


def deepbind(folder: Path) -> None:
    """DeepBind with 16 kernels of 24 on windows of 101 bp."""
    dataset = sequences(folder, 101, size(50_000, 400), size(80, 1))
    model = {"name": "DeepBind", "channels": 16, "kernel_size": 24, "hidden": 32, "strands": "single"}
    train_row(
        "deepbind", dataset, model, 101, {"plain torch": DeepBind}, one_hot_of(dataset), mean_bce,
        batch_size=size(16_384, 64),
    )  # fmt: skip


def conv5(folder: Path) -> None:
    """Five convolutions on windows of 1 kb."""
    dataset = sequences(folder, 1000, size(10_000, 60), size(8, 1))
    model = {"name": "benchmarks.networks:Conv5"}
    train_row(
        "conv5", dataset, model, 1000, {"plain torch": Conv5}, one_hot_of(dataset), mean_bce, batch_size=size(1024, 16)
    )


def resnet28(folder: Path) -> None:
    """ResNet-18 of half the usual widths on images of 28 x 28 pixels, without augmentation."""
    dataset = pictures(folder, 28, size(4000, 48), size(16, 1))
    model = {"name": "ResNet", "depth": 18, "stem": "small", "channels": [32, 64, 128, 256]}
    train_row(
        "resnet28", dataset, model, (28, 28), {"plain torch": ResNet18}, scaled(dataset, 4000), cross_entropy,
        batch_size=size(1024, 16),
    )  # fmt: skip


def resnet224(folder: Path) -> None:
    """ResNet-18 on images of 224 x 224 pixels, without augmentation."""
    dataset = pictures(folder, size(224, 64), size(800, 24), size(8, 1))
    model = {"name": "ResNet", "depth": 18, "stem": "large", "channels": [64, 128, 256, 512]}
    peers = {"plain torch": partial(ResNet18, (64, 128, 256, 512), small=False)}
    side = size(224, 64)
    train_row(
        "resnet224", dataset, model, (side, side), peers, scaled(dataset, 800), cross_entropy,
        batch_size=size(256, 8), size=[side, side],
    )  # fmt: skip


def unet2d(folder: Path) -> None:
    """U-Net of 32 to 512 channels on augmented patches of 256 x 256 pixels; peers do not augment."""
    _unet("unet2d", fields(folder, (size(512, 64),) * 2, size(48, 16)), (size(256, 32),) * 2, size(32, 2))


def unet3d(folder: Path) -> None:
    """U-Net of 16 to 256 channels on augmented patches of 64^3 voxels; peers do not augment."""
    _unet("unet3d", fields(folder, (size(96, 24),) * 3, size(16, 16)), (size(64, 16),) * 3, size(8, 2))


def _unet(name: str, dataset: Dataset, patch: tuple[int, ...], batch: int) -> None:
    channels = [size(width, 4) for width in ([32, 64, 128, 256, 512] if len(patch) == 2 else [16, 32, 64, 128, 256])]
    model = {"name": "UNet", "channels": channels}
    facts = dataset.facts
    plain = partial(build_model, choose("models", model, "model"), facts)
    peers = {
        "biocnn's network in a plain loop": plain,
        "MONAI BasicUNet in a plain loop": partial(basic_unet, len(patch), channels),
    }
    corner = tuple(slice(0, side) for side in patch)
    x, y = (
        torch.from_numpy(np.stack([array[row][(..., *corner)] for row in dataset.rows("train")]))
        for array in (dataset.x, dataset.y)
    )
    train_row(
        name, dataset, model, patch, peers, (x.float() / 255, y.reshape(x.shape).float()), mean_bce, augment="default",
        batch_size=batch, patch=list(patch), steps_per_epoch=size(60, 2), workers=0,
    )  # fmt: skip


def unet_inference(folder: Path) -> None:
    """U-Net of 32 to 512 channels on an image of 4096 x 4096 pixels, against MONAI's sliding window in bfloat16."""
    side = size(4096, 96)
    model = written(folder, {"name": "UNet", "channels": [8, 16] if REHEARSAL else [32, 64, 128, 256, 512]}, IMAGE | {
        "task": "mask", "spatial_dims": 2, "outputs": ["ball"],
        "intensity": {"low": [0.0], "high": [255.0], "by": "dataset"},
    })  # fmt: skip
    image = RNG.integers(0, 255, (side, side), dtype=np.uint8)
    scaled = torch.from_numpy(image[None, None].astype(np.float32) / 255)
    network = model.network.eval()

    def ours() -> float:
        return image.size / timed(lambda: model.predict(image))[0]

    @torch.inference_mode()
    def monai() -> float:
        from monai.inferers import sliding_window_inference

        with torch.autocast(DEVICE.type, torch.bfloat16):
            seconds, _ = timed(
                lambda: sliding_window_inference(scaled.to(DEVICE), (256, 256), 16, network, 0.25).float().cpu()
            )
        return image.size / seconds

    ours()  # warm-up; both sides run once before they are compared
    compare("unet_inference", {"biocnn": ours, "MONAI sliding window": monai})
    emit(row="unet_inference", precision=model.precision, **idle(lambda: image.size / ours()))


def mutagenesis(folder: Path) -> None:
    """All mutations of sequences of 1 kb with DeepBind on both strands, against every mutant through the network."""
    model = written(folder, {"name": "DeepBind", "strands": "both"}, SEQUENCE | {"window": 1000})
    number, network = size(256, 2), model.network.eval()
    length = size(1000, 60)
    codes = RNG.integers(0, 4, (number, length), dtype=np.uint8)

    def ours() -> float:
        return 3 * codes.size / timed(lambda: saturation_mutagenesis(network, codes).cpu())[0]

    @torch.inference_mode()
    def plain() -> float:
        few = torch.from_numpy(codes[: size(8, 1)]).to(DEVICE)

        def run() -> None:
            for one in few:
                mutants = one.repeat(3 * length, 1)
                rows = torch.arange(3 * length, device=DEVICE)
                place = rows // 3
                mutants[rows, place] = ((one[place] + 1 + rows % 3) % 4).to(torch.uint8)
                for part in mutants.split(4096):
                    network(one_hot(part))

        return 3 * few.numel() / timed(run)[0]

    ours(), plain()  # warm-up
    compare("mutagenesis", {"biocnn": ours, "every mutant": plain})
    emit(row="mutagenesis", **idle(lambda: 3 * codes.size / ours()))


def variants(folder: Path) -> None:
    """Scores of random substitutions in windows of 101 bp with DeepBind on both strands, without files."""
    model = written(folder, {"name": "DeepBind", "strands": "both"}, SEQUENCE | {"window": 101})
    ensemble, number = Ensemble([model]), size(200_000, 300)
    reference = RNG.integers(0, 4, (number, 101), dtype=np.uint8)
    alternative = reference.copy()
    alternative[:, 50] = (reference[:, 50] + 1) % 4
    network = model.network.eval()

    def ours() -> float:
        return number / timed(lambda: ensemble.pairs(reference, alternative, 50))[0]

    @torch.inference_mode()
    def plain() -> float:
        def run() -> None:
            for first in range(0, number, 4096):
                for windows in (reference, alternative):
                    network(one_hot(torch.from_numpy(windows[first : first + 4096]).to(DEVICE))).cpu()

        return number / timed(run)[0]

    ours(), plain()  # warm-up
    compare("variants", {"biocnn": ours, "plain torch": plain})
    emit(row="variants", **idle(lambda: number / ours()))


def scan(folder: Path) -> None:
    """Windows of 101 bp every 10 bp along a random chromosome, with DeepBind, against batches of windows."""
    from biocnn.io.genome import read_genome

    length = size(20_000_000, 3000)
    letters = np.frombuffer(b"ACGT", np.uint8)[RNG.integers(0, 4, length)]
    (folder / "g.fa").write_bytes(b">c\n" + letters.tobytes() + b"\n")
    genome = read_genome(folder / "g.fa")
    model = written(folder, {"name": "DeepBind", "strands": "both"}, SEQUENCE | {"window": 101})
    network = model.network.eval()

    def ours() -> float:
        seconds, found = timed(lambda: sum(len(starts) for starts, _ in model.scan(genome, "c", stride=10)))
        return found / seconds

    @torch.inference_mode()
    def plain() -> float:
        codes = torch.from_numpy(genome.codes("c", 0, length // 10)).to(DEVICE)
        windows = codes.unfold(0, 101, 10)
        seconds, _ = timed(lambda: [network(one_hot(part)).cpu() for part in windows.split(4096)])
        return len(windows) / seconds

    ours(), plain()  # warm-up
    compare("scan", {"biocnn": ours, "window by window": plain})
    emit(row="scan", **idle(lambda: length / 10 / ours()))


def written(folder: Path, section: dict[str, Any], facts: dict[str, Any]) -> Model:
    """Save an untrained network, since weights do not matter, and return the model."""
    chosen = choose("models", section, "model")
    found = Facts(**{"out_channels": 1, **facts})
    torch.manual_seed(1)
    meta = Metadata(
        experiment={"model": chosen.model_dump(mode="json")}, facts=found,
        precision={"train": "bfloat16", "predict": "bfloat16"} if found.kind == "image" else {},
    )  # fmt: skip
    save_model(folder / "model.safetensors", build_model(chosen, found), meta)
    return Model(folder / "model.safetensors")


def one_hot_of(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Return the distinct training examples, one-hot, and their targets, on the device."""
    rows = np.unique(dataset.rows("train"))
    x = torch.from_numpy(dataset.padded(rows)).to(DEVICE)
    return one_hot(x).contiguous(), torch.from_numpy(dataset.y.stacked(rows)).to(DEVICE)


def scaled(dataset: Dataset, most: int) -> tuple[Tensor, Tensor]:
    """Return distinct training images scaled to 0 to 1, and the numbers of their classes, on the device."""
    rows = np.unique(dataset.rows("train"))[:most]
    x = torch.from_numpy(np.stack([dataset.x[row] for row in rows])).to(DEVICE)
    return x.float() / 255, torch.from_numpy(dataset.y.stacked(rows).argmax(1)).to(DEVICE)


def mean_bce(logits: Tensor, y: Tensor) -> Tensor:
    """Return the mean binary cross-entropy."""
    return binary_cross_entropy_with_logits(logits, y)


# Time limits in seconds.
ROWS: dict[Callable[[Path], None], int] = {
    deepbind: 50, unet2d: 55, resnet28: 40, conv5: 40, unet_inference: 30, mutagenesis: 25, variants: 25, scan: 25,
    resnet224: 45, unet3d: 45,
}  # fmt: skip
NAMED = {row.__name__: row for row in ROWS}


def main() -> None:
    """Run the named row."""
    began = clock()
    with tempfile.TemporaryDirectory() as folder:
        try:
            NAMED[sys.argv[1]](Path(folder))
        except Exception as error:
            traceback.print_exc()
            emit(row=sys.argv[1], failed=f"{type(error).__name__}: {error}"[:300])
    emit(row=sys.argv[1], wall=clock() - began)


if __name__ == "__main__":
    main()
