"""Text to codes and back, and FASTA with any line lengths."""

import gzip

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biocnn.core.errors import InputError
from biocnn.io import fasta
from biocnn.io.fasta import decode, encode, read_fasta, reverse_complement


@given(st.text("ACGTN"))
def test_decode_is_the_inverse_of_encode(text):
    assert decode(encode(text)) == text


@given(st.text("ACGTNacgtnRYSWKMBDHV", min_size=1), st.sampled_from(["unknown", "mixed"]))
def test_reverse_complement_twice_changes_nothing(text, iupac):
    codes = encode(text, iupac)
    np.testing.assert_array_equal(reverse_complement(reverse_complement(codes)), codes)


def test_known_codes():
    assert encode("acgtuN rY\n").tolist() == [0, 1, 2, 3, 3, 4, 4, 4]
    assert encode(b"ACGU").tolist() == [0, 1, 2, 3]
    assert decode(np.array([0, 1, 2, 3, 4, 5, 5], np.uint8), "ACGU") == "ACGUN"
    assert decode(reverse_complement(encode("AACGN"))) == "NCGTT"
    assert reverse_complement(np.array([[0, 4, 5]], np.uint8)).tolist() == [[5, 4, 3]]


@pytest.mark.parametrize("text", ["ACGX", "ACG-", "AC*G", "ACGé"])
def test_invalid_letters_are_reported_with_their_position(text):
    with pytest.raises(InputError, match=rf"here: .* at position {3 if '*' in text else 4} is not a base") as caught:
        encode(text, where="here")
    assert "IUPAC" in caught.value.remedy


def test_iupac_letters_can_be_errors():
    assert encode("ACGN", "error").tolist() == [0, 1, 2, 4]
    with pytest.raises(InputError, match="'R' at position 2") as caught:
        encode("AR", "error")
    assert "iupac: unknown" in caught.value.remedy


AMBIGUITY = {"R": "Y", "Y": "R", "S": "S", "W": "W", "K": "M", "M": "K", "B": "V", "V": "B", "D": "H", "H": "D"}


def test_ambiguous_letters_have_codes_of_their_own_when_mixed():
    letters = "".join(AMBIGUITY)
    codes = encode(letters + letters.lower() + "acgtN", "mixed")
    assert sorted(codes[:10]) == list(range(6, 16))
    assert codes[10:].tolist() == [*codes[:10], 0, 1, 2, 3, 4]
    assert decode(codes[:10]) == letters
    assert decode(reverse_complement(codes[:10]))[::-1] == "".join(AMBIGUITY.values())
    assert encode(letters).tolist() == [4] * 10


TEXT = b">one first record\nACGT\nacg\n\n>two\tsecond\r\nNNTT\r\n>three\nG"


def bgzip(data: bytes, size: int = 7) -> bytes:
    """Return several gzip members, as written by bgzip."""
    return b"".join(gzip.compress(data[i : i + size]) for i in range(0, len(data), size)) + gzip.compress(b"")


@pytest.mark.parametrize("wrap", [bytes, gzip.compress, bgzip])
@pytest.mark.parametrize("chunk", [1, 2, 5, 11, 1 << 20])
def test_records_do_not_depend_on_line_lengths_and_chunks(tmp_path, monkeypatch, wrap, chunk):
    monkeypatch.setattr(fasta, "CHUNK", chunk)
    path = tmp_path / "any.name"
    path.write_bytes(wrap(TEXT))
    found = [(r.name, r.description, decode(r.codes), r.line) for r in read_fasta(path)]
    assert found == [("one", "first record", "ACGTACG", 1), ("two", "second", "NNTT", 5), ("three", "", "G", 7)]


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_only_line_ends_end_lines_and_only_blanks_end_names(tmp_path, monkeypatch, chunk, end):
    monkeypatch.setattr(fasta, "CHUNK", chunk)
    names = ["a\u2028b", "c\x0bd", "e\x85", "f\u00a0g"]
    text = "\ufeff" + end + "".join(f">{name}\t some\x0c text {end}AC{end}{end} GT{end}" for name in names)
    (tmp_path / "odd.fa").write_bytes(text.encode())
    if chunk < 3:  # the first chunk is checked for a byte-order mark
        (tmp_path / "odd.fa").write_bytes(text[1:].encode())
    found = list(read_fasta(tmp_path / "odd.fa"))
    assert [(record.name, record.description) for record in found] == [(name, "some\x0c text") for name in names]
    assert {decode(record.codes) for record in found} == {"ACGT"}
    assert [record.line for record in found] == [2, 6, 10, 14]


def test_a_bgzip_file_truncated_between_blocks_is_refused(tmp_path):
    with pysam.BGZFile(str(tmp_path / "cut.fa.gz"), "wb") as handle:
        handle.write(b">a\nACGT\n")
    whole = (tmp_path / "cut.fa.gz").read_bytes()
    (tmp_path / "cut.fa.gz").write_bytes(whole[:-28])
    with pytest.raises(InputError, match=r"cut\.fa\.gz: .* the file is truncated"):
        list(read_fasta(tmp_path / "cut.fa.gz"))


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_an_error_in_a_long_line_is_located(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(fasta, "CHUNK", chunk)
    (tmp_path / "long.fa").write_text(">a\nAC\n" + "ACGT" * 25 + "!\n")
    with pytest.raises(InputError, match="line 3 column 101: record 'a': '!' is not a base"):
        list(read_fasta(tmp_path / "long.fa"))


def test_a_line_of_any_length_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(fasta, "CHUNK", 100)
    (tmp_path / "long.fa").write_text(
        ">a\n" + "ACGTTGCA" * 125_000
    )  # 10,000 chunks: 5 GB if each copied all previous ones
    (record,) = read_fasta(tmp_path / "long.fa")
    assert len(record.codes) == 1_000_000
    monkeypatch.setattr(fasta, "LONGEST", 1000)
    (tmp_path / "header.fa").write_text(">a\nAC\n>" + "x" * 5000)
    with pytest.raises(InputError, match="line 3: a header longer than"):
        list(read_fasta(tmp_path / "header.fa"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"chr1\t1\t5\n", "line 1: not FASTA .starts with 'chr"),
        (b">a\nAC\n>b\nGT\n>a\nTT\n", "line 5: duplicate name 'a', first in line 1"),
        (b">a\nAC\n>b\n>c\nGT\n", "line 3: record 'b' has no sequence"),
        (b">a\nAC\n>\nGT\n", "line 3: a record without a name"),
        (b">a\nAC\nAC GE\n", "line 3 column 5: record 'a': 'E' is not a base"),
    ],
)
@pytest.mark.parametrize("chunk", [3, 1 << 20])
def test_invalid_files_are_reported_with_the_line(tmp_path, monkeypatch, text, message, chunk):
    monkeypatch.setattr(fasta, "CHUNK", chunk)
    path = tmp_path / "bad.fa"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        list(read_fasta(path))
    assert str(path) in caught.value.message
    assert caught.value.remedy


def test_a_truncated_gzip_file_is_reported(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "cut.fa.gz"
    path.write_bytes(gzip.compress(b">a\n" + bytes(rng.choice(list(b"ACGT"), 10000)))[:-900])
    with pytest.raises(InputError, match=r"cut\.fa\.gz: damaged or truncated gzip") as caught:
        list(read_fasta(path))
    assert "gzip -t" in caught.value.remedy


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        list(read_fasta(tmp_path / "none.fa"))
