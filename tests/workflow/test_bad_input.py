"""Every kind of invalid input ends with status 2, a message with a remedy, and no incomplete output."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from biocnn.io.meme import Motif, write_meme
from biocnn.workflow.cli import main

RNG = np.random.default_rng(5)


def dna(length: int) -> str:
    return "".join(RNG.choice(list("ACGT"), length))


def intervals(folder: Path) -> dict:
    """Write a genome of three contigs, forty peaks on each, and an experiment with them."""
    (folder / "genome.fa").write_text("".join(f">chr{i}\n{dna(20_000)}\n" for i in (1, 2, 3)))
    starts = [(f"chr{i}", 400 * k + 1000) for i in (1, 2, 3) for k in range(40)]
    (folder / "peaks.bed").write_text("".join(f"{chrom}\t{start}\t{start + 101}\n" for chrom, start in starts))
    data = {"name": "Intervals", "genome": "genome.fa", "positives": "peaks.bed"}
    data["negatives"] = {"name": "random", "distance": 50}
    return {"data": data, "split": {"val": ["chr2"], "test": ["chr3"]}, "model": "DeepBind"}


def sequences(folder: Path) -> dict:
    """Write sixty sequences with labels."""
    (folder / "seqs.fa").write_text("".join(f">s{i}\n{dna(50)}\n" for i in range(60)))
    (folder / "labels.tsv").write_text("id\tlabel\n" + "".join(f"s{i}\t{i % 2}\n" for i in range(60)))
    data = {"name": "Sequences", "sequences": "seqs.fa", "labels": "labels.tsv"}
    return {"data": data, "split": {"val": 0.2, "test": 0.2}, "model": "DeepBind"}


def images(folder: Path) -> dict:
    """Write six images with binary masks, as folders."""
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for i in range(6):
        Image.fromarray(RNG.integers(0, 255, (32, 40), dtype=np.uint8)).save(folder / f"images/i{i}.png")
        Image.fromarray((RNG.random((32, 40)) > 0.5).astype(np.uint8) * 255).save(folder / f"masks/i{i}.png")
    return {"data": {"name": "Images", "images": "images", "masks": "masks"}, "model": "UNet"}


def edit(name: str, change: Callable[[str], str]) -> Callable[[Path, dict], None]:
    """Change a text file."""

    def apply(folder: Path, _: dict) -> None:
        (folder / name).write_text(change((folder / name).read_text()))

    return apply


def settings(**changes: object) -> Callable[[Path, dict], None]:
    """Change the experiment: dotted keys with _ instead of dots."""

    def apply(_: Path, experiment: dict) -> None:
        for key, value in changes.items():
            section, _, entry = key.partition("_")
            experiment.setdefault(section, {})[entry] = value

    return apply


def one_chromosome(folder: Path, experiment: dict) -> None:
    lines = (folder / "peaks.bed").read_text().splitlines(keepends=True)
    (folder / "peaks.bed").write_text("".join(line for line in lines if line.startswith("chr1\t")))
    del experiment["split"]


def utf16(folder: Path, _: dict) -> None:
    (folder / "peaks.bed").write_text((folder / "peaks.bed").read_text(), encoding="utf-16")


def truncated_gzip(folder: Path, experiment: dict) -> None:
    data = gzip.compress((folder / "peaks.bed").read_bytes())
    (folder / "peaks.bed.gz").write_bytes(data[: len(data) // 2])
    experiment["data"]["positives"] = "peaks.bed.gz"


def truncated_genome(folder: Path, experiment: dict) -> None:
    data = gzip.compress((folder / "genome.fa").read_bytes())
    (folder / "genome.fa.gz").write_bytes(data[: len(data) // 2])
    experiment["data"]["genome"] = "genome.fa.gz"


def all_unknown(folder: Path, _: dict) -> None:
    (folder / "genome.fa").write_text("".join(f">chr{i}\n{'N' * 20_000}\n" for i in (1, 2, 3)))


def motifs_of_rna(folder: Path, experiment: dict) -> None:
    write_meme(folder / "rna.meme", [Motif("m1", "m1", np.full((4, 4), 0.25), 20)], "ACGU")
    experiment["explain"] = {"motifs": {"database": "rna.meme"}}


def picture(name: str, pixels: np.ndarray) -> Callable[[Path, dict], None]:
    """Replace an image by other pixels; use .tif for floats."""

    def apply(folder: Path, _: dict) -> None:
        path = folder / name
        if pixels.dtype == np.uint8:
            Image.fromarray(pixels).save(path)
        else:
            path.unlink()
            tifffile.imwrite(path.with_suffix(".tif"), pixels)

    return apply


def cut(name: str) -> Callable[[Path, dict], None]:
    """Keep the first half of a file."""

    def apply(folder: Path, _: dict) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return apply


def corrupt_tiff(folder: Path, _: dict) -> None:
    (folder / "images/i2.png").unlink()
    path = folder / "images/i2.tif"
    tifffile.imwrite(path, RNG.integers(0, 255, (32, 40), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:150])


NAN = np.full((32, 40), np.nan, dtype=np.float32)
NAN[0] = 1
CASES = {
    "huge window": (intervals, settings(data_window=10**9), ["data.window", "10,000,000 bp"]),
    "huge ratio": (
        intervals,
        settings(data_negatives={"name": "gc_matched", "ratio": 1e9}),
        ["data.negatives.ratio", "1,000"],
    ),
    "huge seed": (intervals, lambda _, experiment: experiment.update(seed=2**64), ["seed", "4294967295"]),
    "too many classes": (images, settings(data_classes=[f"c{i}" for i in range(300)]), ["data.classes", "300", "255"]),
    "duplicate class": (images, settings(data_classes=["a", "b", "a"]), ["data.classes", "duplicate name 'a'"]),
    "unknown key": (intervals, settings(data_windwo=101), ["data.windwo", "window"]),
    "wrong type": (intervals, settings(data_window="wide"), ["data.window", "wide"]),
    "unknown name": (intervals, settings(data_negatives="shuffeld"), ["data.negatives", "dinucleotide_shuffled"]),
    "missing file": (intervals, settings(data_positives="none.bed"), ["data.positives", "none.bed", "data_root"]),
    "empty BED": (intervals, edit("peaks.bed", lambda text: ""), ["peaks.bed", "empty"]),
    "end before start": (intervals, edit("peaks.bed", lambda text: text + "chr1\t90\t80\n"), ["peaks.bed", "line 121"]),
    "unknown contig": (intervals, edit("peaks.bed", lambda text: text + "chrX\t5\t80\n"), ["line 121", "chrX", "chr1"]),
    "only unknown bases": (intervals, all_unknown, ["genome.fa", "unknown"]),
    "truncated gzip": (intervals, truncated_gzip, ["peaks.bed.gz", "truncated"]),
    "truncated genome": (intervals, truncated_genome, ["genome.fa.gz", "truncated"]),
    "duplicate contig": (
        intervals,
        edit("genome.fa", lambda text: text.replace("chr2", "chr1")),
        ["genome.fa", "chr1"],
    ),
    "different ids": (sequences, edit("labels.tsv", lambda text: text.replace("s3\t", "x3\t")), ["seqs.fa", "s3"]),
    "motifs of RNA": (sequences, motifs_of_rna, ["rna.meme line 3", "ACGU", "ACGT", "data.alphabet"]),
    "image without mask": (images, lambda folder, _: (folder / "masks/i3.png").unlink(), ["i3", "mask"]),
    "mask of another size": (images, picture("masks/i1.png", np.eye(9, dtype=np.uint8)), ["i1.png", "9", "32"]),
    "constant image": (images, picture("images/i1.png", np.full((32, 40), 7, np.uint8)), ["i1.png", "data.constant"]),
    "NaN pixels": (images, picture("images/i1.png", NAN), ["i1.tif", "NaN"]),
    "odd mask values": (images, picture("masks/i1.png", RNG.integers(0, 255, (32, 40), np.uint8)), ["mask_type"]),
    "corrupt PNG": (images, cut("images/i4.png"), ["i4.png"]),
    "corrupt TIFF": (images, corrupt_tiff, ["i2.tif"]),
    "unknown group": (intervals, settings(split_test=["chr9"]), ["split.test", "chr9", "chr3"]),
    "empty split": (intervals, settings(split_test=["chr1", "chr3"]), ["split", "train", "empty"]),
    "one chromosome": (intervals, one_chromosome, ["split", "1 group in all: chr1", "data.block: 1000000"]),
    "column names in BED": (intervals, edit("peaks.bed", lambda text: "chrom\tstart\tend\n" + text), ["line 1", "#"]),
    "UTF-16": (intervals, utf16, ["peaks.bed", "UTF-16", "UTF-8"]),
    "one class": (
        sequences,
        edit("labels.tsv", lambda text: text.replace("\t1\n", "\t0\n").replace("s1\t0", "s1\t1")),
        ["split", "class"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, spoil, words = CASES[case]
    experiment = make(tmp_path)
    spoil(tmp_path, experiment)
    config = tmp_path / "mine.yaml"
    config.write_text(yaml.safe_dump(experiment))
    out = tmp_path / "out"
    options = ["--data-root", str(tmp_path)]
    raw, checks = tmp_path / "raw", tmp_path / "checks.tsv"
    status = main(["check", str(config), str(raw), str(checks), *options])
    if status == 0:  # the next step makes splits
        status = main(["dataset", str(config), str(raw), str(out / "dataset"), *options])
    else:
        assert not raw.exists()
        assert not checks.exists()
    said = capsys.readouterr().err
    assert status == 2, said
    assert "Traceback" not in said
    assert [word for word in words if word not in said] == [], said
    assert said.rstrip().splitlines()[-1].startswith("  "), "the last line must be the remedy"
    assert not out.exists() or not list(out.iterdir()), "nothing may be left behind"


@pytest.mark.parametrize("make", [intervals, sequences, images])
def test_good_input(make: Callable[[Path], dict], tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(yaml.safe_dump(make(tmp_path)))
    for step, *paths in (("check", "raw", "checks.tsv"), ("dataset", "raw", "dataset")):
        assert main([step, str(config), *[str(tmp_path / path) for path in paths], "--data-root", str(tmp_path)]) == 0
        assert (tmp_path / paths[-1]).exists()
