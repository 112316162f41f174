"""Small valid files of every format that biocnn reads, and the function that reads each."""

import gzip
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RNG = np.random.default_rng(1)
BASES = "".join(np.random.default_rng(2).choice(list("ACGT"), 3000))
PLANE = np.random.default_rng(3).integers(0, 4000, (24, 20), dtype=np.uint16)
VOLUME = np.random.default_rng(4).integers(0, 4000, (4, 12, 10), dtype=np.int16)


class Target(NamedTuple):
    """A format: functions that make and read valid files, and how to damage them.

    ``make`` writes into an empty folder and returns the file to damage.

    ``weight`` is the relative number of inputs.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    kind: str = "binary"
    weight: int = 4


# Sequences and their places


def fasta(folder: Path) -> Path:
    path = folder / "genome.fa"
    path.write_text("".join(f">chr{i} some words\n{BASES[: 900 * i]}\n" for i in (1, 2, 3)))
    return path


def zipped(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        path = make(folder)
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        return path.with_name(path.name + ".gz")

    return made


def read_genome(path: Path) -> None:
    from biocnn.io.genome import open_genome, read_genome, write_genome

    found = read_genome(path)
    write_genome(path, path.parent / "encoded")
    assert open_genome(path.parent / "encoded").contigs == found.contigs


def encoded(folder: Path) -> Path:
    from biocnn.io.genome import write_genome

    write_genome(fasta(folder), folder / "encoded")
    return folder / "encoded" / "genome.json"


def open_encoded(path: Path) -> None:
    from biocnn.io.genome import open_genome

    genome = open_genome(path.parent)
    for name, length in genome.contigs.items():
        genome.codes(name, 0, min(length, 100))


def bed(folder: Path) -> Path:
    fasta(folder)
    path = folder / "peaks.bed"
    rows = [f"chr{1 + i % 3}\t{20 + 15 * i}\t{70 + 15 * i}\tp{i}\t{i}\t{'+-'[i % 2]}" for i in range(30)]
    path.write_text("track name=peaks\n" + "\n".join(rows) + "\n")
    return path


def narrowpeak(folder: Path) -> Path:
    fasta(folder)
    path = folder / "peaks.narrowPeak"
    rows = [f"chr{1 + i % 3}\t{20 + 15 * i}\t{70 + 15 * i}\tp{i}\t{i}\t.\t{i}.5\t-1\t2.5\t{i}" for i in range(30)]
    path.write_text("\n".join(rows) + "\n")
    return path


def read_intervals(path: Path, **settings: Any) -> None:
    from biocnn.core.checks import Checks
    from biocnn.data.intervals import Intervals

    given = {"positives": path, "negatives": {"name": "random", "distance": 10}} | settings
    raw = Intervals(genome=path.parent / "genome.fa", window=41, flank=4, **given).read(1, Checks())
    raw.x(0)


def bigwig(folder: Path) -> Path:
    import pyBigWig

    bed(folder)
    path = folder / "signal.bw"
    with pyBigWig.open(str(path), "w") as track:
        track.addHeader([(f"chr{i}", 900 * i) for i in (1, 2, 3)])
        for i in (1, 2, 3):
            track.addEntries(f"chr{i}", 0, values=[float(k % 7) for k in range(800)], span=1, step=1)
    return path


def read_signal(path: Path) -> None:
    more = {"intervals": path.parent / "peaks.bed", "targets": {"signal": str(path)}}
    read_intervals(path, positives=None, negatives=None, **more)


def sequence_table(folder: Path) -> Path:
    path = folder / "table.tsv"
    rows = [f"s{i}\t{BASES[40 * i : 40 * i + 40]}\t{i % 2}\t{i / 7:.3f}\tg{i // 3}" for i in range(30)]
    path.write_text("id\tsequence\tlabel\tlabel_2\tgroup\n" + "\n".join(rows) + "\n")
    return path


def read_sequence_table(path: Path) -> None:
    from biocnn.core.checks import Checks
    from biocnn.data.sequences import Sequences

    Sequences(table=path).read(1, Checks()).x(0)


def labels(folder: Path) -> Path:
    (folder / "seqs.fa").write_text("".join(f">s{i}\n{BASES[40 * i : 40 * i + 40]}\n" for i in range(30)))
    path = folder / "labels.tsv"
    path.write_text("id\tlabel\tsplit\n" + "".join(f"s{i}\t{i % 2}\ttrain\n" for i in range(30)))
    return path


def read_labels(path: Path) -> None:
    from biocnn.core.checks import Checks
    from biocnn.data.sequences import Sequences

    Sequences(sequences=path.parent / "seqs.fa", labels=path).read(1, Checks()).x(0)


def meme(folder: Path) -> Path:
    path = folder / "motifs.meme"
    matrix = "0.7 0.1 0.1 0.1\n0.1 0.7 0.1 0.1\n0.25 0.25 0.25 0.25\n0.1 0.1 0.1 0.7\n0.1 0.1 0.7 0.1\n"
    head = (
        "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\nA 0.3 C 0.2 G 0.2 T 0.3\n\n"
    )
    motif = "MOTIF {0} name{0}\nletter-probability matrix: alength= 4 w= 5 nsites= 20 E= 1e-5\n" + matrix + "\n"
    path.write_text(head + motif.format("M1") + motif.format("M2"))
    return path


def read_motifs(path: Path) -> None:
    from biocnn.io.meme import read_meme, write_meme

    write_meme(path.parent / "out.meme", list(read_meme(path).values()))


VCF = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=900>
##contig=<ID=chr2,length=1800>
##ALT=<ID=DEL,Description="Deletion">
##INFO=<ID=END,Number=1,Type=Integer,Description="End">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1
"""


def vcf(folder: Path) -> Path:
    fasta(folder)
    path, rows = folder / "variants.vcf", []
    for i in range(12):
        at = 60 + 40 * i
        ref, alt = BASES[at - 1], "ACGT"["ACGT".index(BASES[at - 1]) - 1]
        alt = {3: f"{ref}GG", 5: "<DEL>", 7: f"{alt},{ref}T", 9: "*"}.get(i, alt)
        rows.append(f"chr{1 + i // 8}\t{at}\trs{i}\t{ref}\t{alt}\t50\tPASS\tDP={i}\tGT\t0|1")
    path.write_text(VCF + "\n".join(rows) + "\n")
    return path


def bcf(folder: Path) -> Path:
    import pysam

    path = vcf(folder)
    source = pysam.VariantFile(str(path))
    with source, pysam.VariantFile(str(folder / "variants.bcf"), "wb", header=source.header) as target:
        for record in source:
            target.write(record)
    return folder / "variants.bcf"


_LOADED: dict[str, Any] = {}


def binder() -> Any:
    """Return a small sequence model, made once per process."""
    if "binder" not in _LOADED:
        from biocnn.prediction.model import Model

        folder = tempfile.TemporaryDirectory()
        _LOADED["folder"], _LOADED["binder"] = folder, Model(sequence_model(Path(folder.name)), "cpu")
    return _LOADED["binder"]


def read_variants(path: Path) -> None:
    from biocnn.apply.variants.step import annotate
    from biocnn.io.genome import read_genome

    out = path.parent / "out"
    out.mkdir()
    annotate(path, [binder()], read_genome(path.parent / "genome.fa"), out, maps=0, ref_mismatch="skip")


# Images


def saved(name: str, write: Callable[[Path], Any]) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        write(folder / name)
        return folder / name

    return made


def png(path: Path) -> None:
    from PIL import Image

    Image.fromarray((PLANE >> 4).astype(np.uint8)).save(path)


def palette(path: Path) -> None:
    from PIL import Image

    Image.fromarray((PLANE >> 4).astype(np.uint8)).quantize(16).save(path)


def jpeg(path: Path) -> None:
    from PIL import Image

    Image.fromarray((PLANE >> 4).astype(np.uint8)).save(path)


def tiff(path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, PLANE, compression="zlib", rowsperstrip=7, predictor=True)


def tiled(path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, np.tile(PLANE, (4, 4)), tile=(32, 32), compression="lzw", bigtiff=True)


def ome(path: Path) -> None:
    import tifffile

    metadata = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(path, np.stack([PLANE, PLANE[::-1]]), ome=True, metadata=metadata, photometric="minisblack")


def imagej(path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, VOLUME.astype(np.uint16), imagej=True, resolution=(2, 2), metadata={"axes": "ZYX"})


def dicom(path: Path) -> None:
    from tests.dicom_files import write_dicom

    write_dicom(path, PLANE, [0.0, 0.0, 0.0])


def series(folder: Path) -> Path:
    from tests.dicom_files import write_series

    write_series(folder / "series", VOLUME)
    return folder / "series" / "IM2"


def nifti(path: Path) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(VOLUME.T, np.diag([-0.5, -0.5, 2.0, 1.0])), path)


def npy(path: Path) -> None:
    np.save(path, PLANE)


def zarr(folder: Path) -> Path:
    import zarr

    group = zarr.open_group(str(folder / "image.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=PLANE, chunks=(10, 10))
    scales = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}]
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": scales}]
    return folder / "image.zarr" / ".zattrs"


def zarr_array(folder: Path) -> Path:
    return zarr(folder).parent / "0" / ".zarray"


def zarr_chunk(folder: Path) -> Path:
    return zarr(folder).parent / "0" / "0.0"


def read_picture(path: Path) -> None:
    from biocnn.core.errors import InputError
    from biocnn.io.image_files import decode, read_image
    from biocnn.io.lazy import open_image

    found = read_image(path)
    with open_image(path) as image:
        image.read(tuple(slice(0, min(3, n)) for n in image.shape[1:]))
    assert found.pixels.ndim == 1 + len(image.shape[1:])
    with suppress(InputError):  # not every image can be a mask
        decode(path, indices=True)


def read_folder(path: Path) -> None:
    """Read a series or a zarr with one damaged file."""
    root = next(part for part in (path, *path.parents) if part.name in ("series", "image.zarr"))
    read_picture(root)


def pictures(folder: Path) -> Path:
    from PIL import Image

    rng = np.random.default_rng(5)
    for i in range(4):
        Image.fromarray(rng.integers(0, 255, (16, 12), dtype=np.uint8)).save(folder / f"i{i}.png")
        Image.fromarray((rng.random((16, 12)) > 0.5).astype(np.uint8) * 255).save(folder / f"m{i}.png")
    path = folder / "table.csv"
    path.write_text("image,mask,split,group\n" + "".join(f"i{i}.png,m{i}.png,train,g{i}\n" for i in range(4)))
    return path


def read_pictures(path: Path) -> None:
    from biocnn.core.checks import Checks
    from biocnn.data.images import Images

    raw = Images(table=path).read(1, Checks())
    raw.x(0), raw.y(0)


def labelled_table(folder: Path) -> Path:
    pictures(folder)
    path = folder / "labels.csv"
    path.write_text("image,label,split,group\n" + "".join(f"i{i}.png,{'ab'[i % 2]},train,g{i}\n" for i in range(4)))
    return path


def read_labelled_table(path: Path) -> None:
    from biocnn.core.checks import Checks
    from biocnn.data.labelled_images import LabelledImages

    LabelledImages(table=path).read(1, Checks()).x(0)


def labelled_npz(folder: Path) -> Path:
    """Arrays of an .npz file, one of which is damaged: damage to the file itself is found by its checksums."""
    for split, n in (("train", 6), ("test", 3)):
        images = np.random.default_rng(n).integers(0, 255, (n, 8, 6, 3), dtype=np.uint8)
        np.save(folder / f"{split}_images.npy", images)
        np.save(folder / f"{split}_labels.npy", np.arange(n)[:, None] % 3)
    return folder / "train_images.npy"


def read_labelled_npz(path: Path) -> None:
    import zipfile

    from biocnn.core.checks import Checks
    from biocnn.data.labelled_images import LabelledImages

    packed = path.parent / "set.npz"
    with zipfile.ZipFile(packed, "w") as archive:
        for member in path.parent.glob("*.npy"):
            archive.write(member, member.name)
    LabelledImages(npz=packed).read(1, Checks()).x(0)


def mask(folder: Path) -> Path:
    pictures(folder)
    return folder / "m1.png"


def read_mask(path: Path) -> None:
    read_pictures(path.parent / "table.csv")


# Settings, models and outputs of steps


EXPERIMENT = """# a comment
seed: 1
data:
  name: Intervals
  genome: genome.fa
  positives: peaks.bed
  window: 41
  negatives: {name: gc_matched, ratio: 1}
split: {val: [chr2], test: [chr3]}
augment: [reverse_complement, {name: shift, max: 2}]
model: {name: DeepBind, channels: 4, kernel_size: 8, strands: both}
train: {epochs: 2, lr: 1e-3, batch_size: 16, seeds: [1, 2]}
calibrate: {trials: 2, draw: {model.channels: {choice: [4, 8]}, train.lr: {log_uniform: [1.0e-4, 1.0e-2]}}}
metrics: {resamples: 100}
explain: {examples: 2}
predict: {tta: none, memory_gb: 0.5}
scan: {contigs: [chr1], stride: 5}
"""


def yaml(folder: Path) -> Path:
    bed(folder)
    path = folder / "mine.yaml"
    path.write_text(EXPERIMENT)
    return path


def read_yaml(path: Path) -> None:
    from biocnn.config.experiment import load

    load(path, path.parent)


def model_file(folder: Path, task: str, model: dict[str, Any], **more: Any) -> Path:
    """Write an untrained network with all the metadata of a trained one."""
    import torch

    from biocnn.config.settings import Train
    from biocnn.training.checkpoint import build_model, save_model, versions
    from biocnn.training.metadata import Metadata
    from tests.tiny import experiment, images, sequences, stored

    raw = sequences(task=task) if task == "binary" else images(task=task)
    dataset = stored(raw, folder)
    train = Train(epochs=1, threads=1, patch=None if task == "binary" else [16, 16])
    settings = experiment(model, data="Sequences" if task == "binary" else "Images", train=train)
    torch.manual_seed(1)
    about = {
        "experiment": settings.model_dump(mode="json"), "facts": dataset.facts, "decisions": dataset.facts.decisions,
        "seed": 1, "fold": 0, "postprocess": {}, "versions": versions(), "deterministic": True,
        "precision": {"train": "float32", "predict": "float32"}, "best_epoch": {"epoch": 1, "val_loss": 0.7},
    }  # fmt: skip
    path = folder / "model.safetensors"
    save_model(path, build_model(settings.model, dataset.facts), Metadata(**about | more))
    return path


def sequence_model(folder: Path) -> Path:
    return model_file(folder, "binary", {"name": "DeepBind", "channels": 4, "kernel_size": 8}, temperature=[1.5])


def image_model(folder: Path) -> Path:
    post = {"mask_threshold": 0.5, "seed_threshold": 0.8, "peak_threshold": 1.2, "smoothing": 0.5, "min_size": 8}
    return model_file(folder, "instances", {"name": "UNet", "channels": [2, 3]}, postprocess=post)


def use_sequence_model(path: Path) -> None:
    import biocnn

    model = biocnn.load(path, "cpu")
    assert np.isfinite(model.predict([BASES[: model.facts.window or 24]])).all()


def use_image_model(path: Path) -> None:
    import biocnn

    for blend in ("exact", "gaussian"):
        model = biocnn.load(path, "cpu", blend=blend)
        found = model.segment(PLANE[None].repeat(model.facts.in_channels, 0))
    assert found.shape == PLANE.shape


def start_from(path: Path) -> None:
    from biocnn.config.schema import choose
    from biocnn.config.settings import Train
    from biocnn.training.checkpoint import build_model
    from biocnn.training.metadata import read_metadata
    from biocnn.training.transfer import transfer_weights

    facts = read_metadata(path).facts.model_copy(update={"spatial_dims": 1, "in_channels": 4, "out_channels": 1})
    network = build_model(choose("models", {"name": "DeepBind", "channels": 4, "kernel_size": 8}, "model"), facts)
    transfer_weights(network, Train(start_from=path, freeze_epochs=1), lambda line: None)


def state(folder: Path) -> Path:
    import torch

    from biocnn.training.state import StateFolder

    with StateFolder(folder / "state", "mark", print) as states:
        states.save({"model.a": torch.ones(3), "optimizer.0.step": torch.ones(1)}, {"over": "", "epoch": 1})
    return folder / "state" / "mark" / "00000001.state"


def read_state(path: Path) -> None:
    from biocnn.training.state import StateFolder

    with StateFolder(path.parents[1], "mark", lambda line: None) as states:
        states.load()


def trials(folder: Path) -> Path:
    for trial in range(2):
        record = {
            "trial": trial, "part": 0, "settings": {"train.lr": 0.01 * (trial + 1)}, "metric": "auroc", "value": 0.7,
            "score": 0.7, "tie": -0.5, "best_epoch": 2, "epochs": 3, "seconds": 1.5,
        }  # fmt: skip
        (folder / f"trial{trial}.json").write_text(json.dumps(record))
    return folder / "trial1.json"


def read_trials(path: Path) -> None:
    from biocnn.workflow.steps import calibrate

    calibrate(path.parent / "table.tsv", path.parent / "best.json", path.parent / "trial0.json", path)


def best(folder: Path) -> Path:
    yaml(folder)
    path = folder / "best.json"
    path.write_text(json.dumps({"model.channels": 8, "train.lr": 0.002}))
    return path


def read_best(path: Path) -> None:
    from biocnn.config.experiment import load
    from biocnn.config.search_space import chosen
    from biocnn.core.files import read_json

    chosen(load(path.parent / "mine.yaml", path.parent).settings, read_json(path), path)


def dataset(name: str) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        from tests.tiny import images, stored

        return stored(images(task="instances"), folder).folder / name

    return made


def read_dataset(path: Path) -> None:
    from biocnn.data.dataset import Dataset

    found = Dataset(path.parent)
    for row in found.rows("train", "val", "test"):
        found.x[row], found.y[row], found.labels[row]


def predictions(name: str) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        from biocnn.workflow import steps

        model = sequence_model(folder)
        steps.predict(model, folder / "dataset", folder / "predictions")
        return folder / "predictions" / name

    return made


def read_predictions(path: Path) -> None:
    from biocnn.config.settings import Metrics
    from biocnn.data.dataset import Dataset
    from biocnn.evaluation.evaluate import evaluate_stored

    run = path.parents[1]
    evaluate_stored(Dataset(run / "dataset"), [run], Metrics(resamples=2), 1)


TARGETS: dict[str, Target] = {
    "fasta": Target(fasta, read_genome, "text", 8),
    "fasta.gz": Target(zipped(fasta), read_genome, weight=3),
    "encoded genome": Target(encoded, open_encoded, "json", 2),
    "bed": Target(bed, read_intervals, "text", 8),
    "narrowpeak": Target(narrowpeak, read_intervals, "text", 8),
    "narrowpeak.gz": Target(zipped(narrowpeak), read_intervals, weight=2),
    "bigwig": Target(bigwig, read_signal, weight=4),
    "meme": Target(meme, read_motifs, "text", 10),
    "sequence table": Target(sequence_table, read_sequence_table, "text", 8),
    "labels": Target(labels, read_labels, "text", 6),
    "vcf": Target(vcf, read_variants, "text", 8),
    "vcf.gz": Target(zipped(vcf), read_variants, weight=2),
    "bcf": Target(bcf, read_variants, weight=3),
    "png": Target(saved("a.png", png), read_picture, "png", 5),
    "palette png": Target(saved("a.png", palette), read_picture, "png", 3),
    "jpeg": Target(saved("a.jpg", jpeg), read_picture, weight=3),
    "tiff": Target(saved("a.tif", tiff), read_picture, weight=8),
    "tiled tiff": Target(saved("a.tif", tiled), read_picture, weight=6),
    "ome-tiff": Target(saved("a.ome.tif", ome), read_picture, weight=8),
    "imagej tiff": Target(saved("a.tif", imagej), read_picture, weight=5),
    "dicom": Target(saved("a.dcm", dicom), read_picture, weight=10),
    "dicom series": Target(series, read_folder, weight=5),
    "nifti": Target(saved("a.nii", nifti), read_picture, weight=8),
    "nifti.gz": Target(saved("a.nii.gz", nifti), read_picture, weight=3),
    "npy": Target(saved("a.npy", npy), read_picture, weight=5),
    "zarr attributes": Target(zarr, read_folder, "json", 5),
    "zarr array": Target(zarr_array, read_folder, "json", 5),
    "zarr chunk": Target(zarr_chunk, read_folder, weight=2),
    "image table": Target(pictures, read_pictures, "text", 6),
    "mask": Target(mask, read_mask, weight=3),
    "labelled table": Target(labelled_table, read_labelled_table, "text", 4),
    "labelled npz": Target(labelled_npz, read_labelled_npz, weight=6),
    "yaml": Target(yaml, read_yaml, "text", 14),
    "sequence model": Target(sequence_model, use_sequence_model, "safetensors", 16),
    "image model": Target(image_model, use_image_model, "safetensors", 16),
    "start_from": Target(sequence_model, start_from, "safetensors", 3),
    "state": Target(state, read_state, "state", 3),
    "trial": Target(trials, read_trials, "json", 3),
    "best settings": Target(best, read_best, "json", 3),
    "facts": Target(dataset("facts.json"), read_dataset, "json", 3),
    "examples table": Target(dataset("examples.tsv"), read_dataset, "text", 4),
    "stored images": Target(dataset("x.npy"), read_dataset, weight=2),
    "stored shapes": Target(dataset("x.shapes.npy"), read_dataset, weight=2),
    "predictions": Target(predictions("probability.npy"), read_predictions, weight=3),
    "predictions table": Target(predictions("examples.tsv"), read_predictions, "text", 4),
}


def copied(source: Path, target: Path) -> Path:
    """Return a separate copy of the files of a target."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
