"""Verify output by reading it with htslib, in a separate process."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from biocnn.core.child import read_in_child
from biocnn.core.errors import InputError
from biocnn.core.extras import needs

# Format of warnings of htslib: "[W::vcf_parse_format] FORMAT 'XX' at 1:5 is not defined in the header, ..."
WORDS = re.compile(r"\[[WE]::(\w+)\] (.*)")
# Irrelevant: a missing index, which is made later or not at all; contigs missing from the header, which are harmless;
# and remarks that follow those about missing header lines.
SILENT = re.compile(r"Could not retrieve index file|^Contig '.*' is not defined in the header|^Missing headers may")
PLACE = re.compile(r"\S+:\d+|'[^']*'|\"[^\"]*\"|\d+")


def reread(path: Path, source: Path, records: int) -> dict[str, int]:
    """Read an entire VCF with htslib.

    Parameters
    ----------
    path
        VCF compressed with bgzip.
    source
        File that it was made from, for messages.
    records
        Expected number of records.

    Returns
    -------
    odd
        Warnings of htslib: the first message of each kind, and the number of warnings of this kind.

    Raises
    ------
    InputError
        If htslib, and thus most other programs, cannot read all records.
    """
    result = json.loads(b"".join(read_in_child(_read, path)))
    if result["error"] or result["records"] != records:
        warnings = list(result["odd"].values())
        reason = warnings[-1][1] if warnings else result["error"] or "it ends too early"
        raise InputError(
            f"{source}: pysam and bcftools could not read record {result['records'] + 1} of the output: {reason}",
            f"the input is not a valid VCF there: `bcftools view {source} -o /dev/null` must succeed",
        )
    return {first: count for count, first in result["odd"].values()}


def _read(path: Path) -> Iterator[bytes]:
    """Return the number of readable records, the error if any, and kinds of warnings. Run in a child process."""
    with needs("genomics", "reading variants again"):
        import pysam

    number, error = 0, ""
    with tempfile.TemporaryFile("w+", errors="replace") as stderr:
        kept = os.dup(2)
        os.dup2(stderr.fileno(), 2)
        try:
            with pysam.VariantFile(str(path)) as handle:
                for _ in handle:
                    number += 1
        except (OSError, ValueError, NotImplementedError) as caught:
            error = str(caught).replace(str(path), path.name)
        finally:
            os.dup2(kept, 2)
        stderr.seek(0)
        odd: dict[str, list] = {}
        for line in stderr:
            words = WORDS.match(line)
            if words and not SILENT.search(words[2]):
                odd.setdefault(PLACE.sub("", words[2]), [0, words[2]])[0] += 1
    yield json.dumps({"records": number, "error": error, "odd": odd}).encode()
