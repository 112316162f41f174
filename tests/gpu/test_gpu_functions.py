"""CPU and GPU agree: predictions, tiles, scans, explanations, augmentation and shuffles."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pictures import blobs
from tiny import images, labelled, sequences, stored

from biocnn.augment.sets import resolve_augment
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.data.shuffle import dinucleotide_shuffle
from biocnn.explain import deep_lift, saturation_mutagenesis, shuffled_references
from biocnn.io.genome import read_genome
from biocnn.models import UNet
from biocnn.nn.encode import one_hot
from biocnn.prediction.model import Model
from biocnn.training.batches import augmentations, augmented, draws, make

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")
CLOSE = 1e-4
Both = Callable[..., tuple[Model, Model]]


@pytest.mark.parametrize("kind", ["sequences", "images", "labelled"])
def test_predictions_agree(kind: str, both: Both, datasets: dict[str, Dataset]) -> None:
    dataset = datasets[kind]
    one, other = (list(model.predict_stored(dataset, dataset.rows("val"))) for model in both(kind))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(b, a, atol=CLOSE)


def test_volumes_agree(device: torch.device) -> None:
    torch.manual_seed(1)
    network, x = UNet(3, 1, 1, channels=[8, 16]).eval(), torch.rand(2, 1, 8, 32, 32)
    with torch.no_grad():
        wanted = network(x).sigmoid()
        torch.backends.cudnn.allow_tf32 = False
        try:
            found = network.to(device)(x.to(device)).sigmoid().cpu()
        finally:
            torch.backends.cudnn.allow_tf32 = True
    torch.testing.assert_close(found, wanted, rtol=0, atol=CLOSE)


def test_tiles_agree_with_the_whole_image(both: Both) -> None:
    image = images(1, size=(160, 144)).x(0)
    whole = both("images")[0].predict(image)
    for model in both("images", memory_gb=0.004):
        np.testing.assert_allclose(model.predict(image), whole, atol=CLOSE)


def test_scans_agree(both: Both, tmp_path: Path) -> None:
    letters = np.random.default_rng(1).choice(list("ACGT"), 5000)
    (tmp_path / "g.fa").write_text(">c\n" + "".join(letters) + "\n")
    genome = read_genome(tmp_path / "g.fa")
    one, other = (np.concatenate([p for _, p in model.scan(genome, "c", stride=5)]) for model in both("sequences"))
    assert len(one) == (5000 - 40) // 5 + 1
    np.testing.assert_allclose(other, one, atol=CLOSE)


@pytest.fixture
def codes() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 4, (6, 40), dtype=np.uint8)


def test_mutations_agree(both: Both, codes: np.ndarray) -> None:
    one, other = (saturation_mutagenesis(model.network, codes).cpu() for model in both("sequences"))
    assert one.abs().max() > 0
    torch.testing.assert_close(other, one, rtol=0, atol=CLOSE)


def test_contributions_of_deeplift_agree(both: Both, codes: np.ndarray, device: torch.device) -> None:
    references, x = shuffled_references(codes, 4), one_hot(torch.from_numpy(codes))
    one, other = (
        deep_lift(model.network, x.to(where), references.to(where))
        for model, where in zip(both("sequences"), (CPU, device), strict=True)
    )
    torch.testing.assert_close(other.contributions.cpu(), one.contributions, rtol=0, atol=CLOSE)
    assert other.delta.abs().max() < CLOSE


def test_gradients_of_images_agree(both: Both) -> None:
    from biocnn.explain import grad_cam

    x = torch.from_numpy(labelled(2).x(0).astype(np.float32) / 3000)[None]
    one, other = (grad_cam(model.network, x.to(model.device)).cpu() for model in both("labelled"))
    torch.testing.assert_close(other, one, rtol=0, atol=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_augmentations_agree(dims: int, device: torch.device) -> None:
    from tiny import image_facts

    from biocnn.augment import DRAWS

    patch = [32] * dims
    sections = resolve_augment("default", image_facts(spatial_dims=dims, spacing=[1.0] * dims), patch)
    functions = augmentations(sections)
    x, _ = blobs(4, *patch)
    drawn = {name: draws(1, 0, name, (4, DRAWS)) for name, _ in functions}
    one, other = (augmented(functions, x.to(to), drawn, torch.arange(4))[0].cpu() for to in (CPU, device))
    wrong = (one - other).abs()
    assert wrong.median() < CLOSE
    assert (wrong > 1e-2).float().mean() < 0.01, "more pixels differ than rounding explains"


def test_shuffles_are_the_same(device: torch.device, tmp_path: Path) -> None:
    raw = sequences(20)
    codes = [raw.x(i) for i in range(20)]
    codes += [dinucleotide_shuffle(c[None], np.random.default_rng(i))[0] for i, c in enumerate(codes)]
    table = pd.concat([raw.examples.assign(kind="positive"), raw.examples.assign(kind="shuffled")], ignore_index=True)
    table["id"] = [f"s{i}" for i in range(40)]
    dataset = stored(Raw(table, codes.__getitem__, np.repeat([[1.0], [0.0]], 20, axis=0), raw.facts), tmp_path)
    one, other = (make(dataset, dataset.rows("train"), where) for where in (CPU, device))
    for epoch in range(2):
        for batches in (one, other):
            batches.plan(1, epoch, 8, None)
        assert len(one.fresh.rows)
        assert torch.equal(one.drawn, other.drawn.cpu())
    assert not torch.equal(one.drawn, one.codes)
