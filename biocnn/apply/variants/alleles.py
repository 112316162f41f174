"""Parse VCF lines into alleles, with the reasons why some cannot be scored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from biocnn.apply.variants.normalise import normalise, trimmed
from biocnn.apply.variants.reading import readable
from biocnn.core.errors import InputError
from biocnn.io.contigs import UnknownContig, match_contigs
from biocnn.io.fasta import decode, encode
from biocnn.io.genome import Genome

Mismatch = Literal["error", "skip", "swap"]
CODES = {letter: code for code, letters in enumerate(("Aa", "Cc", "Gg", "Tt")) for letter in letters}
LETTERS = frozenset(CODES)
LAST = (1 << 31) - 1  # the largest POS that BCF and VCF indexes support

# Reasons why an allele is not scored: codes in the VCF and descriptions.
REASONS = {
    "contig": "contig missing from the genome",
    "missing": "no alternative allele ('.')",
    "star": "allele '*', removed by an upstream deletion",
    "symbolic": "symbolic allele, e.g. '<DEL>'",
    "breakend": "breakend",
    "letters": "letters other than A, C, G and T",
    "telomere": "before the first base of the contig (POS 0) or after the last",
    "same": "alternative allele equal to REF",
    "long": "longer than the window",
    "ref_mismatch": "REF differs from the genome",
}


@dataclass
class Alleles:
    """The alternative alleles of a block, in the order and form of the file.
    ``record`` is the row of its line in the block; ``start`` is POS - 1. ``reason`` is "" for alleles to be scored, and
    ``kind`` is "" for all others; ``swapped`` marks alleles for which the genome has ALT instead of REF.
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
        """Kind of each allele: SNV, MNV, insertion, deletion or complex."""
        every = zip(self.ref, self.alt, self.reason, strict=True)
        return ["" if reason else kind(ref, alt) for ref, alt, reason in every]

    @property
    def scored(self) -> np.ndarray:
        """Rows of the alleles to be scored."""
        return np.flatnonzero([not reason for reason in self.reason])


@dataclass
class Normal:
    """The alleles ``rows`` of a block that are scored, normalised by ``normalise``."""

    rows: np.ndarray
    contig: np.ndarray
    start: np.ndarray
    ref: list[str]
    alt: list[str]

    @property
    def places(self) -> np.ndarray:
        """Number of equivalent positions of each allele: more than one for indels in repeats."""
        pairs = [sorted(pair, key=len) for pair in zip(self.ref, self.alt, strict=True)]
        return np.array([1 + len(short) * long.startswith(short) for short, long in pairs], np.int64)


class Reader:
    """Parses the lines of a file into alleles and checks them against the genome.

    Parameters
    ----------
    genome
        Genome; contig names are matched as in ``biocnn.io.contigs``.
    source
        File, for messages.
    longest
        Length in bp above which alleles are skipped.
    ref_mismatch
        If REF differs from the genome: stop, skip the allele, or, if the genome has ALT and both have the same length,
        score it anyway.
    unknown_contigs
        If a contig is missing from the genome: stop, or skip its alleles.
    declared
        Contigs declared in the header, which help to interpret those of records.
    """

    def __init__(
        self,
        genome: Genome,
        source: Path,
        longest: int,
        ref_mismatch: Mismatch = "error",
        unknown_contigs: Literal["error", "skip"] = "error",
        declared: Iterable[str] = (),
    ) -> None:
        self.genome, self.source, self.longest = genome, source, longest
        self.ref_mismatch, self.unknown_contigs, self.declared = ref_mismatch, unknown_contigs, list(declared)
        self.rows: dict[str, int] = {}  # index in the genome of each contig of the file; -1 if missing
        self.found: dict[str, str] = {}
        self.renamed = False
        self.lines: dict[str, int] = {}
        self.last = ("", 0)
        self.blank = self.unordered = 0
        self.example = ""  # of unsorted records

    def fields(self, first: int, lines: Sequence[str]) -> tuple[list[int], list[list[str]]]:
        """Return number and columns of each non-blank line: CHROM to INFO, and the rest as one column.

        Counts blank lines, and records that follow a larger POS or return to an earlier contig.
        """
        numbers = [number for number, line in enumerate(lines, first) if line]
        fields = [line.split("\t", 8) for line in lines if line]
        self.blank += len(lines) - len(fields)
        chrom, last = self.last
        for number, columns in zip(numbers, fields, strict=True):
            if len(columns) < 8:
                raise InputError(
                    f"{self.source} line {number}: {len(columns)} columns, fewer than 8",
                    "columns are CHROM POS ID REF ALT QUAL FILTER INFO, separated by tabs",
                )
            pos = self._position(columns[1], number)
            if columns[0] not in self.rows:
                self._new_contig(columns[0], number)
            elif columns[0] != chrom or pos < last:
                self._out_of_order(columns)
            chrom, last = columns[0], pos
        self.last = chrom, last
        return numbers, fields

    def _position(self, text: str, number: int) -> int:
        if not (text.isascii() and text.isdigit()):
            raise InputError(f"{self.source} line {number}: POS is {text!r}", "POS is a whole number, counted from 1")
        if len(text) > 10 or int(text) > LAST:
            raise InputError(f"{self.source} line {number}: POS is {text}", f"VCF readers support at most {LAST:,}")
        return int(text)

    def _out_of_order(self, columns: Sequence[str]) -> None:
        self.unordered += 1
        self.example = self.example or readable(f"{columns[0]}:{columns[1]}")

    def alleles(self, numbers: Sequence[int], fields: Sequence[Sequence[str]]) -> tuple[Alleles, Normal]:
        """Return the alleles of lines with these numbers, and the normalised ones to be scored."""
        record, ref, alt, reason = [], [], [], []
        for row, columns in enumerate(fields):
            whole = self._where(columns[0], int(columns[1]))
            for allele in columns[4].split(","):
                record.append(row)
                ref.append(columns[3])
                alt.append(allele)
                reason.append(whole or why_not(columns[3], allele, self.longest))
        rows = np.array(record, np.int64)
        contig = np.array([self.rows[columns[0]] for columns in fields], np.int64)[rows]
        start = np.array([int(columns[1]) for columns in fields], np.int64)[rows] - 1
        found = Alleles(rows, contig, start, ref, alt, reason, np.zeros(len(rows), bool))
        self._check_ref(found, numbers)
        scored = found.scored
        some = contig[scored], start[scored], [ref[i] for i in scored], [alt[i] for i in scored]
        return found, Normal(scored, some[0], *normalise(self.genome, *some))

    def _where(self, chrom: str, pos: int) -> str:
        """Return the reason why nothing at a position can be scored, or ""."""
        row = self.rows[chrom]
        return "contig" if row < 0 else "telomere" if pos in (0, self.genome.lengths[row] + 1) else ""

    def _check_ref(self, alleles: Alleles, numbers: Sequence[int]) -> None:
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
                raise self._mismatch(alleles, i, numbers[alleles.record[i]], there, swapped)
            if self.ref_mismatch == "swap" and swapped:
                alleles.swapped[i] = True
            else:
                alleles.reason[i] = "ref_mismatch"

    def _there(self, alleles: Alleles, i: int, length: int) -> np.ndarray:
        return self.genome.windows(alleles.contig[[i]], alleles.start[[i]], length)[0]

    def _mismatch(self, alleles: Alleles, i: int, line: int, there: np.ndarray, swapped: bool) -> InputError:
        name = self.genome.names[alleles.contig[i]]
        where = f"{name}:{alleles.start[i] + 1}"
        beyond = alleles.start[i] + len(there) > self.genome.contigs[name]
        has = f"ends at {self.genome.contigs[name]}" if beyond else f"has {decode(there)!r}"
        return InputError(
            f"{self.source} line {line}: REF is {alleles.ref[i]!r}, but {self.genome.source} {has} at {where}",
            "is it the genome of these variants? "
            + ("The genome has ALT: ref_mismatch: swap scores such variants; " if swapped else "")
            + "ref_mismatch: skip skips them",
        )

    def _new_contig(self, name: str, line: int) -> None:
        self.lines[name] = line
        if name in self.genome.contigs and not self.renamed:
            self.found[name], self.rows[name] = name, self.genome.names.index(name)
            return
        try:
            # All names so far and those of the header, because one name can determine the meaning of others.
            names = [*self.found, name]
            found = match_contigs(names, self.genome, False, self.source, self.lines, self.declared)
        except UnknownContig:
            # Brackets mark a contig of a separate assembly file, not of the genome.
            if self.unknown_contigs == "error" and not (name.startswith("<") and name.endswith(">")):
                raise
            self.rows[name] = -1
            return
        changed = next((old for old in self.found if found[old] != self.found[old]), None)
        if changed:
            raise UnknownContig(
                f"{self.source} line {line}: contig {name!r} implies that {changed!r} means {found[changed]!r}, "
                f"not {self.found[changed]!r} of {self.genome.source}",
                "name the contigs as in the genome",
            )
        self.found, self.renamed = found, found[name] != name
        self.rows[name] = self.genome.names.index(found[name])


def why_not(ref: str, alt: str, longest: int) -> str:
    """Return the reason why an allele cannot be scored, a key of ``REASONS``; "" if it can."""
    if ref in LETTERS and alt in LETTERS:  # most alleles
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
    if max(len(ref), len(alt)) <= longest:
        return ""
    if abs(len(ref) - len(alt)) > longest:
        return "long"
    return "long" if max(map(len, trimmed(ref, alt)[1:])) > longest else ""


def kind(ref: str, alt: str) -> str:
    """Return SNV, MNV, insertion, deletion or complex (several bases replaced by a different number)."""
    if len(ref) == len(alt) == 1:
        return "SNV"
    _, removed, added = trimmed(ref, alt)
    if len(removed) == len(added):
        return "SNV" if len(removed) == 1 else "MNV"
    return "deletion" if not added else "insertion" if not removed else "complex"
