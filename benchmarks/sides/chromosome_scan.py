"""Scan a segment of a chromosome with DeepBind (16 kernels of 24 bp, both strands): at once, or by window."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.sides.common import clock, read_task, report
from biocnn.config.schema import choose
from biocnn.io.genome import Genome, open_genome
from biocnn.prediction.model import Model
from biocnn.tasks.facts import Facts
from biocnn.training.batches import BATCH
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.metadata import Metadata


def network_of(window: int) -> Model:
    """Return an untrained network, since weights do not matter, after saving and loading it."""
    section = choose("models", {"name": "DeepBind", "strands": "both"}, "model")
    facts = Facts(
        kind="sequence", task="binary", spatial_dims=1, in_channels=4, out_channels=1, outputs=["bound"],
        alphabet="ACGT", window=window, flank=0,
    )  # fmt: skip
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        meta = Metadata(experiment={"model": section.model_dump(mode="json")}, facts=facts)
        save_model(path, build_model(section, facts), meta)
        return Model(path)


def at_once(model: Model, genome: Genome, contig: str, start: int, end: int, stride: int) -> Iterator[np.ndarray]:
    """``Model.scan``."""
    return (found for _, found in model.scan(genome, contig, start, end, stride=stride))


def by_window(model: Model, genome: Genome, contig: str, start: int, end: int, stride: int) -> Iterator[np.ndarray]:
    """``Model.predict`` of batches of windows."""
    starts, window = np.arange(start, end - model.facts.window + 1, stride), model.facts.window
    row = genome.names.index(contig)
    for first in range(0, len(starts), BATCH):
        block = starts[first : first + BATCH]
        yield model.predict(genome.windows(np.full(len(block), row), block, window))


def scan(task: dict[str, Any], genome: Genome, window: int, length: int) -> tuple[float, np.ndarray]:
    """Return seconds, and probabilities (n, 1)."""
    model, way = network_of(window), {"at once": at_once, "by window": by_window}[task["way"]]
    for _ in range(2):  # the first for warm-up
        began = clock()
        found = np.concatenate(
            list(way(model, genome, task["contig"], task["start"], task["start"] + length, task["stride"]))
        )
        seconds = clock() - began
    return seconds, found


def main() -> None:
    """Scan with each window, and save the probabilities."""
    task = read_task()
    genome, seconds, windows = open_genome(f"{task['data']}/encoded"), {}, {}
    for window, length in task["lengths"].items():
        seconds[window], found = scan(task, genome, int(window), length)
        windows[window] = len(found)
        np.save(f"{task['found']}_{window}.npy", found)
    report(seconds, windows=windows, threads=torch.get_num_threads())


main()
