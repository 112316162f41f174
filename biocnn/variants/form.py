"""Where a VCF is not as its specification has it: passed on as it is, since nothing here depends on it, but counted."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from biocnn.variants.reading import readable

KEY = r"(?:[A-Za-z_][0-9A-Za-z_.]*|1000G)"
TEXT = r'"(?:[^"\\]|\\.)*"'
MORE = rf"(?:,[^\s,=]+=(?:{TEXT}|[^\",]*))*"
# Lines of the header by what they begin with; values, where they are in <>, have an ID first.
LINES = {
    "INFO": rf"<ID={KEY},Number=(?:\d+|[AGR.]),Type=(?:Integer|Float|Flag|Character|String),Description={TEXT}{MORE}>",
    "FORMAT": rf"<ID={KEY},Number=(?:\d+|[AGRPM.]|L[AGR]),Type=(?:Integer|Float|Character|String),"
    rf"Description={TEXT}{MORE}>",
    "FILTER": rf"<ID=[^\s,;<>]+,Description={TEXT}{MORE}>",
    "ALT": rf"<ID=[^\s,<>]+,Description={TEXT}{MORE}>",
    "META": r"<ID=[^\s,<>]+(?:,(?:Type=(?:Integer|Float|Character|String)|Number=(?:\d+|\.))){2},Values=\[.*\].*>",
    "contig": rf"<ID=[^\s,<>*=\"'`()\[\]{{}}\\][^\s,<>\"'`()\[\]{{}}\\]*{MORE}>",
    "SAMPLE": rf"<ID=[^\s,<>\"]+{MORE}>",
    "PEDIGREE": r"<[^\s,=]+=[^\s,:;<>\"]+(?:,[^\s,=]+=[^\s,:;<>\"]+)*>",
}
OTHER = r"[^<\s].*|<.+>"
BASES = r"[ACGTNacgtn]+"
ALLELE = (
    rf"\*|<[^\s<>,]+>|{BASES}|{BASES}\.|\.{BASES}|"
    rf"(?:{BASES}|\.)?[\[\]](?:<[^\s<>\[\]]+>|[^\s<>\[\],]+):\d+[\[\]](?:{BASES}|\.)?|{BASES}<[^\s<>,]+>"
)
COLUMNS = {
    "CHROM": r"[^\s:,<>*=][^\s:,<>]*|<[^\s:<>]+>",
    "POS": r"\d+",
    "ID": r"[^\s;]+(?:;[^\s;]+)*",
    "REF": BASES,
    "ALT": rf"\.|(?:{ALLELE})(?:,(?:{ALLELE}))*",
    "QUAL": r"\.|\+?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[+]?(?i:inf|infinity|nan)",
    "FILTER": r"\.|(?![0.](?:[;\t]|\Z))[^\s;]+(?:;(?![0.](?:[;\t]|\Z))[^\s;]+)*",
    "INFO": rf"\.|{KEY}(?:=[^\s;]*)?(?:;{KEY}(?:=[^\s;]*)?)*;?",
}
PATTERNS = {name: re.compile(pattern) for name, pattern in COLUMNS.items()}
RECORD = re.compile("\t".join(f"(?:{pattern})" for pattern in COLUMNS.values()))


class Form:
    """Counts, of lines as they pass by, those that are not of the form that they should have.

    Parameters
    ----------
    header
        Lines of the header.
    """

    def __init__(self, header: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        for number, line in enumerate(header, 1):
            key, _, value = line.removeprefix("##").partition("=")
            if line.startswith("##") and not re.fullmatch(LINES.get(key, OTHER), value):
                self._count(f"lines ##{key if key in LINES else '...'} of the header", number, line)

    def see(self, numbers: Iterable[int], fields: Sequence[Sequence[str]]) -> None:
        """Look at the lines of these numbers, given by their columns."""
        for number, columns in zip(numbers, fields, strict=True):
            if not RECORD.fullmatch("\t".join(columns[:8])):
                for (name, pattern), text in zip(PATTERNS.items(), columns, strict=False):
                    if not pattern.fullmatch(text):
                        self._count(f"column {name}", number, text)
            for name, place in (("ID", 2), ("FILTER", 6), ("INFO", 7)):
                if ";" in columns[place]:
                    keys = [part.partition("=")[0] for part in columns[place].split(";")]
                    if len(set(keys)) < len(keys):
                        self._count(f"column {name}, which says something twice", number, columns[place])

    def _count(self, what: str, number: int, text: str) -> None:
        self.counts[what] += 1
        self.examples.setdefault(what, f"line {number}: {readable(text[:60])}")
