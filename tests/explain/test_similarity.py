"""Similarity of motifs: reverse complements and shifted motifs are equal, halves are not; groups."""

import numpy as np
import pytest

from biocnn.explain.similarity import grouped, placed, similarity


def motif(width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([0.3] * 4, width)


def test_a_motif_equals_its_reverse_complement_and_itself_with_flanks() -> None:
    one, flank = motif(9, 0), np.full((5, 4), 0.25)
    same = [one, one[::-1, ::-1], np.concatenate([flank, one]), np.concatenate([one, flank])[::-1, ::-1]]
    np.testing.assert_allclose(similarity(same, both_strands=True), 1)
    assert similarity(same[:2], both_strands=False)[0, 1] < 0.7


def test_the_similarity_of_half_a_motif_is_the_root_of_its_share_of_information() -> None:
    one = 0.01 + 0.96 * np.eye(4)[np.random.default_rng(1).integers(0, 4, 16)]
    assert similarity([one, one[:8]], both_strands=True)[0, 1] == pytest.approx(np.sqrt(0.5))


def test_different_motifs_form_separate_groups() -> None:
    others = [motif(14, seed) for seed in range(1, 7)]
    first = grouped([others[0], others[1], others[0][::-1, ::-1], *others[2:], others[1][1:]], both_strands=True)
    np.testing.assert_array_equal(first, [0, 1, 0, 3, 4, 5, 6, 1])


def test_few_and_empty_motifs() -> None:
    assert grouped([], both_strands=True).tolist() == []
    assert grouped([motif(5, 0)], both_strands=True).tolist() == [0]
    flat = np.full((6, 4), 0.25)
    assert grouped([flat, flat], both_strands=True).tolist() == [0, 1]


@pytest.mark.parametrize(("ahead", "behind"), [(0, 0), (3, 2), (-3, -2), (4, -3), (-4, 4)])
@pytest.mark.parametrize("turned", [False, True])
def test_two_motifs_are_placed_where_they_share_columns(ahead: int, behind: int, turned: bool) -> None:
    one = motif(10, 2)
    flank = np.full((5, 4), 0.25)
    other = np.concatenate([flank, one, flank])[5 - ahead : 15 + behind]  # cut, or with columns beside it
    given = other[::-1, ::-1] if turned else other
    assert placed(one, given, both_strands=True) == (-ahead, turned)
    if not turned:
        assert placed(one, given, both_strands=False) == (-ahead, False)
