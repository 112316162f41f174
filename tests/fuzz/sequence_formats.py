"""Small valid files of sequences, their places, labels, signals and variants, and the function that reads each."""

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.target import Target

BASES = "".join(np.random.default_rng(2).choice(list("ACGT"), 3000))


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
        from tests.fuzz.step_outputs import sequence_model

        folder = tempfile.TemporaryDirectory()
        _LOADED["folder"], _LOADED["binder"] = folder, Model(sequence_model(Path(folder.name)), "cpu")
    return _LOADED["binder"]


def read_variants(path: Path) -> None:
    from biocnn.apply.variants.step import annotate
    from biocnn.io.genome import read_genome

    out = path.parent / "out"
    out.mkdir()
    annotate(path, [binder()], read_genome(path.parent / "genome.fa"), out, maps=0, ref_mismatch="skip")


SEQUENCE_FORMATS: dict[str, Target] = {
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
}
