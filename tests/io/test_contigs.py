"""Alternative names of contigs are resolved only if there is one answer."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biocnn.core.errors import InputError
from biocnn.io.contigs import UnknownContig, check_lengths, find_contigs, match_contigs
from biocnn.io.genome import Genome

ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI"]
YEAST = [f"chr{name}" for name in ROMAN] + ["chrM"]
HUMAN = [f"chr{n}" for n in [*range(1, 23), "X", "Y", "M"]]


def genome(names, descriptions=None, length=1000):
    return Genome(np.zeros(0, np.uint8), dict.fromkeys(names, length), descriptions or {}, "genome.fa.gz")


def match(names, target, exact=False):
    lines = {name: row + 1 for row, name in enumerate(names)}
    return match_contigs(names, target, exact, Path("peaks.bed"), lines)


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
def test_yeast_names_in_any_style(given):
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
def test_human_names_in_any_style(given):
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


def test_x_is_a_chromosome_in_human_but_ten_in_yeast():
    assert match(["X"], genome(HUMAN)) == {"X": "chrX"}
    assert match(["10"], genome(YEAST)) == {"10": "chrX"}


@pytest.mark.parametrize(
    ("given", "target"),
    [
        (["chr10", "chrX"], YEAST),  # both are chrX
        (["1", "chr1"], HUMAN),
        (["1", "chrUn_gl000220"], HUMAN),  # one has no match
        (["1"], ["chr1", "Chr1"]),  # two matches
    ],
)
def test_ambiguous_names_are_refused(given, target):
    with pytest.raises(UnknownContig):
        match(given, genome(target))


@pytest.mark.parametrize(
    ("given", "target", "found"),
    [
        # X is a number only among Roman numerals.
        (["chrX", "chr1"], ["chr1", "chr2", "chr10"], {"chr1": "chr1"}),
        (["X"], ["1", "2", "10"], {}),
        (["X"], YEAST, {"X": "chrX"}),
        (["1", "2", "X"], YEAST, {}),  # not yeast
        ([*ROMAN, "Mito"], HUMAN, {"Mito": "chrM"}),  # not human
        (["1", "2", "X", "MtDNA"], ["chrI", "chrII", "chrV", "chrX", "chrM"],
         {"1": "chrI", "2": "chrII", "X": "chrX", "MtDNA": "chrM"}),  # C. elegans
        (["10"], ["chrI", "chrII", "chrIII", "chrX"], {}),
        (["II", "IV"], ["chr1", "chr2", "chr4"], {"II": "chr2", "IV": "chr4"}),
        (["I", "V"], ["chr1", "chr5"], {}),  # letters and numbers
        (["A", "B", "D", "I", "M"], ["chrA", "chrB", "chrD", "chrI", "chrM"],
         {name: f"chr{name}" for name in "ABDIM"}),  # letters
        (["MT"], ["chrA", "chrB", "chrD", "chrI", "chrM"], {}),
        # one unknown name does not affect the others
        (["chrM", "1", "chrUn"], HUMAN, {"chrM": "chrM", "1": "chr1"}),
        (["chr1", "1"], HUMAN, {"chr1": "chr1"}),
        (["chr1_KI270706v1_random", "chrX"], ["X", "KI270706.1"],
         {"chr1_KI270706v1_random": "KI270706.1", "chrX": "X"}),
        (["NC_000001.10", "NC_000002"], ["NC_000001.11", "NC_000002.12"], {"NC_000002": "NC_000002.12"}),
        (["NC_000067.7"], ["NC_000001.11"], {}),  # mouse 1, human 1
        (["chr1_KI270706v2_random"], ["KI270706.1"], {}),
        (["KI270302.1", "KI270706.2"], ["chrUn_KI270302v1", "chr1_KI270706v1_random"],
         {"KI270302.1": "chrUn_KI270302v1"}),
        (["chr1_GL456210_random", "chrUn_gl000220"], ["GL456210.1", "GL000220.1"],  # mm10, hg19
         {"chr1_GL456210_random": "GL456210.1", "chrUn_gl000220": "GL000220.1"}),
        (["chrUn_NW_020109737v1"], ["NW_020109737.1", "NW_020109738.1"], {"chrUn_NW_020109737v1": "NW_020109737.1"}),
        (["ChrC", "ChrM", "Chr1"], ["1", "2", "Mt", "Pt"], {"ChrC": "Pt", "ChrM": "Mt", "Chr1": "1"}),  # plants
        (["A", "B", "C", "D", "Pt"], ["chrA", "chrB", "chrC", "chrD"], {name: f"chr{name}" for name in "ABCD"}),
        (["chrM", "chr2L"], ["2L", "mitochondrion_genome"], {"chrM": "mitochondrion_genome", "chr2L": "2L"}),  # fly
    ],
)  # fmt: skip
def test_each_certain_name_is_found(given, target, found):
    assert find_contigs(given, genome(target), False, "peaks.bed") == found


HEADERS = {
    "NC_000001.11": "Homo sapiens chromosome 1, GRCh38.p14 Primary Assembly",
    "NT_187361.1": "Homo sapiens chromosome 1 unlocalized genomic scaffold, GRCh38.p14 Primary Assembly HSCHR1_CTG1",
    "NW_011332688.1": "Homo sapiens chromosome 1 genomic patch of type FIX, GRCh38.p14 PATCHES HG1342_HG2282_PATCH",
    "NC_000010.11": "Homo sapiens chromosome 10, GRCh38.p14 Primary Assembly",
    "NC_000023.11": "Homo sapiens chromosome X, GRCh38.p14 Primary Assembly",
    "NT_113889.1": "Homo sapiens unplaced genomic scaffold, GRCh38.p14 Primary Assembly HSCHRUN_RANDOM_CTG4",
    "NC_012920.1": "Homo sapiens mitochondrion, complete genome",
}


def test_a_refseq_download_of_chromosomes_and_their_scaffolds():
    wanted = {"chr1": "NC_000001.11", "chr10": "NC_000010.11", "chrX": "NC_000023.11", "chrM": "NC_012920.1"}
    assert match(list(wanted), genome(HEADERS, HEADERS)) == wanted
    assert match(["NC_000001.11", "X"], genome(HEADERS, HEADERS))["X"] == "NC_000023.11"
    with pytest.raises(UnknownContig):
        match(["NC_000001.10"], genome(HEADERS, HEADERS))  # of the previous build


@pytest.mark.parametrize(
    ("name", "description", "chrom"),
    [
        ("ref|NC_001134|", "[org=Saccharomyces cerevisiae] [strain=S288C] [moltype=genomic] [chromosome=II]", "chr2"),
        ("ref|NC_001224|", "[org=Saccharomyces cerevisiae] [location=mitochondrion] [top=circular]", "chrM"),
        ("OX359244.1", "Some moth genome assembly, chromosome: 2", "chr2"),
        ("NT_033779.5", "Drosophila melanogaster chromosome 2L", "chr2L"),
        ("NC_003070.9", "Arabidopsis thaliana chromosome 1 sequence", "Chr1"),
        ("NC_000932.1", "Arabidopsis thaliana chloroplast, complete genome", "ChrC"),
    ],
)
def test_headers_of_archives(name, description, chrom):
    assert match([chrom], genome([name], {name: description})) == {chrom: name}


def test_two_names_of_one_contig_are_refused():
    with pytest.raises(UnknownContig, match=r"peaks\.bed: '1' and '01' both match 'chr1' of genome"):
        find_contigs(["1", "01"], genome(HUMAN), False, "peaks.bed")


# Chromosomes of a species, each as number or name, and the styles of its files.
SPECIES = {
    "human": [*range(1, 23), "X", "Y", "M"],
    "yeast": [*range(1, 17), "M"],
    "worm": [*range(1, 6), "X", "M"],
}
PREFIXES = ["", "chr", "Chr", "chromosome_", "chrom"]


def spell(species, chromosome, style):
    """Return the name of a chromosome in a style: prefix, Roman or not, digits, mitochondrion; or accession."""
    prefix, roman, digits, mitochondrion, accession = style
    if accession and species != "worm":
        number = 23 if chromosome == "X" else 24 if chromosome == "Y" else chromosome
        special = {"human": "NC_012920.1", "yeast": "NC_001224.1"}[species]
        return special if chromosome == "M" else f"NC_{number + 1132 * (species == 'yeast'):06d}.9"
    if chromosome == "M":
        return prefix + mitochondrion
    if roman and species != "human" and chromosome != "X":
        return prefix + ROMAN[chromosome - 1]
    return prefix + (f"{chromosome:0{digits}d}" if isinstance(chromosome, int) else chromosome)


STYLE = st.tuples(
    st.sampled_from(PREFIXES), st.booleans(), st.sampled_from([1, 2]), st.sampled_from(["M", "MT", "Mito"]),
    st.booleans(),
)  # fmt: skip


@given(st.sampled_from(list(SPECIES)), STYLE, STYLE, st.data())
def test_no_name_matches_another_chromosome(species, ours, theirs, data):
    some = st.lists(st.sampled_from(SPECIES[species]), min_size=1, unique=True)
    there = {spell(species, chromosome, ours): chromosome for chromosome in data.draw(some)}
    given = {spell(species, chromosome, theirs): chromosome for chromosome in data.draw(some)}
    found = find_contigs(given, genome(there), False, "peaks.bed")
    assert len(set(found.values())) == len(found)
    assert {name: there[contig] for name, contig in found.items()} == {name: given[name] for name in found}
    assert all(found[name] == name for name in given if name in there)


@given(st.sampled_from(list(SPECIES)), STYLE, STYLE)
def test_complete_sets_are_found_in_every_style(species, ours, theirs):
    there = [spell(species, chromosome, ours) for chromosome in SPECIES[species]]
    given = [spell(species, chromosome, theirs) for chromosome in SPECIES[species]]
    assert match(given, genome(there)) == dict(zip(given, there, strict=True))


TEXT = st.lists(st.text("chrCHRiIvVxXmM01_. é", max_size=6), unique=True, max_size=8)


@given(TEXT, TEXT)
def test_any_names_give_an_injection_that_keeps_existing_names(given, there):
    try:
        found = find_contigs(given, genome(there), False, "peaks.bed")
    except UnknownContig:
        return
    assert set(found) <= set(given)
    assert set(found.values()) <= set(there)
    assert len(set(found.values())) == len(found)
    assert all(found[name] == name for name in given if name in there)


def test_lengths_reveal_another_build():
    target = Genome(np.zeros(0, np.uint8), {"chr1": 100, "chr2": 50, "chr3": 7}, {}, "genome.fa.gz")
    names = {"1": "chr1", "chr2": "chr2", "3": "chr3"}
    assert check_lengths("x.bw", {"1": 100, "chr2": None, "3": 0, "scaffold": 3}, names, target) == names
    with pytest.raises(InputError) as caught:
        check_lengths("x.bw", {"1": 99, "chr2": 51, "3": 7}, names, target)
    assert caught.value.message == (
        "x.bw: made with another genome build than genome.fa.gz (1 (chr1) has 99 bp, not 100; chr2 has 51 bp, not 50)"
    )


def test_another_mitochondrion_is_another_contig_not_another_build():
    hg19 = Genome(np.zeros(0, np.uint8), {"chr1": 100, "chrM": 16571}, {}, "hg19.fa")
    assert check_lengths("b37.bw", {"1": 100, "MT": 16569}, {"1": "chr1", "MT": "chrM"}, hg19) == {"1": "chr1"}
    with pytest.raises(InputError, match="another genome build"):
        check_lengths("x.bw", {"chr1": 100, "chrM": 16569}, {"chr1": "chr1", "chrM": "chrM"}, hg19)


def test_the_message_names_file_line_genome_and_remedy():
    with pytest.raises(UnknownContig) as caught:
        match(["chrI", "chr4"], genome(YEAST), exact=True)
    assert caught.value.message == (
        "peaks.bed line 2: contig 'chr4' is not in genome.fa.gz (17 contigs: chrI, chrII, ..., chrM)"
    )
    assert "did you mean 'chrIV'?" in caught.value.remedy
    assert "data.contig_names: auto" in caught.value.remedy
