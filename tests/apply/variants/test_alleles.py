"""Alleles that are scored or set aside, with reasons; contigs, order, and REF compared with the genome."""

from pathlib import Path

import numpy as np
import pytest
from small import genome_of

from biocnn.apply.variants.alleles import Alleles, Reader, kind, why_not
from biocnn.core.errors import InputError
from biocnn.io.contigs import UnknownContig

GENOME = genome_of(chrI="ACGTACGTNN", chrIV="TTTTCCCCGGGG", chrM="GGGGG")


def read(*records: str, genome=GENOME, **settings) -> Alleles:
    reader = Reader(genome, Path("some.vcf"), 20, **settings)
    lines = ["\t".join([*record.split(), ".", ".", "."]) if record else "" for record in records]
    return reader.alleles(*reader.fields(10, lines))[0]


@pytest.mark.parametrize(
    ("ref", "alt", "reason"),
    [
        ("A", "C", ""), ("a", "c", ""), ("AC", "A", ""), ("A", "ACCC", ""), ("AC", "GT", ""), ("ACG", "TT", ""),
        ("A", "*", "star"), ("A", ".", "missing"), ("A", "", "missing"), ("A", "<DEL>", "symbolic"),
        ("A", "<*>", "symbolic"), ("A", "<NON_REF>", "symbolic"), ("A", "C<ctg1>", "symbolic"),
        ("A", "A[chr2:5[", "breakend"), ("A", "]chr2:5]A", "breakend"), ("A", ".A", "breakend"),
        ("A", "A.", "breakend"),
        ("A", "N", "letters"), ("R", "A", "letters"), ("AN", "A", "letters"), ("A", "U", "letters"),
        ("A", "a", "same"), ("AC", "AC", "same"), ("A" * 22, "A", "long"), ("A", "A" * 22, "long"), ("A", "A" * 21, ""),
        ("A" * 30 + "C", "A" * 31, ""), ("C" * 21, "A" * 21, "long"), ("C" * 20 + "A" * 50, "A" * 70, ""),
    ],
)  # fmt: skip
def test_reasons(ref: str, alt: str, reason: str) -> None:
    assert why_not(ref, alt, 20) == reason


@pytest.mark.parametrize(
    ("ref", "alt", "name"),
    [
        ("A", "C", "SNV"), ("AC", "GT", "MNV"), ("A", "AT", "insertion"), ("AT", "A", "deletion"),
        ("CAT", "CT", "deletion"), ("ACG", "TT", "complex"), ("GA", "ATGA", "insertion"), ("CAT", "CAG", "SNV"),
    ],
)  # fmt: skip
def test_kinds(ref: str, alt: str, name: str) -> None:
    assert kind(ref, alt) == name


def test_one_entry_per_allele() -> None:
    found = read("chrI 1 . A C,<DEL>,AT", "chrI 4 . T *", "chrIV 5 . CC C,G")
    assert found.record.tolist() == [0, 0, 0, 1, 2, 2]
    assert found.start.tolist() == [0, 0, 0, 3, 4, 4]
    assert found.reason == ["", "symbolic", "", "star", "", ""]
    assert found.kind == ["SNV", "", "insertion", "", "deletion", "complex"]
    assert found.scored.tolist() == [0, 2, 4, 5]


@pytest.mark.parametrize(
    ("records", "contigs"),
    [
        (("chrI 1 . A C", "chrIV 1 . T C", "chrM 1 . G C"), [0, 1, 2]),
        (("I 1 . A C", "IV 1 . T C", "Mito 1 . G C"), [0, 1, 2]),
        (("4 1 . T C", "MT 1 . G C", "1 1 . A C"), [1, 2, 0]),
        (("NC_001136.10 1 . T C",), [1]),
    ],
)
def test_contigs_with_other_names(records: tuple[str, ...], contigs: list[int]) -> None:
    assert read(*records).contig.tolist() == contigs


def test_unknown_contigs_are_an_error_or_set_aside() -> None:
    with pytest.raises(UnknownContig, match=r"some\.vcf line 11: contig 'scaffold_9'"):
        read("chrI 1 . A C", "scaffold_9 1 . T C")
    found = read("chrI 1 . A C", "scaffold_9 1 . T C", "chrM 1 . G C", unknown_contigs="skip")
    assert found.reason == ["", "contig", ""]


def test_contigs_of_another_assembly_are_set_aside() -> None:
    found = read("chrI 1 . A C", "<chrI> 1 . A C", "<scaffold_9> 7 . C <DEL>", "chrI 2 . C A")
    assert found.reason == ["", "contig", "contig", ""]


def test_two_names_of_one_contig_are_refused() -> None:
    with pytest.raises(UnknownContig):
        read("chrI 1 . A C", "1 1 . A C")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("chrI 2 . A C", "line 10: REF is 'A', but small.fa has 'C' at chrI:2"),
        ("chrI 2 . T C", "ref_mismatch: swap"),
        ("chrI 2 . CA C", "REF is 'CA', but small.fa has 'CG'"),
        ("chrI 9 . A C", "small.fa has 'N'"),
        ("chrI 10 . NA C", None),
        ("chrM 5 . GG C", "ends at 5"),
        ("chrM 7 . G C", "ends at 5"),
    ],
)
def test_another_genome_is_noticed(record: str, message: str | None) -> None:
    if message is None:
        assert read(record).reason == ["letters"]
        return
    with pytest.raises(InputError) as caught:
        read(record)
    assert message in str(caught.value)
    assert read(record, ref_mismatch="skip").reason == ["ref_mismatch"]


def test_swap_treats_the_allele_of_the_genome_as_the_reference() -> None:
    found = read("chrI 2 . T C", "chrI 2 . T A,C", "chrI 3 . AC GT,G", "chrI 3 . TT G", ref_mismatch="swap")
    assert found.reason == ["", "ref_mismatch", "", "", "ref_mismatch", "ref_mismatch"]
    assert found.swapped.tolist() == [True, False, True, True, False, False]


@pytest.mark.parametrize("pos", ["x", "-3", "", "1.5", "\u0663", "2147483648", "9" * 20, "9" * 5000])
def test_invalid_positions(pos: str) -> None:
    with pytest.raises(InputError, match="line 11: POS is"):
        Reader(GENOME, Path("some.vcf"), 20).fields(11, [f"chrI\t{pos}\t.\tG\tC\t.\t.\t."])


def test_telomeres_are_set_aside() -> None:
    found = read("chrM 0 . G C", "chrM 0 . N <DEL>", "chrM 5 . G C", "chrM 6 . N C", "chrM 6 . N .[chrI:3[")
    assert found.reason == ["telomere", "telomere", "", "telomere", "telomere"]
    assert read("M 6 . N C").reason == ["telomere"], "even with other names"


@pytest.mark.parametrize(
    ("records", "number", "first"),
    [
        (("chrI 3 . G C", "chrI 3 . G A", "chrM 1 . G A"), 0, ""),
        (("chrI 3 . G C", "chrI 2 . C A", "chrI 1 . A C"), 2, "chrI:2"),
        (("chrI 3 . G C", "chrM 2 . G A", "chrI 4 . T A"), 1, "chrI:4"),
        (("chrI 3 . G C", "<chrI> 2 . G <DEL>", "chrI 4 . T A"), 1, "chrI:4"),
    ],
)
def test_records_out_of_order_are_counted(records: tuple[str, ...], number: int, first: str) -> None:
    reader = Reader(GENOME, Path("some.vcf"), 20, unknown_contigs="skip")
    for i, record in enumerate(records):  # in blocks of one record
        numbers, fields = reader.fields(i, ["\t".join([*record.split(), ".", ".", "."])])
        assert len(reader.alleles(numbers, fields)[0].record) == 1
    assert (reader.unordered, reader.example) == (number, first)


def test_the_header_determines_the_meaning_of_names() -> None:
    genome = genome_of(**{"1": "ACGT", "2": "TTTT"})
    assert read("I 2 . C A", genome=genome, declared=["I", "II", "decoy"]).contig.tolist() == [0]
    with pytest.raises(UnknownContig, match=r"line 10: contig 'I' is not in small\.fa"):  # possibly a letter
        read("I 2 . C A", genome=genome)


def test_blank_lines_are_counted() -> None:
    reader = Reader(GENOME, Path("some.vcf"), 20)
    numbers, fields = reader.fields(7, ["", "chrI\t3\t.\tG\tC\t.\t.\t.", "", "chrI\t4\t.\tA\tC\t.\t.\t."])
    assert (numbers, reader.blank) == ([8, 10], 2)
    with pytest.raises(InputError, match="line 10: REF is 'A'"):
        reader.alleles(numbers, fields)


def test_too_few_columns() -> None:
    with pytest.raises(InputError, match="line 5: 4 columns"):
        Reader(GENOME, Path("some.vcf"), 20).fields(5, ["chrI 3 . G C\tA\tB\t."])


def test_ref_of_many_records_is_checked_against_the_genome() -> None:
    rng = np.random.default_rng(0)
    places = np.sort(rng.integers(1, 9, 50))
    records = [f"chrI {pos} . {'ACGTACGT'[pos - 1]} {'CGTACGTA'[pos - 1]}" for pos in places]
    assert set(read(*records).reason) == {""}
