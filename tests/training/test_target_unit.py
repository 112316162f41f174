"""What is learned from numeric targets does not depend on their unit, and all results are in this unit."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import experiment, metadata, predicted, sequences, stored
from torch import nn
from trainings import CPU

import biocnn
from biocnn import metrics
from biocnn.apply.variants.substitutions import Substitutions, supports
from biocnn.config.schema import choose
from biocnn.config.settings import Explain, Train
from biocnn.data.dataset import Dataset
from biocnn.data.raw import Raw
from biocnn.explain.attributions import integrated_gradients
from biocnn.explain.deeplift import deep_lift, shuffled_references
from biocnn.explain.mutagenesis import saturation_mutagenesis
from biocnn.explain.request import Request
from biocnn.explain.step import explain_test_part
from biocnn.io.genome import Genome
from biocnn.losses import mse
from biocnn.models import DeepBind
from biocnn.nn.fuse_batchnorm import fuse_batchnorm
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.runs import train_run
from biocnn.training.target_unit import in_unit, rescale, target_unit

UNITS = [(1.0, 0.0), (100.0, 1000.0), (0.001, -3.0)]


def numeric_targets(factor: float, shift: float, n: int = 240) -> Raw:
    """Return one target, the amount of the motif plus noise, or a second one with another scale as well."""
    raw = sequences(n, task="regression", outputs=("a", "b"))
    raw.y[:, 1] = factor * raw.y[:, 1] + shift
    return raw


def after_training(dataset: Dataset, folder: Path, **train: object) -> tuple[Model, np.ndarray]:
    """Return the loaded model and its predictions for the test split."""
    deepbind = {"name": "DeepBind", "channels": 8, "kernel_size": 9, "strands": "both"}
    # Targets are stored in float32, whose rounding differs between units: it may change the order of words.
    plan = {"epochs": 12, "batch_size": 16, "lr": 1e-2, "threads": 1, "first_kernels": "random", "words": "none"}
    section = Train(**plan | train)
    network, _, meta = train_run(experiment(deepbind, train=section), dataset, 1)
    save_model(folder / "model.safetensors", network, meta)
    model = biocnn.load(folder / "model.safetensors", "cpu")
    return model, np.stack(list(model.predict_stored(dataset, dataset.rows("test"))))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Dataset, np.ndarray]]:
    found = []
    for factor, shift in UNITS:
        folder = tmp_path_factory.mktemp("unit")
        dataset = stored(numeric_targets(factor, shift), folder)
        found.append((dataset, after_training(dataset, folder)[1]))
    return found


def test_another_unit_changes_only_the_unit(trained: list[tuple[Dataset, np.ndarray]]) -> None:
    plain = trained[0][1]
    for (factor, shift), (_, p) in zip(UNITS, trained, strict=True):
        np.testing.assert_allclose(p[:, 0], plain[:, 0], atol=2e-3)
        np.testing.assert_allclose((p[:, 1] - shift) / factor, plain[:, 1], atol=2e-3)


@pytest.mark.parametrize("which", range(len(UNITS)))
def test_values_are_in_the_unit_of_the_data(which: int, trained: list[tuple[Dataset, np.ndarray]]) -> None:
    dataset, p = trained[which]
    y = dataset.y.stacked(dataset.rows("test"))
    for k in range(2):
        assert metrics.pearson(p[:, k], y[:, k]) > 0.8
        assert metrics.mse(p[:, k], y[:, k]) < 0.5 * y[:, k].var()


def test_the_unit_comes_from_the_training_split(tmp_path: Path) -> None:
    dataset = stored(numeric_targets(100, 1000, 60), tmp_path)
    model, _ = after_training(dataset, tmp_path, epochs=1)
    y = dataset.y.stacked(dataset.rows("train")).astype(float)
    assert model.meta.target_unit.mean == pytest.approx(y.mean(axis=0))
    assert model.meta.target_unit.sd == pytest.approx(y.std(axis=0))


def test_a_constant_has_a_unit_too() -> None:
    """An inner fold of a calibration may have constant targets, although data sets with them are refused."""
    y = np.array([[0.1, 1], [0.1, np.nan], [0.1, 3]], np.float32)
    unit = target_unit(y)
    assert unit == {"mean": pytest.approx([0.1, 2]), "sd": [1, 1]}
    assert target_unit(np.full((3, 1), np.nan)) == {"mean": [0], "sd": [1]}
    loss = in_unit(mse, unit, CPU)
    assert loss(torch.tensor([[0.0, -1], [0, 5], [0, 1]]), torch.from_numpy(y)) == pytest.approx(0, abs=1e-12)


class Own(nn.Module):
    """A user's own network."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(2)[:, :2]


class Bent(DeepBind):
    """A head that does not end in a linear layer."""

    def __init__(self) -> None:
        super().__init__(1, 4, 2, channels=4, kernel_size=7)
        self.head.append(nn.Softplus())


def test_the_network_itself_returns_the_unit_whatever_its_head() -> None:
    torch.manual_seed(1)
    x = nn.functional.one_hot(torch.randint(4, (5, 30)), 4).float().movedim(1, 2)
    kinds = {"channels": 4, "kernel_size": 7, "strands": "both"}
    unbiased = DeepBind(1, 4, 2, **kinds)
    unbiased.head[-1].bias = None
    for network in (DeepBind(1, 4, 2, **kinds), DeepBind(1, 4, 2, **kinds, combine="mean"), unbiased, Bent(), Own()):
        wanted = network.eval()(x) * torch.tensor([2.0, 0.5]) + torch.tensor([10.0, -3.0])
        rescale(network, [2.0, 0.5], [10.0, -3.0])
        torch.testing.assert_close(network(x), wanted)
        torch.testing.assert_close(fuse_batchnorm(network)(x), wanted)
        if isinstance(network, DeepBind):
            codes = x.argmax(1)
            torch.testing.assert_close(saturation_mutagenesis(network, codes), mutate_one_by_one(network, codes))


def mutate_one_by_one(network: nn.Module, codes: torch.Tensor) -> torch.Tensor:
    """Return the change by every mutation, computed one sequence at a time."""
    change = torch.zeros(len(codes), 4, codes.shape[1])
    with torch.no_grad():
        for base in range(4):
            for place in range(codes.shape[1]):
                mutant = codes.clone()
                mutant[:, place] = base
                pair = (nn.functional.one_hot(c, 4).float().movedim(1, 2) for c in (mutant, codes))
                change[:, base, place] = torch.subtract(*(network(x)[:, 0] for x in pair))
    return change


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Model, Dataset]:
    """Return the same weights without and with a unit."""
    folder = tmp_path_factory.mktemp("two")
    dataset = stored(sequences(400, outputs=("a", "b"), task="regression"), folder)
    section = choose("models", {"name": "DeepBind", "channels": 4, "kernel_size": 7, "strands": "both"}, "model")
    torch.manual_seed(1)
    network, models = build_model(section, dataset.facts), []
    for unit in ({}, {"target_unit": {"mean": [1000.0, 1e-6], "sd": [100.0, 1e-6]}}):
        save_model(folder / "m.safetensors", network, metadata(section, dataset.facts, **unit))
        models.append(biocnn.load(folder / "m.safetensors", "cpu"))
    return *models, dataset


def test_every_way_of_prediction_gives_the_same_unit(two: tuple[Model, Model, Dataset]) -> None:
    plain, scaled, dataset = two
    sd, mean = np.array([100, 1e-6], np.float32), np.array([1000, 1e-6], np.float32)
    codes = [dataset.x[i][4:-4] for i in range(12)]
    wanted = plain.logits(codes) * sd + mean

    def same(found: np.ndarray, wanted: np.ndarray) -> None:
        assert np.abs((found - wanted) / sd).max() < 1e-4

    same(scaled.logits(codes), wanted)
    same(scaled.predict(np.stack(codes)), wanted)
    same(np.stack(list(scaled.predict_stored(dataset, np.arange(12))))[:, :2], wanted)
    stretch = np.concatenate(codes)
    genome = Genome(stretch, {"chr1": len(stretch)}, {}, "test")
    parts = [np.concatenate([p for _, p in model.scan(genome, "chr1", stride=5)]) for model in (plain, scaled)]
    same(parts[1], parts[0] * sd + mean)
    assert supports(scaled)
    mutants = [Substitutions(m).logits(np.stack(codes), np.arange(12), np.full(12, 2), 9) for m in (plain, scaled)]
    for found, other in zip(mutants[1], mutants[0], strict=True):
        same(found, other * sd + mean)


def test_explanations_are_in_the_unit(two: tuple[Model, Model, Dataset]) -> None:
    plain, scaled, dataset = two
    codes = np.stack([dataset.x[i][4:-4] for i in range(6)])
    x = nn.functional.one_hot(torch.from_numpy(codes).long(), 4).float().movedim(1, 2)
    references = shuffled_references(codes, 3)
    for way in (
        lambda model, output: deep_lift(model.network, x, references, output).contributions,
        lambda model, output: integrated_gradients(model.network, x, output=output),
        lambda model, output: saturation_mutagenesis(model.network, codes, output),
    ):
        for output, sd in ((0, 100), (1, 1e-6)):
            torch.testing.assert_close(way(scaled, output) / sd, way(plain, output), atol=1e-4, rtol=1e-3)


def test_motifs_do_not_depend_on_the_unit(two: tuple[Model, Model, Dataset], tmp_path: Path) -> None:
    """Motifs, their sites and their order are equal; in a small unit every kernel has an effect."""
    plain, scaled, dataset = two
    small, found = deepcopy(plain), []
    rescale(small.network, [1e-7, 1e-7])
    settings = experiment(explain=Explain(examples=4))
    for number, model in enumerate((plain, scaled, small)):
        folder = tmp_path / str(number)
        folder.mkdir()
        list(explain_test_part(Request(model, dataset, [predicted(model, dataset, folder)], settings, folder)))
        found.append(pd.read_csv(folder / "matches.tsv", sep="\t"))
    assert len(found[0]) == 4
    for other in found[1:]:
        pd.testing.assert_frame_equal(other, found[0], rtol=1e-4)
