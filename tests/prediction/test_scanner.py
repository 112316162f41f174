"""Scanning a chromosome equals predicting its windows."""

from pathlib import Path

import numpy as np
import pytest
from test_model import NETWORKS, model_of
from tiny import images, sequences, stored

from biocnn.core.errors import InputError
from biocnn.io.fasta import decode
from biocnn.io.genome import Genome, open_genome, read_genome, write_genome
from biocnn.prediction import sliding
from biocnn.prediction.model import Model

CONTIGS = {"chrI": 3000, "chrII": 23, "chrIII": 777}
WINDOW = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("scanner")
    return model_of(stored(sequences(60), folder), folder)


@pytest.fixture(scope="module", params=["fasta", "folder"])
def genome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng, folder = np.random.default_rng(1), tmp_path_factory.mktemp("genome")
    text = "".join(f">{n}\n{decode(rng.integers(0, 5, length).astype(np.uint8))}\n" for n, length in CONTIGS.items())
    (folder / "some.fa").write_text(text)
    if request.param == "fasta":
        return read_genome(folder / "some.fa")
    write_genome(folder / "some.fa", folder / "encoded")
    return open_genome(folder / "encoded")


def test_ambiguous_letters_are_scanned_and_predicted_equally(model: Model) -> None:
    codes = np.random.default_rng(2).integers(0, 4, 200).astype(np.uint8)
    codes[50:60] = np.arange(6, 16)
    genome = Genome(codes, {"chrI": 200}, {}, "test")
    found = np.concatenate([values for _, values in model.scan(genome, "chrI", stride=3)])
    wanted = model.predict(np.stack([codes[at : at + WINDOW] for at in range(0, 200 - WINDOW + 1, 3)]))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("cells", [1 << 20, 1 << 8], ids=["one stretch", "many stretches"])
@pytest.mark.parametrize(
    ("chrom", "start", "end", "stride", "number"),
    [
        ("chrI", 0, None, 1, 3000 - WINDOW + 1),
        ("chrIII", 0, None, 7, (777 - WINDOW) // 7 + 1),
        ("chrIII", 500, 601, 10, 8),
        ("chrIII", -20, 800, 5, (820 - WINDOW) // 5 + 1),
        ("chrII", -12, 36, 12, 3),
        ("chrI", 5, None, 200, 15),
    ],
)
def test_windows_are_predicted_in_order(
    monkeypatch: pytest.MonkeyPatch, model: Model, genome: Genome, chrom: str, start: int, end: int | None,
    stride: int, number: int, cells: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(sliding, "CELLS", cells)
    blocks = list(model.scan(genome, chrom, start, end, stride=stride))
    starts, found = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    np.testing.assert_array_equal(starts, start + stride * np.arange(number))
    assert starts[-1] + WINDOW <= (end or CONTIGS[chrom])
    wanted = model.predict(np.stack([genome.codes(chrom, at, at + WINDOW) for at in starts]))
    assert found.shape == (number, 1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert number < 100 or (len(blocks) > 1) == (cells < 1 << 20)


def test_other_networks_are_run_window_by_window_and_this_is_reported(
    tmp_path: Path, genome: Genome, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(NETWORKS, "sequence", {"name": "Basset", "channels": [4, 4, 4], "hidden": 4})
    other = model_of(stored(sequences(60), tmp_path), tmp_path)
    with caplog.at_level("INFO", "biocnn"):
        found = np.concatenate([p for _, p in other.scan(genome, "chrIII", stride=9)])
        list(other.scan(genome, "chrIII", 500, stride=9))
    assert caplog.messages == ["scan: window by window, because Basset (windows of 24 bp) cannot run over stretches"]
    starts = range(0, 777 - WINDOW + 1, 9)
    wanted = other.predict(np.stack([genome.codes("chrIII", at, at + WINDOW) for at in starts]))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_an_interval_shorter_than_a_window_has_none(model: Model, genome: Genome) -> None:
    assert list(model.scan(genome, "chrII", stride=1)) == []


def test_unsuitable_models_are_refused(tmp_path: Path, model: Model) -> None:
    genome = Genome(np.zeros(100, np.uint8), {"chrI": 100}, {}, "some.fa")
    with pytest.raises(InputError, match=r"some\.fa has no contig 'chr1'"):
        model.scan(genome, "chr1", stride=1)
    with pytest.raises(InputError, match="stride is 0"):
        model.scan(genome, "chrI", stride=0)
    for name, raw in {"any_length": sequences(lengths=range(20, 50)), "image": images(8)}.items():
        (tmp_path / name).mkdir()
        other = model_of(stored(raw, tmp_path / name), tmp_path / name)
        with pytest.raises(InputError, match=r"no window|a model for images"):
            other.scan(genome, "chrI", stride=1)
