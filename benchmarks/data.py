"""The data of all rows: generated once from fixed seeds, in ``benchmarks/data``, with biocnn's own commands.

The data of a row are stored as ``{name}/dataset`` for biocnn and as plain arrays, ``{name}/peers.npz``, for the others,
which thus skip reading, checking and normalising; none of that is timed.
"""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from biocnn.data.dataset import Dataset
from biocnn.io.genome import open_genome
from biocnn.workflow.simulate import CONSENSUS, consensus_pfm, simulate_nuclei, simulate_sequences

ROOT = Path(__file__).parents[1]
DATA, EXPERIMENTS = ROOT / "benchmarks" / "data", ROOT / "benchmarks" / "experiments"
BIOCNN = Path(sys.executable).with_name("biocnn")  # of this environment, whether activated or not
SEQUENCES = {
    "deepbind": {"length": 101, "sites": 1, "parts": {"train": 100_000, "val": 10_000, "test": 100}},
    "conv5": {"length": 1000, "sites": 3, "parts": {"train": 4_000, "val": 1_000, "test": 100}},
}
LABELLED = {"train": 2_400, "val": 400, "test": 8}  # images of 28 x 28 pixels
VARIANTS = 40_000  # substitutions of the genome
OBJECTS = 16  # simulated images along each side of the large image
FIELDS = {"train": 24, "val": 4, "test": 1}  # images of 512 x 512 pixels


def prepare(name: str) -> None:
    """Generate the data ``name``, a key of ``MAKERS``, if missing; variants need the genome."""
    folder = DATA / name
    if folder.exists():
        return
    print(f"making benchmarks/data/{name}", flush=True)
    work = folder.with_name(f"{name}.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    MAKERS[name](name, work)
    work.rename(folder)


def _sequences(name: str, folder: Path) -> None:
    length, sites, parts = (SEQUENCES[name][key] for key in ("length", "sites", "parts"))
    rng, number = np.random.default_rng([1, length]), sum(parts.values())
    codes = rng.integers(0, 4, (number, length), dtype=np.uint8)
    label = rng.permutation(number) % 2
    pfm = 0.8 * consensus_pfm(CONSENSUS) + 0.2 * 0.25  # weak enough that no network is certain
    for row in np.flatnonzero(label):
        for start in rng.integers(0, length - pfm.shape[1] + 1, sites):
            codes[row, start : start + pfm.shape[1]] = (rng.random(pfm.shape[1]) > pfm.cumsum(0)[:3]).sum(0)
    letters = np.frombuffer(b"ACGT", np.uint8)[codes]
    table = pd.DataFrame({"sequence": [row.tobytes().decode() for row in letters], "label": label})
    table["split"] = np.repeat(list(parts), list(parts.values()))
    table.to_csv(DATA / f"{name}.tsv", sep="\t", index=False)
    stored = _store(name, folder)
    arrays = {}
    for part in ("train", "val"):
        rows = stored.rows(part)
        arrays[f"{part}_x"] = np.stack([stored.x[i] for i in rows])
        arrays[f"{part}_y"] = np.stack([stored.y[i] for i in rows])
    np.savez(folder / "peers.npz", **arrays)


def _images(name: str, folder: Path) -> None:
    nuclei = DATA / "nuclei"
    shutil.rmtree(nuclei, ignore_errors=True)
    fields = [field for seed in range(1, 6) for field in _fields(folder / "fields", seed)]
    rows = []
    for part, number in FIELDS.items():
        for i in range(number):
            image, mask = _mosaic([fields.pop() for _ in range(4)], 2)
            rows.append((f"{part}{i}.tif", f"{part}{i}_mask.tif", part))
            nuclei.mkdir(exist_ok=True)
            tifffile.imwrite(nuclei / rows[-1][0], image)
            tifffile.imwrite(nuclei / rows[-1][1], mask)
    pd.DataFrame(rows, columns=["image", "mask", "split"]).to_csv(nuclei / "table.csv", index=False)
    np.save(folder / "large.npy", _mosaic(fields[:64], 8)[0])
    stored = _store(name, folder)
    low, high = (
        np.float32(ends).reshape(-1, 1, 1) for ends in (stored.facts.intensity.low, stored.facts.intensity.high)
    )
    arrays = {"low": low, "high": high}
    for part in ("train", "val"):
        rows = stored.rows(part)
        arrays[f"{part}_x"] = np.stack([(stored.x[i].astype(np.float32) - low) / (high - low) for i in rows])
        arrays[f"{part}_y"] = np.stack([stored.y[i] for i in rows])
    np.savez(folder / "peers.npz", **arrays)


def _classes(name: str, folder: Path) -> None:
    """Draw noisy ellipses on a bright background; axes and colour depend on the class."""
    rng, arrays = np.random.default_rng(1), {}
    rows, columns = np.mgrid[:28, :28] - 13.5
    for part, number in LABELLED.items():
        kinds = rng.integers(0, 8, number)
        y, x, angle = rng.uniform(-4, 4, number), rng.uniform(-4, 4, number), rng.uniform(0, np.pi, number)
        dy, dx = rows - y[:, None, None], columns - x[:, None, None]
        along, across = (
            c[:, None, None] * dx + s[:, None, None] * dy
            for c, s in ((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle)))
        )
        long, short = 5 + kinds % 4, 5 - kinds % 4 / 2
        inside = (along / long[:, None, None]) ** 2 + (across / short[:, None, None]) ** 2 < 1
        colour = np.where(kinds[:, None] < 4, [150, 90, 160], [160, 80, 120])
        images = np.where(inside[..., None], colour[:, None, None], [220, 200, 200]) + rng.normal(
            0, 30, (number, 28, 28, 3)
        )
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = images.clip(0, 255).astype(np.uint8), kinds[:, None]
    np.savez(DATA / f"{name}.npz", **arrays)
    stored, peers = _store(name, folder), {}
    low, high = (np.float32(e).reshape(-1, 1, 1) for e in (stored.facts.intensity.low, stored.facts.intensity.high))
    for part in ("train", "val"):
        rows = stored.rows(part)
        peers[f"{part}_x"] = (stored.x.stacked(rows).astype(np.float32) - low) / (high - low)
        peers[f"{part}_y"] = stored.y.stacked(rows).argmax(1)
    np.savez(folder / "peers.npz", **peers)


def _fields(folder: Path, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Simulate images of 256 x 256 pixels, and their masks."""
    simulate_nuclei(folder, seed)
    names = sorted(path.name for path in (folder / "images").iterdir())
    read = [(tifffile.imread(folder / "images" / n), tifffile.imread(folder / "labels" / n)) for n in names]
    shutil.rmtree(folder)
    return [(image, (labels > 0).astype(np.uint8)) for image, labels in read]


def _mosaic(fields: list[tuple[np.ndarray, np.ndarray]], side: int) -> tuple[np.ndarray, np.ndarray]:
    image, mask = (np.block([[f[k] for f in fields[r * side : (r + 1) * side]] for r in range(side)]) for k in (0, 1))
    return image, mask


def _genome(name: str, folder: Path) -> None:
    """Prepare human chromosome 20 if available, else a simulated genome, as plain FASTA, which all tools read."""
    root = Path(os.environ.get("BIOCNN_DATA", ROOT / ".." / "shared" / "data"))
    real = root / "genomics" / "human_chr20_hg19" / "chr20.fa.gz"
    if real.exists():
        with gzip.open(real, "rb") as source, open(folder / "genome.fa", "wb") as target:
            shutil.copyfileobj(source, target)
    else:
        simulate_sequences(folder, 1)
    _biocnn("genome", folder / "genome.fa", folder / "encoded")


def _variants(name: str, folder: Path) -> None:
    """Write a VCF of random substitutions of known bases on the longest contig of the genome."""
    genome = open_genome(DATA / "genome" / "encoded")
    contig = max(genome.contigs, key=genome.contigs.get)
    rng, row = np.random.default_rng(1), genome.names.index(contig)
    places = np.unique(rng.integers(200, genome.contigs[contig] - 200, 2 * VARIANTS))
    around = genome.windows(np.full(len(places), row), places - 60, 121)
    places = np.sort(rng.choice(places[(around < 4).all(1)], VARIANTS, replace=False))
    ref = genome.windows(np.full(VARIANTS, row), places, 1)[:, 0]
    alt = (ref + rng.integers(1, 4, VARIANTS)) % 4
    lines = ["##fileformat=VCFv4.2", f"##contig=<ID={contig}>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    each = zip(places + 1, ref, alt, strict=True)
    lines += [f"{contig}\t{pos}\t.\t{'ACGT'[old]}\t{'ACGT'[new]}\t.\tPASS\t." for pos, old, new in each]
    (folder / "variants.vcf").write_text("\n".join(lines) + "\n")


def _objects(name: str, folder: Path) -> None:
    """Write a tiled image of many nuclei, and train a network that segments them."""
    nuclei = DATA / "objects_nuclei"
    simulate_nuclei(nuclei, 1)
    fields = [tifffile.imread(path) for path in sorted((nuclei / "images").iterdir())]
    rows = [np.concatenate([fields[(r + c) % len(fields)] for c in range(OBJECTS)], axis=1) for r in range(OBJECTS)]
    tifffile.imwrite(folder / "image.tif", np.concatenate(rows), tile=(512, 512), compression="zlib")
    _store(name, folder)
    config = EXPERIMENTS / f"{name}.yaml"
    _biocnn(
        "train", config, folder / "dataset", "fold0-seed1", folder / "model.safetensors", folder / "history.tsv",
        "--data-root", DATA,
    )  # fmt: skip


def _store(name: str, folder: Path) -> Dataset:
    config, raw = EXPERIMENTS / f"{name}.yaml", folder / "raw"
    _biocnn("check", config, raw, folder / "checks.tsv", "--data-root", DATA)
    _biocnn("dataset", config, raw, folder / "dataset", "--data-root", DATA)
    return Dataset(folder / "dataset")


def _biocnn(*arguments: object) -> None:
    subprocess.run([BIOCNN, *map(str, arguments)], check=True, cwd=ROOT)


MAKERS = {
    "deepbind": _sequences,
    "conv5": _sequences,
    "unet": _images,
    "resnet": _classes,
    "objects": _objects,
    "genome": _genome,
    "variants": _variants,
}
