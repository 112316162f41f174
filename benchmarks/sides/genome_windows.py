"""Read windows of a genome with one reader, as codes, text or one-hot. Imports only what the reader needs.

Every reader is warm (index made, pages cached) before timing; the text of pyfaidx and pysam would still have to be
encoded, which is not timed.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

REPEATS = 3
Read = Callable[[np.ndarray, int], object]


def biocnn(folder: str, contig: str, threads: int) -> tuple[Read, Callable[[np.ndarray], int]]:
    """One gather from a memory-mapped file with one byte per base."""
    from biocnn.io.genome import open_genome

    genome = open_genome(f"{folder}/encoded")
    row = genome.names.index(contig)
    return (
        lambda starts, length: genome.windows(np.full(len(starts), row), starts, length),
        lambda codes: int(((codes == 1) | (codes == 2)).sum()),
    )


def count_text(texts: list[str]) -> int:
    """Count C and G."""
    return sum(text.upper().count("C") + text.upper().count("G") for text in texts)


def pyfaidx(folder: str, contig: str, threads: int) -> tuple[Read, Callable[[list[str]], int]]:
    """Slices of a record, as plain text."""
    import pyfaidx

    record = pyfaidx.Fasta(f"{folder}/genome.fa", as_raw=True)[contig]
    return lambda starts, length: [record[s : s + length] for s in starts.tolist()], count_text


def pysam(folder: str, contig: str, threads: int) -> tuple[Read, Callable[[list[str]], int]]:
    """``fetch`` of each window, as text."""
    import pysam

    fasta = pysam.FastaFile(f"{folder}/genome.fa")
    return lambda starts, length: [fasta.fetch(contig, s, s + length) for s in starts.tolist()], count_text


def tangermeme(folder: str, contig: str, threads: int) -> tuple[Read, Callable[[object], int]]:
    """``extract_loci``, which one-hot encodes, with all threads."""
    import pandas
    from tangermeme.io import extract_loci

    def read(starts: np.ndarray, length: int) -> object:
        loci = pandas.DataFrame({"chrom": contig, "start": starts, "end": starts + length})
        return extract_loci(loci, f"{folder}/genome.fa", in_window=length, n_jobs=threads)

    return read, lambda found: int((found[0] if isinstance(found, list) else found)[:, 1:3].sum())


def main() -> None:
    """Read the windows of each length; report the median time and, as a check, the number of C and G."""
    task = json.loads(sys.argv[1])
    read, count = {f.__name__: f for f in (biocnn, pyfaidx, pysam, tangermeme)}[task["reader"]](
        task["data"], task["contig"], task["threads"]
    )
    seconds, checks = {}, {}
    for length in task["lengths"]:
        starts = np.random.default_rng([1, length]).integers(*task["range"], task["number"]) - length // 2
        checks[str(length)] = count(read(starts, length))
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            read(starts, length)
            times.append(time.perf_counter() - began)
        seconds[str(length)] = sorted(times)[REPEATS // 2]
    print(json.dumps({"seconds": seconds, "check": checks, "version": version(task["reader"])}))


main()
