"""The step explain for sequences: names, positions, files, outputs, and the method that a network allows."""

import numpy as np
import pandas as pd
import pytest
import torch
from planted import CONSENSUS, Scan, planted, trained
from torch import nn

from biocnn.core.checks import Checks
from biocnn.explain import explain_sequences, write_sequences
from biocnn.explain.contributions import contributions, decided, explained_output, worth_explaining
from biocnn.explain.deeplift import shuffled_references
from biocnn.explain.matches import COLUMNS as MATCH_COLUMNS
from biocnn.explain.motifs import COLUMNS
from biocnn.io.meme import Motif, read_meme
from biocnn.models import DanQ, DeepBind
from biocnn.nn.encode import one_hot


def test_training_finds_the_planted_motif_and_its_name(tmp_path) -> None:
    model = trained(*planted(2000, 10))
    codes, target = planted(1000, 11)
    with torch.no_grad():
        probability = model(one_hot(torch.from_numpy(codes))).sigmoid().numpy()
    rng = np.random.default_rng(0)
    truth = np.full((len(CONSENSUS), 4), 0.025)
    truth[np.arange(len(CONSENSUS)), ["ACGT".index(base) for base in CONSENSUS]] = 0.925
    database = {f"D{i}": Motif(f"D{i}", f"decoy{i}", rng.dirichlet([0.3] * 4, size=9), 20) for i in range(40)}
    database["REB"] = Motif("REB", "planted", truth, 500)
    checks, ids = Checks(), [f"seq{i}" for i in range(1000)]
    found = explain_sequences(model, codes, target, probability, ids, database, checks, n_examples=5)
    assert found.matches.iloc[0]["target_name"] == "planted"
    assert found.matches.iloc[0]["p_value"] < 1e-6
    assert found.matches["motif"].is_unique
    assert checks.frame().query("reason == 'motifs'")["count"].iloc[0] == len(found.motifs)
    # The kernel may cover part of the motif, or contain it twice; attributions show where it begins and ends.
    assert found.seqlet_matches.iloc[0]["target_name"] == "planted"
    assert len(found.seqlets.motifs[0].pfm) == len(CONSENSUS)
    assert set(found.similar["target_name"]) == {"planted"}

    write_sequences(tmp_path, found)
    assert list(read_meme(tmp_path / "motifs.meme")) == found.matches["motif"].tolist()
    table = pd.read_csv(tmp_path / "matches.tsv", sep="\t")
    assert list(table.columns) == [*COLUMNS, *MATCH_COLUMNS[1:]]
    sites = pd.read_csv(tmp_path / "seqlets.tsv", sep="\t")
    assert (sites["motif"] == "seqlets1").sum() == read_meme(tmp_path / "seqlet_motifs.meme")["seqlets1"].nsites
    with np.load(tmp_path / "seqlet_motifs.npz") as stored:
        assert stored["seqlets1"].shape == found.seqlets.motifs[0].pfm.shape
    with np.load(tmp_path / "attributions.npz") as stored:
        shapes = {"id": (5,), "codes": (5, 60), "attributions": (5, 4, 60), "change": (5, 4, 60), "probability": (5,)}
        shapes |= {"target": (5, 1), "delta": (5,), "output": (5,), "method": ()}
        assert {name: stored[name].shape for name in stored.files} == shapes
        assert (stored["target"] == 1).all()
        assert (np.diff(stored["probability"]) <= 0).all()
        # The most confident predictions are due to the site: attributions peak in it.
        present = np.take_along_axis(stored["attributions"], stored["codes"][:, None].astype(int), axis=1)[:, 0]
        best = np.array([np.convolve(np.abs(row), np.ones(8), "valid").max() for row in present])
        assert (best / np.abs(present).sum(axis=1) > 0.5).all()


def test_without_a_database_motifs_have_no_name(tmp_path) -> None:
    codes, target = planted(100, 12)
    found = explain_sequences(
        Scan(2, 8), codes, target, target, [*map(str, range(100))], None, Checks(), n_examples=0, alphabet="ACGU"
    )
    write_sequences(tmp_path, found)
    table = pd.read_csv(tmp_path / "matches.tsv", sep="\t")
    assert len(table) == 2
    assert table["target_id"].isna().all()
    assert "ACGU" in (tmp_path / "motifs.meme").read_text()


@pytest.mark.parametrize("outputs", [["bound"], ["bound", "free"]])
@pytest.mark.parametrize("number", [1, 5, 18])
@pytest.mark.parametrize("names", [None, ["7", "NA"]])
def test_without_a_motif_there_are_empty_tables_and_counts(
    tmp_path, number: int, outputs: list[str], names: list[str] | None
) -> None:
    codes, target = planted(number, 1)
    torch.manual_seed(0)
    model, checks = Scan(3, 10, outputs=len(outputs)), Checks()
    rng = np.random.default_rng(0)
    database = names and {name: Motif(name, name, rng.dirichlet([0.3] * 4, size=9), 20) for name in names}
    y, ids = np.stack([target] * len(outputs), axis=1), [*map(str, range(number))]
    found = explain_sequences(model, codes, y, 0.8 * y, ids, database, checks, outputs=outputs)
    assert not len(found.matches)
    write_sequences(tmp_path, found)
    assert list(pd.read_csv(tmp_path / "matches.tsv", sep="\t"))[:2] == ["motif", "rank"]
    left = checks.frame().query("outcome == 'dropped'")
    assert left[left["reason"].str.startswith("kernels")]["count"].sum() == 3


def test_each_example_is_explained_for_its_own_output(tmp_path) -> None:
    codes, first = planted(400, 2)
    target = np.stack([first, 1 - first], axis=1)
    torch.manual_seed(0)
    model = DeepBind(1, 4, 2, channels=4, kernel_size=10, strands="both").eval()
    ids, names = [*map(str, range(400))], ["bound", "free"]
    found = explain_sequences(model, codes, target, 0.1 + 0.8 * target, ids, None, Checks(), outputs=names)
    assert set(found.matches["output"]) <= set(names)
    np.testing.assert_allclose(found.matches["effect:bound"], -found.matches["effect:free"], atol=1e-6)
    shown = found.attributions
    assert (shown["target"][np.arange(8), shown["output"]] == 1).all()
    x = one_hot(torch.from_numpy(shown["codes"]))
    mutant = shown["codes"].copy()
    mutant[:, 30] = (mutant[:, 30] + 1) % 4
    with torch.no_grad():
        change = (model(one_hot(torch.from_numpy(mutant))) - model(x)).numpy()
    rows = np.arange(8)
    expected = change[rows, shown["output"]]
    np.testing.assert_allclose(shown["change"][rows, mutant[:, 30], 30], expected, atol=1e-5)
    write_sequences(tmp_path, found)
    assert "output" in pd.read_csv(tmp_path / "matches.tsv", sep="\t")


def test_the_method_is_complete_for_the_network() -> None:
    codes, _ = planted(20, 1)
    deepbind, danq = DeepBind(1, 4, 1, channels=4), DanQ(1, 4, 1, channels=4, recurrent=3)
    assert decided(deepbind, codes, None) == "deeplift"
    assert decided(danq, codes, None) == "mutagenesis"
    long = np.concatenate([codes] * 5, axis=1)
    assert decided(danq, long, None) == "integrated_gradients"  # too many mutants
    torch.manual_seed(0)
    assert decided(Scan(4, 8), codes, None) == "mutagenesis"  # it applies ReLU in forward, without a layer
    assert decided(deepbind, codes, "gradient") == "gradient"


@pytest.mark.parametrize("method", ["deeplift", "mutagenesis", "integrated_gradients", "gradient"])
def test_contributions_are_computed_for_the_output_of_each_example(method: str) -> None:
    codes, _ = planted(12, 1)
    torch.manual_seed(0)
    model = DeepBind(1, 4, 2, channels=6, kernel_size=8, strands="both").eval()
    outputs = np.arange(12) % 2
    values, delta = contributions(model, codes, outputs, method, references=3)
    zeros, _ = contributions(model, codes, 0 * outputs, method, references=3)
    np.testing.assert_allclose(values[0], zeros[0], atol=1e-6)
    assert np.abs(values[1] - zeros[1]).max() > 1e-3
    assert np.isnan(delta).all() if method in ("mutagenesis", "gradient") else np.isfinite(delta).all()


@pytest.mark.parametrize("combine", ["max", "mean"])
@pytest.mark.parametrize("strands", ["single", "both"])
def test_the_delta_is_the_error_of_the_sums(strands: str, combine: str) -> None:
    codes, _ = planted(40, 1)
    torch.manual_seed(0)
    model = DeepBind(1, 4, 1, channels=6, kernel_size=8, strands=strands, combine=combine).eval()
    values, delta = contributions(model, codes, np.zeros(40, int), "deeplift", references=5, seed=3)
    x, shuffles = one_hot(torch.from_numpy(codes)), shuffled_references(codes, 5, 3)
    with torch.no_grad():
        mean = model(shuffles.flatten(0, 1)).view(40, 5).mean(dim=1)
        difference = (model(x)[:, 0] - mean).numpy()
    sums = (values * x.numpy()).sum(axis=(1, 2))
    np.testing.assert_allclose(delta, sums - difference, atol=1e-6)
    # A shuffle may have the larger logit on the strand that is not explained.
    assert (np.abs(delta).max() > 1e-3) == (strands == "both" and combine == "max")


def test_each_output_has_its_own_motifs_on_the_strand_that_is_read() -> None:
    """The second output is due to the reverse complement of the motif of the first."""
    sites, rng = {"first": "TTACCCGGAC", "second": "GTCCGGGTAA"}, np.random.default_rng(0)
    kernels = {name: ["ACGT".index(base) for base in site] for name, site in sites.items()}
    codes, target = rng.integers(0, 4, (240, 60)).astype(np.uint8), rng.random((240, 2)) < 0.5
    model = Scan(2, 10, strands="single", outputs=2)
    with torch.no_grad():
        for output, kernel in enumerate(kernels.values()):
            starts = 25 * output + rng.integers(0, 15, 240)
            for row in np.flatnonzero(target[:, output]):
                codes[row, starts[row] : starts[row] + 10] = kernel
            model.conv.weight[output] = torch.eye(4)[:, kernel]
        model.conv.bias.fill_(-7.5)
        model.head.weight.copy_(torch.eye(2))
        probability = model(one_hot(torch.from_numpy(codes))).sigmoid().numpy()
    database = {f"D{i}": Motif(f"D{i}", f"decoy{i}", rng.dirichlet([0.3] * 4, size=9), 20) for i in range(40)}
    database |= {name: Motif(name, name, 0.01 + 0.96 * np.eye(4)[kernel], 20) for name, kernel in kernels.items()}
    ids = np.arange(240).astype(str)
    settings = {"n_examples": 0, "method": "gradient", "outputs": [*sites], "both_strands": False}
    found = explain_sequences(model, codes, target, probability, ids, database, Checks(), **settings)
    best, seqlets = found.seqlet_matches, found.seqlets
    columns = ["motif", "rank", "output", "target_name", "strand"]
    assert best[columns].to_numpy().tolist() == [
        ["seqlets1", 1, "first", "first", "+"],
        ["seqlets2", 1, "second", "second", "+"],
    ]
    assert [motif.id for motif in seqlets.motifs] == list(seqlets.contributions) == best["motif"].tolist()
    for output, name in enumerate(sites):
        of_output = seqlets.sites[seqlets.sites["output"] == name]
        assert set(of_output["motif"]) <= {f"seqlets{output + 1}", ""}
        assert set(of_output["id"]) == set(ids[target[:, output]])


class Tempered(DeepBind):
    """A network whose own ``forward`` adds a term after its parts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * super().forward(x)


def test_a_customised_forward_is_explained() -> None:
    codes, _ = planted(10, 1)
    torch.manual_seed(0)
    model = Tempered(1, 4, 1, channels=6, kernel_size=8).eval()
    assert decided(model, codes, None) == "mutagenesis"
    _, delta = contributions(model, codes, np.zeros(10, int), "integrated_gradients")
    assert np.abs(delta).max() < 0.1


def test_integrated_contributions_are_integrated_gradients() -> None:
    from biocnn.explain import integrated_gradients

    codes, _ = planted(6, 1)
    model = nn.Sequential(nn.Conv1d(4, 5, 7), nn.Softplus(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(5, 1))
    x = one_hot(torch.from_numpy(codes))
    values, delta = contributions(model, codes, np.zeros(6, int), "integrated_gradients")
    theirs = integrated_gradients(model, x, steps=16).sum(dim=1)
    np.testing.assert_allclose((values * x.numpy()).sum(axis=1), theirs, atol=1e-5)
    assert np.abs(delta).max() < 1e-4


def test_the_choice_of_outputs_and_examples() -> None:
    target = np.array([[1, 1], [0, 1], [0, 0], [1, 0]])
    predicted = np.array([[0.2, 0.8], [0.9, 0.1], [0.6, 0.4], [0.3, 0.9]])
    np.testing.assert_array_equal(explained_output(target, predicted), [1, 1, 0, 0])
    np.testing.assert_array_equal(worth_explaining(target), [0, 1, 3])
    amounts = np.stack([np.arange(8.0), -np.arange(8.0)], axis=1)
    np.testing.assert_array_equal(worth_explaining(amounts), [0, 1, 6, 7])
    np.testing.assert_array_equal(explained_output(amounts, amounts), [1] * 4 + [0] * 4)
