"""An encoded genome equals the FASTA, and its windows equal slices."""

import gzip
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biocnn.core.errors import InputError
from biocnn.io.fasta import decode, encode
from biocnn.io.genome import Genome, either_genome, open_genome, read_genome, write_genome

CONTIGS = {"chrI": "ACGTNACGGT", "chrII": "TTTTACG", "chrM": "GATTACA"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "genome.fa.gz"
    path.write_bytes(gzip.compress("".join(f">{name} a contig\n{text}\n" for name, text in CONTIGS.items()).encode()))
    return path


def test_encoded_folder_equals_the_file(path, tmp_path):
    write_genome(path, tmp_path / "encoded")
    stored, read = open_genome(tmp_path / "encoded"), read_genome(path)
    assert isinstance(stored.data, np.memmap)
    for genome in (stored, read):
        assert genome.contigs == {name: len(text) for name, text in CONTIGS.items()}
        assert genome.descriptions["chrI"] == "a contig"
        assert genome.source == str(path)
        for name, text in CONTIGS.items():
            assert decode(genome.codes(name, 0, len(text))) == text


def test_beyond_the_ends_is_unknown(path):
    genome = read_genome(path)
    assert decode(genome.codes("chrII", -2, 9)) == "NNTTTTACGNN"
    assert decode(genome.codes("chrII", 20, 23)) == "NNN"
    assert decode(genome.codes("chrI", -30, -27)) == "NNN"


@given(st.data())
def test_gathered_windows_equal_slices(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    lengths = rng.integers(1, 30, 4)
    codes = rng.integers(0, 5, lengths.sum(), dtype=np.uint8)
    genome = Genome(codes, dict(zip("abcd", lengths.tolist(), strict=True)), {}, "test")
    length = data.draw(st.integers(1, 20))
    contig, starts = rng.integers(0, 4, 50), rng.integers(-25, 40, 50)
    padded = [np.pad(part, 100, constant_values=4) for part in np.split(codes, np.cumsum(lengths)[:-1])]
    expected = [padded[c][100 + s : 100 + s + length] for c, s in zip(contig, starts, strict=True)]
    np.testing.assert_array_equal(genome.windows(contig, starts, length), expected)


def test_windows_may_be_longer_than_the_genome():
    genome = Genome(np.array([0, 1], np.uint8), {"a": 2}, {}, "test")
    assert genome.windows(np.array([0]), np.array([-1]), 5).tolist() == [[4, 0, 1, 4, 4]]
    assert genome.windows(np.array([], int), np.array([], int), 5).shape == (0, 5)


def test_an_invalid_fasta_leaves_nothing_behind(tmp_path):
    (tmp_path / "bad.fa").write_text(">a\nACGT\n>a\nACGT\n")
    with pytest.raises(InputError, match="duplicate name"):
        write_genome(tmp_path / "bad.fa", tmp_path / "encoded")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.fa"]


def test_a_genome_is_a_file_or_a_folder(path, tmp_path):
    write_genome(path, tmp_path / "encoded")
    assert either_genome(path).contigs == either_genome(tmp_path / "encoded").contigs
    for name, said in {"gone.fa": "no such file", "a" * 300: "no such file", ".": "not an encoded genome"}.items():
        with pytest.raises(InputError, match=said) as caught:
            either_genome(tmp_path / name)
    assert caught.value.remedy.startswith("give a FASTA file")


def test_a_damaged_folder_is_reported(path, tmp_path):
    folder = tmp_path / "encoded"
    with pytest.raises(InputError, match="not an encoded genome"):
        open_genome(folder)
    write_genome(path, folder)
    codes = folder / "codes.bin"
    codes.write_bytes(codes.read_bytes()[:-1])
    with pytest.raises(InputError, match="incomplete") as caught:
        open_genome(folder)
    assert "made again" in caught.value.remedy


@pytest.mark.data
def test_lengths_of_the_yeast_genome(data_root):
    folder = data_root / "genomics/yeast_sacCer3"
    genome = read_genome(folder / "sacCer3.fa.gz")
    sizes = dict(line.split() for line in (folder / "sacCer3.chrom.sizes").read_text().splitlines())
    assert {name: str(length) for name, length in genome.contigs.items()} == sizes
    assert len(genome.data) == 12_157_105


def test_codes_equal_those_from_pyfaidx(tmp_path):
    pyfaidx = pytest.importorskip("pyfaidx")
    fasta, rng = tmp_path / "random.fa", np.random.default_rng(3)
    contigs = {f"c{i}": "".join(rng.choice(list("ACGTacgtN"), size)) for i, size in enumerate((7, 61, 300))}
    lines = (f">{name} some words\n" + "\n".join(re.findall(".{1,60}", text)) + "\n" for name, text in contigs.items())
    fasta.write_text("".join(lines))
    genome = read_genome(fasta)
    with pyfaidx.Fasta(str(fasta)) as other:
        for name, length in genome.contigs.items():
            start, end = sorted(rng.integers(0, length + 1, 2))
            np.testing.assert_array_equal(genome.codes(name, start, end), encode(str(other[name][start:end])))
