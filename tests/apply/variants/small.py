"""A genome, an untrained model and VCF text for the tests of variants."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import torch
from tiny import metadata, sequence_facts

from biocnn.apply.variants.step import annotate
from biocnn.config.schema import choose
from biocnn.io.fasta import encode
from biocnn.io.genome import Genome
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, save_model

DEEPBIND = {"name": "DeepBind", "channels": 6, "kernel_size": 7, "strands": "both"}
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def genome_of(**contigs: str) -> Genome:
    codes = np.concatenate([encode(text) for text in contigs.values()])
    return Genome(codes, {name: len(text) for name, text in contigs.items()}, {}, "small.fa")


def random_genome(*lengths: int, seed: int = 0) -> Genome:
    """Return contigs chr1, chr2, ... of random bases."""
    rng = np.random.default_rng(seed)
    return genome_of(**{f"chr{i}": "".join(rng.choice(list("ACGT"), n)) for i, n in enumerate(lengths, 1)})


def model_of(
    folder: Path, network: dict[str, Any] = DEEPBIND, *, seed: int = 1, temperature: float = 1.0, **more: Any
) -> Model:
    """Return an untrained network whose logits differ clearly."""
    facts = sequence_facts(**{"alphabet": "ACGT", "window": 31, "flank": 0} | more)
    section = choose("models", network, "model")
    torch.manual_seed(seed)
    built = build_model(section, facts)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(3).add_(0.05 * torch.randn_like(parameter))
    path = folder / f"model{seed}.safetensors"
    save_model(path, built, metadata(section, facts, temperature=[temperature] * facts.out_channels))
    return Model(path, "cpu")


def vcf_text(*records: str, header: tuple[str, ...] = (), samples: str = "") -> str:
    """Return a VCF with a header; records are given with blanks instead of tabs."""
    lines = ["##fileformat=VCFv4.2", *header, COLUMNS + samples.replace(" ", "\t")]
    return "\n".join([*lines, *(record.replace(" ", "\t") for record in records)]) + "\n"


def run(folder: Path, text: str, genome: Genome, *models: Model, **settings: Any) -> Path:
    """Annotate, and return the output folder."""
    (folder / "in.vcf").write_text(text)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    annotate(folder / "in.vcf", models, genome, out, **{"maps": 0, **settings})
    return out


def lines_of(out: Path) -> list[str]:
    with gzip.open(out / "variants.vcf.gz", "rt", encoding="utf-8", errors="surrogateescape", newline="\n") as handle:
        return handle.read().split("\n")[:-1]


def records_of(out: Path) -> list[pysam.VariantRecord]:
    """Return the records according to another reader."""
    with pysam.VariantFile(str(out / "variants.vcf.gz")) as handle:
        return list(handle)
