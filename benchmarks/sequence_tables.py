"""Tables of sequences for the experiments ctcf_cells, starrseq and yeast_factors: ``results/NAME.tsv``.

python -m benchmarks.sequence_tables DIR NAME ... (DIR: the data folder of experiments)
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.files import atomic
from biocnn.data.intervals import Intervals
from biocnn.data.raw import Raw
from biocnn.io.bed import read_bed
from biocnn.io.fasta import decode

FLANK = 16  # bp at each end of a window, which ctcf_chr20.yaml has for shifts
SPLITS = {3: "val", 7: "test", 8: "test", 9: "test", 10: "test"}  # blocks of 6 Mb, as in ctcf_chr20.yaml
CELLS = {"from_gm12878": "CTCF_GM12878.bed", "from_helas3": "CTCF_HeLaS3.bed"}
FACTORS = ("Abf1", "Cbf1", "Rap1", "Reb1")
ACTIVITIES = {"dev_log2_enrichment": "developmental", "hk_log2_enrichment": "housekeeping"}


def ctcf_cells(data: Path) -> pd.DataFrame:
    """Return the windows of ctcf_chr20.yaml with log10(1 + bp) to the nearest peak in two other cell lines."""
    folder = data / "human_chr20_hg19"
    raw = Intervals(
        genome=folder / "chr20.fa.gz",
        positives=folder / "peaks" / "CTCF_K562.bed",
        block=6_000_000,
        negatives={"name": "random", "ratio": 5},
        flank=FLANK,
    ).read(1, Checks())
    table = raw.examples[["id", "group"]].assign(K562=raw.y[:, 0].astype(int))
    table["split"] = table["group"].str.split(":").str[1].astype(int).map(SPLITS).fillna("train")
    middle = raw.examples[["start", "end"]].mean(axis=1).to_numpy()
    for name, file in CELLS.items():
        table[name] = np.log10(1 + distances(middle, read_bed(folder / "peaks" / file))).round(3)
    return table.assign(sequence=_bases(raw, FLANK))


def distances(middle: np.ndarray, peaks: pd.DataFrame) -> np.ndarray:
    """Return the distance of each position from the nearest peak of the same contig, in bp; 0 if it is in one."""
    start, end = peaks["start"].to_numpy(), peaks["end"].to_numpy()
    return np.maximum(start - middle[:, None], middle[:, None] - (end - 1)).min(axis=1).clip(min=0)


def starrseq(data: Path) -> pd.DataFrame:
    """Return the fragments of all three files, each once; those that overlap, on either strand, are one locus."""
    each = []
    for part in ("train", "val", "test"):
        table = pd.read_csv(data / "starrseq_drosophila" / f"{part}.activity.tsv.gz", sep="\t")
        lines = pd.read_csv(data / "starrseq_drosophila" / f"{part}.fa.gz", header=None)[0]
        bases = dict(zip(lines[::2].str[1:], lines[1::2], strict=True))
        each.append(table.assign(sequence=table["id"].map(bases)))
    found = pd.concat(each).drop_duplicates("id").sort_values(["chrom", "start", "id"], ignore_index=True)
    reached = found.groupby("chrom")["end"].cummax().shift(fill_value=0)
    begins = (found["start"] > reached) | (found["chrom"] != found["chrom"].shift())
    return found.assign(locus="locus" + begins.cumsum().astype(str)).rename(columns=ACTIVITIES)


def yeast_factors(data: Path) -> pd.DataFrame:
    """Return windows of 101 bp that exactly one of four factors binds."""
    folder = data / "yeast_sacCer3"
    peaks = {name: folder / "peaks" / f"{name}.bed" for name in FACTORS}
    raw = Intervals(genome=folder / "sacCer3.fa.gz", positives=peaks, flank=0).read(1, Checks())
    table = raw.examples[["id", "chrom", "start", "end"]].assign(sequence=_bases(raw, 0))
    table["factor"] = np.array(FACTORS)[raw.y.argmax(axis=1)]
    return table[raw.y.sum(axis=1) == 1]


def _bases(raw: Raw, flank: int) -> list[str]:
    return [decode(raw.x(row)[flank : len(raw.x(row)) - flank]) for row in range(len(raw.y))]


def main() -> None:
    """Write the tables."""
    tables = {made.__name__: made for made in (ctcf_cells, starrseq, yeast_factors)}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="+", choices=[*tables])
    arguments = parser.parse_args()
    for name in arguments.names:
        with atomic(Path("results") / f"{name}.tsv") as temporary:
            tables[name](arguments.data / "genomics").to_csv(temporary, sep="\t", index=False)


if __name__ == "__main__":
    main()
