"""Score a VCF of substitutions with DeepBind (both strands): with ``annotate``, or with a typical hand-written script.

The time includes everything between two files: reading, windows, network, writing and the index.
"""

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import torch

from benchmarks.sides.common import clock, one_hot, read_task, report
from biocnn.apply.variants.step import annotate
from biocnn.config.schema import choose
from biocnn.io.genome import open_genome
from biocnn.prediction.model import Model
from biocnn.tasks.facts import Facts
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.metadata import Metadata

BATCH = 512


def model_of(window: int, channels: int, folder: Path) -> Model:
    """Return an untrained network, since weights do not matter, after saving and loading it."""
    section = choose("models", {"name": "DeepBind", "channels": channels, "strands": "both"}, "model")
    facts = Facts(
        kind="sequence", task="binary", spatial_dims=1, in_channels=4, out_channels=1, outputs=["bound"],
        alphabet="ACGT", window=window, flank=0,
    )  # fmt: skip
    torch.manual_seed(1)
    path = folder / "model.safetensors"
    meta = Metadata(experiment={"model": section.model_dump(mode="json")}, facts=facts)
    save_model(path, build_model(section, facts), meta)
    return Model(path)


def at_once(task: dict[str, Any], model: Model, folder: Path) -> np.ndarray:
    """Run ``annotate``, and return the changes of the logit."""
    genome = open_genome(f"{task['data']}/encoded")
    annotate(task["vcf"], [model], genome, folder, maps=0)
    return np.loadtxt(folder / "variants.tsv", skiprows=1, usecols=-1, delimiter="\t")


def one_by_one(task: dict[str, Any], model: Model, folder: Path) -> np.ndarray:
    """Use pysam for records and windows, one-hot encoding, batches of windows, and pysam for output."""
    network, window = model.network.eval(), model.facts.window
    fasta = pysam.FastaFile(f"{task['data']}/genome.fa")
    codes = np.full(256, 4, np.uint8)
    codes[np.frombuffer(b"ACGTacgt", np.uint8)] = [0, 1, 2, 3] * 2

    def pair(record: pysam.VariantRecord) -> Iterator[np.ndarray]:
        start = record.pos - 1 - window // 2
        text = fasta.fetch(record.chrom, start, start + window)
        for allele in (record.ref, record.alts[0]):
            edited = text[: window // 2] + allele + text[window // 2 + 1 :]
            yield codes[np.frombuffer(edited.encode(), np.uint8)]

    found, out = [], folder / "out.vcf.gz"
    with pysam.VariantFile(task["vcf"]) as source:
        source.header.info.add("DLOGIT", "A", "Float", "Change of the logit")
        with pysam.VariantFile(str(out), "wz", header=source.header) as target, torch.inference_mode():
            while records := list(islice(source, BATCH // 2)):
                x = torch.from_numpy(one_hot(np.stack([w for record in records for w in pair(record)])))
                logits = network(x)[:, 0].view(-1, 2)
                for record, change in zip(records, (logits[:, 1] - logits[:, 0]).tolist(), strict=True):
                    record.info["DLOGIT"] = (change,)
                    target.write(record)
                    found.append(change)
    pysam.tabix_index(str(out), preset="vcf", force=True)
    return np.array(found)


def main() -> None:
    """Score the file, and save the changes."""
    task = read_task()
    way = {"at once": at_once, "one by one": one_by_one}[task["way"]]
    seconds = {}
    for channels in task["channels"]:
        with tempfile.TemporaryDirectory() as name:
            model = model_of(task["window"], channels, Path(name))
            model.logits(np.zeros((2, task["window"]), np.uint8))  # warm-up
            began = clock()
            found = way(task, model, Path(name))
            seconds[str(channels)] = clock() - began
        np.save(f"{task['found']}_{channels}.npy", found)
    report(seconds, threads=torch.get_num_threads())


main()
