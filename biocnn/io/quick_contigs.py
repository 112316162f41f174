"""Check the contigs named in an experiment before anything runs, if that is quick."""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from biocnn.config.settings import Settings
from biocnn.core.errors import InputError, nearest
from biocnn.io.contigs import ACCESSION, find_groups
from biocnn.io.genome import Genome

READ = 200_000_000  # largest FASTA file to search, in bytes; takes about a second
PACKED = READ // 10  # the same for compressed files


def absent_contigs(settings: Settings, genomes: dict[Path, Path]) -> Iterator[InputError]:
    """Yield an error for each contig missing from the genome; none if this would take long (the steps check).

    Parameters
    ----------
    settings
        Settings of an experiment.
    genomes
        Folder of the encoded genome, existing or not, by FASTA file.
    """
    data, split, scan = settings.data, settings.split, settings.scan
    own = getattr(data, "genome", None)
    wanted = {}
    if data.name == "Intervals" and split.group in ("group", "chrom"):
        wanted = {"split.val": (own, split.val), "split.test": (own, split.test)}
    wanted["scan.contigs"] = (scan.genome or own, scan.contigs)
    for key, (fasta, names) in wanted.items():
        if fasta is None or not isinstance(names, list) or not (genome := _genome(fasta, genomes.get(fasta))):
            continue
        names = [str(name) for name in names]
        exact = getattr(data, "contig_names", "") == "exact" and key != "scan.contigs"
        known = find_groups(names, genome, exact)
        for name in names:
            if name not in known:
                yield InputError(f"{key}: contig {name!r} is not in {genome.source}", nearest(name, genome.names))


def _genome(fasta: Path, encoded: Path | None) -> Genome | None:
    """Return a genome with contig names and lengths but no bases; None if these are not quickly available."""
    facts = encoded / "genome.json" if encoded else None
    index = Path(f"{fasta}.fai")
    try:
        if facts and facts.is_file():
            found = json.loads(facts.read_text())
            return _without_bases(found["contigs"], found["descriptions"], fasta)
        if index.is_file() and index.stat().st_mtime >= Path(fasta).stat().st_mtime:
            rows = [line.split("\t") for line in index.read_text().splitlines()]
            contigs = {row[0]: int(row[1]) for row in rows}
            # An index has no descriptions, which are needed to resolve accessions.
            return None if any(map(ACCESSION.fullmatch, contigs)) else _without_bases(contigs, {}, fasta)
        return _headers(fasta)
    except (OSError, EOFError, ValueError, IndexError, KeyError):
        return None  # the step that reads the file reports the problem


@cache
def _headers(fasta: Path) -> Genome | None:
    with open(fasta, "rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    if Path(fasta).stat().st_size > (PACKED if packed else READ):
        return None
    with (gzip.open if packed else open)(fasta, "rb") as handle:
        lines = [line[1:].decode("utf-8", "replace") for line in handle if line.startswith(b">")]
    heads = [line.split(maxsplit=1) or [""] for line in lines]
    return _without_bases(dict.fromkeys((h[0] for h in heads), 0), {h[0]: "".join(h[1:]).strip() for h in heads}, fasta)


def _without_bases(contigs: dict[str, int], descriptions: dict[str, str], fasta: Path) -> Genome | None:
    return Genome(np.empty(0, np.uint8), contigs, descriptions, fasta) if contigs else None
