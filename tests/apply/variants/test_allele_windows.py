"""Both windows of a variant, by hand and compared with edited chromosomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import genome_of, random_genome

from biocnn.apply.variants.windows import BOTH, cut, one_pair
from biocnn.io.fasta import decode, reverse_complement
from biocnn.io.genome import Genome

TEXT = "AACCGGTTACGTTGCA"


def windows(start: int, ref: str, alt: str, kept: str = "left", window: int = 7, offset: int = 0) -> tuple[str, str]:
    """Return both windows as text; ``start`` counts from 0."""
    pair = cut(genome_of(c=TEXT), np.array([0]), np.array([start]), [ref], [alt], window, offset, kept)
    return decode(pair[0][0]), decode(pair[1][0])


@pytest.mark.parametrize("kept", BOTH)
def test_a_substitution_is_in_the_middle(kept: str) -> None:
    assert windows(4, "G", "T", kept) == ("ACCGGTT", "ACCTGTT")
    assert windows(4, "GGT", "CTA", kept) == ("CCGGTTA", "CCCTATA")


def test_an_allele_that_cannot_be_centred_is_half_a_base_off() -> None:
    assert windows(4, "G", "T", "left", 6) == ("CCGGTT", "CCTGTT")
    assert windows(4, "G", "T", "right", 6) == ("ACCGGT", "ACCTGT")
    assert windows(4, "GG", "TA", "left") == ("CCGGTTA", "CCTATTA")
    assert windows(4, "GG", "TA", "right") == ("ACCGGTT", "ACCTATT")


def test_a_deletion_is_refilled_at_the_end_that_is_not_kept() -> None:
    assert windows(4, "GGT", "", "left") == ("CCGGTTA", "CCTACGT")
    assert windows(4, "GGT", "", "right") == ("CCGGTTA", "NAACCTA")


def test_an_insertion_pushes_out_the_flank_that_is_not_kept() -> None:
    assert windows(4, "", "TA", "left") == ("ACCGGTT", "ACCTAGG")
    assert windows(4, "", "TA", "right") == ("AACCGGT", "CCTAGGT")


def test_several_bases_replaced_by_several() -> None:
    assert windows(4, "GGT", "CA", "left") == ("CCGGTTA", "CCCATAC")
    assert windows(4, "GGT", "CA", "right") == ("CCGGTTA", "ACCCATA")


def test_alleles_longer_than_the_window_are_cut() -> None:
    assert windows(5, "", "AAAAAAAA", "left") == ("CCGGTTA", "CCGAAAA")
    assert windows(5, "", "AAAAAAAA", "right") == ("ACCGGTT", "AAAAGTT")
    assert windows(1, "ACCGGTTACG", "T", "left", 4) == ("GGTT", "GCAN")


def test_offset_moves_the_window() -> None:
    assert windows(4, "G", "T", offset=2) == ("CGGTTAC", "CTGTTAC")
    assert windows(4, "GGT", "", offset=-1) == ("ACCGGTT", "ACCTACG")


def test_bases_beyond_ends_of_contigs_are_unknown() -> None:
    assert windows(0, "A", "T") == ("NNNAACC", "NNNTACC")
    assert windows(15, "A", "ACC") == ("TGCANNN", "TGCACCN")
    assert windows(13, "GCA", "") == ("TTGCANN", "TTNNNNN")


def test_the_reference_window_has_ref_even_if_the_genome_differs() -> None:
    assert windows(4, "T", "G") == ("ACCTGTT", "ACCGGTT")


def test_variants_with_one_pair_of_windows() -> None:
    assert one_pair(["A", "AC", "ACG", "A", ""], ["C", "GT", "TTT", "", "A"], 7).tolist() == [
        True, False, True, False, False,
    ]  # fmt: skip


def edit(data: st.DataObject, text: str) -> tuple[int, str, str]:
    start = data.draw(st.integers(0, len(text)))
    ref = text[start : start + data.draw(st.integers(0, 12))]
    return start, ref, data.draw(st.text("ACGT", max_size=12).filter(lambda alt: alt != ref))


@given(st.data())
def test_windows_equal_those_of_the_edited_chromosome(data: st.DataObject) -> None:
    genome = random_genome(60, 90, seed=data.draw(st.integers(0, 3)))
    contig = data.draw(st.integers(0, 1))
    text = decode(genome.codes(genome.names[contig], 0, int(genome.lengths[contig])))
    start, ref, alt = edit(data, text)
    window, offset = data.draw(st.integers(5, 40)), data.draw(st.integers(-5, 5))
    kept = data.draw(st.sampled_from(BOTH))
    found = cut(genome, np.array([contig]), np.array([start]), [ref], [alt], window, offset, kept)
    flank = (window - len(ref)) // 2
    for codes, allele in zip(found, (ref, alt), strict=True):
        edited = "N" * 99 + text[:start] + allele + text[start + len(ref) :] + "N" * 99
        first = start - flank if kept == "left" else start + len(allele) + flank - window
        wanted = edited[99 + first + offset : 99 + first + offset + window]
        assert decode(codes[0]) == wanted


@given(st.data())
def test_the_other_strand_keeps_the_other_flank(data: st.DataObject) -> None:
    genome = random_genome(70, seed=data.draw(st.integers(0, 3)))
    start, ref, alt = edit(data, decode(genome.data))
    window = data.draw(st.integers(5, 40))
    turned = Genome(reverse_complement(genome.data), genome.contigs, {}, "turned")
    other = [decode(reverse_complement(genome_of(c=allele).data)) if allele else "" for allele in (ref, alt)]
    here = cut(genome, np.array([0]), np.array([start]), [ref], [alt], window, 0, "left")
    there = cut(turned, np.array([0]), np.array([70 - start - len(ref)]), [other[0]], [other[1]], window, 0, "right")
    for one, two in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, reverse_complement(two))
