"""`biocnn start` recognises files, asks for what they do not contain, and writes experiments that can be run."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig
import pytest
from PIL import Image

from biocnn.config.experiment_file import read_yaml
from biocnn.workflow import cli
from biocnn.workflow.rules import open_workflow
from biocnn.workflow.start import estimate

RNG = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate, "time_of", lambda settings, raw: "about 7 minutes")  # it trains
    return tmp_path


def start(*words: str) -> dict[str, Any]:
    """Run `biocnn start --yes` in the current folder; return the sections that it wrote, which can be run."""
    assert cli.main(["start", *words, "--yes", "--name", "mine"]) == 0
    workflow = open_workflow({"experiments": ["mine.yaml"]}, ".", True)  # as a dry run does
    assert workflow.names == ["mine"]
    return read_yaml(Path("mine.yaml"))


def bases(number: int) -> str:
    return "".join(RNG.choice(list("ACGT"), number))


def genome(path: str, contigs: int = 3, length: int = 6000) -> None:
    Path(path).write_text("".join(f">chr{i + 1} some\n{bases(length)}\n" for i in range(contigs)))


def peaks(path: str, contigs: int = 3, prefix: str = "chr", end: str = "\n") -> None:
    lines = [f"{prefix}{i + 1}\t{at}\t{at + 60}" for i in range(contigs) for at in range(200, 5500, 300)]
    Path(path).write_bytes(end.join(["track name=peaks", *lines, ""]).encode())


def picture(path: str, kind: str = "image", value: int = 1) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 255, (16, 16)).astype(np.uint8)
    if kind == "mask":
        pixels = np.zeros((16, 16), np.uint8)
        pixels[3:9, 3:9] = 255 * value
    Image.fromarray(pixels).save(path)


def test_a_genome_and_peaks() -> None:
    genome("genome.fa")
    peaks("Reb1.bed")
    peaks("blacklist.BED")
    Path("blacklist.BED").write_text("chr1\t5900\t5950\n")
    assert start() == {
        "data": {
            "name": "Intervals", "genome": "genome.fa", "blacklist": "blacklist.BED", "positives": "Reb1.bed",
            "window": 101,
        },
        "split": {"folds": 3},
    }  # fmt: skip
    text = Path("mine.yaml").read_text()
    assert "To run it in this folder, about 7 minutes:\n#   biocnn run mine.yaml --cores " in text
    assert "window: 101  # bp around the middle of each interval, without summits" in text
    assert "How to split 3 contigs into training, validation and test? folds" in text


def test_odd_names_and_line_ends() -> None:
    """One contig, of another name than in the peaks: its blocks are the groups."""
    genome("Genom größer.fa", contigs=1, length=60_000)
    Path("Genom größer.FA.GZ").write_bytes(gzip.compress(Path("Genom größer.fa").read_bytes()))
    lines = [f"1\t{at}\t{at + 60}" for at in range(200, 59_000, 400)]
    Path("Gipfel 1.BED").write_bytes("\r\n".join(["browser position", *lines]).encode())
    found = start("Genom größer.FA.GZ", "Gipfel 1.BED")
    block = found["data"].pop("block")
    assert 1000 <= block <= 6000
    data = {"name": "Intervals", "genome": "Genom größer.FA.GZ", "positives": "Gipfel 1.BED", "window": 101}
    data["negatives"] = "dinucleotide_shuffled"  # too little room between the peaks
    assert found == {"data": data, "split": {"val": 0.15, "test": 0.15}}


def test_several_peak_files_variants_and_motifs() -> None:
    genome("g.fa")
    peaks("A.bed")
    lines = Path("A.bed").read_text().splitlines()[1:]
    Path("A.narrowPeak").write_text("".join(f"{line}\tp\t0\t.\t1\t-1\t-1\t30\n" for line in lines))
    peaks("B.bed")
    Path("snp.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    Path("m.meme").write_text(
        "MEME version 4\n\nMOTIF one\nletter-probability matrix: alength= 4 w= 1\n0.7 0.1 0.1 0.1\n"
    )
    Path("notes.txt").write_text("nothing of interest\n")
    found = start()
    assert found["data"]["positives"] == {"A": "A.narrowPeak", "B": "B.bed"}, "that with summits"
    assert found["variants"] == {"vcf": "snp.vcf"}
    assert found["explain"] == {"motifs": {"database": "m.meme"}}
    assert "# \n" not in (text := Path("mine.yaml").read_text())
    assert "notes.txt: not used" in text
    assert "A.bed: not used" in text


def bigwig(path: str, contigs: int, length: int = 6000) -> None:
    with pyBigWig.open(path, "w") as handle:
        handle.addHeader([(f"chr{i + 1}", length) for i in range(contigs)])
        for i in range(contigs):
            handle.addEntries(f"chr{i + 1}", 0, values=RNG.poisson(1.0, length).astype(float).tolist(), span=1, step=1)


@pytest.mark.parametrize("contigs", [1, 3])
def test_a_genome_and_bigwig_files(contigs: int) -> None:
    genome("g.fa", contigs, 60_000)
    for name in ("chip.plus.bw", "chip.minus.bw", "atac.bw"):
        bigwig(name, contigs, 60_000)
    found = start()["data"]
    assert ("block" in found) == (contigs == 1)
    assert found["name"] == "GenomeTracks"
    assert found["tracks"] == {"chip": {"plus": "chip.plus.bw", "minus": "chip.minus.bw"}, "atac": "atac.bw"}


def test_files_with_the_same_first_word_are_outputs_of_their_own(capsys: pytest.CaptureFixture) -> None:
    genome("g.fa")
    peaks("p.bed")
    for name in ("chip.a.bw", "chip.b.bw"):
        bigwig(name, 3)
    assert start()["data"]["targets"] == {"chip_a": "chip.a.bw", "chip_b": "chip.b.bw"}
    Path("other").mkdir()
    Path("chip.a.bw").rename("other/chip.b.bw")
    assert cli.main(["start", "g.fa", "other", "chip.b.bw"]) == 2
    assert "other/chip.b.bw and chip.b.bw: two outputs named chip_b" in capsys.readouterr().err


@pytest.mark.parametrize(("first", "second"), [("exons.bed", "repeats.bed"), ("A.bed", "B.bed")])
def test_bases_have_classes_by_the_names_of_files(first: str, second: str) -> None:
    genome("g.fa", length=20_000)
    peaks(first)
    Path(second).write_text("chr1\t210\t300\nchr2\t900\t990\n")
    found = start()["data"]
    assert found["name"] == ("AnnotatedGenome" if first == "exons.bed" else "Intervals")
    if first == "exons.bed":
        assert found["classes"] == {"exons": first, "repeats": second}
        assert found["overlaps"] == "first"


def test_a_genome_without_room_between_peaks(capsys: pytest.CaptureFixture) -> None:
    """Negatives are shuffled peaks, and windows are close enough to form several blocks."""
    genome("g.fa", contigs=1, length=3000)
    Path("p.bed").write_text("".join(f"chr1\t{at}\t{at + 60}\n" for at in range(300, 2700, 110)))
    found = start()["data"]
    assert (found["negatives"], found["flank"]) == ("dinucleotide_shuffled", 0)
    Path("mine.yaml").unlink()
    Path("p.bed").write_text("".join(f"chr1\t{at}\t{at + 60}\n" for at in range(300, 2700, 60)))
    assert cli.main(["start", "--yes"]) == 2
    assert "overlapping windows of 101 bp form 1 group," in capsys.readouterr().err


def test_the_command_can_be_pasted(capsys: pytest.CaptureFixture) -> None:
    genome("g.fa")
    peaks("p.bed")
    assert cli.main(["start", "--yes", "--name", "my data/tf.yaml"]) == 0
    assert "biocnn run 'my data/tf.yaml' --cores" in Path("my data/tf.yaml").read_text()


def test_intervals_on_unknown_contigs_are_left_out_if_wanted() -> None:
    genome("g.fa", contigs=3)
    peaks("p.bed", contigs=4)
    assert start()["data"]["unknown_contigs"] == "skip"
    assert "leave out intervals on contigs that the genome lacks? yes" in Path("mine.yaml").read_text()


def test_a_faulty_file_is_reported_by_its_reader_and_nothing_is_written(capsys: pytest.CaptureFixture) -> None:
    genome("g.fa")
    Path("p.bed").write_text("chr1\t900\t800\n")
    assert cli.main(["start", "--yes"]) == 2
    assert "biocnn start: p.bed line 1: end 800 is before start 900" in capsys.readouterr().err
    assert not list(Path().glob("*.yaml"))


def test_nothing_to_learn_from(capsys: pytest.CaptureFixture) -> None:
    genome("g.fa", length=120_000)
    picture("photos/1.png")
    for words, message in (
        (["g.fa"], "nothing that can be learned from (g.fa: fasta)\n  give peaks or other intervals"),
        (["photos"], "(photos: images)\n  give their masks as well"),
        (["x"], "x: no such file"),
    ):
        assert cli.main(["start", *words]) == 2
        assert message in capsys.readouterr().err


def test_one_image_cannot_be_split(capsys: pytest.CaptureFixture) -> None:
    picture("photos/1.png")
    picture("masks/1.png", "mask")
    assert cli.main(["start"]) == 2
    assert "1 image, too few for training, validation and test\n  give at least 3" in capsys.readouterr().err


def test_a_table_that_cannot_be_read_is_named_with_the_reason(capsys: pytest.CaptureFixture) -> None:
    for name, text, reason in (
        ("table.csv", "image;label\na.png;x\n", "columns separated by semicolons; save it with commas or tabs"),
        ("table.csv", "seq,activity\nACGT,1\n", "no column image, sequence or id (columns: seq, activity); rename"),
        (
            "peaks.tsv",
            "chrom\tstart\nchr1\t9\n",
            "no column image, sequence or id (columns: chrom, start); remove the line",
        ),
        ("genome.fa", "", "empty)"),
        ("a.txt", "#!gtf\nchr1\tx\tgene\t9\t20\t.\t-\t.\tid 1;\n", "GFF or GTF; write what is to be learned"),
        (
            "p.xls",
            "# This file is generated by MACS version 2\nchr\tstart\n",
            "the table of MACS; give the .narrowPeak",
        ),
        ("sites.txt", "chr1\t9\t20\nchr1\t900\t800\n", "line 2: end 800 is before start 900; are columns 2"),
        ("t.xlsx", "PK\x03\x04", "is a zip file or an Excel workbook; unpack it, or save the sheet as"),
    ):
        Path(name).write_text(text)
        assert cli.main(["start", name]) == 2
        assert f"({name}: {reason}" in capsys.readouterr().err


def test_an_experiment_is_never_overwritten(capsys: pytest.CaptureFixture) -> None:
    genome("g.fa")
    peaks("Reb1.bed")
    Path("Reb1.yaml").write_text("mine")
    assert cli.main(["start", "g.fa", "Reb1.bed"]) == 2
    assert "Reb1.yaml: already exists\n  choose another name: --name NAME" in capsys.readouterr().err
    assert Path("Reb1.yaml").read_text() == "mine"


def test_images_and_masks_that_are_pieces() -> None:
    for slide in range(4):
        for tile in range(3):
            picture(f"Zellen ü/Bilder/slide{slide} tile{tile}.PNG")
            picture(f"Zellen ü/masks/slide{slide} tile{tile}_mask.TIF", "mask")
    picture("Zellen ü/new images/1.png")
    picture("Zellen ü/Reste/1.png")
    found = start("Zellen ü")
    data = {"name": "Images", "images": "Zellen ü/Bilder", "masks": "Zellen ü/masks", "group": "(.+)\\ tile"}
    assert found == {"data": data, "apply": {"images": "Zellen ü/new images"}, "split": {"folds": 4}}
    text = Path("mine.yaml").read_text()
    assert "size of a pixel unknown; if you know it, add spacing: [0.5, 0.5]" in text
    assert "Zellen ü/Reste: not used; name a folder of new images new_photos, for example, or set apply" in text


def test_masks_that_may_be_classes_or_objects_are_objects_if_wanted() -> None:
    for i in range(3):
        picture(f"photos/{i}.png")
        Path("masks").mkdir(exist_ok=True)
        pixels = np.zeros((16, 16), np.uint8)
        for value in (1, 2):
            at, to = RNG.integers(0, 4) + 8 * (value - 1), RNG.integers(0, 8)
            pixels[at : at + 3, to : to + 4] = value
        Image.fromarray(pixels).save(f"masks/{i}.png")
    assert start()["data"]["mask_type"] == "instances"
    assert "each value of a mask is an object of its own, not a class? yes" in Path("mine.yaml").read_text()


def test_a_wrong_value_does_not_make_masks_objects(capsys: pytest.CaptureFixture) -> None:
    for i in range(3):
        picture(f"photos/{i}.png")
        picture(f"masks/{i}.png", "mask")
    pixels = np.array(Image.open("masks/1.png"))
    pixels[0] = 128
    Image.fromarray(pixels).save("masks/1.png")
    assert cli.main(["start", "--yes"]) == 2
    assert "unexpected value" in capsys.readouterr().err


def test_images_and_masks_in_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "time_of", lambda settings, raw: "about 2 hours")
    for i in range(12):
        picture(f"cells/{i}_img.png")
        picture(f"cells/{i}_masks.png", "mask")
    assert start()["data"] == {"name": "Images", "images": "cells", "masks": "cells"}
    assert "images and masks paired by: same name without words such as _mask (12)" in Path("mine.yaml").read_text()
    assert "add the line  train: {epochs: 6, steps_per_epoch: 50}; or use a GPU" in Path("mine.yaml").read_text()


@pytest.mark.parametrize("targets", ["clean", "gt"])
def test_pairs_of_images(targets: str) -> None:
    for i in range(12):
        picture(f"noisy/{i}.png")
        picture(f"{targets}/{i}.png")
    assert start()["data"] == {"name": "PairedImages", "images": "noisy", "targets": targets}


@pytest.mark.parametrize(
    ("columns", "row", "targets"),
    [
        ("bound,family,affinity,dose", lambda i: f"{i % 2},{'xyz'[i % 3]},{i / 7:.2f},{20 + i}",
         {"bound": "label", "family": "class", "affinity": "value"}),
        ("label", lambda i: ("zinc finger", "bHLH")[i % 2], {"label": "class"}),
        ("label_a,label_b", lambda i: f"{i % 2},{i // 2 % 2}", None),
        ("a,b", lambda i: f"{i % 2},{i // 2 % 2}", ["a", "b"]),
    ],
)  # fmt: skip
def test_tables_of_sequences(columns: str, row: Callable[[int], str], targets: Any) -> None:
    Path("t.csv").write_text("\n".join([f"sequence,{columns}", *(f"{bases(30)},{row(i)}" for i in range(60))]))
    assert start()["data"] == {"name": "Sequences", "table": "t.csv", **({"targets": targets} if targets else {})}
    assert ("with covariates: [dose] the network would" in Path("mine.yaml").read_text()) == ("dose" in columns)


def labelled(columns: str, row: Callable[[int], str], number: int = 24) -> None:
    for i in range(number):
        picture(f"img/{i}.png")
    rows = "".join(f"img/{i}.png,{row(i)}\n" for i in range(number))
    Path("table.csv").write_text(f"image,{columns}\n{rows}")


@pytest.mark.parametrize(
    ("columns", "row", "data"),
    [
        ("label", lambda i: "ab"[i % 2], {"name": "LabelledImages"}),
        ("diameter", lambda i: f"{i / 7:.3f}", {"name": "LabelledImages", "values": ["diameter"]}),
        ("label,patient", lambda i: f"{'ab'[i % 2]},p{i // 2}", {"name": "LabelledImages", "group": "patient"}),
        ("stain,patient", lambda i: f"{'ab'[i % 2]},p{i // 2}", {"name": "LabelledImages", "labels": ["stain"],
                                                                "group": "patient"}),
        ("bag,label", lambda i: f"b{i // 2},{'ab'[i // 2 % 2]}", {"name": "BaggedImages", "bag": "bag"}),
        ("kind,sick,size", lambda i: f"{'ab'[i % 2]},{i // 2 % 2},{i / 7:.2f}",
         {"name": "LabelledImages", "labels": ["kind", "sick"], "values": ["size"]}),
        ("label,age", lambda i: f"{'ab'[i % 2]},{20 + i}", {"name": "LabelledImages"}),
        ("x,y", lambda i: f"{i % 16},{i % 7}", {"name": "CountedImages"}),
        ("x0,y0,x1,y1", lambda i: f"1,2,{5 + i % 9},9", {"name": "BoxedImages", "classes": ["object"]}),
    ],
)  # fmt: skip
def test_tables_of_images(columns: str, row: Callable[[int], str], data: dict[str, Any]) -> None:
    labelled(columns, row)
    assert start()["data"] == {"table": "table.csv", **data}


def test_other_sources_of_labels_and_boxes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    for kind in ("dark", "bright"):
        for i in range(8):
            picture(f"cells/{kind}/{i}.png")
    monkeypatch.chdir("cells")
    assert cli.main(["start"]) == 2
    assert "may be classes of images" in capsys.readouterr().err
    monkeypatch.chdir("..")
    assert start("cells")["data"] == {"name": "LabelledImages", "folder": "cells"}
    Path("mine.yaml").unlink()
    pixels = RNG.integers(0, 255, (20, 8, 8)).astype(np.uint8)
    np.savez("set.npz", train_images=pixels, train_labels=np.arange(20)[:, None] % 2)
    assert start("set.npz")["data"] == {"name": "LabelledImages", "npz": "set.npz"}
    Path("mine.yaml").unlink()
    images = [{"id": i, "file_name": f"{i}.png", "width": 16, "height": 16} for i in range(8)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 2, 5, 6]} for i in range(8)]
    categories = [{"id": 1, "name": "cell"}]
    Path("coco.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    assert start("coco.json", "cells/dark")["data"] == {
        "name": "BoxedImages", "coco": "coco.json", "images": "cells/dark",
    }  # fmt: skip


def test_sequences_with_labels_or_negatives() -> None:
    names = [f"s{i}" for i in range(40)]
    Path("train.fa").write_text("".join(f">{name}\n{bases(30)}\n" for name in names))
    Path("labels.tsv").write_text("id\tlabel\n" + "".join(f"{name}\t{i % 2}\n" for i, name in enumerate(names)))
    assert start()["data"] == {"name": "Sequences", "sequences": "train.fa", "labels": "labels.tsv"}
    Path("mine.yaml").unlink()
    Path("negatives.fa").write_text("".join(f">n{name}\n{bases(30)}\n" for name in names))
    negatives = {"name": "given", "path": "negatives.fa"}
    data = {"name": "Sequences", "sequences": "train.fa", "negatives": negatives}
    assert start("train.fa", "negatives.fa")["data"] == data
    Path("mine.yaml").unlink()
    assert start("train.fa")["data"]["negatives"] == "dinucleotide_shuffled"
