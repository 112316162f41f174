"""Small valid settings, models and outputs of steps, and the function that reads each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.image_formats import PLANE
from tests.fuzz.sequence_formats import BASES, bed
from tests.fuzz.target import Target

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
            "trial": trial, "part": 0, "round": 1, "digest": "abc", "settings": {"train.lr": 0.01 * (trial + 1)},
            "metric": "auroc", "value": 0.7, "score": 0.7, "tie": -0.5, "resampled": [0.6, None, 0.7], "folds": [],
            "best_epoch": 2, "epochs": 3, "seconds": 1.5,
        }  # fmt: skip
        (folder / f"trial{trial}.json").write_text(json.dumps(record))
    return folder / "trial1.json"


def read_trials(path: Path) -> None:
    from biocnn.training.calibrate import rank_trials, read_record

    rank_trials([read_record(path.parent / "trial0.json"), read_record(path)])


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
        steps.predict([model], folder / "dataset", folder / "predictions")
        return folder / "predictions" / name

    return made


def read_predictions(path: Path) -> None:
    from biocnn.config.settings import Metrics
    from biocnn.data.dataset import Dataset
    from biocnn.evaluation.evaluate import evaluate_stored

    run = path.parents[1]
    evaluate_stored(Dataset(run / "dataset"), [run], Metrics(resamples=2), 1)


STEP_OUTPUTS: dict[str, Target] = {
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
