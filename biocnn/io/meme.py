"""Read and write motif files in MEME minimal format."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biocnn.core.errors import InputError
from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.core.text import read_lines

ALPHABETS = {"ACGT": "ACGT", "ACGU": "ACGU", "DNA": "ACGT", "RNA": "ACGU"}
WRONG_ALPHABET = {  # remedies, by the alphabet of the sequences
    "ACGT": "give motifs of DNA, such as those of JASPAR; if the sequences are RNA, set data.alphabet: RNA",
    "ACGU": "give motifs of RNA-binding proteins; if these are, but with T for U, write ALPHABET= ACGU in this line",
}
# Databases print two to six decimals; larger deviations are not due to rounding.
ROUNDING = 0.03
FORMAT = "https://meme-suite.org/meme/doc/meme-format.html"


@dataclass(frozen=True, eq=False)
class Motif:
    """A position frequency matrix with its name and number of sites.

    Parameters
    ----------
    id
        Unique identifier, e.g. MA0139.2 or kernel3.
    name
        Common name, e.g. CTCF; the id if the file gives no name.
    pfm
        Shape (L, 4): frequencies of A, C, G, T (or U); each row sums to one.
    nsites
        Number of sites behind the frequencies.
    """

    id: str
    name: str
    pfm: np.ndarray
    nsites: float


def read_meme(path: str | Path, alphabet: str | None = None) -> dict[str, Motif]:
    """Read the motifs of a MEME file, plain or gzip, as written by MEME, JASPAR, CIS-BP and other databases.

    Parameters
    ----------
    path
        File whose first line starts with "MEME version", with alphabet ACGT or ACGU.
    alphabet
        Alphabet that the file must have if it states one: ACGT or ACGU; None: either.

    Returns
    -------
    motifs
        Motifs by id, in the order of the file.

    Raises
    ------
    InputError
        If the file is not in MEME format, has no motifs, the wrong alphabet, a duplicate id, or a matrix with the wrong
        number of rows or with rows that are not four numbers that sum to one. The message gives the line.

    References
    ----------
    https://meme-suite.org/meme/doc/meme-format.html
    """
    lines = read_lines(path)
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if not first.startswith("MEME version"):
        raise InputError(
            f"{path}: not a MEME motif file: its first line is {first[:40]!r}",
            f"it must start with 'MEME version 4'; JASPAR and others offer downloads in MEME format ({FORMAT})",
        )
    motifs: dict[str, Motif] = {}
    words: list[str] | None = None
    number = 0
    while number < len(lines):
        line, number = lines[number].strip(" \t"), number + 1
        if line.startswith("ALPHABET"):
            _check_alphabet(line, alphabet, f"{path} line {number}")
        elif line.startswith("MOTIF"):
            words = re.split("[ \t]+", line)[1:]
            if not words:
                raise InputError(f"{path} line {number}: motif without a name", "write 'MOTIF id name'")
        elif line.startswith("letter-probability matrix"):
            if words is None or words[0] in motifs:
                what = "a matrix without a preceding MOTIF line" if words is None else f"duplicate motif {words[0]!r}"
                raise InputError(f"{path} line {number}: {what}", "each matrix needs a MOTIF line with a unique id")
            pfm, end = _read_matrix(lines, number, path)
            nsites = _field(line, "nsites", f"{path} line {number}") or 20.0
            named = len(words) > 1 and words[1] != "width"
            name = words[1] if named else words[0]
            motifs[words[0]] = Motif(words[0], name, pfm, nsites)
            words, number = None, end
    if words is not None:
        raise InputError(
            f"{path}: motif {words[0]!r} has no letter-probability matrix",
            "the file may be truncated: download it again",
        )
    if not motifs:
        raise InputError(f"{path}: no motifs in this file", f"see {FORMAT}")
    return motifs


def write_meme(
    path: str | Path,
    motifs: Iterable[Motif],
    alphabet: str = "ACGT",
    background: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
    *,
    both_strands: bool = True,
) -> None:
    """Write motifs in MEME minimal format, version 4, with six decimals.

    Parameters
    ----------
    path
        File to write; it appears once it is complete.
    motifs
        Motifs in the order to write them; may be empty.
    alphabet
        ACGT or ACGU.
    background
        Frequencies of the four letters.
    both_strands
        Whether motifs of DNA were counted on both strands.
    """
    lines = ["MEME version 4", "", f"ALPHABET= {alphabet}", ""]
    lines += ["strands: + -" if both_strands else "strands: +", ""] if alphabet == "ACGT" else []
    letters = " ".join(f"{letter} {share:.4g}" for letter, share in zip(alphabet, background, strict=True))
    lines += ["Background letter frequencies", letters, ""]
    for motif in motifs:
        lines.append(f"MOTIF {motif.id} {motif.name}")
        lines.append(f"letter-probability matrix: alength= 4 w= {len(motif.pfm)} nsites= {motif.nsites:.12g} E= 0")
        lines += [" " + "  ".join(f"{share:.6f}" for share in row) for row in motif.pfm]
        lines.append("")
    with atomic(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


def information(pfm: np.ndarray) -> np.ndarray:
    """Return the information content, in bits, of each row of a matrix (L, 4), for a uniform background.

    References
    ----------
    Schneider & Stephens, Nucleic Acids Research 18, 6097-6100 (1990), doi:10.1093/nar/18.20.6097.
    """
    logs = np.log2(pfm, where=pfm > 0, out=np.zeros_like(pfm, dtype=float))
    return np.maximum(2 + (pfm * logs).sum(axis=1), 0.0)


def _check_alphabet(line: str, wanted: str | None, where: str) -> None:
    """Refuse protein, custom and other alphabets; accept ``ALPHABET= ACGT`` and ``ALPHABET "RNA" DNA-LIKE``."""
    words = line.removeprefix("ALPHABET").lstrip(" =").replace('"', " ").split()
    found = ALPHABETS.get(words[0].upper()) if words else None
    if not found:
        raise InputError(f"{where}: alphabet {' '.join(words)!r}", "motifs must be DNA (ACGT) or RNA (ACGU)")
    if wanted not in (None, found):
        raise InputError(
            f"{where}: motifs with alphabet {found}, but the sequences have {wanted}", WRONG_ALPHABET[wanted]
        )


def _field(line: str, key: str, where: str) -> float | None:
    found = re.search(rf"\b{key}\s*=\s*([^\s=]+)", line)
    if not found:
        return None
    try:
        value = float(found[1])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{where}: {key}= {found[1][:20]} is not a number", f"for example {key}= 20; or leave it out")
    return value


def _read_matrix(lines: list[str], start: int, path: str | Path) -> tuple[np.ndarray, int]:
    """Read rows from ``lines[start]`` up to the first other line; w and alength are optional."""
    header, rows, end = lines[start - 1], [], start
    while end < len(lines) and re.match(r"\s*[-+.0-9]", lines[end]):
        rows.append(_read_row(lines[end], f"{path} line {end + 1}"))
        end += 1
    where = f"{path} line {start}"
    width = _field(header, "w", where)
    if (_field(header, "alength", where) or 4) != 4:
        raise InputError(f"{where}: alength is not 4", "motifs must be DNA (ACGT) or RNA (ACGU)")
    if not rows or (width is not None and width != len(rows)):
        announced = "a matrix" if width is None else f"w= {width:g}"
        raise InputError(
            f"{where}: {announced} is followed by {plural(len(rows), 'row')}",
            "the file may be truncated or edited by hand: download it again, or correct w",
        )
    pfm = np.array(rows)
    return pfm / pfm.sum(axis=1, keepdims=True), end


def _read_row(line: str, where: str) -> list[float]:
    try:
        row = [float(word) for word in line.split()]
    except ValueError as error:
        raise InputError(f"{where}: {error}", "a row is the probabilities of A, C, G and T (or U)") from error
    if len(row) != 4:
        raise InputError(f"{where}: {plural(len(row), 'number')}", "a row is the probabilities of A, C, G and T (or U)")
    if not (min(row) >= 0 and abs(sum(row) - 1) <= ROUNDING):
        remedy = "rows are probabilities: divide counts by their sum; log-odds scores cannot be used"
        raise InputError(f"{where}: the row sums to {sum(row):g}, not 1", remedy)
    return row
