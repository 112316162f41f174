"""Results folders like those of the steps, made without training: for tests, and for viewing pages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from scipy import ndimage
from tiny import experiment

from biocnn.config.registry import suited
from biocnn.config.settings import Explain, Motifs, Settings, Train
from biocnn.io.archive import array_archive
from biocnn.io.meme import Motif, write_meme
from biocnn.io.ragged import Ragged
from biocnn.metrics import auprc, auroc, average_precision_iou, dice, iou, pearson, spearman
from biocnn.prediction.stored_predictions import Decided
from biocnn.report.blocks import Picture
from biocnn.report.figures import Gallery
from biocnn.tasks import make_task
from biocnn.tasks.facts import read_facts
from biocnn.tasks.instance_targets import instance_targets
from biocnn.tasks.watershed import label_instances
from biocnn.training.metadata import Metadata

RUNS = ("fold0-seed1", "fold0-seed2")
SITE = "TTACCCG"
CLASSES = ["background", "inside", "boundary", "distance"]
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


@contextmanager
def undrawn() -> Iterator[None]:
    """Make the figures of reports, but do not draw them: for tests of words; drawing takes most of the time."""

    def add(self, name, figure, alt, caption, vector=True, hints=None):
        return Picture(name, "<svg></svg>", alt, caption, 900)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gallery, "add", add)
        yield


@contextmanager
def coarse() -> Iterator[None]:
    """Draw the figures of reports with few pixels, which takes less time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PAPER_DPI", "PAGE_DPI", "THUMBNAIL_DPI"):
            patch.setattr(f"biocnn.report.figures.{name}", 30)
        yield


def write_sequences(folder: Path, task: str = "binary", n: int = 600) -> Settings:
    """Write a sequence experiment, and return its settings."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(n, 3)) if task == "regression" else (rng.random((n, 3)) < 0.4)
    y = y[:, : 1 if task == "binary" else 3].astype(np.float32)
    outputs = ["REB1"] if task == "binary" else ["one", "two", "three"]
    codes = rng.integers(4, size=(n, 101)).astype(np.uint8)
    codes[y[:, 0] > 0.5, 40 : 40 + len(SITE)] = ["ACGT".index(base) for base in SITE]
    examples = pd.DataFrame(
        {
            "id": [f"peak{i}" for i in range(n)],
            "split": np.repeat(["train", "val", "test"], [n // 2, n // 6, n - n // 2 - n // 6]),
            "group": np.repeat([f"chr{i}" for i in range(12)], n // 12),
            "chrom": "chrIV",
            "start": np.arange(n) * 500,
            "end": np.arange(n) * 500 + 101,
        }
    )
    facts = {"kind": "sequence", "task": task, "spatial_dims": 1, "in_channels": 4, "out_channels": len(outputs)}
    facts |= {"outputs": outputs, "alphabet": "ACGT", "window": 101, "flank": 10}
    targets = pd.DataFrame(y, columns=[f"y_{k}" for k in range(y.shape[1])])
    _dataset(folder, examples.join(targets), facts, list(codes), list(y), np.float32)
    predicted = {}
    for number, run in enumerate(RUNS):
        noise = np.random.default_rng(number).normal(size=y.shape) + rng.normal(size=y.shape)
        score = y + noise if task == "regression" else 1 / (1 + np.exp(-(4 * y - 2 + 1.3 * noise)))
        predicted[run] = [row.astype(np.float32) for row in score]
        _run(folder, run, examples, predicted[run], {}, "val_auroc")
    _vector_metrics(folder, examples, y, predicted, outputs, task)
    _explain_sequences(folder, codes, y, outputs)
    return experiment(explain=Explain(motifs=Motifs(database=folder / "database.meme")))


def write_images(folder: Path, task: str = "instances", n: int = 18, size: int = 96) -> Settings:
    """Write an image experiment, discs on an uneven background, and return its settings."""
    rng = np.random.default_rng(2)
    labels = [_discs(rng, size, 14) for _ in range(n)]
    images = [_photograph(rng, found)[None] for found in labels]
    examples = pd.DataFrame(
        {
            "id": [f"well_{i:02d}" for i in range(n)],
            "split": np.repeat(["train", "val", "test"], [n // 2, n // 6, n - n // 2 - n // 6]),
            "group": [f"plate{i % 6}" for i in range(n)],
        }
    )
    classes = [np.where(found > 0, 1 + found % 2, 0) if task == "classes" else found > 0 for found in labels]
    masks = [found.astype(np.uint8)[None] for found in classes]
    y = [instance_targets(found) for found in labels] if task == "instances" else masks
    outputs = {"mask": ["nuclei"], "classes": ["background", "small", "large"]}.get(task, CLASSES)
    channels = {"mask": 1, "classes": 3, "instances": 4}[task]
    facts = {"kind": "image", "task": task, "spatial_dims": 2, "in_channels": 1, "out_channels": channels}
    facts |= {"outputs": outputs, "channels": ["DAPI"], "spacing": [0.5, 0.5], "class_shares": [0.7, 0.2, 0.1]}
    facts |= {"normalise": "dataset", "intensity": {"low": [0.0], "high": [float(np.max(images))]}}
    _dataset(folder, examples, facts, images, y, np.uint8)
    if task == "instances":
        Ragged.write(folder / "dataset" / "labels.npy", [found[None] for found in labels], np.int32)
    predicted = [_maps(rng, found, task) for found in labels]
    postprocess = {"seed_threshold": 0.5} if task == "instances" else {}
    _run(folder, RUNS[0], examples, predicted, postprocess, "val_dice")
    _image_metrics(folder, examples, labels, masks, predicted, task, postprocess)
    with array_archive(folder / "decided.npz") as keep:
        decide = make_task(read_facts(folder / "dataset" / "facts.json")).decide
        for name, split, p in zip(examples["id"], examples["split"], predicted, strict=True):
            keep(Decided.name(split, name), decide(p, postprocess))
    test = np.flatnonzero(examples["split"] == "test")[:4]
    shown = np.stack([np.clip(images[i][0] / 40, 0, 255).astype(np.uint8) for i in test])
    cam = np.stack([ndimage.gaussian_filter((labels[i] > 0).astype(np.float32), 4) for i in test])
    (folder / "explain").mkdir()
    names = examples["id"].to_numpy().astype(str)[test]
    np.savez(
        folder / "explain" / "cam.npz",
        id=names,
        image=shown,
        cam=cam / cam.max(),
        output=np.array([outputs[-1]] * len(test)),
        true=np.zeros(len(test), bool),
    )
    _objects(folder, rng)
    return experiment("UNet", data="Images", augment="default", train=Train(patch=[64, 64]))


def _dataset(folder: Path, examples: pd.DataFrame, facts: dict, x: list, y: list, dtype: type) -> None:
    target = folder / "dataset"
    target.mkdir(parents=True)
    examples.to_csv(target / "examples.tsv", sep="\t", index=False)
    facts["decisions"] = {"task": {"value": facts["task"], "reason": "the values of the targets"}}
    facts["sources"] = [{"key": "data.genome", "path": "genome.fa.gz", "sha256": "ab" * 32, "bytes": 12_345_678}]
    (target / "facts.json").write_text(json.dumps(facts))
    Ragged.write(target / "x.npy", x, x[0].dtype)
    Ragged.write(target / "y.npy", y, dtype)
    rows = [
        ("peaks.bed", "read", "rows", 1234, ""),
        ("peaks.bed", "dropped", "contig <chrM> is not listed", 7, "chrM:1-9"),
    ]
    checks = pd.DataFrame(rows, columns=["source", "outcome", "reason", "count", "example"])
    checks.to_csv(folder / "checks.tsv", sep="\t", index=False)


def _run(folder: Path, run: str, examples: pd.DataFrame, predicted: list, postprocess: dict, metric: str) -> None:
    target = folder / "runs" / run
    target.mkdir(parents=True)
    epoch = np.arange(1, 25)
    val_loss = 0.3 + 0.4 * np.exp(-epoch / 4) + 0.004 * np.maximum(epoch - 15, 0) * (1 + int(run[-1]))
    history = pd.DataFrame({"epoch": epoch, "step": epoch * 50, "lr": 1e-3 * (1 + np.cos(epoch / 24 * np.pi)) / 2})
    history = history.assign(train_loss=0.25 + 0.45 * np.exp(-epoch / 5), val_loss=val_loss)
    history[metric] = 0.95 - 0.4 * np.exp(-epoch / 3)
    history = history.assign(seconds=1.5, best=(val_loss == val_loss.min()).astype(int))
    history.to_csv(target / "history.tsv", sep="\t", index=False)
    kept = np.flatnonzero(examples["split"] != "train")
    (target / "predictions").mkdir()
    Ragged.write(target / "predictions" / "probability.npy", [predicted[i] for i in kept], np.float16)
    examples.loc[kept, ["id", "split"]].to_csv(target / "predictions" / "examples.tsv", sep="\t", index=False)
    versions = {"biocnn": "0.1.0", "torch": "2.13.0", "python": "3.11.9", "commit": "abc1234"}
    write_model(folder, run, versions=versions, postprocess=postprocess)


def write_model(folder: Path, run: str, **about: Any) -> None:
    """Write a model file with this metadata and empty weights."""
    facts = read_facts(folder / "dataset" / "facts.json")
    network = suited("models", facts.kind, make_task(facts).target.kind)[0]
    meta = Metadata(**{"experiment": {"model": {"name": network}}, "facts": facts} | about)
    save_file({"w": np.zeros(4, np.float32)}, folder / "runs" / run / "model.safetensors", metadata=meta.header())


def _vector_metrics(
    folder: Path, examples: pd.DataFrame, y: np.ndarray, predicted: dict, outputs: list, task: str
) -> None:
    mean = list(np.mean(list(predicted.values()), axis=0))
    metrics = (pearson, spearman) if task == "regression" else (auroc, auprc)
    rows = []
    for run, values in {**predicted, "ensemble": mean}.items():
        for split in ("val", "test"):
            chosen = np.flatnonzero(examples["split"] == split)
            for k, output in enumerate(outputs):
                for metric in metrics:
                    value = metric(np.stack(values)[chosen, k], y[chosen, k])
                    rows.append(
                        (run, split, output, metric.__name__, "all", value, value - 0.02, value + 0.015, len(chosen))
                    )
    _metrics_table(folder, rows)


def _metrics_table(folder: Path, rows: list) -> None:
    columns = ["run", "split", "output", "metric", "over", "value", "low", "high", "n"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "metrics.tsv", sep="\t", index=False)


def _image_metrics(
    folder: Path, examples: pd.DataFrame, labels: list, masks: list, predicted: list, task: str, postprocess: dict
) -> None:
    details = []
    for i in np.flatnonzero(examples["split"] != "train"):
        if task == "instances":
            found = average_precision_iou(label_instances(predicted[i], **postprocess), labels[i])
            values = {f"average_precision_iou_{t:g}": v for t, v in zip(THRESHOLDS, found, strict=True)}
            values["average_precision_iou"] = found.mean()
        else:
            mask = predicted[i][0] > 0.5 if task == "mask" else predicted[i].argmax(0)
            values = {"dice": dice(mask, masks[i][0]), "iou": iou(mask, masks[i][0]), "hausdorff95": 4.2}
        where = (RUNS[0], examples["split"][i], examples["id"][i], "objects")
        details += [(*where, metric, value) for metric, value in values.items()]
    table = pd.DataFrame(details, columns=["run", "split", "id", "output", "metric", "value"])
    table.to_csv(folder / "metrics_per_example.tsv", sep="\t", index=False)
    rows = []
    for (split, metric), part in table.groupby(["split", "metric"], sort=False):
        value, n = part["value"].mean(), len(part)
        rows.append((RUNS[0], split, "objects", metric, "per_image", value, value - 0.05, value + 0.04, n))
        rows.append((RUNS[0], split, "objects", metric, "pooled", value - 0.03, np.nan, np.nan, n))
    _metrics_table(folder, rows)


def _explain_sequences(folder: Path, codes: np.ndarray, y: np.ndarray, outputs: list) -> None:
    rng = np.random.default_rng(3)
    target = folder / "explain"
    target.mkdir()
    known = 0.02 + 0.92 * np.eye(4)[["ACGT".index(base) for base in SITE]]
    site = np.concatenate([np.full((4, 4), 0.25), known, np.full((3, 4), 0.25)])
    motifs = [Motif("kernel0", "kernel0", site, 812), Motif("kernel1", "kernel1", site[::-1, ::-1], 640)]
    motifs += [Motif(f"kernel{i}", f"kernel{i}", rng.dirichlet([0.4] * 4, 12), 100 - i) for i in range(2, 8)]
    write_meme(target / "motifs.meme", motifs)
    write_meme(folder / "database.meme", [Motif("MA0363.3", "REB1", known, 691), Motif("MA0001.1", "OTHER", known, 50)])
    table = pd.DataFrame(
        {"motif": [motif.id for motif in motifs], "rank": range(1, 9), "n_sites": [m.nsites for m in motifs]}
    )
    table = table.assign(group=["kernel0", "kernel0", *table["motif"][2:]], information_content=11.3, frequency=0.31)
    table = table.assign(frequency_positive=0.55, effect=np.linspace(0.8, -0.1, 8), auroc=np.linspace(0.95, 0.45, 8))
    table = table.assign(
        target_id="MA0363.3", target_name="REB1", strand=["+", "-", *"++++++"], offset=[4, 3] + [0] * 6
    )
    table = table.assign(
        overlap=7,
        similarity=[0.98, 0.97, *[0.4] * 6],
        p_value=[2.1e-12, 3e-9, *np.linspace(0.001, 0.4, 6)],
        e_value=0.01,
    )
    table = table.assign(q_value=np.minimum(table["p_value"] * 8, 1))
    table.loc[7, ["target_id", "target_name", "strand", "offset", "p_value", "q_value"]] = np.nan
    table.to_csv(target / "matches.tsv", sep="\t", index=False)
    seqlets = table.loc[:0].assign(motif="seqlets1", contribution=4.2).drop(columns=["group", "effect", "auroc"])
    output = {"output": outputs[0]} if len(outputs) > 1 else {}
    seqlets.assign(**output).to_csv(target / "seqlet_matches.tsv", sep="\t", index=False)
    write_meme(target / "seqlet_motifs.meme", [Motif("seqlets1", "seqlets1", site, 812)])
    np.savez(target / "seqlet_motifs.npz", seqlets1=site * 0.5)
    columns = ["motif", "target_id", "target_name"]
    similar = [("seqlets1", "MA0363.3", "REB1"), ("seqlets1", "MA0001.1", "OTHER"), ("kernel0", "MA0363.3", "REB1")]
    pd.DataFrame(similar, columns=columns).to_csv(target / "similar_motifs.tsv", sep="\t", index=False)
    chosen = np.arange(len(codes))[-40:]
    attributions = rng.normal(0, 0.05, size=(len(chosen), 4, 101)).astype(np.float32)
    attributions[:, :, 40 : 40 + len(SITE)] += 0.6 * (y[chosen, 0] > 0.5)[:, None, None]
    sites = pd.DataFrame({"id": [f"peak{i}" for i in chosen], "start": 36, "end": 50, "strand": "+", "score": 3.2})
    sites = sites.assign(motif=np.where(y[chosen, 0] > 0.5, "seqlets1", ""), **output)
    sites.to_csv(target / "seqlets.tsv", sep="\t", index=False)
    sites[sites["motif"] != ""].to_csv(target / "example_sites.tsv", sep="\t", index=False)
    explained = {
        "delta": np.full(len(chosen), 2e-6),
        "output": np.zeros(len(chosen), int),
        "method": np.array("deeplift"),
        "id": np.array([f"peak{i}" for i in chosen]),
        "codes": codes[chosen],
        "attributions": attributions,
        "probability": (0.1 + 0.8 * (y[chosen, 0] > 0.5)),
        "target": y[chosen],
    }
    np.savez(target / "attributions.npz", change=-attributions, **explained)
    np.savez(target / "mistakes.npz", kind=np.where(y[chosen, 0] > 0.5, "under", "over"), **explained)
    _on_genome(target, explained, y[chosen], outputs)


def _on_genome(target: Path, explained: dict[str, np.ndarray], y: np.ndarray, outputs: list) -> None:
    """Write predictions and views of the explained examples, every other one on the reverse strand."""
    start = np.array([500 * int(name.removeprefix("peak")) for name in explained["id"]])
    table = pd.DataFrame({"id": explained["id"], "chrom": "chrIV", "start": start, "end": start + 101})
    table["strand"] = np.where(np.arange(len(table)) % 2, "-", "+")
    for k, name in enumerate(outputs):
        target_name, predicted = (f"{what}:{name}" if len(outputs) > 1 else what for what in ("target", "prediction"))
        table[target_name], table[predicted] = y[:, k], explained["probability"]
    table.to_csv(target / "predictions.tsv", sep="\t", index=False)
    row = ["predictions.bed", "predictions", len(table), "3 more have no genome coordinates"]
    pd.DataFrame([row], columns=["file", "content", "number", "note"]).to_csv(
        target / "files.tsv", sep="\t", index=False
    )
    at = start[:2, None] + np.arange(-150, 250, 2)
    np.savez(target / "genome_view.npz", id=explained["id"][:2], at=at, prediction=np.full(at.shape, 0.3))


def _discs(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    labels = np.zeros((size, size), np.int32)
    rows, columns = np.mgrid[:size, :size]
    for number in range(1, count + 1):
        row, column = rng.integers(size, size=2)
        labels[(rows - row) ** 2 + (columns - column) ** 2 < rng.integers(5, 11) ** 2] = number
    return labels


def _photograph(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    brightness = rng.uniform(2000, 9000, labels.max() + 1)
    brightness[0] = 300
    image = ndimage.gaussian_filter(brightness[labels], 1.2) * np.linspace(0.7, 1, len(labels))
    return np.clip(image + rng.normal(0, 150, image.shape), 0, 65535).astype(np.uint16)


def _maps(rng: np.random.Generator, labels: np.ndarray, task: str) -> np.ndarray:
    """Return correct probabilities with a shift and noise."""
    moved = np.roll(labels, rng.integers(0, 3), axis=0)
    noise = ndimage.gaussian_filter(rng.normal(0, 1.0, labels.shape), 2)
    if task == "mask":
        return np.clip((moved > 0) * 0.8 + 0.1 + noise, 0, 1)[None].astype(np.float32)
    if task == "classes":
        classes = np.where(moved > 0, 1 + moved % 2, 0)
        return np.stack([np.clip((classes == k) * 0.7 + noise, 0, 1) for k in range(3)]).astype(np.float32)
    classes, distance, _ = instance_targets(moved)
    maps = np.stack([*(classes == k for k in range(3)), distance / 255]).astype(np.float32)
    return np.clip(maps + 0.5 * noise, 0, 1).astype(np.float32)


def _objects(folder: Path, rng: np.random.Generator) -> None:
    area = rng.lognormal(4, 0.5, 300)
    table = pd.DataFrame({"image": np.repeat(["a", "b", "c"], 100), "label": np.tile(np.arange(1, 101), 3)})
    table = table.assign(centroid_y=area, y_min=0, area=4 * area, area_um2=area, touches_edge=area > 60)
    table = table.assign(**{"class": "object"}, eccentricity=rng.random(300), DAPI_mean=rng.uniform(500, 9000, 300))
    (folder / "apply").mkdir()
    table.to_csv(folder / "apply" / "objects.csv", index=False)
    rows = [
        ["apply", "read", "new images", 3, ""],
        ["apply", "dropped", "images that cannot be used", 1, "d.tif"],
    ]
    counts = pd.DataFrame(rows, columns=["source", "outcome", "reason", "count", "example"])
    counts.to_csv(folder / "apply" / "counts.tsv", sep="\t", index=False)
    names, why = ["a", "b", "c", "d"], [None, None, None, "d.tif: damaged TIFF"]
    images = pd.DataFrame({"image": names, "path": [f"{name}.tif" for name in names], "skipped": why})
    images.to_csv(folder / "apply" / "images.csv", index=False)
