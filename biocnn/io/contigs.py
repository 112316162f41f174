"""Match contig names between files that spell them differently."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.io.genome import Genome

MITOCHONDRION = {"m", "mt", "mito", "mtdna", "mitochondrion", "mitochondrial", "mitochondrion_genome"}
PLASTID = {"c", "pt", "cp", "pltd", "chloroplast", "plastid"}
ROMAN = re.compile(r"(?=.)(x{0,3})(ix|iv|v?i{0,3})")
# Accessions as in headers of NCBI, SGD and ENA: NC_000001.11, CM000663.2, ref|NC_001133|.
ACCESSION = re.compile(r"(?:.*\|)?([A-Z]{1,2}_?)(\d+)(\.\d+)?\|?")
# A whole chromosome: "chromosome 1, GRCh38", "chromosome: 1", "[chromosome=I]"; not "chromosome 1 unlocalized".
DESCRIBED = re.compile(r"\bchromosome(?:[:=] ?| )(\w+)(?=[,;\]]| sequence|$)")
# Accessions of unplaced and alternate contigs as written by UCSC: chr1_KI270706v1_random,
# chrUn_NW_020109737v1, and for mm10 chrUn_GL456239.
PIECE = re.compile(r"chr[0-9a-z]+_([a-z]{2}_?\d{6,})(?:v(\d+))?(?:_random|_alt|_fix)?", re.IGNORECASE)
# RefSeq numbers chromosomes consecutively: (first accession, names), for human, mouse and yeast.
REFSEQ = (
    (1, [*map(str, range(1, 23)), "x", "y"]),
    (67, [*map(str, range(1, 20)), "x", "y"]),
    (1133, [*map(str, range(1, 17))]),
    (12920, ["m"]),
    (5089, ["m"]),
    (1224, ["m"]),
)


class UnknownContig(InputError):
    """A contig is missing from the genome; the message lists the nearest names."""


@dataclass(frozen=True)
class Contigs:
    """Facts about a genome's contigs, without their bases.

    ``lengths`` in bp and ``descriptions`` by name; ``source`` is the FASTA file, for messages; with ``exact``,
    names must be identical to match.
    """

    lengths: dict[str, int]
    descriptions: dict[str, str]
    source: str
    exact: bool

    def find_groups(self, names: list[str]) -> dict[str, str]:
        """See the function of that name."""
        genome = Genome(np.empty(0, np.uint8), self.lengths, self.descriptions, self.source)
        return find_groups(names, genome, self.exact)


def match_contigs(
    names: Iterable[str],
    genome: Genome,
    exact: bool,
    source: Path | str,
    lines: Mapping[str, int] = {},
    context: Iterable[str] = (),
) -> dict[str, str]:
    """Map each name to a contig of the genome; all of them must match. See ``find_contigs``.

    Parameters
    ----------
    names
        Contig names in a file.
    genome
        Genome to match against.
    exact
        Whether names must be identical.
    source, lines
        File and, if it has lines, the first line of each name; for messages.
    context
        Further names in the file, which help to interpret the others but need not match.

    Raises
    ------
    UnknownContig
        If a name matches no contig of the genome, or more than one.
    """
    names = list(names)
    every = list(dict.fromkeys([*names, *context]))
    found = find_contigs(every, genome, exact, source)
    missing = [name for name in names if name not in found]
    if not missing:
        return {name: found[name] for name in names}
    name = min(missing, key=lambda name: lines.get(name, 0))
    where = f"{source} line {lines[name]}" if name in lines else str(source)
    alike = _candidates(every, genome)[name]
    hint = f"did you mean {' or '.join(map(repr, alike[:4]))}? " if alike else nearest(name, genome.names) + "; "
    shown = list(genome.contigs) if len(genome.contigs) <= 4 else [*genome.names[:2], "...", genome.names[-1]]
    others = f" ({len(missing) - 1} more are missing)" if len(missing) > 1 else ""
    raise UnknownContig(
        f"{where}: contig {name!r} is not in {genome.source} "
        f"({plural(len(genome.contigs), 'contig')}: {', '.join(shown)}){others}",
        hint
        + ("set data.contig_names: auto, " if exact and alike else "")
        + "give the matching genome"
        + (", or set unknown_contigs: skip, which skips and counts such lines" if name in lines else ""),
    )


def find_contigs(names: Iterable[str], genome: Genome, exact: bool, source: Path | str) -> dict[str, str]:
    """Map the names in a file to contigs of the genome, omitting names without an unambiguous match.

    A name that the genome has is that contig. Other names are matched regardless of prefix (chr1, 1), number style
    (chrI, chr1), organelle name (chrM and MT, ChrC and Pt) and accession (NC_000001.11, and those explained by the
    genome's headers). I and V are numbers only if e.g. II is present and e.g. 1 is not; X is ten only if any of VI to
    IX, or XI and above, is present.

    Raises
    ------
    UnknownContig
        If two names that the genome lacks match the same contig.
    """
    names = list(names)
    found = {name: name for name in names if name in genome.contigs}
    if exact or len(found) == len(names):
        return found
    by_contig: dict[str, str] = {}
    for name, contigs in _candidates(names, genome).items():
        if name in found or len(contigs) != 1 or contigs[0] in found:
            continue
        (contig,) = contigs
        if contig in by_contig:
            raise UnknownContig(
                f"{source}: {by_contig[contig]!r} and {name!r} both match {contig!r} of {genome.source}",
                "use one name per contig",
            )
        by_contig[contig] = name
    return found | {name: contig for contig, name in by_contig.items()}


def find_groups(names: list[str], genome: Genome, exact: bool) -> dict[str, str]:
    """Map names of groups, i.e. contigs or blocks of them (CONTIG:NUMBER), as ``find_contigs`` does."""
    parts = {name: (name, "", "") if name in genome.contigs else _block(name) for name in names}
    contigs = find_contigs(dict.fromkeys(contig for contig, _, _ in parts.values()), genome, exact, "split")
    return {name: contigs[contig] + colon + n for name, (contig, colon, n) in parts.items() if contig in contigs}


def _block(name: str) -> tuple[str, str, str]:
    contig, colon, number = name.rpartition(":")
    return (contig, colon, number) if colon else (name, "", "")


def check_lengths(
    source: Path | str, lengths: Mapping[str, int | None], names: Mapping[str, str], genome: Genome
) -> dict[str, str]:
    """Reject a file made with another genome build, judged by contig lengths.

    Parameters
    ----------
    source
        File, for messages.
    lengths
        Length in bp of each contig, as named in the file; None or 0 if not stated.
    names
        Mapping from ``find_contigs``, from names in the file to contigs of the genome.
    genome
        Genome to compare with.

    Returns
    -------
    names
        Without a mitochondrion of another name and length: hg19's chrM is a different sequence from MT of GRCh37, while
        all other contigs are the same.

    Raises
    ------
    InputError
        If a contig has different lengths in the file and in the genome.
    """
    other = {
        name: ours
        for name, ours in names.items()
        if (lengths.get(name) or genome.contigs[ours]) != genome.contigs[ours]
    }
    wrong = [
        f"{name}{f' ({ours})' * (ours != name)} has {lengths[name]} bp, not {genome.contigs[ours]}"
        for name, ours in other.items()
        if name == ours or _plain(name) not in MITOCHONDRION
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" * (len(wrong) > 3)
        raise InputError(
            f"{source}: made with another genome build than {genome.source} ({'; '.join(wrong[:3])}{more})",
            "give the genome it was made with, or a file made with this genome",
        )
    return {name: ours for name, ours in names.items() if name not in other}


def _candidates(names: list[str], genome: Genome) -> dict[str, list[str]]:
    """Return the contigs that each name may refer to."""
    ours, theirs = _Names(genome.names, genome.descriptions), _Names(names, {})
    # Roman numerals up to X and a chromosome X among Arabic numbers cannot belong to the same genome.
    apart = {ours.ten, theirs.ten} == {True, False}
    by_key: dict[str, list[str]] = {}
    for contig in genome.names:
        for key in ours.keys(contig, not apart):
            by_key.setdefault(key, []).append(contig)
    found = {}
    for name in names:
        keys = theirs.keys(name, not apart)
        contigs = dict.fromkeys(contig for key in keys for contig in by_key.get(key, []))
        found[name] = [contig for contig in contigs if _may_be_same(name, contig)]
    return found


def _may_be_same(name: str, contig: str) -> bool:
    """Return False for different accessions of one kind, or different versions of one accession."""
    one, other = ACCESSION.fullmatch(_unwrapped(name)), ACCESSION.fullmatch(_unwrapped(contig))
    if not (one and other) or one[1] != other[1]:
        return True
    return one[2] == other[2] and (one[3] == other[3] or not (one[3] and other[3]))


class _Names:
    """Interpretation of the names of one file, which depends on all of them.

    ``roman`` states whether I, II, ... are numbers, and ``ten`` whether X is ten: True, False, or None if undecided.
    """

    def __init__(self, names: list[str], descriptions: Mapping[str, str]) -> None:
        self.plain = {name: _plain(_label(name, descriptions.get(name, ""))) for name in names}
        words = set(self.plain.values())
        numerals = {word for word in words if ROMAN.fullmatch(word)} - {"x"}
        numbers = any(re.fullmatch(r"[0-9]+", word) for word in words)
        self.letters = len(words & set("abdefghjkl")) >= 3  # chromosomes A, B, C, ... M
        longer = any(len(numeral) > 1 for numeral in numerals)
        self.roman = None if longer == (numbers or self.letters) else longer
        beyond_five = any(_number(numeral) > 5 for numeral in numerals)
        self.ten = True if self.roman and beyond_five else False if "x" in words and self.roman is False else None

    def keys(self, name: str, numerals: bool) -> set[str]:
        """Return keys for a name; names of two files may match if their keys intersect."""
        word = self.plain[name]
        for organelle, words in (("mitochondrion", MITOCHONDRION), ("plastid", PLASTID)):
            if word in words:
                return {word} if self.letters and len(word) == 1 else {organelle}
        if not ROMAN.fullmatch(word):
            return {word}
        if not numerals:
            return set()
        # A certain number never matches a certain letter; an ambiguous name matches those spelled alike.
        known = self.ten if word == "x" else self.roman
        as_number, as_letter = {str(_number(word)), f"number {word}"}, {word}
        return as_number if known else as_letter if known is False else as_letter | {f"number {word}"}


def _unwrapped(name: str) -> str:
    """Return the accession within a UCSC name (KI270706.1 for chr1_KI270706v1_random), else the name."""
    piece = PIECE.fullmatch(name)
    return name if not piece else piece[1].upper() + (f".{piece[2]}" if piece[2] else "")


def _label(name: str, description: str) -> str:
    """Return the name; for an accession, what its header describes, or else the accession without its version."""
    accession = ACCESSION.fullmatch(_unwrapped(name))
    if not accession:
        return name
    organelle = re.search("mitochondri|chloroplast|plastid", description)
    if organelle:
        return "mitochondrion" if organelle[0] == "mitochondri" else "plastid"
    described = DESCRIBED.search(description)
    return described[1] if described else accession[1] + accession[2]


def _plain(name: str) -> str:
    """Strip prefix and leading zeros and resolve accessions: chr01, Chr1 and NC_000001.11 give 1."""
    accession = re.fullmatch(r"NC_(\d+)(\.\d+)?", name)
    if accession:
        number = int(accession[1])
        for first, names in REFSEQ:
            if 0 <= number - first < len(names):
                return names[number - first]
    return re.sub(r"^(chromosome|chrom|chr)?[_ ]?0*(?=[0-9])|^(chromosome|chrom|chr)[_ ]?", "", name.lower())


def _number(numeral: str) -> int:
    """Return the value of a Roman numeral up to 39."""
    values = [{"i": 1, "v": 5, "x": 10}[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in pairwise([*values, 0]))
