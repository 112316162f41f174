"""What was written, read once more as others will read it: by htslib, in a process of its own."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from biocnn.core.child import read_in_child
from biocnn.core.errors import InputError
from biocnn.core.extras import needs

# As htslib says what is odd: "[W::vcf_parse_format] FORMAT 'XX' at 1:5 is not defined in the header, ..."
WORDS = re.compile(r"\[[WE]::(\w+)\] (.*)")
# Of no interest: an index is made later, or not, a contig without a line in the header harms nobody, and what comes
# behind what it says of anything that the header lacks.
SILENT = re.compile(r"Could not retrieve index file|^Contig '.*' is not defined in the header|^Missing headers may")
PLACE = re.compile(r"\S+:\d+|'[^']*'|\"[^\"]*\"|\d+")


def reread(path: Path, source: Path, records: int) -> dict[str, int]:
    """Read all of a VCF with htslib.

    Parameters
    ----------
    path
        VCF packed with bgzip.
    source
        The file that it was made from, for messages.
    records
        That it has to hold.

    Returns
    -------
    odd
        What htslib puts up with: the first message of each kind, and how often there was one of the kind.

    Raises
    ------
    InputError
        Where htslib, and so most other programs, cannot read all records.
    """
    found = json.loads(b"".join(read_in_child(_read, path)))
    if found["error"] or found["records"] != records:
        said = list(found["odd"].values())
        reason = said[-1][1] if said else found["error"] or "it ends too early"
        raise InputError(
            f"{source}: pysam and bcftools could not read record {found['records'] + 1} of what comes of it: {reason}",
            f"the input is no proper VCF there: `bcftools view {source} -o /dev/null` has to come to its end",
        )
    return {first: count for count, first in found["odd"].values()}


def _read(path: Path) -> Iterator[bytes]:
    """Number of records that can be read, why no more, and kinds of messages. Called in a child process."""
    with needs("genomics", "reading variants again"):
        import pysam

    number, error = 0, ""
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            with pysam.VariantFile(str(path)) as handle:
                for _ in handle:
                    number += 1
        except (OSError, ValueError, NotImplementedError) as caught:
            error = str(caught).replace(str(path), path.name)
        finally:
            os.dup2(kept, 2)
        said.seek(0)
        odd: dict[str, list] = {}
        for line in said:
            words = WORDS.match(line)
            if words and not SILENT.search(words[2]):
                odd.setdefault(PLACE.sub("", words[2]), [0, words[2]])[0] += 1
    yield json.dumps({"records": number, "error": error, "odd": odd}).encode()
