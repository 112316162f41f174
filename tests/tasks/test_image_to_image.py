"""Images from images: what is learned is the correction of a linear fit, in the intensities of the image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import chosen, pairs, stored, task_of
from torch import nn

from biocnn.augment.sets import resolve_augment
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.measured import fit_pixels
from biocnn.training.batches import make

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(pairs(channels=2), tmp_path_factory.mktemp("pairs"))


def test_the_fit_is_that_of_least_squares_over_known_pixels() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(100, 20, (3, 2, 9, 8))
    y = np.stack([2 * x[:, 0] + 5 + rng.normal(0, 3, x[:, 0].shape), np.full_like(x[:, 0], 4)], axis=1)
    y[0, 0, :4] = np.nan
    fit = fit_pixels(zip(x, y, strict=True))
    known = ~np.isnan(y[:, 0])
    wanted, (error, *_) = np.polyfit(x[:, 0][known], y[:, 0][known], 1, full=True)[:2]
    assert [fit.factor[0], fit.shift[0]] == pytest.approx(list(wanted))
    assert fit.rest[0] == pytest.approx(np.sqrt(error / known.sum()))
    assert (fit.factor[1], fit.shift[1], fit.rest[1]) == (pytest.approx(0), pytest.approx(4), 1)


def test_an_output_of_zero_is_the_linear_fit(dataset: Dataset) -> None:
    """In batches for training, inputs and targets are scaled alike."""
    (x, y), fit = next(make(dataset, dataset.rows("train"), CPU).plain()), dataset.facts.pixel_fit
    silent = nn.Conv2d(2, 2, 1)
    nn.init.zeros_(silent.weight)
    nn.init.zeros_(silent.bias)
    found = dataset.task.complete(silent)(x)[0].detach().numpy()
    row = dataset.rows("train")[0]
    low, high = (limit.reshape(2, 1, 1) for limit in dataset.ranges[row])
    shape = (2, 1, 1)
    wanted = np.reshape(fit.factor, shape) * dataset.x[row] + np.reshape(fit.shift, shape)
    np.testing.assert_allclose(found * (high - low) + low, wanted, rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(y[0].numpy() * (high - low) + low, dataset.y[row], rtol=1e-4)


def test_targets_with_other_channels_are_standardised(tmp_path: Path) -> None:
    raw = pairs()
    raw.facts = raw.facts.model_copy(update={"outputs": ["a", "b"], "out_channels": 2})
    clean, raw.y = raw.y, lambda row: np.concatenate([clean(row), 7 * clean(row)])
    other = stored(raw, tmp_path)
    assert other.task.standardised
    assert other.facts.pixel_fit is None
    network = nn.Conv2d(1, 2, 1)
    assert other.task.complete(network) is network
    assert not network._forward_hooks


def test_a_model_without_the_fit_is_refused() -> None:
    with pytest.raises(InputError, match="pixel_fit is missing"):
        task_of("image_to_image").complete(nn.Conv2d(1, 1, 1))


@pytest.mark.parametrize(("dtype", "wanted"), [("uint8", 255.0), ("uint16", 500.0), ("float32", 500.0)])
def test_the_range_of_intensities_is_that_of_8_bit_or_of_the_training_targets(
    dtype: str, wanted: float, tmp_path: Path
) -> None:
    assert stored(pairs(dtype=dtype), tmp_path).task.data_range == wanted


def test_sets_of_augmentations_change_no_value(dataset: Dataset) -> None:
    for name, wanted in {"default": ["flip", "rotate90"], "upright": ["flip"], "chiral": ["rotate90"]}.items():
        found = resolve_augment(name, dataset.facts, [16, 16], exact=dataset.task.exact)
        assert [section.name for section in found] == wanted


def test_patches_of_pairs_are_cut_and_turned_together(dataset: Dataset) -> None:
    sections = resolve_augment("default", dataset.facts, [8, 8], exact=True)
    batches = make(dataset, dataset.rows("train"), CPU, sections, [8, 8])
    (index,) = batches.plan(1, 0, 32, 1)
    x, y = batches.get(index)
    bright = x > 0.5
    assert 0.05 < bright.float().mean() < 0.95
    assert ((y > 0.25) == bright).float().mean() > 0.98


def test_a_network_without_targets_learns_the_hidden_pixels_of_its_input(tmp_path: Path) -> None:
    blind = stored(pairs(blind=True), tmp_path)
    sections = resolve_augment("default", blind.facts, [16, 16], exact=True)
    batches = make(blind, blind.rows("train"), CPU, sections, [16, 16])
    (index,) = batches.plan(1, 0, 8, 1)
    x, y = batches.get(index)
    hidden = ~y.isnan()
    assert 0.02 < hidden.float().mean() < 0.06
    batches.hidden = None
    whole, _ = batches.get(index)
    assert torch.equal(y[hidden], whole[hidden])
    assert torch.equal(x[~hidden], whole[~hidden])
    batches.plan(1, 1, 8, 1)
    assert not torch.equal(~batches.get(index)[1].isnan(), hidden), "in each epoch others"
    once, again = ([y for _, y in batches.plain()] for _ in range(2))
    assert all(map(torch.equal, map(torch.nan_to_num, once), map(torch.nan_to_num, again))), "in validation the same"


def test_without_targets_nothing_of_the_input_is_added_to_the_output(tmp_path: Path) -> None:
    blind = stored(pairs(blind=True), tmp_path)
    train, fit = blind.rows("train"), blind.facts.pixel_fit
    values = np.concatenate([blind.x[row].ravel() for row in train]).astype(float)
    assert fit.factor == [0]
    assert (fit.shift[0], fit.rest[0]) == (pytest.approx(values.mean()), pytest.approx(values.std()))
    network = blind.task.complete(nn.Conv2d(1, 1, 1, bias=False))
    nn.init.zeros_(network.weight)
    low, high = blind.facts.intensity.low[0], blind.facts.intensity.high[0]
    found = network(torch.rand(1, 1, 4, 4)) * (high - low) + low
    torch.testing.assert_close(found, torch.full_like(found, values.mean()))


def test_without_targets_there_is_a_measure_of_what_was_removed(tmp_path: Path) -> None:
    raw = pairs(blind=True)
    clean, raw.y = raw.y, lambda row: np.full((1, 32, 32), np.nan, np.float32)
    blind = stored(raw, tmp_path)
    assert blind.facts.values is None
    assert blind.task.headline == ("residual_correlation",)
    found = dict(pair[1:] for pair in blind.task.judged(2 * clean(0), blind.y[0], blind.x[0]))
    assert list(found) == ["residual_correlation"]
    assert found["residual_correlation"] < 0.15, "only noise is removed"
    ((_, _, smoothed),) = blind.task.judged(np.full((1, 32, 32), 300.0), blind.y[0], blind.x[0])
    assert smoothed > 0.4, "discs are removed, too"
    checks = (tmp_path / "dataset" / "checks.tsv").read_text()
    assert "the test split has no target to compare restored images with" in checks


@pytest.mark.parametrize("augment", [["flip", "rotate90"], ["flip", {"name": "affine", "elastic": 2}]])
def test_patches_of_finer_targets_are_cut_and_moved_together(augment: list, tmp_path: Path) -> None:
    raw = pairs(size=(64, 64), upscale=2)
    y = raw.y
    raw.x = lambda row: y(row)[:, ::2, ::2].astype(np.uint16)
    raw.y = lambda row: y(row)[:, ::2, ::2].repeat(2, 1).repeat(2, 2)
    batches = make(found := stored(raw, tmp_path), found.rows("train"), CPU, chosen(*augment), [40, 40])
    (index,) = batches.plan(1, 0, 16, 1)
    x, y = batches.get(index)
    assert (x.shape, y.shape) == ((16, 1, 40, 40), (16, 1, 80, 80))
    means = nn.functional.avg_pool2d(y, 2)
    assert (means - x).abs().mean() < 0.02
    assert ((means - x).abs() > 0.3).float().mean() < 0.01


@pytest.mark.parametrize(("size", "channels"), [((32, 32), 1), ((8, 16, 16), 2)])
def test_an_output_of_zero_is_the_interpolated_linear_fit(size: tuple[int, ...], channels: int, tmp_path: Path) -> None:
    finer = stored(pairs(size=size, channels=channels, upscale=2), tmp_path)
    task, fit = finer.task, finer.facts.pixel_fit
    assert task.computed == channels * 2 ** len(size)
    (x, _) = next(make(finer, finer.rows("train"), CPU).plain())
    silent = (nn.Conv2d if len(size) == 2 else nn.Conv3d)(channels, task.computed, 1)
    nn.init.zeros_(silent.weight)
    nn.init.zeros_(silent.bias)
    row, shape = finer.rows("train")[0], (-1, *[1] * len(size))
    low, high = (limit.reshape(shape) for limit in finer.ranges[row])
    found = task.complete(silent)(x)[0].detach().numpy() * (high - low) + low
    wanted = np.reshape(fit.factor, shape) * task.enlarged(finer.x[row]) + np.reshape(fit.shift, shape)
    assert found.shape == (channels, *size)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=0.2)


def test_values_need_known_and_varied_targets() -> None:
    task = task_of("image_to_image", outputs=["a"])
    known, constant = np.arange(12, dtype=np.float32).reshape(1, 3, 4), np.ones((1, 3, 4), np.float32)
    seen = {name: [task.remember(one, one)] for name, one in (("known", known), ("constant", constant))}
    unknown = np.full_like(constant, np.nan)
    seen["unknown"] = [task.remember(unknown, unknown)]
    with pytest.raises(InputError, match=r"the train split has only one value \(1\) of 'a'"):
        list(task.check_split({"train": seen["constant"]}))
    with pytest.raises(InputError, match="the test split has no known value of 'a'"):
        list(task.check_split({"train": seen["known"], "test": seen["unknown"]}))
    assert list(task.check_split({"train": seen["known"], "val": seen["constant"]})) == [
        ("the val split has only one value (1) of an output", "a")
    ]
    with pytest.raises(InputError, match="a target is infinite"):
        task.remember(np.full_like(known, np.inf), np.full_like(known, np.inf))
    measured = task.measure({"train": seen["known"] + seen["unknown"]})["values"]
    assert measured == {"mean": [5.5], "sd": [pytest.approx(np.arange(12).std())], "least": [0.0], "most": [11.0]}


def test_class_weights_are_refused() -> None:
    with pytest.raises(InputError, match="image_to_image has no classes"):
        task_of("image_to_image").make_loss(None, "balanced", CPU)
