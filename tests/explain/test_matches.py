"""Tomtom: a motif finds itself, p-values of chance are uniform, and small cases equal complete enumeration."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from biocnn.explain.matches import COLUMNS, match_motifs
from biocnn.io.meme import Motif, read_meme


def random_motifs(number: int, seed: int, low: int = 5, high: int = 16) -> list[Motif]:
    rng = np.random.default_rng(seed)
    widths = rng.integers(low, high, number)
    return [Motif(f"m{i}", f"TF{i}", rng.dirichlet([0.3] * 4, size=w), 20) for i, w in enumerate(widths)]


@pytest.fixture(scope="module")
def database() -> list[Motif]:
    return random_motifs(80, seed=1)


def test_a_motif_finds_itself_first(database: list[Motif]) -> None:
    matches = match_motifs(database, database)
    assert list(matches.columns) == list(COLUMNS)
    assert (matches["target_id"] == matches["motif"]).all()
    assert (matches["strand"] == "+").all()
    assert (matches["offset"] == 0).all()
    assert (matches["overlap"] == [len(motif.pfm) for motif in database]).all()
    assert (matches["p_value"] > 0).all()
    assert (matches["e_value"] == matches["p_value"] * len(database)).all()


def test_the_reverse_complement_finds_it_on_the_other_strand(database: list[Motif]) -> None:
    turned = [Motif(m.id, m.name, m.pfm[::-1, ::-1], 20) for m in database]
    matches, forward = match_motifs(turned, database), match_motifs(database, database)
    assert (matches["target_id"] == matches["motif"]).all()
    assert (matches["strand"] == "-").all()
    np.testing.assert_allclose(matches["p_value"], forward["p_value"], rtol=1e-6)


def test_one_strand_does_not_find_reverse_complements(database: list[Motif]) -> None:
    turned = [Motif("turned", "turned", database[0].pfm[::-1, ::-1], 20)]
    single = match_motifs(turned, database, best=len(database), reverse_complement=False)
    assert (single["strand"] == "+").all()
    assert single.set_index("target_id").loc["m0", "p_value"] > 1e-3


@pytest.mark.parametrize(("cut", "offset"), [(slice(3, None), -3), (slice(None, -3), 0), (slice(2, -2), -2)])
def test_offset_is_the_position_of_the_target_on_the_motif(database: list[Motif], cut: slice, offset: int) -> None:
    whole = max(database, key=lambda m: len(m.pfm))
    row = match_motifs([Motif("part", "part", whole.pfm[cut], 20)], database).iloc[0]
    assert (row["target_id"], row["offset"], row["overlap"]) == (whole.id, offset, len(whole.pfm[cut]))


def test_a_motif_with_flanks_finds_its_core(database: list[Motif]) -> None:
    flank = np.full((4, 4), 0.25)
    row = match_motifs([Motif("long", "long", np.concatenate([flank, database[5].pfm, flank]), 20)], database).iloc[0]
    assert (row["target_id"], row["offset"], row["overlap"]) == ("m5", 4, len(database[5].pfm))


def test_chance_motifs_have_uniform_p_values(database: list[Motif]) -> None:
    columns = np.concatenate([motif.pfm for motif in database])
    rng = np.random.default_rng(3)
    queries = [Motif(f"q{i}", "", columns[rng.integers(len(columns), size=10)], 20) for i in range(60)]
    p = match_motifs(queries, database, best=len(database))["p_value"].to_numpy()
    for threshold in (0.05, 0.2, 0.5, 0.8):
        assert (p <= threshold).mean() == pytest.approx(threshold, rel=0.3)


def test_p_value_is_the_fraction_of_all_possible_targets() -> None:
    """For a motif of one column, the p-value of a target of n columns is 1 - (1 - fraction as similar) ** n."""
    columns = np.eye(4) * 0.96 + 0.01
    targets = [Motif("".join(map(str, word)), "", columns[list(word)], 1) for word in product(range(4), repeat=2)]
    matches = match_motifs([Motif("A", "", columns[:1], 1)], targets, best=16, reverse_complement=False)
    p = matches.set_index("target_id")["p_value"]
    np.testing.assert_allclose(p[[word for word in p.index if "0" in word]], 1 - 0.75**2)
    np.testing.assert_allclose(p[[word for word in p.index if "0" not in word]], 1)


def test_q_values_equal_those_of_benjamini_and_hochberg(database: list[Motif]) -> None:
    from scipy.stats import false_discovery_control

    matches = match_motifs(random_motifs(6, seed=9), database, best=len(database))
    np.testing.assert_allclose(matches["q_value"], false_discovery_control(matches["p_value"]))


def test_without_motifs_there_are_no_rows(database: list[Motif]) -> None:
    for matches in (match_motifs([], database), match_motifs(database[:2], [])):
        assert len(matches) == 0
        assert list(matches.columns) == list(COLUMNS)


def test_motifs_without_information_match_nothing(database: list[Motif]) -> None:
    flat = [Motif("flat", "", np.full((8, 4), 0.25), 20)]
    assert match_motifs(flat, database)["p_value"].iloc[0] > 1e-4
    assert match_motifs(flat, flat)["p_value"].iloc[0] == 1


@pytest.mark.data
def test_jaspar_motifs_find_themselves_and_their_relatives(data_root: Path) -> None:
    motifs = read_meme(data_root / "genomics/motifs_jaspar2024/JASPAR2024_CORE_fungi.meme")
    matches = match_motifs(list(motifs.values())[:40], motifs.values())
    assert (matches["motif"] == matches["target_id"]).all()
    vertebrates = read_meme(data_root / "genomics/motifs_jaspar2024/JASPAR2024_CORE_vertebrates.meme")
    best = match_motifs([vertebrates["MA0139.2"]], vertebrates.values(), best=3)
    assert best["target_name"].str.startswith("CTCF").all()
    assert best["p_value"].max() < 1e-12


def compared(queries: list[Motif], database: list[Motif], theirs: np.ndarray) -> None:
    """Compare with p-values (queries, database) of another implementation, which bins scores differently."""
    matches = match_motifs(queries, database, best=len(database))
    ours = matches.pivot(index="motif", columns="target_id", values="p_value")
    ours = ours.loc[[m.id for m in queries], [m.id for m in database]].to_numpy()
    assert np.corrcoef(np.log(ours).ravel(), np.log(theirs).ravel())[0, 1] > 0.995
    assert np.quantile(np.abs(np.log10(ours / theirs)), 0.99) < 0.1


def test_p_values_equal_those_of_memelite(database: list[Motif]) -> None:
    """The expected values are those of memelite 0.5.0 for these motifs, with three digits."""
    compared(random_motifs(30, seed=4)[:10], database, np.loadtxt(Path(__file__).with_name("memelite.txt")))


@pytest.mark.slow
def test_memelite_gives_the_same_p_values(database: list[Motif]) -> None:
    """Slow, because memelite compiles for most of a minute on first use."""
    from memelite import tomtom

    queries = random_motifs(30, seed=4)
    as_columns = [[np.ascontiguousarray(m.pfm.T) for m in motifs] for motifs in (queries, database)]
    compared(queries, database, tomtom(*as_columns, n_target_bins=None, n_jobs=1)[0])
