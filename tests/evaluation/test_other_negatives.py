"""Networks tested on other negatives: one that computes the GC content fails where that of negatives is the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import roc_auc_score
from tiny import metadata, sequences

from biocnn.config.experiment import load
from biocnn.config.schema import choose
from biocnn.core.checks import Checks
from biocnn.data.dataset import Dataset
from biocnn.data.sampling import overlaps
from biocnn.evaluation import negatives
from biocnn.evaluation.negatives import COLUMNS
from biocnn.io.fasta import decode
from biocnn.prediction.stored_predictions import read_predictions
from biocnn.training.checkpoint import build_model, save_model
from biocnn.workflow import steps

CONTIGS, POOR, RICH, WINDOW = 6, 24_000, 8000, 40
SPLIT = {"val": ["chr4"], "test": ["chr5"]}
OTHERS = ["gc_matched", "flanking", "dinucleotide_shuffled"]


def of_genome(folder: Path, sets: int = 1, **more: Any) -> dict[str, Any]:
    """Write contigs that begin poor and end rich in GC, with peaks in the rich part; return the section data."""
    rng, lines = np.random.default_rng(0), []
    for i in range(CONTIGS):
        poor = rng.choice(4, POOR, p=(0.35, 0.15, 0.15, 0.35)).astype(np.uint8)
        rich = rng.choice(4, RICH, p=(0.15, 0.35, 0.35, 0.15)).astype(np.uint8)
        lines.append(f">chr{i}\n{decode(np.concatenate([poor, rich]))}\n")
    (folder / "genome.fa").write_text("".join(lines))
    for number in range(sets):
        starts = rng.integers(0, 200, (CONTIGS, 10)) + POOR + 300 + 700 * np.arange(10)
        peaks = [f"chr{i}\t{start}\t{start + 60}\n" for i, row in enumerate(starts) for start in row]
        (folder / f"peaks{number}.bed").write_text("".join(peaks))
    files = {f"p{number}": str(folder / f"peaks{number}.bed") for number in range(sets)}
    made = {"name": "random", "ratio": 2, "distance": 30}
    place = {"genome": str(folder / "genome.fa"), "positives": files, "window": WINDOW, "flank": 5}
    return {"name": "Intervals", "negatives": made, **place, **more}


def of_table(folder: Path, **told: Any) -> dict[str, Any]:
    """Write a table of sequences; return the section data."""
    raw = sequences(80, flank=0, **told)
    table = pd.DataFrame({"id": raw.examples["id"], "sequence": [decode(raw.x(i)) for i in range(80)]})
    table.assign(label=raw.y[:, 0]).to_csv(folder / "table.tsv", sep="\t", index=False)
    return {"name": "Sequences", "table": str(folder / "table.tsv")}


def prepared(folder: Path, data: dict[str, Any], split: dict[str, Any]) -> tuple[Dataset, list[Path]]:
    """Run the steps up to the predictions, by a network that computes the GC content; one run per fold."""
    model = {"name": "DeepBind", "channels": 1, "kernel_size": 1, "pool": "both", "hidden": 0, "strands": "single"}
    settings = {"data": data, "split": split, "model": model, "train": {"threads": 1}, "metrics": {"resamples": 40}}
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    steps.check(config, folder / "raw", folder / "checks.tsv")
    steps.dataset(config, folder / "raw", folder / "dataset")
    steps.baselines(config, folder / "dataset", folder / "baselines")
    runs = [folder / f"fold{fold}-seed1" for fold in range(Dataset(folder / "dataset").folds)]
    for fold, run in enumerate(runs):
        section, facts = choose("models", model, "model"), Dataset(folder / "dataset", fold).facts
        network = build_model(section, facts)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
            network.features[0].conv.conv.weight[0, 1:3] = 1
            network.head[-1].weight[:, 1] = 1 + fold  # of the mean over positions
        save_model(run / "model.safetensors", network, metadata(section, facts, fold=fold))
        steps.predict([run / "model.safetensors"], folder / "dataset", run / "predictions")
    return Dataset(folder / "dataset"), runs


def compared(folder: Path, runs: list[Path]) -> pd.DataFrame:
    steps.negatives(folder / "config.yaml", folder / "dataset", folder / "baselines", folder / "n.tsv", *runs)
    table = pd.read_csv(folder / "n.tsv", sep="\t")
    assert tuple(table.columns) == COLUMNS
    return table


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset, list[Path]]:
    folder = tmp_path_factory.mktemp("bound")
    return folder, *prepared(folder, of_genome(folder), SPLIT)


@pytest.fixture(scope="module")
def table(bound: tuple[Path, Dataset, list[Path]]) -> pd.DataFrame:
    return compared(bound[0], bound[2])


def test_a_network_of_gc_content_is_exposed(bound: tuple[Path, Dataset, list[Path]], table: pd.DataFrame) -> None:
    _, dataset, runs = bound
    assert table["negatives"].unique().tolist() == ["random", *OTHERS]
    assert table["own"].tolist() == [True] * 4 + [False] * 12
    assert (table.loc[~table["own"], ["positives", "n"]] == [10, 20]).all(axis=None)
    network = table[table["model"] == "network"].set_index("negatives")
    p, rows = read_predictions(runs[0] / "predictions")
    test = (rows["split"] == "test").to_numpy()
    wanted = roc_auc_score(dataset.y.stacked(dataset.rows("test"))[:, 0], p.values[test])
    assert network["value"]["random"] == pytest.approx(wanted, rel=1e-5)
    assert network["value"]["random"] > 0.7
    assert network["low"]["gc_matched"] < 0.5 < network["high"]["gc_matched"]
    same = ["value", "low", "high"]
    assert (network.loc["dinucleotide_shuffled", same] == 0.5).all(), "composition is the same"
    shuffled = table[(table["negatives"] == "dinucleotide_shuffled")].set_index("model")
    assert (shuffled.loc[["GC content", "dinucleotides"], same] == 0.5).all(axis=None)
    simple = table[table["model"] == "GC content"].set_index("negatives")
    np.testing.assert_allclose(simple["value"], network["value"], atol=1e-5)


def test_the_same_seed_gives_the_same_table(bound: tuple[Path, Dataset, list[Path]], table: pd.DataFrame) -> None:
    folder, _, runs = bound
    pd.testing.assert_frame_equal(compared(folder, runs), table)


def test_other_negatives_lie_where_test_positives_do(bound: tuple[Path, Dataset, list[Path]]) -> None:
    folder, dataset, _ = bound
    settings = load(folder / "config.yaml", Path()).settings
    context = negatives._places(dataset, negatives.build("data", settings.data), None)
    drawn = dict(negatives._draw(dataset, context, "random", 1.0, 1, Checks()))
    assert list(drawn) == ["positives", *OTHERS]
    positives = drawn.pop("positives").examples
    for part in drawn.values():
        assert set(part.examples["group"]) == {"chr5"}
    for kind in ("gc_matched", "flanking"):
        assert not overlaps(drawn[kind].examples, positives).any()
    # Within one contig, the windows of the other splits are closed, too.
    mixed = dataset.with_split(dataset.examples["split"].mask(dataset.examples.index % 2 == 1, "train").where(
        dataset.examples["group"] == "chr5", "train"))  # fmt: skip
    context = negatives._places(mixed, negatives.build("data", settings.data), None)
    seen = mixed.examples[mixed.examples["split"] == "train"]
    drawn = dict(negatives._draw(mixed, context, "", 1.0, 1, Checks()))
    assert len(drawn["positives"].codes) == 5
    for kind in ("gc_matched", "random", "flanking"):
        assert not overlaps(drawn[kind].examples, seen).any()


def test_each_fold_is_tested_by_its_own_run(tmp_path: Path) -> None:
    dataset, runs = prepared(tmp_path, of_genome(tmp_path), {"folds": 3})
    table = compared(tmp_path, runs).query("model == 'network' and not own")
    assert (table[["positives", "n"]] == [10 * CONTIGS, 20 * CONTIGS]).all(axis=None)
    for fold in range(3):
        of_fold = Dataset(dataset.folder, fold)
        rows = of_fold.rows("test")[:3]
        part = negatives.EncodedExamples(of_fold.examples.iloc[rows], of_fold.padded(rows))
        settings = load(tmp_path / "config.yaml", Path()).settings
        ((_, scored),) = negatives._score(of_fold, {"": part}, tmp_path / "baselines", runs, settings)
        gc = np.isin(of_fold.windows(rows), (1, 2)).mean(axis=1)
        np.testing.assert_allclose(scored.p[:, 0, 0], 1 / (1 + np.exp(-(1 + fold) * gc)), rtol=1e-5)
        p, table = read_predictions(tmp_path / "baselines")
        stored = dict(zip(table["id"][table["split"] == "test"], np.flatnonzero(table["split"] == "test"), strict=True))
        np.testing.assert_allclose(scored.p[:, 1:], [p[stored[name]] for name in part.examples["id"]], rtol=1e-3)


def test_each_output_has_its_own_positives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, runs = prepared(tmp_path, of_genome(tmp_path, sets=2), SPLIT)
    table = compared(tmp_path, runs).query("model == 'network'")
    y = dataset.y.stacked(dataset.rows("test"))
    for k, output in enumerate(("p0", "p1")):
        rows = table[table["output"] == output]
        assert (rows["positives"] == y[:, k].sum()).all()
        assert rows["n"].iloc[0] == len(y)
        assert (rows["n"] - rows["positives"]).iloc[1:].tolist() == [(y == 1).any(axis=1).sum()] * 3
    monkeypatch.setattr(negatives, "MOST", 8)
    assert compared(tmp_path, runs).query("not own").eval("n - positives").eq(8).all()


def test_sequences_without_a_genome_are_shuffled(tmp_path: Path) -> None:
    _, runs = prepared(tmp_path, of_table(tmp_path), {"test": 0.25})
    assert compared(tmp_path, runs)["negatives"].unique().tolist() == ["labelled", "dinucleotide_shuffled"]


def test_numbers_have_no_negatives(tmp_path: Path) -> None:
    _, runs = prepared(tmp_path, of_table(tmp_path, task="regression"), {"test": 0.25})
    assert not len(compared(tmp_path, runs))


def test_a_kind_without_room_is_left_out_and_reported(
    bound: tuple[Path, Dataset, list[Path]], caplog: pytest.LogCaptureFixture
) -> None:
    folder, dataset, _ = bound
    settings = load(folder / "config.yaml", Path()).settings
    context = negatives._places(dataset, negatives.build("data", settings.data), None)
    full = pd.DataFrame({"chrom": ["chr5"], "start": [0], "end": [POOR + RICH]})
    checks = Checks()
    drawn = dict(negatives._draw(dataset, negatives.replace(context, closed=full), "random", 1.0, 1, checks))
    assert list(drawn) == ["positives", "dinucleotide_shuffled"]
    assert [row[0] for row in checks.rows if row[2].startswith("none: ")] == ["gc_matched", "flanking"]
