"""New sequences from the command line: the predictions of the model and of stored data, in every format."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import accompanied, annotated, sequences, stored

import biocnn
from biocnn.core.errors import InputError
from biocnn.io.fasta import decode
from biocnn.workflow import cli, steps

TRAIN = {"epochs": 1, "threads": 1, "log": None}
NET = {"name": "DeepBind", "channels": 4, "kernel_size": 9}
RAW = sequences(flank=0)
CODES = np.stack([RAW.x(row) for row in range(60)])
TEXT = [decode(codes) for codes in CODES]
DATA_OF = {"split": {"val": 0.3, "test": 0.3}}


@pytest.fixture(scope="module")
def data() -> biocnn.Dataset:
    return biocnn.Dataset.from_arrays(TEXT, {"bound": RAW.y[:, 0]}, **DATA_OF)


@pytest.fixture(scope="module")
def models(data: biocnn.Dataset) -> list[biocnn.Model]:
    """Return two runs of one experiment."""
    return [biocnn.train(data, NET, seed=seed, **TRAIN) for seed in (1, 2)]


def apply(models: list[biocnn.Model], new: Path, *options: str) -> pd.DataFrame:
    """Run the command; return its table."""
    out = new.parent / "out"
    assert cli.main(["predict", *(str(model.path) for model in models), str(new), str(out), *options]) == 0
    return pd.read_csv(out / "predictions.csv")


def test_fasta_gives_the_predictions_of_the_model(models: list[biocnn.Model], tmp_path: Path) -> None:
    lower = [text.lower().replace("t", "u") for text in TEXT[:30]] + TEXT[30:]
    (tmp_path / "new.fa").write_text("".join(f">s{row} x\n{text}\n" for row, text in enumerate(lower)))
    table = apply(models[:1], tmp_path / "new.fa")
    assert list(table["sequence"]) == [f"s{row}" for row in range(60)]
    assert table["probability_bound"].to_numpy() == pytest.approx(models[0].predict(TEXT)[:, 0], rel=1e-5)
    assert list(table.columns) == [
        "sequence",
        "predicted_bound",
        "probability_bound",
        "uncertainty",
        "notes",
        "skipped",
    ]
    both = apply(models, tmp_path / "new.fa")
    mean = np.mean([model.predict(TEXT)[:, 0] for model in models], axis=0)
    assert both["probability_bound"].to_numpy() == pytest.approx(mean, rel=1e-5)
    assert (both["disagreement"] >= 0).all()


def test_predictions_equal_those_of_the_stored_data_set(
    data: biocnn.Dataset, models: list[biocnn.Model], tmp_path: Path
) -> None:
    steps.predict([models[0].path], data.folder, tmp_path / "predictions")
    examples = pd.read_csv(tmp_path / "predictions/examples.tsv", sep="\t")
    chosen = examples[examples["split"] == "test"]
    rows = chosen["id"].tolist()
    pd.DataFrame({"id": rows, "sequence": [TEXT[row] for row in rows]}).to_csv(
        tmp_path / "new.tsv", sep="\t", index=False
    )
    table = apply(models[:1], tmp_path / "new.tsv")
    known = np.load(tmp_path / "predictions/probability.npy")
    assert list(table["sequence"]) == rows
    assert table["probability_bound"].to_numpy() == pytest.approx(known.reshape(-1)[chosen.index], rel=1e-5)
    with pytest.raises(InputError, match="2 models"):
        steps.predict([model.path for model in models], data.folder, tmp_path / "both")


def test_intervals_are_cut_from_the_genome(models: list[biocnn.Model], tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(f">chr1\n{''.join(TEXT)}\n")
    lines = [f"1\t{24 * row}\t{24 * row + 24}\tp{row}\t0\t{'+-'[row % 2]}\n" for row in range(10)]
    (tmp_path / "new.bed").write_text("".join(lines))
    table = apply(models[:1], tmp_path / "new.bed", "--genome", str(tmp_path / "genome.fa"))
    turned = [decode(3 - CODES[row][::-1]) if row % 2 else TEXT[row] for row in range(10)]
    assert table["probability_bound"].to_numpy() == pytest.approx(models[0].predict(turned)[:, 0], rel=1e-5)
    assert list(table.columns[:5]) == ["sequence", "chrom", "start", "end", "strand"]
    bed = pd.read_csv(tmp_path / "out/predictions.bed", sep="\t", header=None)
    assert list(bed[1]) == [24 * row for row in range(10)]
    assert bed[4].to_numpy() == pytest.approx(1000 * table["probability_bound"].to_numpy(), abs=0.51)
    counts = (tmp_path / "out/counts.tsv").read_text()
    assert "contig names (intervals)" in counts
    assert "new sequences\t10" in counts


def test_intervals_on_unknown_contigs_are_left_out_or_stop(
    models: list[biocnn.Model], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "genome.fa").write_text(f">chr1\n{''.join(TEXT)}\n")
    (tmp_path / "new.bed").write_text("chr1\t24\t48\nscaffold_7\t0\t24\n")
    genome = ["--genome", str(tmp_path / "genome.fa")]
    assert len(apply(models[:1], tmp_path / "new.bed", *genome)) == 1
    assert "intervals on contigs that the genome lacks\t1\tscaffold_7" in (tmp_path / "out/counts.tsv").read_text()
    words = ["predict", str(models[0].path), str(tmp_path / "new.bed"), str(tmp_path / "other"), *genome]
    assert cli.main([*words, "--on-error", "stop"]) == 2
    told = capsys.readouterr().err
    assert "new.bed line 2: contig 'scaffold_7' is not in" in told
    assert "--on-error skip leaves out" in told


def test_what_does_not_fit_is_skipped_with_its_reason(models: list[biocnn.Model], tmp_path: Path) -> None:
    (tmp_path / "new.fasta").write_text(f">short\nACGT\n>fits\n{TEXT[0]}\n>unknown\n{'N' * 20}ACGT\n")
    table = apply(models[:1], tmp_path / "new.fasta").set_index("sequence")
    assert "has 4 letters, but the model was trained on windows of 24 bp" in table.loc["short", "skipped"]
    assert pd.isna(table.loc["fits", "skipped"])
    assert "more than 50% unknown bases" in table.loc["unknown", "notes"]
    with pytest.raises(InputError, match="has 4 letters"):
        steps.predict([models[0].path], tmp_path / "new.fasta", tmp_path / "stopped", on_error="stop")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("new.bed", [], "intervals of which genome"),
        ("new.fa", ["--genome", "g.fa"], "has no intervals"),
        ("new.png", [], "not a file of sequences by its name"),
        ("new.fa", ["--covariates", "c.csv"], "--covariates: is for images"),
    ],
)
def test_wrong_files_are_refused(
    name: str,
    options: list[str],
    message: str,
    models: list[biocnn.Model],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    (tmp_path / name).write_text(f">a\n{TEXT[0]}\n")
    assert cli.main(["predict", str(models[0].path), str(tmp_path / name), str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_covariates_are_columns_of_the_table(tmp_path: Path) -> None:
    raw = accompanied(sequences(flank=0))
    columns = {name: raw.examples[f"covariate_{name}"] for name in ("dose", "cells")}
    data = biocnn.Dataset.from_arrays(TEXT, RAW.y[:, 0], covariates=columns, **DATA_OF)
    model = biocnn.train(data, NET, **TRAIN)
    frame = pd.DataFrame({"sequence": TEXT[:9], **{name: column[:9] for name, column in columns.items()}})
    frame.to_csv(tmp_path / "new.tsv", sep="\t", index=False)
    table = apply([model], tmp_path / "new.tsv")
    assert table["probability_label"].to_numpy() == pytest.approx(model.predict(frame)[:, 0], rel=1e-5)
    frame.assign(cells=["moon", *frame["cells"][1:]]).to_csv(tmp_path / "new.tsv", sep="\t", index=False)
    noted = apply([model], tmp_path / "new.tsv")["notes"]
    assert "cells is a word that the training split lacks, used as missing (moon)" in noted[0]
    frame[["sequence"]].to_csv(tmp_path / "new.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match=r"(?s)no column 'dose'.*table with the columns sequence, dose, cells"):
        steps.predict([model.path], tmp_path / "new.tsv", tmp_path / "without")


def test_models_of_bases_write_maps(tmp_path: Path) -> None:
    raw = annotated(30)
    found = stored(raw, tmp_path)
    (found.folder / "settings.json").write_text(
        '{"seed": 1, "data": {"name": "AnnotatedGenome", "genome": "g", "classes": "c"}, "split": {}}'
    )
    model = biocnn.train(found, {"name": "UNet", "channels": [4, 8]}, steps_per_epoch=2, **TRAIN)
    new = [decode(raw.x(row))[1:] for row in (0, 1)]
    (tmp_path / "new.fa").write_text("".join(f">s{row}\n{text}\n" for row, text in enumerate(new)))
    table = apply([model, model], tmp_path / "new.fa")
    maps = np.load(tmp_path / "out/maps.npz")
    (tmp_path / "new.bed").write_text("s0\t2\t9\n")
    apply([model], tmp_path / "new.bed", "--genome", str(tmp_path / "new.fa"))
    assert np.load(tmp_path / "out/maps.npz")["0"].shape == (1, 7), "the interval itself"
    for row, p in enumerate(model.predict(new)):
        assert np.allclose(maps[str(row)], p)
        assert table["site"][row] == pytest.approx(p.mean(), rel=1e-4)
