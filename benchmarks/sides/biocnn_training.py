"""Train with biocnn, like ``biocnn train``, and compare its steps with the limit of the machine."""

from pathlib import Path

import numpy as np
import torch

from benchmarks.sides.common import DEVICE, after_first, clock, read_task, report, validate
from biocnn.config.experiment import load
from biocnn.config.search_space import with_values
from biocnn.config.settings import Train
from biocnn.data.dataset import Dataset
from biocnn.nn.summary import summary
from biocnn.training.checkpoint import save_model
from biocnn.training.runs import train_run

PRODUCT = 4096  # side of the square matrices whose product defines the limit of the machine


def main() -> None:
    """Train, and report the time of an epoch (training and validation)."""
    task = read_task()
    dataset = Dataset(Path(task["data"]) / "dataset")
    settings = load(task["experiment"], Path(task["data"]).parent).settings
    settings = with_values(settings, {f"train.{key}": value for key, value in task.get("train", {}).items()})
    started = clock()
    network, history, meta = train_run(settings, dataset, settings.seed)
    total = clock() - started
    if "save" in task:
        save_model(task["save"], network, meta)
    seconds = after_first(history["seconds"].tolist())
    precision = history["precision"].iloc[-1]
    achieved = multiply_adds(network, dataset, settings.train) / seconds["epoch"]
    report(
        seconds,
        total_seconds=total,
        metric=validate(network, np.load(f"{task['data']}/peers.npz")),
        threads=torch.get_num_threads(),
        precision=precision,
        multiply_adds_per_second=achieved,
        share_of_product=achieved / product_rate(precision),
        weights=sum(p.numel() for p in network.parameters()),
    )


def multiply_adds(network: torch.nn.Module, dataset: Dataset, section: Train) -> float:
    """Count those of an epoch: three times the forward pass per training example, once for validation."""
    facts, network = dataset.facts, network.cpu()
    if facts.kind == "sequence":
        each = summary(network, facts.window or dataset.x.shapes[0, 0]).multiply_adds
        return each * (3 * facts.n.train + facts.n.val)
    if not dataset.task.target.spatial:
        return summary(network, dataset.x.shapes[0][1:]).multiply_adds * (3 * facts.n.train + facts.n.val)
    trained = section.steps_per_epoch * section.batch_size
    validated = sum(summary(network, dataset.x.shapes[row][1:]).multiply_adds for row in dataset.rows("val"))
    return summary(network, section.patch).multiply_adds * 3 * trained + validated


def product_rate(precision: str) -> float:
    """Return the multiply-adds per second of the fastest of five products of large matrices."""
    kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    a, b = (torch.rand(PRODUCT, PRODUCT, device=DEVICE).to(kind) for _ in range(2))
    times = []
    for _ in range(5):
        started = clock()
        torch.mm(a, b)
        times.append(clock() - started)
    return PRODUCT**3 / min(times)


main()
