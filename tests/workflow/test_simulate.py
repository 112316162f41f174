"""The demonstration data are as described: the same bytes for a seed, sites at the peaks, nuclei that touch."""

import csv
import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import gaussian_filter, label
from skimage.filters import threshold_otsu

from biocnn.workflow.simulate import CONSENSUS, consensus_pfm, simulate_cells, simulate_nuclei, simulate_sequences


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequences")
    simulate_sequences(folder, 1)
    return folder


@pytest.fixture(scope="module")
def nuclei(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nuclei")
    simulate_nuclei(folder, 1)
    return folder


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    simulate_cells(folder, 1)
    return folder


def digest(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def read_fasta(path: Path) -> dict[str, str]:
    records = (record.partition("\n") for record in path.read_text().split(">")[1:])
    return {name: body.replace("\n", "") for name, _, body in records}


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTIGS", "PLATES", "IMAGES_PER_PLATE", "NEW_IMAGES", "SLIDES", "FIELDS"):
        monkeypatch.setattr(f"biocnn.workflow.simulate.{name}", 2 if name == "SLIDES" else 1)  # the last slide is new
    for simulate in (simulate_sequences, simulate_nuclei, simulate_cells):
        found = {}
        for folder, seed in (("one", 1), ("again", 1), ("other", 2)):
            simulate(tmp_path / simulate.__name__ / folder, seed)
            found[folder] = digest(tmp_path / simulate.__name__ / folder)
        assert found["again"] == found["one"]
        assert found["other"] != found["one"]


def test_the_genome_resembles_the_human_one(sequences: Path) -> None:
    genome = read_fasta(sequences / "genome.fa")
    assert list(genome) == [f"chr{number}" for number in range(1, 9)]
    text = "".join(genome.values())
    assert set(text) == set("ACGTNacgt")
    upper = text.upper()
    known = len(upper) - upper.count("N")
    c, g = upper.count("C") / known, upper.count("G") / known
    assert 0.38 < c + g < 0.48
    assert 0.2 < upper.count("CG") / known / (c * g) < 0.45, "CpG is depleted"
    assert 0.02 < sum(map(str.islower, text)) / len(text) < 0.1


def test_peaks_are_at_sites(sequences: Path) -> None:
    genome, truth, peaks = (
        read_fasta(sequences / "genome.fa"),
        rows(sequences / "sites.bed"),
        rows(sequences / "peaks.narrowPeak"),
    )
    middles = {name: np.array([int(r[1]) + 7 for r in truth if r[0] == name]) for name in genome}
    near = 0
    for name, start, end, *_, summit in peaks:
        assert 0 <= int(start) < int(start) + int(summit) < int(end) <= len(genome[name])
        assert "N" not in genome[name][int(start) : int(end)]
        near += np.abs(middles[name] - int(start) - int(summit)).min() <= 40
    assert 0.96 < near / len(peaks) < 1
    assert {row[5] for row in truth} == {"+", "-"}


def test_sites_follow_the_matrix_in_the_database(sequences: Path) -> None:
    genome, pfm = read_fasta(sequences / "genome.fa"), consensus_pfm(CONSENSUS)
    counts = np.zeros_like(pfm)
    for name, start, end, _, _, strand in rows(sequences / "sites.bed"):
        codes = np.array(["ACGT".index(base) for base in genome[name][int(start) : int(end)]])
        codes = codes if strand == "+" else 3 - codes[::-1]
        counts[codes, np.arange(len(codes))] += 1
    assert np.abs(counts / counts.sum(axis=0) - pfm).max() < 0.05

    database = (files("biocnn") / "demo" / "motifs.meme").read_text()
    assert (sequences / "motifs.meme").read_text() == database
    motif = database.split("MOTIF CONS01 CTCF\n")[1].split("MOTIF")[0].splitlines()[1:]
    assert np.allclose([[float(v) for v in line.split()] for line in motif if line], pfm.T, atol=0.005)


def test_the_database_is_complete() -> None:
    motifs = (files("biocnn") / "demo" / "motifs.meme").read_text().split("\nMOTIF ")[1:]
    assert len(motifs) >= 30
    assert len({motif.split()[0] for motif in motifs}) == len(motifs)
    for motif in motifs:
        _, header, *lines = motif.rstrip("\n").split("\n")
        values = np.array([[float(v) for v in line.split()] for line in lines])
        assert f" w= {len(values)} " in header
        assert values.shape[1] == 4
        assert np.allclose(values.sum(axis=1), 1)


def test_nuclei_are_16_bit_pairs_from_8_plates(nuclei: Path) -> None:
    with open(nuclei / "table.csv", newline="") as handle:
        table = list(csv.DictReader(handle))
    assert len(table) == 40
    assert len({row["group"] for row in table}) == 8
    for row in table:
        image, labels = tifffile.imread(nuclei / row["image"]), tifffile.imread(nuclei / row["mask"])
        assert image.shape == labels.shape == (256, 256)
        assert image.dtype == labels.dtype == np.uint16
        assert set(np.unique(labels)) == set(range(labels.max() + 1))
        assert image[labels > 0].mean() > 2 * image[labels == 0].mean()
    assert len(list((nuclei / "new").glob("*.tif"))) == 3


def test_nuclei_are_not_trivial(nuclei: Path) -> None:
    """A threshold and connected components merge many of them, so there is something to learn."""
    found = true = 0
    for path in sorted((nuclei / "images").glob("*.tif")):
        image, labels = tifffile.imread(path), tifffile.imread(nuclei / "labels" / path.name)
        smooth = gaussian_filter(image.astype(float), 1)
        found += label(smooth > threshold_otsu(smooth))[1]
        true += int(labels.max())
    assert found < 0.8 * true


def test_boxes_enclose_cells_of_two_kinds(cells: Path) -> None:
    table = pd.read_csv(cells / "boxes.csv")
    assert len(list((cells / "images").iterdir())) == table["image"].nunique() == 36
    assert len(list((cells / "new").iterdir())) == 3
    counts = table["label"].value_counts()
    assert counts["red"] > 5 * counts["white"] > 100
    for name, boxes in table.groupby("image"):
        image = tifffile.imread(cells / name).astype(float)
        assert image.shape == (128, 128, 3)
        outside = np.ones(image.shape[:2], bool)
        for box in boxes.itertuples():
            assert 0 <= box.x0 < box.x1 <= 128
            assert 0 <= box.y0 < box.y1 <= 128
            outside[box.y0 : box.y1, box.x0 : box.x1] = False
        green = image[..., 1]
        assert green[outside].std() < 12, "the background is even"
        for box in boxes.itertuples():
            inside = green[box.y0 : box.y1, box.x0 : box.x1]
            assert inside.min() < green[outside].mean() - 25
