"""Count deviations from the VCF specification; they are passed on unchanged, since nothing depends on them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from biocnn.apply.variants.reading import readable

KEY = r"(?:[A-Za-z_][0-9A-Za-z_.]*|1000G)"
TEXT = r'"(?:[^"\\]|\\.)*"'
MORE = rf"(?:,[^\s,=]+=(?:{TEXT}|[^\",]*))*"
URL = r"[A-Za-z][\w+.-]*://(?:[^\s/@]*@)?(?!\d+[:/])[^\s/:@]*(?::\d+)?/\S*"  # host names are not numbers
# Header lines by key; values in <> start with an ID.
LINES = {
    "fileformat": r"VCFv\d+\.\d+",
    "INFO": rf"<ID={KEY},Number=(?:\d{{1,9}}|[AGR.]),Type=(?:Integer|Float|Flag|Character|String),"
    rf"Description={TEXT}{MORE}>",
    "FORMAT": rf"<ID={KEY},Number=(?:\d{{1,9}}|[AGRPM.]|L[AGR]),Type=(?:Integer|Float|Character|String),"
    rf"Description={TEXT}{MORE}>",
    "FILTER": rf"<ID=[^\s,;<>]+,Description={TEXT}{MORE}>",
    "ALT": rf"<ID=(?:(?:DEL|INS|DUP|INV|CNV|BND):[^\s,<>]+|[^\s,:<>]+),Description={TEXT}{MORE}>",
    "META": r"<ID=[^\s,<>]+(?:,(?:Type=(?:Integer|Float|Character|String)|Number=(?:\d+|\.))){2},Values=\[.*\].*>",
    "contig": rf"<ID=[^\s,<>*=\"'`()\[\]{{}}\\][^\s,<>\"'`()\[\]{{}}\\]*{MORE}>",
    "SAMPLE": rf"<ID=[^\s,<>\"]+(?!.*,Mixture=\")(?!(?!.*,Genomes=).*,Mixture=){MORE}>",
    "PEDIGREE": r"<(?!Original=)[^\s,=]+=[^\s,:;<>\"]+(?:,[^\s,=]+=[^\s,:;<>\"]+)*>",
    "assembly": rf"{URL}|[^\s:]+",
    "pedigreeDB": rf"<?{URL}>?",
}
OTHER = r"[^<\s].*|<.+>"
NUMBER = r"\+?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|\+?(?i:inf|infinity|nan)"
BASES = r"[ACGTNacgtn]+"
MATE = r"[\[\]](?:<[^\s<>\[\]]+>|[^\s<>\[\],]+):\d+[\[\]]"
ALLELE = (
    rf"\*|<[^\s<>,]+>|{BASES}|{BASES}\.|\.{BASES}|"
    rf"(?:{BASES}|\.){MATE}|{MATE}(?:{BASES}|\.)|{BASES}<[^\s<>,]+>"
)
COLUMNS = {
    "CHROM": r"[^\s:,<>*=][^\s:,<>]*|<[^\s:<>]+>",
    "POS": r"\d+",
    "ID": r"[^\s;]+(?:;[^\s;]+)*",
    "REF": BASES,
    "ALT": rf"\.|(?:{ALLELE})(?:,(?:{ALLELE}))*",
    "QUAL": rf"\.|{NUMBER}",
    "FILTER": r"\.|(?![0.](?:[;\t]|\Z))[^\s;]+(?:;(?![0.](?:[;\t]|\Z))[^\s;]+)*",
    "INFO": rf"\.|{KEY}(?:=[^\s;]*)?(?:;{KEY}(?:=[^\s;]*)?)*;?",
    "FORMAT": rf"|\.|(?!.*:GT(?::|\Z)){KEY}(?::{KEY})*",
}
WHOLE = re.compile(BASES)
PATTERNS = {name: re.compile(pattern) for name, pattern in COLUMNS.items()}
RECORD = re.compile("\t".join(f"(?:{pattern})" for pattern in COLUMNS.values()))


COLUMN_LINE = re.compile(r"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO(?:\tFORMAT(?:\t[^\t]+)+)?")
# Reserved IDs of the specification, by Number and Type.
RESERVED = {
    "INFO": {
        ("1", "Integer"): "AN DP END MQ0 NS", ("A", "Integer"): "AC", ("R", "Integer"): "AD ADF ADR",
        ("1", "Float"): "BQ MQ", ("A", "Float"): "AF", ("1", "String"): "AA", ("A", "String"): "CIGAR",
        ("0", "Flag"): "1000G DB H2 H3 SOMATIC VALIDATED",
    },
    "FORMAT": {
        ("1", "Integer"): "DP GQ MQ PQ PS", ("2", "Integer"): "HQ", ("A", "Integer"): "EC", ("G", "Integer"): "PL",
        ("R", "Integer"): "AD ADF ADR", ("G", "Float"): "GL GP", ("1", "String"): "FT GT", (".", "String"): "GLE",
    },
}  # fmt: skip
FIXED = {(line, id): kind for line, kinds in RESERVED.items() for kind, ids in kinds.items() for id in ids.split()}
LOOSE = (".", "Integer")  # used for AD before it was reserved
TYPES = {
    type: re.compile(rf"(?:\.|{one})(?:,(?:\.|{one}))*")
    for type, one in {
        "Integer": r"[-+]?\d{1,10}",
        "Float": rf"-?(?:{NUMBER})",
        "Character": "[^,.]",
        "String": "[^,]*",
    }.items()
} | {"Flag": re.compile("[01]?")}
INTEGERS = range(8 - 2**31, 2**31)  # the eight lowest 32-bit values are reserved


class Form:
    """Counts the lines that deviate from the specification.

    Parameters
    ----------
    header
        Lines of the header.
    """

    def __init__(self, header: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._info = {id: kind for (line, id), kind in FIXED.items() if line == "INFO"}
        self._place, self._alleles = (
            ["", ""],
            set[tuple[str, str]](),
        )  # of the last record, and of all records at its position
        for number, line in enumerate(header, 1):
            key, _, value = line.removeprefix("##").partition("=")
            if line.startswith("##"):
                self._see_header(number, line, key, value)
            elif not COLUMN_LINE.fullmatch(line) or len(set(names := line.split("\t")[9:])) < len(names):
                self._count("line #CHROM of the header", number, line)

    def see(self, numbers: Iterable[int], fields: Sequence[Sequence[str]]) -> None:
        """Check lines, given by their numbers and columns."""
        for number, columns in zip(numbers, fields, strict=True):
            columns = [*columns[:8], "".join(columns[8:]).partition("\t")[0]]
            if not RECORD.fullmatch("\t".join(columns)):
                for (name, pattern), text in zip(PATTERNS.items(), columns, strict=True):
                    if not pattern.fullmatch(text):
                        self._count(f"column {name}", number, text)
            for name, place, between in (("ID", 2, ";"), ("FILTER", 6, ";"), ("FORMAT", 8, ":")):
                if between in columns[place]:
                    self._see_twice(name, number, columns[place], columns[place].split(between))
            parts = [part.partition("=") for part in columns[7].split(";")]
            self._see_twice("INFO", number, columns[7], [part[0] for part in parts])
            alts = columns[4].count(",") + 1
            for id, equals, value in parts:
                if id in self._info and not _fits(id, value, *self._info[id], alts):
                    text = "column INFO, with a value that does not match the Number or Type of its ID"
                    self._count(text, number, id + equals + value)
            if columns[:2] != self._place:
                self._place, self._alleles = columns[:2], set()
            alleles = {(columns[3], alt) for alt in columns[4].split(",") if WHOLE.fullmatch(alt)}
            if not alleles.isdisjoint(self._alleles):
                self._count("records that repeat an allele of an earlier record", number, " ".join(columns[:5]))
            self._alleles |= alleles

    def end(self, whole: bool) -> None:
        """Finish after the last line, which is ``whole`` if it has a line end."""
        if not whole:
            self._count("last line without line end: is the file truncated?", 0, "")

    def _see_header(self, number: int, line: str, key: str, value: str) -> None:
        if not re.fullmatch(LINES.get(key, OTHER), value):
            self._count(f"lines ##{key if key in LINES else '...'} of the header", number, line)
        elif key in RESERVED:
            id, *kind = re.match(r"<ID=([^,]+),Number=([^,]+),Type=([^,]+)", value).groups()
            wanted = FIXED.get((key, id))
            loose = wanted == ("R", "Integer") and tuple(kind) == LOOSE
            if wanted not in (None, tuple(kind)) and not loose:
                text = f"lines ##{key} of the header, with another Number or Type than reserved for the ID"
                self._count(text, number, line)
            if key == "INFO":
                self._info[id] = tuple(kind)

    def _see_twice(self, name: str, number: int, text: str, keys: Sequence[str]) -> None:
        if len(set(keys)) < len(keys):
            self._count(f"column {name}, with duplicate entries", number, text)

    def _count(self, what: str, number: int, text: str) -> None:
        self.counts[what] += 1
        self.examples.setdefault(what, f"line {number}: {readable(text[:60])}" if number else "")


def _fits(id: str, value: str, number: str, type: str, alts: int) -> bool:
    """Return whether an INFO value matches Number and Type in a record with ``alts`` alternative alleles."""
    if value == "." or (type == "String" and value.startswith('"')):
        return True
    if not TYPES[type].fullmatch(value):
        return False
    if (
        type in ("Integer", "Float") and ("INFO", id) in FIXED and ",-" in f",{value}"
    ):  # counts and fractions cannot be negative
        return False
    if type == "Integer" and any(len(one) > 9 and int(one) not in INTEGERS for one in value.split(",")):
        return False
    wanted = {"A": alts, "R": alts + 1}.get(number) or (int(number) if number.isdecimal() else 0)
    return wanted in (0, value.count(",") + 1)
