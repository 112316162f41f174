"""Motif files: round trips, and invalid content is refused with its line."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biocnn.core.errors import InputError
from biocnn.io.meme import Motif, read_meme, write_meme

HEAD = "MEME version 4\n\nALPHABET= ACGT\n\n"
MATRIX = "letter-probability matrix: alength= 4 w= 2 nsites= 17 E= 0\n 0.5 0.5 0 0\n 0 0 0.25 0.75\n"


def parse(tmp_path: Path, text: str) -> dict[str, Motif]:
    path = tmp_path / "motifs.meme"
    path.write_text(text)
    return read_meme(path)


@given(counts=arrays(np.int64, st.tuples(st.integers(1, 30), st.just(4)), elements=st.integers(0, 1000)))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, counts: np.ndarray) -> None:
    counts[:, 0] += 1
    pfm = counts / counts.sum(axis=1, keepdims=True)
    path = tmp_path_factory.mktemp("meme") / "one.meme"
    write_meme(path, [Motif("kernel0", "CTCF", pfm, 12)])
    (motif,) = read_meme(path).values()
    np.testing.assert_allclose(motif.pfm, pfm, atol=2e-6)
    assert (motif.id, motif.name, motif.nsites) == ("kernel0", "CTCF", 12)


def test_rna_and_background_are_written(tmp_path: Path) -> None:
    path = tmp_path / "rna.meme"
    write_meme(path, [Motif("a", "a", np.full((3, 4), 0.25), 5)], "ACGU", (0.3, 0.2, 0.2, 0.3))
    text = path.read_text()
    assert "ALPHABET= ACGU" in text
    assert "A 0.3 C 0.2 G 0.2 U 0.3" in text
    assert "strands" not in text
    assert list(read_meme(path)) == ["a"]


def test_a_file_without_motifs_is_named(tmp_path: Path) -> None:
    write_meme(tmp_path / "none.meme", [])
    with pytest.raises(InputError, match="no motifs"):
        read_meme(tmp_path / "none.meme")


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "MOTIF m1 TF\n" + MATRIX,
        HEAD.replace("4", "5.5.2 (Release)") + "# a comment\nMOTIF m1 TF\n\n" + MATRIX + "\nURL http://x\n",
        HEAD.replace("ALPHABET= ACGT", 'ALPHABET "DNA" DNA-LIKE') + "MOTIF m1 TF\n" + MATRIX,
        HEAD.replace("ACGT", "ACGU") + "MOTIF\tm1   TF\n" + MATRIX.replace("\n", "\r\n"),
        HEAD + "MOTIF m1 TF\n" + MATRIX.replace("alength= 4 w= 2 nsites= 17 E= 0", "nsites=17"),
        HEAD + "MOTIF m1 TF\n" + MATRIX.replace("w= 2", "w= 2.0"),
        ("\ufeff" + HEAD + "MOTIF m1 TF x\u2028\x85\n" + MATRIX).replace("\n", "\r"),
        HEAD + "MOTIF m1 TF\nlog-odds matrix: alength= 4 w= 2\n -3 -2 1 1\n 2 2 -8 0\n" + MATRIX,
        "# made by hand\n" + HEAD + "MOTIF m1 TF\n" + MATRIX.replace("0.25 0.75", "0.251\t0.751\t"),
    ],
)
def test_variants_of_the_format_give_the_same(tmp_path: Path, text: str) -> None:
    (motif,) = parse(tmp_path, text).values()
    assert (motif.id, motif.name, motif.nsites) == ("m1", "TF", 17)
    np.testing.assert_allclose(motif.pfm, [[0.5, 0.5, 0, 0], [0, 0, 0.25, 0.75]], atol=2e-3)
    np.testing.assert_allclose(motif.pfm.sum(axis=1), 1)


@pytest.mark.parametrize(("stated", "wanted", "remedy"), [("ACGT", "ACGU", "with T for U"), ("RNA", "ACGT", "JASPAR")])
def test_motifs_of_the_other_alphabet_are_refused_if_the_file_states_it(
    tmp_path: Path, stated: str, wanted: str, remedy: str
) -> None:
    path = tmp_path / "motifs.meme"
    path.write_text(HEAD.replace("ACGT", stated) + "MOTIF m1\n" + MATRIX)
    with pytest.raises(InputError, match="line 3: motifs with alphabet") as caught:
        read_meme(path, wanted)
    assert remedy in caught.value.remedy
    path.write_text("MEME version 4\nMOTIF m1\n" + MATRIX)
    assert list(read_meme(path, wanted)) == ["m1"]


def test_memes_own_output_names_motifs_by_their_consensus(tmp_path: Path) -> None:
    (motif,) = parse(tmp_path, HEAD + "MOTIF CACGTG width = 6 sites = 10\n" + MATRIX).values()
    assert (motif.id, motif.name) == ("CACGTG", "CACGTG")


def test_gzip_is_read(tmp_path: Path) -> None:
    path = tmp_path / "motifs.meme.gz"
    path.write_bytes(gzip.compress((HEAD + "MOTIF m1\n" + MATRIX).encode()))
    assert list(read_meme(path)) == ["m1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">MA0001.1 AGL3\nA [ 0 3 ]\n", "not a MEME motif file"),
        ("", "not a MEME motif file"),
        (HEAD.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY") + "MOTIF p\n", "line 3: alphabet"),
        (HEAD + "MOTIF\n", "line 5: motif without a name"),
        (HEAD + MATRIX, "line 5: a matrix without a preceding MOTIF line"),
        (HEAD + "MOTIF m1\n" + MATRIX + "MOTIF m1\n" + MATRIX, "line 10: duplicate motif 'm1'"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("w= 2", "w= 3"), "line 6: w= 3 is followed by 2 rows"),
        (HEAD + "MOTIF m1\n" + MATRIX.split("\n")[0], "line 6: w= 2 is followed by 0 rows"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("0.25", "0.5"), "line 8: the row sums to 1.25, not 1"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("0.5 0.5 0 0", "12 3 0 0"), "line 7: the row sums to 15"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("0.5 0.5 0 0", "-.5 1.5 0 0"), "line 7"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("0.5 0.5 0 0", "0.5 0.5 0"), "line 7: 3 numbers"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("0.5 0.5 0 0", "0.5 0.5 zero 0"), "line 7: could not convert"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("alength= 4", "alength= 20"), "line 6: alength"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("w= 2", "w= 2.5"), "line 6: w= 2.5 is followed by 2 rows"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("w= 2", "w= two"), "line 6: w= two is not a number"),
        (HEAD + "MOTIF m1\n" + MATRIX.replace("nsites= 17", "nsites= 1e999"), "line 6: nsites= 1e999 is not a number"),
        (
            HEAD + "MOTIF m1\n" + MATRIX.replace("alength= 4", "alength= 4.e.5"),
            "line 6: alength= 4.e.5 is not a number",
        ),
        (HEAD + "MOTIF m1\n" + MATRIX + "MOTIF m2\n", "motif 'm2' has no letter-probability matrix"),
    ],
)
def test_invalid_content_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(tmp_path, text)
    assert "motifs.meme" in caught.value.message
    assert caught.value.remedy


@pytest.mark.data
def test_real_databases_are_read_completely(data_root: Path) -> None:
    paths = sorted((data_root / "genomics").glob("*/*.meme"))
    assert len(paths) >= 9
    for path in paths:
        announced = sum(line.startswith("MOTIF") for line in path.read_text().splitlines())
        assert len(read_meme(path)) == announced
    assert (
        read_meme(data_root / "genomics/motifs_jaspar2024/JASPAR2024_CORE_vertebrates.meme")["MA0139.2"].name == "CTCF"
    )
