"""Values of bases: scales, strands, losses of counts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from tiny import experiment, profiled, stored, task_of

from biocnn.augment.move import Moves, Shift, Turn
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.models import FCN, BPNet, UNet
from biocnn.nn.encode import one_hot
from biocnn.prediction.model import Model
from biocnn.tasks import make_task
from biocnn.tasks.target import Tracks
from biocnn.training.checkpoint import save_model
from biocnn.training.runs import train_run

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(profiled(150), tmp_path_factory.mktemp("profiled"))


def test_facts_are_of_the_training_split_on_the_scale_of_the_data(dataset: Dataset) -> None:
    y = np.stack([dataset.y[row] for row in dataset.rows("train")])
    np.testing.assert_allclose(dataset.facts.rates, np.nanmean(y, axis=(0, 2)), rtol=1e-6)
    np.testing.assert_allclose(dataset.facts.values.mean, np.nanmean(np.log1p(y), axis=(0, 2)), rtol=1e-6)
    np.testing.assert_allclose(dataset.facts.values.sd, np.nanstd(np.log1p(y), axis=(0, 2)), rtol=1e-6)


@pytest.mark.parametrize("loss", ["mse", "poisson", "multinomial"])
def test_a_network_that_computes_the_truth_predicts_it_without_loss(dataset: Dataset, loss: str) -> None:
    section = choose("losses", loss, "loss")
    task = make_task(dataset.task.facts_with(section))
    y = torch.from_numpy(np.stack([dataset.y[row] for row in dataset.rows("train")])) + 0.5
    logits = (y / y.new_tensor(task.facts.rates)[:, None]).log() if loss != "mse" else task._learned(y)
    known = ~y.isnan()
    torch.testing.assert_close(task.probability(logits)[known], y[known], rtol=1e-4, atol=1e-4)
    value = task.make_loss(section, "none", CPU)
    assert value(logits.nan_to_num(), y) == pytest.approx(0, abs=1e-5)
    assert value(torch.zeros_like(y), y) > 0.01


def test_the_score_is_the_correlation_of_all_bases(dataset: Dataset) -> None:
    y = np.stack([dataset.y[row] for row in dataset.rows("val")])
    p = np.random.default_rng(1).gamma(2, size=y.shape).astype(np.float32) + np.nan_to_num(y)
    score = dataset.task.score()
    for one, true in zip(p, y, strict=True):
        score.add(torch.from_numpy(one)[None], torch.from_numpy(true)[None])
    known = ~np.isnan(y)
    each = [pearsonr(np.log1p(p[:, k][known[:, k]]), np.log1p(y[:, k][known[:, k]]))[0] for k in range(2)]
    assert score.value()["pearson"] == pytest.approx(np.mean(each))


def test_augmented_windows_swap_strands_exactly_where_they_are_turned() -> None:
    y = torch.arange(24.0).view(2, 2, 6)
    turn = Turn(torch.tensor([True, False]), [6], [-1])
    moved = Tracks([1, 0]).warp(y, turn, [6])
    torch.testing.assert_close(moved[0], y[0].flip(0, 1))
    torch.testing.assert_close(moved[1], y[1])
    twice = Moves([turn, Shift(torch.tensor([[0], [1]]), 6), turn])
    moved = Tracks([1, 0]).warp(y, twice, [6])
    torch.testing.assert_close(moved[0], y[0])
    torch.testing.assert_close(moved[1, :, :5], y[1, :, 1:])
    assert moved[1, :, 5].isnan().all()
    torch.testing.assert_close(Tracks().warp(y, turn, [6])[0], y[0].flip(1))


@pytest.mark.parametrize("kind", [UNet, FCN, BPNet])
def test_both_strands_of_a_sequence_have_swapped_maps(dataset: Dataset, kind: type) -> None:
    torch.manual_seed(1)
    network = dataset.task.complete(kind(1, 4, 2, strands="both")).eval()
    x = one_hot(torch.randint(0, 4, (2, 64), dtype=torch.uint8))
    torch.testing.assert_close(network(x.flip(1, 2)), network(x)[:, [1, 0]].flip(2))


@pytest.mark.parametrize("name", ["profile", "regression"])
def test_the_caption_of_the_loss_states_its_unit(name: str) -> None:
    assert "standard deviation" in task_of(name, outputs=["reads"]).about_loss
    assert "counts are divided by their mean" in task_of(name, outputs=["reads"], form="rate").about_loss


@pytest.mark.parametrize("setting", [{"kernel_size": 4}, {"last_kernel": 0}])
def test_impossible_settings_of_bpnet_are_refused(setting: dict[str, int]) -> None:
    with pytest.raises(InputError, match=rf"model\.{next(iter(setting))} is "):
        BPNet(1, 4, 2, **setting)  # type: ignore[arg-type]


def test_losses_of_counts_are_refused_for_other_values() -> None:
    task = task_of("profile", outputs=["phylop"])
    with pytest.raises(InputError, match="loss: poisson is for counts"):
        task.make_loss(choose("losses", "poisson", "loss"), "none", CPU)


def test_strands_must_be_outputs() -> None:
    faults = [*task_of("profile", outputs=["a", "b"], opposite=[1, 2]).facts.faults()]
    assert faults == ["opposite is [1, 2], but must name each of 2 outputs once"]


@pytest.mark.parametrize("loss", ["mse", "multinomial"])
def test_a_model_file_predicts_in_the_unit_of_the_tracks(dataset: Dataset, loss: str, tmp_path: Path) -> None:
    train = {"epochs": 8, "batch_size": 8, "lr": 2e-2, "threads": 1}
    model = {"name": "UNet", "channels": [8, 8], "kernel_size": [9, 3], "strands": "both"}
    settings = experiment(model, data="GenomeTracks", loss=loss, train=train)
    network, _, meta = train_run(settings, dataset, 1)
    save_model(tmp_path / "model.safetensors", network, meta)
    loaded = Model(tmp_path / "model.safetensors")
    rows = dataset.rows("test")
    p, y = np.stack([*loaded.predict_stored(dataset, rows)]), np.stack([dataset.y[row] for row in rows])
    known = ~np.isnan(y)
    assert pearsonr(np.log1p(p[known]), np.log1p(y[known]))[0] > 0.6
    assert 0.4 < p[known].mean() / y[known].mean() < 2.5
    assert (p >= 0).all()
    codes = dataset.x[rows[0]]
    assert loaded.predict(np.tile(codes, 3)).shape == (2, 3 * len(codes))
    with pytest.raises(InputError, match="sequence 2 is empty"):
        loaded.predict(["ACGT", ""])
    forward, backward = loaded.logits([codes, 3 - codes[::-1]])
    np.testing.assert_allclose(backward, forward[::-1, ::-1], atol=1e-4)
