"""Mixtures of a network and words: chosen on the validation split, stored in one file, and used by every step."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import experiment, metadata, sequence_facts, sequences, stored
from torch import nn
from trainings import same_weights

from biocnn.apply.variants.scoring import Ensemble
from biocnn.config.schema import choose
from biocnn.config.settings import Settings, Train
from biocnn.data.dataset import Dataset
from biocnn.explain import integrated_gradients, saturation_mutagenesis
from biocnn.explain.contributions import contributions
from biocnn.io.genome import Genome
from biocnn.nn.encode import one_hot
from biocnn.nn.words import WordMixture
from biocnn.prediction.model import Model
from biocnn.prediction.stored_predictions import read_of_network, read_predictions, write_predictions
from biocnn.tasks import Task, make_task
from biocnn.training.checkpoint import build_model, load_model, save_model, with_words
from biocnn.training.metadata import Metadata, Mixed
from biocnn.training.runs import train_run
from biocnn.training.transfer import transfer_weights
from biocnn.training.word_counts import log_counts
from biocnn.training.words import COUNTING, choose_share, words_bytes

OUTPUTS = ("a", "b")
NETWORK = {"name": "DeepBind", "channels": 4, "kernel_size": 9, "strands": "both"}

BINARY, MULTILABEL, MULTICLASS, REGRESSION = (
    make_task(sequence_facts(task=name, outputs=outputs))
    for name, outputs in (
        ("binary", ["a"]), ("multilabel", ["a", "b"]), ("multiclass", ["a", "b"]), ("regression", ["a", "b"]),
    )
)  # fmt: skip


def mixed(share: tuple[float, ...] = (0.3, 0.8), strands: str = "both") -> Mixed:
    numbers = [0.5] * len(share)
    about = {"metric": "val_auprc", "network": numbers, "mixture": numbers, "penalty": numbers, "n": 9}
    return Mixed(strands=strands, share=list(share), **about)


def saved(folder: Path, name: str = "DeepBind", task: str = "multilabel", **more: object) -> Path:
    """Save a mixture with random weights."""
    facts = stored(sequences(30, outputs=OUTPUTS, task=task), folder).facts
    settings = NETWORK if name == "DeepBind" else {"name": name, "channels": 4, "kernel_size": 5}
    section = choose("models", settings, "model")
    meta = metadata(section, facts, words=mixed(), **more)
    torch.manual_seed(1)
    mixture = with_words(build_model(section, facts), meta)
    assert isinstance(mixture, WordMixture)
    mixture.words.weight.normal_(0, 0.2)
    mixture.words.intercept.normal_()
    save_model(folder / "model.safetensors", mixture, meta)
    return folder / "model.safetensors"


def test_memory_for_words_is_estimated(tmp_path: Path) -> None:
    dataset = stored(sequences(300, window=40), tmp_path)
    sizes = []
    for split in ("train", "val"):
        counts = log_counts(dataset.windows(dataset.rows(split)), "both")
        sizes.append(counts.data.nbytes + counts.indices.nbytes)
    estimated = words_bytes(experiment(NETWORK, data="Sequences"), dataset) - COUNTING
    assert estimated == pytest.approx(2 * sizes[0] + sizes[1], rel=0.02)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(saved(tmp_path_factory.mktemp("mixture"), temperature=[2.0, 0.5]), "cpu")


def windows(n: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(5, (n, 24), p=[0.24] * 4 + [0.04]).astype(np.uint8)


def settings(words: str = "auto", **train: object) -> Settings:
    """Return settings with which a network learns too little to be better than words."""
    section = {"epochs": 1, "batch_size": 16, "lr": 1e-4, "threads": 1, "words": words} | train
    return experiment(NETWORK, train=Train(**section))


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(sequences(240), tmp_path_factory.mktemp("bound"))


def test_shares_are_the_best_on_the_validation_split() -> None:
    rng = np.random.default_rng(0)
    y = np.array([[0, 0], [1, 1]] * 200, float)
    good, bad = y + rng.normal(0, 0.7, y.shape), rng.normal(0, 1, y.shape)
    mixed_well = np.stack([good[:, 0], bad[:, 1]], axis=1), np.stack([bad[:, 0], good[:, 1]], axis=1)
    share, before, after = choose_share(*mixed_well, y, MULTILABEL)
    assert share[0] == 1
    assert share[1] < 0.5
    assert after[0] == before[0]
    assert after[1] > before[1] + 0.002


@pytest.mark.parametrize("task", [BINARY, MULTILABEL, MULTICLASS, REGRESSION], ids=lambda task: task.name)
def test_ties_are_won_by_the_network(task: Task) -> None:
    y = np.eye(2)[[0, 1] * 50]
    share, before, after = choose_share(y, y, y, task)
    assert share.tolist() == [1, 1]
    np.testing.assert_array_equal(before, after)


def test_the_loss_decides_where_the_metric_is_perfect() -> None:
    """A network that ranks few examples well by chance, but hardly separates them, gets words that do."""
    rng = np.random.default_rng(0)
    y = np.eye(2)[[0, 1] * 6]
    hardly, well = 0.1 * y, 6 * y - 3 + rng.normal(0, 0.5, y.shape)
    for task in (BINARY, MULTILABEL, MULTICLASS):
        share, before, after = choose_share(hardly, well, y, task)
        assert (share < 1).all()
        assert before.tolist() == after.tolist() == [1, 1]
        assert choose_share(well, hardly, y, task)[0].tolist() == [1, 1]
    unknown = np.where([[0, 1]], np.nan, y)
    assert choose_share(hardly, well, unknown, MULTILABEL)[0][0] < 1


def test_classes_have_one_share() -> None:
    rng = np.random.default_rng(0)
    y = np.eye(3)[rng.integers(0, 3, 300)]
    one, other = (y + rng.normal(0, 1, y.shape) for _ in range(2))
    share, _, after = choose_share(one, other, y, MULTICLASS)
    assert len(set(share)) == len(set(after)) == 1
    assert 0.2 < share[0] < 0.8


def test_unknown_labels_do_not_count() -> None:
    rng = np.random.default_rng(0)
    y = np.array([[0.0], [1.0]] * 100)
    one, other = (y + rng.normal(0, 0.7, y.shape) for _ in range(2))
    more = np.concatenate([y, np.full((9, 1), np.nan)])
    padded = [np.concatenate([z, rng.normal(0, 9, (9, 1))]) for z in (one, other)]
    assert choose_share(one, other, y, BINARY)[0] == choose_share(*padded, more, BINARY)[0]


def test_a_weak_network_is_mixed_and_comes_back_from_its_file(bound: Dataset, tmp_path: Path) -> None:
    files, lines = (tmp_path / "model.safetensors", tmp_path / "history.tsv"), []
    network, _, meta = train_run(settings(), bound, 1, log=lines.append, state=tmp_path / "state", files=files)
    assert isinstance(network, WordMixture)
    assert meta.words.share[0] < 1
    assert meta.words.mixture[0] >= meta.words.network[0] + 0.002
    assert [line for line in lines if line.startswith("words: bound: share")]
    loaded, found = load_model(files[0])
    assert found == meta
    assert same_weights(loaded, network)
    again, _, _ = train_run(settings(), bound, 1, state=tmp_path / "state", files=files)
    assert same_weights(again, network)
    repeated, _, _ = train_run(settings(), bound, 1)
    assert same_weights(repeated, network)


def test_words_can_be_switched_off(bound: Dataset) -> None:
    mixture, _, _ = train_run(settings(), bound, 1)
    network, _, meta = train_run(settings("none"), bound, 1)
    assert not isinstance(network, WordMixture)
    assert "words" not in meta.header()
    assert same_weights(network, mixture.network)


def test_without_a_gain_the_network_alone_is_stored(
    bound: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("biocnn.training.words.LEAST_GAIN", 2.0)
    monkeypatch.setattr("biocnn.training.words._clearly_less", lambda *arguments: False)
    found, lines = {}, []
    for words in ("auto", "none"):
        network, _, meta = train_run(settings(words), bound, 1, log=lines.append)
        save_model(tmp_path / words, network, meta)
        found[words] = meta.header() | {"experiment": ""}, load_file(tmp_path / words)
    assert found["auto"][0] == found["none"][0]
    assert all(torch.equal(one, found["none"][1][key]) for key, one in found["auto"][1].items())
    assert [line for line in lines if "would gain less" in line]


def test_regression_is_mixed_in_the_unit_of_the_network(tmp_path: Path) -> None:
    raw = sequences(240, task="regression")
    raw.y[:] = 1000 * raw.y + 5e4
    dataset = stored(raw, tmp_path)
    network, _, meta = train_run(settings(), dataset, 1)
    assert isinstance(network, WordMixture)
    assert meta.words.share[0] < 1
    save_model(tmp_path / "m.safetensors", network, meta)
    model = Model(tmp_path / "m.safetensors", "cpu")
    p, low, high = np.stack([*model.predict_stored(dataset, dataset.rows("val"))]).T
    y = dataset.y.stacked(dataset.rows("val"))[:, 0]
    assert np.corrcoef(p, y)[0, 1] == pytest.approx(meta.words.mixture[0], abs=1e-4)
    assert ((low <= y) & (y <= high)).mean() >= 0.9, "intervals of the mixture, not of the network alone"
    assert p.mean() == pytest.approx(y.mean(), rel=0.01)


class Own(nn.Module):
    """A user's network."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv1d(in_channels, out_channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).amax(2)


def test_networks_of_users_are_mixed_too(bound: Dataset, tmp_path: Path) -> None:
    own = settings().model_copy(update={"model": choose("models", f"{__name__}:Own", "model")})
    network, _, meta = train_run(own, bound, 1)
    assert isinstance(network, WordMixture)
    save_model(tmp_path / "m.safetensors", network, meta)
    assert same_weights(load_model(tmp_path / "m.safetensors", [__name__])[0], network)


def test_predictions_are_weighted_means_of_logits(model: Model) -> None:
    codes, network = windows(), model.network
    x = one_hot(torch.from_numpy(codes))
    with torch.no_grad():
        alone, words = network.network(x), network.words(x)
    wanted = torch.tensor([0.3, 0.8]) * alone + torch.tensor([0.7, 0.2]) * words
    np.testing.assert_allclose(model.predict(codes), wanted.sigmoid(), rtol=1e-5)
    np.testing.assert_allclose(model.logits(list(codes)), wanted, rtol=1e-4, atol=1e-5)


def test_temperature_and_unit_apply_to_both_parts(tmp_path: Path) -> None:
    path = saved(tmp_path, task="regression", target_unit={"mean": [1.0, 2.0], "sd": [3.0, 4.0]})
    raw, _ = load_model(path)
    codes = windows()
    with torch.no_grad():
        wanted = raw(one_hot(torch.from_numpy(codes))) * torch.tensor([3.0, 4.0]) + torch.tensor([1.0, 2.0])
    np.testing.assert_allclose(Model(path, "cpu").predict(codes), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["DeepBind", "DilatedResNet"])
@pytest.mark.parametrize("stride", [1, 7, 30])
def test_a_scan_equals_separate_windows(tmp_path: Path, name: str, stride: int) -> None:
    model = Model(saved(tmp_path, name), "cpu")
    codes = windows(1, seed=3).repeat(12, axis=1)[0]
    codes[100:160] = 0
    genome = Genome(codes, {"chrI": len(codes)}, {}, "test")
    starts, found = (np.concatenate(each) for each in zip(*model.scan(genome, "chrI", stride=stride), strict=True))
    np.testing.assert_allclose(found, model.predict(np.stack([codes[at : at + 24] for at in starts])), rtol=1e-4)


@pytest.mark.parametrize("name", ["DeepBind", "DilatedResNet"])
def test_variants_equal_both_alleles(tmp_path: Path, name: str) -> None:
    model, reference = Model(saved(tmp_path, name), "cpu"), windows() % 4
    alternative = reference.copy()
    alternative[:, 12] = (reference[:, 12] + 1) % 4
    ensemble = Ensemble([model])
    assert (None in ensemble.followed) == (name != "DeepBind")
    found = ensemble.pairs(reference, alternative, 12)
    for logits, codes in zip(found, (reference, alternative), strict=True):
        np.testing.assert_allclose(logits[0], model.logits(list(codes)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("output", [0, 1])
def test_mutagenesis_equals_every_mutant(model: Model, output: int) -> None:
    codes = windows(2)
    found = saturation_mutagenesis(model.network, codes, output)
    mutants = np.tile(codes[:, None, None], (1, 4, 24, 1))
    for place in range(24):
        mutants[:, :, place, place] = range(4)
    wanted = model.logits(list(mutants.reshape(-1, 24)))[:, output].reshape(2, 4, 24)
    np.testing.assert_allclose(found, wanted - model.logits(list(codes))[:, output, None, None], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["deeplift", "integrated_gradients", "gradient"])
def test_contributions_are_the_weighted_sum_of_both_parts(model: Model, method: str) -> None:
    codes, mixture, output = windows(3, seed=5) % 4, model.network, np.array([1, 1, 1])
    found, delta = contributions(mixture, codes, output, method)
    alone, deviation = contributions(mixture.network, codes, output, method)
    np.testing.assert_allclose(delta, 0.8 * deviation, atol=1e-4)
    x, words = one_hot(torch.from_numpy(codes)), (found - 0.8 * alone) / 0.2
    exact = mixture.words.changes(x, 1) if method == "gradient" else mixture.words.contributions(x, 1)
    # Up to a number for each position, which depends on the method.
    np.testing.assert_allclose(words - words[:, :1], exact - exact[:, :1], rtol=1e-3, atol=1e-3)


def test_integrated_gradients_add_up(model: Model) -> None:
    x = one_hot(torch.from_numpy(windows(3)))
    found = integrated_gradients(model.network, x, steps=200)
    with torch.no_grad():
        wanted = (model.network(x) - model.network(torch.full_like(x, 0.25)))[:, 0]
    torch.testing.assert_close(found.sum((1, 2)), wanted, atol=0.02, rtol=0.02)


def test_training_starts_from_the_network_of_a_mixture(tmp_path: Path) -> None:
    path = saved(tmp_path)
    new = build_model(choose("models", NETWORK, "model"), load_model(path)[1].facts)
    transfer_weights(new, Train(start_from=path), lambda line: None)
    assert same_weights(new, load_model(path)[0].network)


@pytest.mark.parametrize("share", [(0.5,), (0.5, 1.5)])
def test_invalid_shares_are_refused(share: tuple[float, ...], tmp_path: Path) -> None:
    facts = stored(sequences(30, outputs=OUTPUTS, task="multilabel"), tmp_path).facts
    about = mixed().model_dump() | {"share": share}
    with pytest.raises(ValueError, match="share"):
        Metadata(**metadata(choose("models", NETWORK, "model"), facts).plain() | {"words": about})


def test_predictions_of_the_network_alone_are_stored(bound: Dataset, tmp_path: Path) -> None:
    network, _, meta = train_run(settings(), bound, 1)
    save_model(tmp_path / "m.safetensors", network, meta)
    model = Model(tmp_path / "m.safetensors", "cpu")
    write_predictions(tmp_path, model, bound)
    rows = bound.rows("val", "test")
    x = one_hot(torch.from_numpy(np.stack([bound.x[i][4:-4] for i in rows])))
    for read, part in ((read_predictions, model.network), (read_of_network, model.network.network)):
        values, table = read(tmp_path)
        with torch.no_grad():
            wanted = part(x).sigmoid()
        np.testing.assert_allclose(np.stack([values[i] for i in range(len(rows))]), wanted, rtol=1e-4)
        assert table["id"].head(len(rows)).tolist() == bound.examples["id"].iloc[rows].tolist()
