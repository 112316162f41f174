"""Prediction of every base: both strands, windows of which the ends do not count, tracks and stretches of a genome."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import annotated, metadata, sequence_facts, stored

import biocnn
from biocnn.apply.scan.bases import Stretches
from biocnn.apply.scan.step import scan_genome
from biocnn.apply.variants.scoring import Ensemble
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.io.fasta import UNKNOWN
from biocnn.io.genome import Genome
from biocnn.models import FCN, UNet
from biocnn.nn.encode import one_hot, reverse_complement
from biocnn.prediction.bases import BaseScanner
from biocnn.prediction.model import Model
from biocnn.tasks.facts import Facts
from biocnn.training.batches import make
from biocnn.training.checkpoint import build_model, save_model

CHANNELS = {"channels": [4, 6], "kernel_size": [5, 3], "strands": "both"}


def facts(**told: Any) -> Facts:
    return sequence_facts(task="mask", outputs=["site"], window=32, **told)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    torch.manual_seed(1)
    section, told = choose("models", {"name": "UNet", **CHANNELS}, "model"), facts(context=4)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, build_model(section, told), metadata(section, told))
    return biocnn.load(path)


@pytest.mark.parametrize("network", [UNet, FCN])
@pytest.mark.parametrize("length", [40, 41, 45])
def test_the_map_of_the_other_strand_is_the_map_turned(network: Any, length: int) -> None:
    settings = CHANNELS if network is UNet else {"channels": [3, 4, 5, 6, 7], "strands": "both"}
    torch.manual_seed(2)
    made = network(1, 4, 3, **settings).eval()
    codes = torch.randint(0, 5, (2, length)).to(torch.uint8)
    with torch.no_grad():
        maps, turned = made(one_hot(codes)), made(one_hot(reverse_complement(codes)))
    torch.testing.assert_close(turned, maps.flip(-1))
    assert not torch.allclose(maps, maps.flip(-1), atol=1e-3)


@pytest.mark.parametrize("network", [UNet, FCN])
def test_images_have_one_strand(network: Any) -> None:
    with pytest.raises(InputError, match="strands: both, for 2D input with 4 channels"):
        network(2, 4, 1, strands="both")


@pytest.mark.parametrize("length", [1, 24, 25, 100])
def test_each_base_is_predicted_by_the_middle_of_a_window(model: Model, length: int) -> None:
    codes = np.random.default_rng(3).integers(0, 4, length).astype(np.uint8)
    p = model.predict(codes)
    assert p.shape == (1, length)
    padded = np.pad(codes, (4, 32), constant_values=UNKNOWN)
    for first in range(0, length, 24):
        window = model._sequences([padded[first : first + 32]])[0, :, 4:28]
        np.testing.assert_allclose(p[:, first : first + 24], window[:, : length - first], atol=1e-6)
    several = model.predict(["ACGT" * 10, "ACG"])
    assert [one.shape for one in several] == [(1, 40), (1, 3)]
    np.testing.assert_array_equal(model.predict("ACG"), several[1])


@pytest.mark.parametrize("stride", [1, 7])
def test_a_scan_of_a_part_is_the_part_of_the_scan_where_windows_agree(stride: int) -> None:
    def predict(windows: list[np.ndarray], tracks: np.ndarray | None) -> np.ndarray:
        assert tracks is not None
        np.testing.assert_array_equal(tracks[:, 0], windows)  # a track lies on its bases
        return tracks  # the prediction of a base is its code

    codes = np.random.default_rng(4).integers(0, 4, 500).astype(np.uint8)
    genome = Genome(codes, {"a": 200, "b": 300}, {}, "g.fa")
    scanner = BaseScanner(predict, lambda window: 2, facts())
    assert (scanner.edge, scanner.step) == (8, 16)

    def along(chrom: str, start: int, end: int) -> np.ndarray:
        return genome.codes(chrom, start, end)[None].astype(np.float32)

    found = list(scanner.scan(genome, "b", 13, 260, stride=stride, along=along))
    places, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    np.testing.assert_array_equal(places, np.arange(13, 260, stride))
    np.testing.assert_array_equal(values[:, 0], codes[200:][places])
    with pytest.raises(InputError, match="has no contig 'c'"):
        scanner.scan(genome, "c")
    with pytest.raises(InputError, match="stride is 0"):
        scanner.scan(genome, "a", stride=0)


def test_tracks_and_stretches_of_a_genome_are_those_of_the_model(model: Model, tmp_path: Path) -> None:
    bigwig = pytest.importorskip("pyBigWig")
    codes = np.random.default_rng(5).integers(0, 4, 150).astype(np.uint8)
    codes[40:45] = UNKNOWN
    genome = Genome(codes, {"chr1": 90, "chr2": 60}, {}, "g.fa")
    p = np.concatenate([model.predict(part)[0] for part in (codes[:90], codes[90:])])
    threshold = float(np.median(p))
    for wrong in (0, 2):
        with pytest.raises(InputError, match=f"scan.threshold: {wrong}"):
            scan_genome(genome, [model], tmp_path, threshold=wrong)
    checks = scan_genome(genome, [model], tmp_path, threshold=threshold)
    with bigwig.open(str(tmp_path / "scan.bw")) as track:
        values = np.concatenate([track.values(name, 0, size) for name, size in genome.contigs.items()])
    assert np.isnan(values[40:45]).all()
    known = codes != UNKNOWN
    np.testing.assert_allclose(values[known], p[known], rtol=1e-5)
    called = np.zeros(150, bool)
    for line in (tmp_path / "stretches.bed").read_text().splitlines():
        chrom, start, end, name, score, strand = line.split("\t")
        part = slice(int(start) + 90 * (chrom == "chr2"), int(end) + 90 * (chrom == "chr2"))
        assert not called[part].any()
        called[part] = True
        assert int(score) == pytest.approx(1000 * p[part].mean(), abs=1)
        assert (name.split("-")[0], strand) == ("site", ".")
    np.testing.assert_array_equal(called, (p >= threshold) & known)
    counts = {reason: count for _, _, reason, count, _ in checks.rows}
    assert counts["bases in stretches of site"] == called.sum()
    assert counts["unknown bases, which have no value"] == 5


def test_values_of_a_genome_are_those_of_the_model(tmp_path: Path) -> None:
    bigwig = pytest.importorskip("pyBigWig")
    section, outputs = (
        choose("models", {"name": "UNet", "channels": [4, 4], "strands": "both"}, "model"),
        ["a.plus", "b c"],
    )
    told = sequence_facts(task="profile", outputs=outputs, window=32, context=4, scale="log1p", opposite=[1, 0])
    save_model(tmp_path / "m.safetensors", build_model(section, told), metadata(section, told))
    model = Model(tmp_path / "m.safetensors")
    codes = np.random.default_rng(5).integers(0, 4, 150).astype(np.uint8)
    codes[40:45] = UNKNOWN
    genome = Genome(codes, {"chr1": 90, "chr2": 60}, {}, "g.fa")
    with pytest.raises(InputError, match="bases have values"):
        scan_genome(genome, [model], tmp_path, threshold=0.5)
    scan_genome(genome, [model], tmp_path)
    wanted = np.concatenate([model.predict(part) for part in (codes[:90], codes[90:])], axis=1)
    for suffix, one in zip(("a.plus", "b_c"), wanted, strict=True):
        with bigwig.open(str(tmp_path / f"scan.{suffix}.bw")) as track:
            values = np.concatenate([track.values(name, 0, size) for name, size in genome.contigs.items()])
        np.testing.assert_allclose(values[codes < 4], one[codes < 4], rtol=1e-4, atol=1e-6)
        assert np.isnan(values[40:45]).all()
    assert not list(tmp_path.glob("stretches*"))


def test_variants_are_for_models_of_whole_windows(model: Model) -> None:
    with pytest.raises(InputError, match="predicts each base of a window"):
        Ensemble([model])


def test_a_stretch_may_extend_over_parts_but_not_over_contigs(tmp_path: Path) -> None:
    with open(tmp_path / "a.bed", "w") as file:
        bed = Stretches(file, "exon")
        bed.add("a", 0, np.full(4, 0.5), np.array([0, 1, 1, 1], bool))
        bed.add("a", 4, np.full(3, 1.0), np.array([1, 0, 1], bool))
        bed.add("b", 7, np.full(2, 1.0), np.array([1, 1], bool))
        bed.end()
    lines = [line.split("\t") for line in (tmp_path / "a.bed").read_text().splitlines()]
    assert [line[:5] for line in lines] == [
        ["a", "1", "5", "exon-1", "625"],
        ["a", "6", "7", "exon-2", "1000"],
        ["b", "7", "9", "exon-3", "1000"],
    ]
    assert (bed.number, bed.bases) == (3, 7)


def test_half_of_the_windows_of_an_epoch_have_a_class(tmp_path: Path) -> None:
    dataset = stored(annotated(60), tmp_path)
    rows = dataset.rows("train")
    occupied = np.array([(dataset.y[row] == 1).any() for row in rows])
    batches = make(dataset, rows, torch.device("cpu"), foreground=0.8)
    drawn = [torch.cat(batches.plan(1, epoch, 8, None)).numpy() for epoch in (0, 1)]
    for order in drawn:
        assert set(np.flatnonzero(occupied)) <= set(order)
        assert len(order) == len(set(order)) == occupied.sum() + occupied.sum() * 0.2 // 0.8
    assert set(drawn[0]) != set(drawn[1]), "others are drawn anew"
    assert len(torch.cat(make(dataset, rows, torch.device("cpu")).plan(1, 0, 8, None))) == len(rows)
