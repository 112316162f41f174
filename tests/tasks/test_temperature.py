"""Temperature: the one that maximises the likelihood of targets, applied everywhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit
from tiny import annotated, experiment, images, metadata, sequences, stored
from torch import nn
from trainings import SETTINGS

import biocnn
from biocnn.config.schema import choose
from biocnn.config.settings import Train
from biocnn.data.dataset import Dataset
from biocnn.metrics import auroc, ece
from biocnn.models import DeepBind, UNet
from biocnn.nn.fuse_batchnorm import fuse_batchnorm
from biocnn.tasks.temperature import (
    FLATTEST,
    PRIOR,
    SHARPEST,
    fit_classes,
    fit_shifted,
    fit_temperature,
    remarks,
    some_pixels,
    without_temperature,
)
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.runs import train_run
from biocnn.training.target_unit import set_temperature


def overconfident(factor: float, n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits ``factor`` times those from which targets are drawn."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (n, 1))
    return factor * honest, (rng.random((n, 1)) < expit(honest)).astype(np.float32)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0, 8.0])
def test_the_factor_is_found(factor: float) -> None:
    assert fit_temperature(*overconfident(factor))[0] == pytest.approx(factor, rel=0.06)


def mean_nll(z: np.ndarray, y: np.ndarray) -> float:
    """Return the mean negative log-likelihood."""
    return float(np.mean(np.logaddexp(0, z) - y * z))


@pytest.mark.parametrize("n", [30, 3000])
def test_it_minimises_the_objective(n: int) -> None:
    """The minimum of negative log-likelihood and prior is found by another method."""
    z, y = overconfident(3.0, n)

    def cost(log: float) -> float:
        return n * mean_nll(z * np.exp(-log), y) + PRIOR * (np.exp(-log) - 1 + log)

    wanted = np.exp(minimize_scalar(cost, bounds=(-2, 2), method="bounded", options={"xatol": 1e-9}).x)
    assert fit_temperature(z, y) == [pytest.approx(wanted, rel=1e-4)]


@pytest.mark.parametrize("n", [20, 40, 100])
@pytest.mark.parametrize("sd", [2, 8, 30])
def test_few_separated_examples_do_not_make_a_network_confident(n: int, sd: int) -> None:
    """Most calibrated logits are far from 0, so draws that look perfect are frequent."""
    rng = np.random.default_rng(1)
    judged, found, lost = rng.normal(0, sd, 20_000), [], []
    truth = rng.random(len(judged)) < expit(judged)
    for _ in range(100):
        z = rng.normal(0, sd, (n, 1))
        (value,) = fit_temperature(z, rng.random((n, 1)) < expit(z))
        found.append(value)
        lost.append(mean_nll(judged / value, truth) - mean_nll(judged, truth))
    assert min(found) > 0.4
    assert max(found) < 2.5
    assert np.mean(lost) < 0.01
    assert max(lost) < 0.06


def test_many_examples_outweigh_the_prior() -> None:
    """With three times overconfident logits, the temperature approaches 3 with more examples."""
    found = [fit_temperature(*overconfident(3.0, n))[0] for n in (10, 100, 10_000)]
    assert found == sorted(found)
    assert found[0] < 2.2
    assert found[-1] == pytest.approx(3, rel=0.05)
    z, y = overconfident(3.0)
    assert fit_temperature(z, y, worth=10)[0] < 2.2, "pixels of few images count as few examples"


def test_each_output_has_its_own_bounded_temperature() -> None:
    (z, y), (w, v) = overconfident(2.0), overconfident(0.5, seed=1)
    assert fit_temperature(np.hstack([z, w]), np.hstack([y, v])) == [*fit_temperature(z, y), *fit_temperature(w, v)]
    perfect = np.array([[-0.1], [0.1]] * 9999)
    ends = [*fit_temperature(perfect, perfect > 0), *fit_temperature(perfect, perfect < 0)]
    assert ends == [SHARPEST, FLATTEST], "misleading logits are made small"
    only = fit_temperature(perfect, np.ones_like(perfect))
    assert only == [1]
    said = remarks([*ends, *only, 1.7])
    assert said == ["the lower bound of the search (0.1)", "the upper bound of the search (10)", said[2], ""]
    assert said[2].startswith("not fitted")


def test_calibration_improves_and_ranks_do_not_change() -> None:
    z, y = overconfident(4.0)
    (temperature,) = fit_temperature(z, y)
    before, after = expit(z[:, 0]), expit(z[:, 0] / temperature)
    assert ece(after, y[:, 0]) < 0.3 * ece(before, y[:, 0])
    assert auroc(after, y[:, 0]) == pytest.approx(auroc(before, y[:, 0]), abs=1e-12)
    np.testing.assert_allclose(without_temperature(after[:, None], [temperature])[:, 0], before, atol=1e-6)


class Own(nn.Module):
    """A user's own network."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(2)[:, :2]


@pytest.mark.parametrize("combine", ["max", "mean"])
def test_a_network_divides_its_logits_itself(combine: str) -> None:
    torch.manual_seed(1)
    x = torch.nn.functional.one_hot(torch.randint(4, (5, 30)), 4).float().movedim(1, 2)
    for network in (DeepBind(1, 4, 2, channels=4, kernel_size=7, strands="both", combine=combine).eval(), Own()):
        wanted = network(x) / torch.tensor([2.0, 0.5])
        set_temperature(network, [2.0, 0.5])
        torch.testing.assert_close(network(x), wanted)
        torch.testing.assert_close(fuse_batchnorm(network)(x), wanted)


def test_all_predictions_of_a_model_are_calibrated(tmp_path: Path) -> None:
    dataset = stored(sequences(60, outputs=("a", "b"), task="multilabel"), tmp_path)
    section = choose("models", {"name": "DeepBind", "channels": 4, "kernel_size": 7, "strands": "both"}, "model")
    network, models = build_model(section, dataset.facts), []
    for meta in ({}, {"temperature": [4.0, 0.5]}):
        save_model(tmp_path / "model.safetensors", network, metadata(section, dataset.facts, **meta))
        models.append(biocnn.load(tmp_path / "model.safetensors", "cpu"))
    plain, calibrated = models
    codes = [dataset.x[i][4:-4] for i in range(10)]
    np.testing.assert_allclose(calibrated.logits(codes), plain.logits(codes) / [4, 0.5], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(calibrated.predict(np.stack(codes)), expit(calibrated.logits(codes)), rtol=1e-5)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in plain.network.state_dict().items()), (
        "the file must have the trained weights"
    )


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(sequences(400, window=40), tmp_path_factory.mktemp("bound"))


def test_training_fits_it_on_the_validation_split(bound: Dataset) -> None:
    settings = experiment(SETTINGS["sequences"]["model"], train=Train(epochs=2, threads=1))
    network, _, meta = train_run(settings, bound, 1)
    rows = bound.rows("val")
    with torch.no_grad():
        x = torch.nn.functional.one_hot(torch.tensor(bound.x.stacked(rows)[:, 4:-4].astype(np.int64)), 4)
        logits = network(x.float().movedim(1, 2)).numpy()
    assert meta.temperature == pytest.approx(fit_temperature(logits, bound.y.stacked(rows)), rel=1e-4)
    again = train_run(settings, bound, 1)[2]
    assert again.temperature == meta.temperature


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_classes_have_one_factor(factor: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (20000, 4))
    y = (honest + rng.gumbel(size=honest.shape)).argmax(axis=1)  # draws from the softmax
    assert fit_classes(factor * honest, y) == [pytest.approx(factor, rel=0.03)]
    two = honest[:, :2]
    y = (two + rng.gumbel(size=two.shape)).argmax(axis=1)
    yes_or_no = fit_temperature(factor * (two[:, 1:] - two[:, :1]), y[:, None])
    assert fit_classes(factor * two, y) == pytest.approx(yes_or_no, rel=1e-6), "two classes equal a binary output"
    assert fit_classes(two, np.zeros(len(two))) == [1]


def test_ignored_pixels_are_not_drawn_and_others_at_most_once() -> None:
    y = torch.arange(60, dtype=torch.uint8).view(1, 6, 10).clone()
    y[0, 2:] = 255
    z, target = some_pixels(torch.cat([y, 2 * y]).float(), y, 15, 0)
    assert len(set(target)) == len(target) == 15
    assert target.max() < 20
    np.testing.assert_array_equal(z, np.stack([target, 2.0 * target], axis=1))
    assert len(some_pixels(y.float(), y, 100, 0)[1]) == 20


@pytest.mark.parametrize(("spatial_dims", "channels", "factor"), [(2, 1, [2.0]), (2, 3, [2.0]), (3, 2, [2.0, 4.0])])
def test_maps_are_divided_by_one_number_or_one_per_class(spatial_dims: int, channels: int, factor: list) -> None:
    network = UNet(spatial_dims, 1, channels, channels=[4, 4]).eval()
    x = torch.rand(2, 1, *[8] * spatial_dims)
    wanted = network(x) / torch.tensor(factor).view(-1, *[1] * spatial_dims)
    set_temperature(network, factor)
    torch.testing.assert_close(network(x), wanted)
    torch.testing.assert_close(fuse_batchnorm(network)(x), wanted)


@pytest.mark.parametrize("task", ["mask", "classes"])
def test_training_on_images_fits_it_and_masks_do_not_change(task: str, tmp_path: Path) -> None:
    dataset = stored(images(task=task), tmp_path)
    train = Train(epochs=3, steps_per_epoch=12, batch_size=4, lr=1e-2, threads=1)
    settings = experiment(SETTINGS["images"]["model"], data="Images", train=train)
    network, _, meta = train_run(settings, dataset, 1)
    (value,) = meta.temperature
    assert SHARPEST < value < FLATTEST
    assert value != 1
    found = []
    for which in ([], meta.temperature):
        save_model(tmp_path / "model.safetensors", network, meta.model_copy(update={"temperature": which}))
        model = biocnn.load(tmp_path / "model.safetensors", "cpu")
        found.append((model.predict(dataset.x[0]), model.segment(dataset.x[0])))
    (plain, mask), (calibrated, same) = found
    np.testing.assert_array_equal(mask, same)
    assert np.abs(plain - calibrated).max() > 1e-3


@pytest.mark.parametrize("classes", [2, 3])
def test_temperature_and_shifts_of_rare_classes_are_found(classes: int) -> None:
    rng = np.random.default_rng(0)
    honest = np.pad(rng.normal(-3, 2, (40000, classes - 1)), ((0, 0), (1, 0)))
    y = (honest + rng.gumbel(size=honest.shape)).argmax(axis=1)
    shift = [0.0, -3.0, 1.0][:classes]
    temperature, found = fit_shifted(2 * (honest - shift), y, len(y))
    assert temperature == pytest.approx(2, rel=0.05)
    assert found == pytest.approx(shift, abs=0.1)
    assert fit_shifted(honest, np.zeros(len(y)), len(y)) == (1, [0] * classes)


@pytest.mark.parametrize("classes", [1, 2])
def test_probabilities_of_bases_sum_to_their_number_in_validation(classes: int, tmp_path: Path) -> None:
    dataset = stored(annotated(120, classes=classes), tmp_path)
    section = choose("models", {"name": "UNet", "channels": [8], "kernel_size": 7}, "model")
    network, _, meta = train_run(experiment(section, train=Train(epochs=2, threads=1)), dataset, 1)
    save_model(tmp_path / "model.safetensors", network, meta)
    rows, task = dataset.rows("val"), dataset.task
    model = biocnn.load(tmp_path / "model.safetensors", "cpu")
    y = dataset.y.stacked(rows)[:, 0]
    p = np.stack([task.distribution(one) for one in model.predict(dataset.x.stacked(rows))])
    assert len(meta.shift) == dataset.facts.out_channels
    for k, shift in zip(task.classes().values(), meta.shift[-classes:], strict=True):
        excess = p[:, k][y != 255].sum() - (y == k).sum()
        assert excess == pytest.approx(-shift, abs=0.5), "only the prior keeps it from 0"
