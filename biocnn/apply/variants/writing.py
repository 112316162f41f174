"""Write an annotated, indexed VCF and a table with one row per allele."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from biocnn.apply.variants.alleles import REASONS, Alleles, Normal
from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.tasks import Task

NUMBER = "%.4g"
FLAGS = ("PLACES", "SKIPPED", "SWAPPED")
MEANING = {
    "REF": "{predicted} of {output} with the reference allele",
    "ALT": "{predicted} of {output} with the alternative allele",
    "DELTA": "Change of the {predicted} of {output}, alternative minus reference",
    "DLOGIT": "Change of the {scale} of {output}, mean over models",
    "SD": "Standard deviation over models of the change of the {scale} of {output}",
    "P": "Empirical p-value of the change of {output} among {background} random variants of the same kind",
}


class Writer:
    """Writes ``variants.vcf.gz``, its index and ``variants.tsv`` to a folder; a context manager.

    Set ``ordered`` to False if records are unsorted: then there is no index, and ``indexed`` is False.

    Parameters
    ----------
    folder
        Existing folder.
    header
        Header lines of the input.
    outputs
        Names of the K outputs.
    names
        Names of the effects, keys of ``MEANING``.
    prefix
        Prefix of INFO fields, which are named {prefix}_{output}_{effect}.
    provenance
        Header lines on how the file was made, text by name.
    task, background
        Task of the models and number of background variants, for the descriptions.

    Raises
    ------
    InputError
        If the input already has fields with these names, or if ``prefix`` is not valid.
    """

    def __init__(
        self,
        folder: Path,
        header: Sequence[str],
        outputs: Sequence[str],
        names: Sequence[str],
        prefix: str,
        provenance: dict[str, str],
        *,
        task: Task,
        background: int,
    ) -> None:
        with needs("genomics", "writing variants"):
            import pysam

        if not re.fullmatch(r"[A-Za-z_][0-9A-Za-z_.]*", prefix):
            raise InputError(
                f"prefix is {prefix!r}", "allowed as start of INFO fields: a letter or _, then letters, digits, _ and ."
            )
        self.folder, self.prefix, self.ordered, self.indexed = folder, prefix, True, False
        words = {"predicted": task.predicted, "scale": task.scale, "background": background}
        described = {}
        for output, plain in zip(outputs, _plain(outputs), strict=True):
            for name in names:
                shown = output.replace('"', "'").replace("\\", "/")
                text = _line(MEANING[name].format(output=shown, **words))
                described[f"{prefix}_{plain}_{name}"] = text[0].upper() + text[1:]
        self.keys = list(described)
        self._one = ";".join(f"{key}={NUMBER}" for key in self.keys)  # for records with one allele, as most are
        self._row = "\t".join([NUMBER] * len(self.keys))
        self._nothing = "\t".join([""] * len(self.keys))
        columns = ["chrom", "pos", "id", "ref", "alt", "kind", "set_aside", "swapped", "places"]
        columns += [f"{output}_{name.lower()}" for output in _plain(outputs) for name in names]
        wider = [*header[:-1], *self._new_header(header, described, provenance), header[-1]]
        self.vcf = pysam.BGZFile(str(folder / "variants.vcf.gz"), "wb")
        self.tsv = open(folder / "variants.tsv", "w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        self._vcf_lines(wider)
        self.tsv.write("\t".join(columns) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.vcf.close()
        self.tsv.close()
        if error is None and self.ordered:
            self.indexed = _index(self.folder / "variants.vcf.gz")

    def write(self, fields: Sequence[list[str]], alleles: Alleles, normal: Normal, values: np.ndarray) -> None:
        """Write the records of a block.

        Parameters
        ----------
        fields
            Columns of each line; INFO, the eighth, is replaced.
        alleles, normal
            All alleles of the block, and those scored.
        values
            Shape (alleles, keys); rows of skipped alleles are ignored.
        """
        infos = _formatted(self._one, values)
        ends = np.searchsorted(alleles.record, np.arange(len(fields)), side="right").tolist()
        swapped = set(alleles.record[alleles.swapped].tolist())
        places = np.ones(len(alleles.record), np.int64)
        places[normal.rows] = normal.places
        movable = set(alleles.record[places > 1].tolist())
        lines, first = [], 0
        for row, (columns, end) in enumerate(zip(fields, ends, strict=True)):
            single = end - first == 1 and not alleles.reason[first]
            info = infos[first] if single else self._several(alleles.reason[first:end], values[first:end].tolist())
            if row in swapped:
                info += f";{self.prefix}_SWAPPED"
            if row in movable:
                info += f";{self.prefix}_PLACES={','.join(map(str, places[first:end]))}"
            if self.prefix in columns[7]:
                self._refuse({part.partition("=")[0] for part in columns[7].split(";")}, "\t".join(columns[:5]))
            columns[7] = info if columns[7] in (".", "") else f"{columns[7]};{info}"
            lines.append("\t".join(columns))
            first = end
        self._vcf_lines(lines)
        self._table(fields, alleles, places, _formatted(self._row, values))

    def _refuse(self, taken: set[str], where: str) -> None:
        wrong = sorted(taken & {*self.keys, *(f"{self.prefix}_{name}" for name in FLAGS)})
        if wrong:
            raise InputError(
                f"the input already has an INFO field {wrong[0]}, in {where}",
                "choose another prefix, or give the original file",
            )

    def _several(self, reasons: list[str], rows: list[list[float]]) -> str:
        texts = [["." if why else NUMBER % x for x in row] for why, row in zip(reasons, rows, strict=True)]
        parts = [f"{key}={','.join(column)}" for key, column in zip(self.keys, zip(*texts, strict=True), strict=True)]
        if any(reasons):
            parts.append(f"{self.prefix}_SKIPPED={','.join(why or '.' for why in reasons)}")
        return ";".join(parts)

    def _table(self, fields: Sequence[list[str]], alleles: Alleles, places: np.ndarray, numbers: list[str]) -> None:
        starts = ["\t".join(columns[:3]) for columns in fields]
        swapped = ["yes" if value else "" for value in alleles.swapped.tolist()]
        texts = [self._nothing if why else text for why, text in zip(alleles.reason, numbers, strict=True)]
        columns = alleles.ref, alleles.alt, alleles.kind, alleles.reason, swapped, map(str, places.tolist()), texts
        firsts = [starts[record] for record in alleles.record.tolist()]
        self.tsv.write("".join("\t".join(row) + "\n" for row in zip(firsts, *columns, strict=True)))

    def _vcf_lines(self, lines: Sequence[str]) -> None:
        if lines:
            self.vcf.write(("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))

    def _new_header(self, header: Sequence[str], described: dict[str, str], provenance: dict[str, str]) -> list[str]:
        taken = {found[1] for line in header if (found := re.match(r"##INFO=<ID=([^,>]+)", line))}
        self._refuse(taken, "the header")
        why = "; ".join(f"{reason}: {text}" for reason, text in REASONS.items()).replace("'", "").replace('"', "")
        return [
            *(f'##INFO=<ID={key},Number=A,Type=Float,Description="{text}">' for key, text in described.items()),
            f"##INFO=<ID={self.prefix}_PLACES,Number=A,Type=Integer,"
            'Description="Number of equivalent positions of an indel; scored in the middle of these">',
            f"##INFO=<ID={self.prefix}_SKIPPED,Number=A,Type=String,"
            f'Description="Reason why an allele was not scored. {why}">',
            f"##INFO=<ID={self.prefix}_SWAPPED,Number=0,Type=Flag,"
            'Description="The genome has ALT instead of REF; changes are ALT minus REF nevertheless">',
            *(f"##{name}={_line(text)}" for name, text in provenance.items()),
        ]


def _index(path: Path) -> bool:
    """Write a .tbi index, or .csi if POS or END is too large for it; return whether this succeeded."""
    import pysam

    verbosity = pysam.set_verbosity(0)
    try:
        for csi in (False, True):
            with suppress(OSError):
                pysam.tabix_index(str(path), preset="vcf", force=True, csi=csi)
                return True
        return False
    finally:
        pysam.set_verbosity(verbosity)


def _formatted(template: str, values: np.ndarray) -> list[str]:
    """Format each row; a single format for all is several times faster than one per row."""
    texts = "\n".join([template] * len(values)) % tuple(values.ravel().tolist())
    return texts.split("\n") if len(values) else []


def _line(text: str) -> str:
    """Remove characters not allowed in a header line."""
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text)


def _plain(outputs: Sequence[str]) -> list[str]:
    """Return names of outputs valid in INFO fields, made unique."""
    plain = [re.sub(r"[^0-9A-Za-z_.]", "_", output) for output in outputs]
    number = len(set(plain)) < len(plain)  # number all: a numbered name may equal another one
    return [f"{name}_{i}" for i, name in enumerate(plain, 1)] if number else plain
