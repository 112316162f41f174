"""From lines of a VCF to alleles: what can be scored, what is set aside, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from biocnn.data.contigs import UnknownContig, match_contigs
from biocnn.data.fasta import decode, encode
from biocnn.data.genome import Genome
from biocnn.errors import InputError

Mismatch = Literal["error", "skip", "swap"]
CODES = {letter: code for code, letters in enumerate(("Aa", "Cc", "Gg", "Tt")) for letter in letters}
LETTERS = frozenset(CODES)

# Why an allele is not scored: as the VCF says it, and as people do.
REASONS = {
    "contig": "contig that the genome lacks",
    "missing": "no alternative allele ('.')",
    "star": "allele '*', removed by a deletion before it",
    "symbolic": "symbolic allele, '<DEL>' say",
    "breakend": "breakend",
    "letters": "letters other than A, C, G and T",
    "same": "alternative allele equal to REF",
    "long": "longer than the window",
    "ref_mismatch": "REF differs from the genome",
}


@dataclass
class Alleles:
    """One entry for each alternative allele of a block, in order.

    ``record`` is the row of its line in the block; ``start`` is POS - 1. ``reason`` is "" for alleles to be scored,
    and ``kind`` is "" for the others; ``swapped`` tells where the genome has ALT instead of REF.
    """

    record: np.ndarray
    contig: np.ndarray
    start: np.ndarray
    ref: list[str]
    alt: list[str]
    reason: list[str]
    swapped: np.ndarray

    @cached_property
    def kind(self) -> list[str]:
        """SNV, MNV, insertion, deletion or complex."""
        every = zip(self.ref, self.alt, self.reason, strict=True)
        return ["" if reason else kind(ref, alt) for ref, alt, reason in every]

    @property
    def scored(self) -> np.ndarray:
        """Rows of the alleles to be scored."""
        return np.flatnonzero([not reason for reason in self.reason])


class Reader:
    """Turns the lines of one file into alleles, and checks them against the genome on the way.

    Parameters
    ----------
    genome
        Contigs of other spellings are found as in ``biocnn.data.contigs``.
    source
        The file, for messages.
    longest
        Longer alleles are set aside, bp.
    ref_mismatch
        Where REF differs from the genome: stop, set the alleles aside, or, where ALT is what the genome has and both
        are of the same length, score them all the same.
    unknown_contigs
        Where the genome lacks a contig: stop, or set its alleles aside.
    """

    def __init__(
        self,
        genome: Genome,
        source: Path,
        longest: int,
        ref_mismatch: Mismatch = "error",
        unknown_contigs: Literal["error", "skip"] = "error",
    ) -> None:
        self.genome, self.source, self.longest = genome, source, longest
        self.ref_mismatch, self.unknown_contigs = ref_mismatch, unknown_contigs
        self.rows: dict[str, int] = {}  # of contigs of the file, in the genome; -1: not there
        self.found: dict[str, str] = {}
        self.renamed = False
        self.lines: dict[str, int] = {}
        self.last = ("", 0)

    def fields(self, first: int, lines: Sequence[str]) -> list[list[str]]:
        """Columns of each line: CHROM to INFO, and all that follows as one; checks their number and order."""
        fields = [line.split("\t", 8) for line in lines]
        chrom, last = self.last
        for number, columns in enumerate(fields, first):
            if len(columns) < 8:
                raise InputError(
                    f"{self.source} line {number}: {len(columns)} columns, not 8 or more",
                    "columns are CHROM POS ID REF ALT QUAL FILTER INFO, with tabs between them",
                )
            if not (columns[1].isascii() and columns[1].isdigit()):
                raise InputError(
                    f"{self.source} line {number}: POS is {columns[1]!r}", "POS is a whole number, counted from 1"
                )
            pos = int(columns[1])
            if columns[0] != chrom:
                self._new_contig(columns[0], number, pos)
            elif pos < last:
                raise InputError(
                    f"{self.source} line {number}: not sorted ({chrom}:{pos} comes after {chrom}:{last})",
                    "the output is indexed, which needs an order: bcftools sort FILE -Oz -o sorted.vcf.gz",
                )
            chrom, last = columns[0], pos
        self.last = chrom, last
        return fields

    def alleles(self, first: int, fields: Sequence[Sequence[str]]) -> Alleles:
        """The alleles of lines, of which ``first`` is the number of the first one."""
        record, ref, alt, reason = [], [], [], []
        for row, columns in enumerate(fields):
            known = self.rows[columns[0]] >= 0
            for allele in columns[4].split(","):
                record.append(row)
                ref.append(columns[3])
                alt.append(allele)
                reason.append(why_not(columns[3], allele, self.longest) if known else "contig")
        rows = np.array(record, np.int64)
        contig = np.array([self.rows[columns[0]] for columns in fields], np.int64)[rows]
        start = np.array([int(columns[1]) for columns in fields], np.int64)[rows] - 1
        found = Alleles(rows, contig, start, ref, alt, reason, np.zeros(len(rows), bool))
        self._check_ref(found, first)
        return found

    def _check_ref(self, alleles: Alleles, first: int) -> None:
        rows = alleles.scored
        bases = self.genome.windows(alleles.contig[rows], alleles.start[rows], 1)[:, 0]
        given = np.array([CODES[alleles.ref[i][0]] for i in rows], np.uint8)
        longer = np.array([len(alleles.ref[i]) > 1 for i in rows], bool)
        for i in rows[(bases != given) | longer]:
            there = self._there(alleles, i, len(alleles.ref[i]))
            if np.array_equal(there, encode(alleles.ref[i])):
                continue
            alt = alleles.alt[i]
            swapped = len(alt) == len(alleles.ref[i]) and np.array_equal(there, encode(alt))
            if self.ref_mismatch == "error":
                raise self._mismatch(alleles, i, first, there, swapped)
            if self.ref_mismatch == "swap" and swapped:
                alleles.swapped[i] = True
            else:
                alleles.reason[i] = "ref_mismatch"

    def _there(self, alleles: Alleles, i: int, length: int) -> np.ndarray:
        return self.genome.windows(alleles.contig[[i]], alleles.start[[i]], length)[0]

    def _mismatch(self, alleles: Alleles, i: int, first: int, there: np.ndarray, swapped: bool) -> InputError:
        name = self.genome.names[alleles.contig[i]]
        where = f"{name}:{alleles.start[i] + 1}"
        beyond = alleles.start[i] + len(there) > self.genome.contigs[name]
        has = f"ends at {self.genome.contigs[name]}" if beyond else f"has {decode(there)!r}"
        return InputError(
            f"{self.source} line {first + alleles.record[i]}: REF is {alleles.ref[i]!r}, but {self.genome.source} "
            f"{has} at {where}",
            "is it the genome of these variants? "
            + ("The genome has ALT: ref_mismatch: swap scores such variants; " if swapped else "")
            + "ref_mismatch: skip sets them aside",
        )

    def _new_contig(self, name: str, line: int, pos: int) -> None:
        if name in self.rows:
            raise InputError(
                f"{self.source} line {line}: not sorted (contig {name!r} was there before, others between)",
                "the output is indexed, which needs an order: bcftools sort FILE -Oz -o sorted.vcf.gz",
            )
        self.lines[name] = line
        if name in self.genome.contigs and not self.renamed:
            self.found[name], self.rows[name] = name, self.genome.names.index(name)
            return
        try:
            # All names so far, because the spelling of one tells how others are meant.
            found = match_contigs(dict.fromkeys([*self.found, name], 0) | {name: pos}, self.genome, False,
                                  self.source, self.lines)  # fmt: skip
        except UnknownContig:
            if self.unknown_contigs == "error":
                raise
            self.rows[name] = -1
            return
        changed = next((old for old in self.found if found[old] != self.found[old]), None)
        if changed:
            raise UnknownContig(
                f"{self.source} line {line}: contig {name!r} shows that {changed!r} means {found[changed]!r}, "
                f"not {self.found[changed]!r} of {self.genome.source}",
                "name the contigs as the genome does",
            )
        self.found, self.renamed = found, found[name] != name
        self.rows[name] = self.genome.names.index(found[name])


def why_not(ref: str, alt: str, longest: int) -> str:
    """The reason, a key of ``REASONS``, for which an allele cannot be scored; "" where it can."""
    if ref in LETTERS and alt in LETTERS:  # most of them
        return "same" if CODES[ref] == CODES[alt] else ""
    if alt in (".", ""):
        return "missing"
    if alt == "*":
        return "star"
    if "<" in alt:
        return "symbolic"
    if "[" in alt or "]" in alt or alt[0] == "." or alt[-1] == ".":
        return "breakend"
    if not ref or not LETTERS.issuperset(ref) or not LETTERS.issuperset(alt):
        return "letters"
    if ref.upper() == alt.upper():
        return "same"
    return "long" if max(len(ref), len(alt)) > longest else ""


def kind(ref: str, alt: str) -> str:
    """SNV, MNV, insertion, deletion or complex (several bases by another number of them)."""
    if len(ref) == len(alt):
        return "SNV" if len(ref) == 1 else "MNV"
    removed, added = trimmed(ref, alt)
    return "deletion" if not added else "insertion" if not removed else "complex"


def trimmed(ref: str, alt: str) -> tuple[str, str]:
    """What is left of both alleles, in upper case, without the bases they share at the end and then at the start."""
    ref, alt = ref.upper(), alt.upper()
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        ref, alt = ref[1:], alt[1:]
    return ref, alt
