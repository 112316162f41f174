"""Real genomes and files: contigs with other names, genotypes."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import lines_of, model_of

from biocnn.apply.variants.reading import read_vcf
from biocnn.apply.variants.step import annotate
from biocnn.io.genome import read_genome

pytestmark = pytest.mark.data
TINY = {"name": "DeepBind", "channels": 2, "kernel_size": 9, "strands": "both"}


def first_records(path: Path, out: Path, lines: int) -> Path:
    """Return the header and the first records of a file."""
    header, blocks = read_vcf(path)
    records = [line for _, block in zip(range(1 + lines // 8192), blocks, strict=False) for line in block[1]]
    out.write_text("\n".join([*header, *records[:lines]]) + "\n")
    return out


def test_yeast_by_ensembl_names(tmp_path: Path, data_root: Path) -> None:
    folder = data_root / "genomics/yeast_sacCer3"
    genome, model = read_genome(folder / "sacCer3.fa.gz"), model_of(tmp_path, TINY)
    tables = []
    for name in ("variants_ensembl109.vcf.gz", "variants_ensembl109.original_ensembl_chrom_names.vcf.gz"):
        out = tmp_path / name
        out.mkdir()
        annotate(first_records(folder / name, tmp_path / "some.vcf", 20_000), [model], genome, out, maps=0)
        tables.append(pd.read_csv(out / "variants.tsv", sep="\t"))
    assert set(tables[0]["chrom"].str.removeprefix("chr")) == set(tables[1]["chrom"])
    for key in ("pos", "bound_ref", "bound_dlogit"):
        np.testing.assert_allclose(tables[0][key], tables[1][key], rtol=1e-3, atol=2e-6)
    assert tables[0]["set_aside"].isna().all()


def test_genotypes_stay_byte_for_byte(tmp_path: Path, data_root: Path) -> None:
    folder = data_root / "genomics/human_chr20_hg19"
    name = "1000G_chr20_1-4Mb.300_haplotypes.original_contig_20.vcf.gz"
    annotate(folder / name, [model_of(tmp_path, TINY)], read_genome(folder / "chr20.fa.gz"), tmp_path, maps=0)
    with gzip.open(folder / name, "rt") as handle:
        given = [line.rstrip("\n") for line in handle]
    found = lines_of(tmp_path)
    new = [line for line in found if line.startswith(("##INFO=<ID=BIOCNN_", "##biocnn_"))]
    assert [line for line in found if line[0] == "#" and line not in new] == [x for x in given if x[0] == "#"]
    records = [[line.split("\t") for line in lines if line[0] != "#"] for lines in (given, found)]
    assert len(records[0]) == len(records[1]) == 24_990
    for before, after in zip(*records, strict=True):
        assert before[:7] == after[:7]
        assert before[8:] == after[8:]
        assert after[7].startswith(f"{before[7]};BIOCNN_bound_REF=")
