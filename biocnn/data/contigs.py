"""The names of contigs in one file, found in another that spells them otherwise."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from biocnn.data.genome import Genome
from biocnn.errors import InputError, nearest

MITOCHONDRION = {"m", "mt", "mito", "mtdna", "mitochondrion", "mitochondrial"}
ROMAN = re.compile(r"(x{0,3})(ix|iv|v?i{0,3})")
# RefSeq numbers its chromosomes in a row: (first accession, names), for human, mouse and yeast.
REFSEQ = (
    (1, [*map(str, range(1, 23)), "x", "y"]),
    (67, [*map(str, range(1, 20)), "x", "y"]),
    (1133, [*map(str, range(1, 17))]),
    (12920, ["m"]),
    (5089, ["m"]),
    (1224, ["m"]),
)


class UnknownContig(InputError):
    """A contig that the genome lacks; lists the nearest names."""


def match_contigs(
    last: Mapping[str, int], genome: Genome, exact: bool, source: Path, lines: Mapping[str, int]
) -> dict[str, str]:
    """Which contig of the genome each name stands for.

    Names that are all in the genome stay as they are. Otherwise prefix (chr1, 1), number (chrI, chr1), mitochondrion
    (chrM, MT, Mito) and RefSeq accession (NC_000001.11) are seen through, but only if every name then finds one contig,
    no two the same one, and no interval ends beyond it.

    Parameters
    ----------
    last
        Contig name to the largest position used on it.
    genome
        Its contig names are the ones to be found.
    exact
        Whether names must be equal.
    source, lines
        File, and for each name the first line that has it, for messages.

    Raises
    ------
    UnknownContig
        Where a name is not in the genome and the names cannot be reconciled.
    """
    missing = [name for name in last if name not in genome.contigs]
    if not missing:
        return {name: name for name in last}
    if not exact:
        for spelling in (_plain, _arabic):
            found = _match(last, genome, spelling)
            if found:
                return found
    name = min(missing, key=lines.__getitem__)
    alike = _alike(name, genome)
    shown = list(genome.contigs) if len(genome.contigs) <= 4 else [*genome.names[:2], "...", genome.names[-1]]
    raise UnknownContig(
        f"{source} line {lines[name]}: contig {name!r} is not in {genome.source} "
        f"({len(genome.contigs)} contigs: {', '.join(shown)})",
        (f"did you mean {alike!r}? " if alike else nearest(name, genome.names) + "; ")
        + ("set data.contig_names: auto, " if exact and alike else "")
        + "give the genome that the intervals were made with, or remove these lines",
    )


def _match(last: Mapping[str, int], genome: Genome, spelling: Callable[[str], str]) -> dict[str, str] | None:
    theirs = _by_spelling(genome, spelling)
    found = {name: theirs.get(spelling(name), []) for name in last}
    if any(len(contigs) != 1 for contigs in found.values()):
        return None
    chosen = {name: contigs[0] for name, contigs in found.items()}
    fits = all(last[name] <= genome.contigs[contig] for name, contig in chosen.items())
    return chosen if fits and len(set(chosen.values())) == len(chosen) else None


def _by_spelling(genome: Genome, spelling: Callable[[str], str]) -> dict[str, list[str]]:
    contigs: dict[str, list[str]] = {}
    for name in genome.names:
        described = re.search(r"\bchromosome:? (\w+)", genome.descriptions.get(name, ""))
        mitochondrial = "mitochondri" in genome.descriptions.get(name, "")
        accession = re.match(r"[A-Z]{2}_?\d+(\.\d+)?$", name)
        label = "m" if accession and mitochondrial else described[1] if accession and described else name
        contigs.setdefault(spelling(label), []).append(name)
    return contigs


def _alike(name: str, genome: Genome) -> str | None:
    for spelling in (_plain, _arabic):
        contigs = _by_spelling(genome, spelling).get(spelling(name), [])
        if len(contigs) == 1:
            return contigs[0]
    return None


def _plain(name: str) -> str:
    """Without prefix, leading zeros and accession: chr01, Chr1 and NC_000001.11 give 1."""
    accession = re.match(r"NC_(\d+)(\.\d+)?$", name)
    if accession:
        number = int(accession[1])
        for first, names in REFSEQ:
            if 0 <= number - first < len(names):
                return names[number - first]
    word = re.sub(r"^(chromosome|chrom|chr)[_ ]?", "", name.lower()).lstrip("0")
    return "m" if word in MITOCHONDRION else word


def _arabic(name: str) -> str:
    """As ``_plain``, and Roman numbers up to 39 as Arabic ones: chrIV gives 4."""
    word = _plain(name)
    if not word or not ROMAN.fullmatch(word):
        return word
    values = [{"i": 1, "v": 5, "x": 10}[letter] for letter in word]
    following: Iterable[int] = [*values[1:], 0]
    return str(sum(-value if value < after else value for value, after in zip(values, following, strict=True)))
