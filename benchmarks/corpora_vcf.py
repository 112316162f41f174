"""Run ``biocnn variants`` on variant files of other projects, with a genome generated to fit each of them."""

import gzip
import tempfile
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import torch

from biocnn.apply.variants.reading import header_contigs, read_vcf
from biocnn.apply.variants.step import annotate
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.io.fasta import encode
from biocnn.io.genome import Genome
from biocnn.prediction.model import Model
from biocnn.tasks.facts import Facts
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.metadata import Metadata

LONGEST = 30_000_000  # bp of a generated contig
pysam.set_verbosity(0)  # warnings of htslib are in the counts
DOUBTFUL = ("note", "dropped")  # outcomes that indicate problems


def vcf(path: Path) -> tuple[str, str]:
    """Judge a file: in a folder ``passed`` it must be read, in ``failed`` refused, or its problems counted."""
    valid = "passed" in path.parts
    try:
        outcome, words = annotated(path)
    except InputError as error:
        if valid:
            return "differs", f"refused though valid: {error.message}"
        raise
    if outcome == "equal" and "failed" in path.parts:
        return "read", "invalid, but not where biocnn or pysam looks"
    return outcome, words


def annotated(path: Path) -> tuple[str, str]:
    """Annotate a file and compare all but INFO with the input; pysam must be able to read the output."""
    header, blocks = read_vcf(path)
    given = [line for _, lines in blocks for line in lines if line]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        skipping = {"maps": 0, "ref_mismatch": "skip", "unknown_contigs": "skip"}
        annotate(path, [_model()], _genome(given, header_contigs(header)), out, **skipping)
        with gzip.open(out / "variants.vcf.gz", "rt", encoding="utf-8", errors="surrogateescape") as handle:
            found = [line.rstrip("\n") for line in handle if line[0] != "#"]
        with pysam.VariantFile(str(out / "variants.vcf.gz")) as handle:
            readable = sum(1 for _ in handle)
        counts = pd.read_csv(out / "counts.tsv", sep="\t")
    if readable != len(given) or [_without_info(line) for line in found] != [_without_info(line) for line in given]:
        return "differs", f"{len(given)} records became {readable}"
    odd = counts[counts["outcome"].isin(DOUBTFUL)]
    return ("counted", "; ".join(odd["reason"])) if len(odd) else ("equal", "")


@cache
def _model() -> Model:
    """A small untrained network."""
    section = choose("models", {"name": "DeepBind", "channels": 4, "kernel_size": 7, "strands": "both"}, "model")
    facts = Facts(
        kind="sequence", task="binary", spatial_dims=1, in_channels=4, out_channels=1, outputs=["bound"],
        alphabet="ACGT", window=31, flank=0,
    )  # fmt: skip
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        experiment = {"model": section.model_dump(mode="json"), "train": {"threads": 1}}
        save_model(path, build_model(section, facts), Metadata(experiment=experiment, facts=facts, temperature=[1.0]))
        model = Model(path, "cpu")
        model.path = Path(__file__)  # its digest is written to the header; the file no longer exists then
    return model


def _genome(lines: list[str], lengths: dict[str, int | None]) -> Genome:
    """Generate contigs with the REF of each record at its position, if it consists of bases, else random bases.

    Their lengths are those of the header, or fit the records.
    """
    refs: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for line in lines:
        chrom, pos, _, ref = (line.split("\t") + [""] * 4)[:4]
        if pos.isdecimal() and 0 < int(pos) < LONGEST:
            try:
                refs[chrom][int(pos) - 1] = encode(ref)
            except InputError:
                continue
    rng, codes = np.random.default_rng(0), {}
    for chrom, bases in (refs or {"1": {}}).items():
        length = max((start + len(ref) for start, ref in bases.items()), default=0) + 100
        codes[chrom] = np.zeros(lengths.get(chrom) or length, np.uint8)
        codes[chrom][:length] = rng.integers(0, 4, min(length, len(codes[chrom])))
        for start, ref in bases.items():
            codes[chrom][start : start + len(ref)] = ref[: max(0, len(codes[chrom]) - start)]
    contigs = {chrom: len(contig) for chrom, contig in codes.items()}
    return Genome(np.concatenate(list(codes.values())), contigs, {}, "made to fit")


def _without_info(line: str) -> list[str]:
    columns = line.split("\t")
    return columns[:7] + columns[8:]
