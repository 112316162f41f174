"""Names of contigs are seen through only where there is one answer."""

from pathlib import Path

import numpy as np
import pytest

from biocnn.data.contigs import UnknownContig, match_contigs
from biocnn.data.genome import Genome

ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI"]
YEAST = [f"chr{name}" for name in ROMAN] + ["chrM"]
HUMAN = [f"chr{n}" for n in [*range(1, 23), "X", "Y", "M"]]


def genome(names, descriptions=None, length=1000):
    return Genome(np.zeros(0, np.uint8), dict.fromkeys(names, length), descriptions or {}, "genome.fa.gz")


def match(names, target, exact=False, last=10):
    lines = {name: row + 1 for row, name in enumerate(names)}
    return match_contigs(dict.fromkeys(names, last), target, exact, Path("peaks.bed"), lines)


@pytest.mark.parametrize(
    "given",
    [
        YEAST,
        [*ROMAN, "Mito"],
        [f"chr{n}" for n in range(1, 17)] + ["chrmt"],
        [f"chr{n:02d}" for n in range(1, 17)] + ["chrMito"],
        [str(n) for n in range(1, 17)] + ["MT"],
        [f"NC_{1132 + n:06d}.1" for n in range(1, 17)] + ["NC_001224.1"],
    ],
)
def test_yeast_names_of_any_style(given):
    assert match(given, genome(YEAST)) == dict(zip(given, YEAST, strict=True))
    assert match(YEAST, genome(given)) == dict(zip(YEAST, given, strict=True))


@pytest.mark.parametrize(
    "given",
    [
        [*map(str, range(1, 23)), "X", "Y", "MT"],
        [f"NC_{n:06d}.11" for n in range(1, 25)] + ["NC_012920.1"],
        [f"Chr{n}" for n in [*range(1, 23), "X", "Y", "MT"]],
    ],
)
def test_human_names_of_any_style(given):
    assert match(given, genome(HUMAN)) == dict(zip(given, HUMAN, strict=True))


def test_ncbi_headers_are_read():
    target = genome(
        ["CP001.1", "CP002.1", "CP003.1"],
        {
            "CP001.1": "Some yeast strain chromosome I, complete sequence",
            "CP002.1": "Some yeast strain chromosome II, complete sequence",
            "CP003.1": "Some yeast strain mitochondrion, complete genome",
        },
    )
    assert match(["chr1", "chr2", "chrM"], target) == {"chr1": "CP001.1", "chr2": "CP002.1", "chrM": "CP003.1"}


def test_x_is_a_chromosome_in_human_and_ten_in_yeast():
    assert match(["X"], genome(HUMAN)) == {"X": "chrX"}
    assert match(["10"], genome(YEAST)) == {"10": "chrX"}


@pytest.mark.parametrize(
    ("given", "target"),
    [
        (["chr10", "chrX"], YEAST),  # both are chrX
        (["1", "chr1"], HUMAN),
        (["1", "chrUn_gl000220"], HUMAN),  # one has no partner
        (["1"], ["chr1", "Chr1"]),  # two partners
    ],
)
def test_what_is_ambiguous_is_refused(given, target):
    with pytest.raises(UnknownContig):
        match(given, genome(target))


def test_intervals_must_fit():
    with pytest.raises(UnknownContig):
        match(["1"], genome(HUMAN, length=1000), last=1001)


def test_the_message_names_file_line_genome_and_remedy():
    with pytest.raises(UnknownContig) as caught:
        match(["chrI", "chr4"], genome(YEAST), exact=True)
    assert caught.value.message == (
        "peaks.bed line 2: contig 'chr4' is not in genome.fa.gz (17 contigs: chrI, chrII, ..., chrM)"
    )
    assert "did you mean 'chrIV'?" in caught.value.remedy
    assert "data.contig_names: auto" in caught.value.remedy
