"""Both windows of a variant, by hand and against edited chromosomes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small import genome_of, random_genome

from biocnn.data.fasta import decode, encode
from biocnn.variants.windows import cut

TEXT = "AACCGGTTACGTTGCA"


def windows(pos: int, ref: str, alt: str, window: int = 7, offset: int = 0, text: str = TEXT) -> tuple[str, str]:
    """Both windows as text; POS counts from 1."""
    pair = cut(genome_of(c=text), np.array([0]), np.array([pos - 1]), [ref], [alt], window, offset)
    return decode(pair[0][0]), decode(pair[1][0])


def test_substitution_is_in_the_middle() -> None:
    assert windows(5, "G", "T") == ("ACCGGTT", "ACCTGTT")


def test_deletion_is_refilled_from_the_right() -> None:
    assert windows(5, "GGT", "G") == ("ACCGGTT", "ACCGTAC")


def test_insertion_pushes_the_right_flank_out() -> None:
    assert windows(5, "G", "GAA") == ("ACCGGTT", "ACCGAAG")


def test_several_bases_by_several_others() -> None:
    assert windows(5, "GG", "ta") == ("ACCGGTT", "ACCTATT")
    assert windows(5, "GGT", "CA") == ("ACCGGTT", "ACCCATA")


def test_what_reaches_beyond_the_window_is_cut() -> None:
    assert windows(5, "G", "GAAAAAA") == ("ACCGGTT", "ACCGAAA")
    assert windows(5, "GGTTACG", "G") == ("ACCGGTT", "ACCGTTG")


def test_offset_moves_the_window() -> None:
    assert windows(5, "G", "T", offset=2) == ("CGGTTAC", "CTGTTAC")
    assert windows(5, "GGT", "G", offset=-1) == ("AACCGGT", "AACCGTA")


def test_ends_of_contigs_are_unknown() -> None:
    assert windows(1, "A", "T") == ("NNNAACC", "NNNTACC")
    assert windows(16, "A", "ACC") == ("TGCANNN", "TGCACCN")
    assert windows(15, "CA", "C") == ("TTGCANN", "TTGCNNN")


def test_reference_window_has_ref_whatever_the_genome_has() -> None:
    assert windows(5, "T", "G") == ("ACCTGTT", "ACCGGTT")


@given(st.data())
def test_windows_are_those_of_the_edited_chromosome(data: st.DataObject) -> None:
    genome = random_genome(60, 90, seed=data.draw(st.integers(0, 3)))
    contig = data.draw(st.integers(0, 1))
    text = decode(genome.codes(genome.names[contig], 0, int(genome.lengths[contig])))
    start = data.draw(st.integers(0, len(text) - 1))
    ref = text[start : start + data.draw(st.integers(1, min(12, len(text) - start)))]
    alt = data.draw(st.text("ACGT", min_size=1, max_size=12))
    window, offset = data.draw(st.integers(12, 40)), data.draw(st.integers(-5, 5))
    found = cut(genome, np.array([contig]), np.array([start]), [ref], [alt], window, offset)
    first = start - window // 2 + offset
    for codes, edited in zip(found, (text, text[:start] + alt + text[start + len(ref) :]), strict=True):
        around = "N" * window + edited + "N" * window
        np.testing.assert_array_equal(codes[0], encode(around[first + window : first + 2 * window]))
