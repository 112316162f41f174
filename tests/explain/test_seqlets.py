"""Seqlets: two planted motifs are found with their positions, and nothing is found elsewhere."""

import numpy as np
import pytest
import torch
from work import calls

from biocnn.data.shuffle import dinucleotide_shuffle
from biocnn.explain import base_contributions, deep_lift, match_motifs, shuffled_references
from biocnn.explain.alignment import gather
from biocnn.explain.seqlets import COLUMNS, SITE_COLUMNS, SeqletMotifs, find_seqlets, present, seqlet_motifs
from biocnn.io.meme import Motif
from biocnn.models import DeepBind
from biocnn.nn.encode import one_hot

SITES = {"REB": "TTACCCGG", "CTF": "CCACTAGGGGGC"}


def code(text: str) -> np.ndarray:
    return np.array(["ACGT".index(base) for base in text], dtype=np.uint8)


def planted(number: int, seed: int = 0, both: bool = True) -> tuple[np.ndarray, list[tuple[int, int, str, str]]]:
    """Return random sequences of 101 bp and planted sites: each motif in two of three sequences, with 5% errors."""
    rng = np.random.default_rng(seed)
    codes, sites = rng.integers(0, 4, (number, 101)).astype(np.uint8), []
    for row in range(number):
        for name, low in zip(SITES, rng.permutation([4, 54]), strict=True):
            if rng.random() < 1 / 3:
                continue
            site, start = code(SITES[name]), int(low + rng.integers(0, 25))
            site = np.where(rng.random(len(site)) < 0.05, rng.integers(0, 4, len(site)), site).astype(np.uint8)
            turned = both and bool(rng.random() < 0.5)
            codes[row, start : start + len(site)] = 3 - site[::-1] if turned else site
            sites.append((row, start, "-" if turned else "+", name))
    return codes, sites


def network(strands: str = "both") -> DeepBind:
    """Return a network with one kernel per motif that requires all but two of its bases, on either strand."""
    kernels = [site for name in SITES.values() for site in (code(name), 3 - code(name)[::-1])]
    kernels = kernels if strands == "both" else kernels[::2]
    model = DeepBind(1, 4, 1, channels=len(kernels), kernel_size=16, hidden=0).eval()
    with torch.no_grad():
        conv = model.features[0].conv.conv
        conv.weight.zero_()
        for kernel, site in enumerate(kernels):
            conv.weight[kernel, site.tolist(), range(2, 2 + len(site))] = 1.0
            conv.bias[kernel] = 2.5 - len(site)
        model.head[-1].weight.fill_(1.0)
    return model


def motifs_of(codes: np.ndarray, model: DeepBind, both: bool = True) -> SeqletMotifs:
    def contributions(codes: np.ndarray) -> np.ndarray:
        return deep_lift(model, one_hot(torch.from_numpy(codes)), shuffled_references(codes, 4)).contributions.numpy()

    shuffled = dinucleotide_shuffle(codes[: len(codes) // 2], np.random.default_rng(1))
    background = present(shuffled, contributions(shuffled))
    ids = np.array([f"seq{i}" for i in range(len(codes))])
    return seqlet_motifs(codes, contributions(codes), background, ids, both_strands=both)


@pytest.mark.parametrize("both", [True, False])
def test_two_planted_motifs_are_found_where_they_were_planted(both: bool) -> None:
    codes, sites = planted(300, both=both)
    found = motifs_of(codes, network("both" if both else "single"), both=both)
    database = []
    for name, site in SITES.items():
        database.append(Motif(name, name, 0.01 + 0.96 * np.eye(4)[code(site)], 20))
    database += [Motif(f"d{i}", "", np.random.default_rng(i).dirichlet([0.3] * 4, 9), 20) for i in range(40)]
    matches = match_motifs(found.motifs, database, reverse_complement=both).set_index("motif")
    assert set(matches["target_id"]) == set(SITES)
    assert matches["q_value"].max() < 1e-6
    assert len(found.motifs) == 2
    assert list(found.table.columns) == list(COLUMNS)
    assert list(found.sites.columns) == list(SITE_COLUMNS)
    for motif in found.motifs:
        match, columns = matches.loc[motif.id], found.contributions[motif.id]
        assert columns.shape == motif.pfm.shape
        assert (columns.argmax(axis=1) == motif.pfm.argmax(axis=1)).mean() > 0.9
        planted_here = {
            (f"seq{row}", start, strand) for row, start, strand, name in sites if name == match["target_id"]
        }
        inner = len(SITES[match["target_id"]])
        got = set()
        for site in found.sites[found.sites["motif"] == motif.id].itertuples():
            assert site.end - site.start == len(motif.pfm)
            ahead = match["offset"] if site.strand == "+" else len(motif.pfm) - match["offset"] - inner
            same = site.strand == match["strand"] if both else site.strand == "+"
            got.add((site.id, site.start + ahead, "+" if same else "-"))
        assert len(got & planted_here) > 0.95 * len(got)
        assert len(got & planted_here) > 0.8 * len(planted_here)


def test_on_one_strand_a_motif_and_its_reverse_complement_are_two() -> None:
    site, codes = code("GGATTGCACA"), np.random.default_rng(0).integers(0, 4, (60, 50)).astype(np.uint8)
    codes[::2, 20:30], codes[1::2, 20:30] = site, 3 - site[::-1]
    contributions = np.zeros((60, 4, 50))
    contributions[:, :, 20:30] = np.eye(4)[codes[:, 20:30]].transpose(0, 2, 1)
    found = [
        seqlet_motifs(codes, contributions, np.zeros((60, 50)), np.arange(60).astype(str), both_strands=both)
        for both in (False, True)
    ]
    assert [[motif.nsites for motif in one.motifs] for one in found] == [[30, 30], [60]]
    assert [set(one.sites["strand"]) for one in found] == [{"+"}, {"+", "-"}]


def test_background_has_no_motifs() -> None:
    codes = np.random.default_rng(3).integers(0, 4, (300, 101)).astype(np.uint8)
    found = motifs_of(codes, network())
    assert not found.motifs
    assert len(found.table) == 0
    assert set(found.sites["motif"]) <= {""}


def test_reverse_complements_of_all_sequences_give_reverse_complements_of_motifs() -> None:
    codes, _ = planted(200)
    rng, model = np.random.default_rng(0), network()
    background = rng.normal(0, 0.01, (100, 101)).astype(np.float32)
    ids, x = np.arange(200).astype(str), one_hot(torch.from_numpy(codes))
    contributions = base_contributions(model, x).numpy()
    one = seqlet_motifs(codes, contributions, background, ids)
    turned = seqlet_motifs(3 - codes[:, ::-1], contributions[:, ::-1, ::-1], background, ids)
    np.testing.assert_allclose(one.table["n_sites"], turned.table["n_sites"], rtol=0.02)
    for first, second in zip(one.motifs, turned.motifs, strict=True):
        same = min(
            np.abs(first.pfm - second.pfm).max() if first.pfm.shape == second.pfm.shape else 1,
            np.abs(first.pfm - second.pfm[::-1, ::-1]).max() if first.pfm.shape == second.pfm.shape else 1,
        )
        assert same < 0.08


def test_seqlets_are_rare_in_shuffled_sequences() -> None:
    rng = np.random.default_rng(0)
    noise, values = rng.normal(0, 1, (400, 80)), rng.normal(0, 1, (200, 80))
    assert len(find_seqlets(values, noise)[0]) < 5
    values[:50, 30:40] += 4
    values[50:80, 60:70] -= 4
    example, start, score = find_seqlets(values, noise)
    true = (example < 80) & (np.abs(start - np.where(example < 50, 27.5, 57.5)) <= 5)
    assert 75 < true.sum() <= 80
    assert (~true).mean() < 0.1
    assert (score[true] > 0).sum() == (example[true] < 50).sum()


def test_seqlets_have_the_sum_of_their_bases_and_are_centred_on_contributing_bases() -> None:
    values = np.zeros((60, 120))
    begin = np.arange(60)
    for row in begin:
        values[row, row : row + 7] = [1, 2, 3, 4, 3, 2, 1]
    example, start, score = find_seqlets(values, np.zeros((60, 120)))
    np.testing.assert_array_equal(example, begin)
    np.testing.assert_allclose(score, 16)
    np.testing.assert_array_equal(start[4:], begin[4:] - 4)


def test_opposite_contributions_form_separate_groups() -> None:
    rng = np.random.default_rng(0)
    pattern = rng.normal(size=(4, 31))
    windows = np.concatenate(
        [pattern + 0.3 * rng.normal(size=(30, 4, 31)), -pattern + 0.3 * rng.normal(size=(20, 4, 31))]
    )
    groups = list(gather(windows, both_strands=True, compared=21))
    assert [sorted(group.rows.tolist()) for group in groups] == [list(range(30)), list(range(30, 50))]
    assert not any(group.reverse.any() for group in groups)


@pytest.mark.parametrize("length", [10, 20])
def test_few_short_and_padded_sequences(length: int) -> None:
    codes = np.full((3, length), 5, dtype=np.uint8)
    codes[:, :4] = [0, 1, 2, 4]
    contributions = np.random.default_rng(0).normal(size=(3, 4, length))
    assert (present(codes, contributions)[:, 3:] == 0).all()
    found = seqlet_motifs(codes, contributions, np.zeros((0, length)), np.array(["a", "b", "c"]))
    assert not found.motifs
    empty = seqlet_motifs(codes[:0], contributions[:0], np.zeros((0, length)), np.array([], dtype=str))
    assert list(empty.sites.columns) == list(SITE_COLUMNS)


def test_the_work_is_linear_in_the_number_of_sequences() -> None:
    codes, _ = planted(400)
    contributions = base_contributions(network(), one_hot(torch.from_numpy(codes))).numpy()
    names, nothing = np.arange(400).astype(str), np.zeros((200, 101))
    few, many = (calls(lambda n=n: seqlet_motifs(codes[:n], contributions[:n], nothing, names[:n])) for n in (100, 400))
    assert many < 4 * few
    assert len(seqlet_motifs(codes, contributions, nothing, names).motifs) >= 2


@pytest.mark.parametrize("both", [True, False])
def test_groups_with_the_same_bases_are_one_motif(both: bool) -> None:
    """Half of the sites are attributed by their left part and half by their right one: two groups of contributions."""
    site, rng = code("GGATTGCACATC"), np.random.default_rng(0)
    codes = rng.integers(0, 4, (80, 60)).astype(np.uint8)
    start, contributions = rng.integers(15, 33, 80), np.zeros((80, 4, 60))
    for row, first in enumerate(start):
        turned = both and row % 4 > 1
        codes[row, first : first + 12] = 3 - site[::-1] if turned else site
        weight = np.repeat([1.0, 0.15] if row % 2 else [0.15, 1.0], 6)
        contributions[row, codes[row, first : first + 12], range(first, first + 12)] = (
            weight[::-1] if turned else weight
        )
    found = seqlet_motifs(codes, contributions, np.zeros((80, 60)), np.arange(80).astype(str), both_strands=both)
    assert found.table[["motif", "n_sites", "frequency"]].to_numpy().tolist() == [["seqlets1", 80, 1.0]]
    assert found.motifs[0].pfm.shape == (12, 4)
    assert found.motifs[0].pfm.max(axis=1).min() > 0.98
    assert found.sites["start"].tolist() == start.tolist()
    assert (found.sites["end"] - found.sites["start"] == 12).all()
    strand = np.where(both & (np.arange(80) % 4 > 1), "-", "+")
    assert found.sites["strand"].tolist() in (strand.tolist(), np.where(strand == "+", "-", "+").tolist())
    # Alone, both groups would be motifs of their own.
    each = [found.contributions["seqlets1"][:6].sum(), found.contributions["seqlets1"][6:].sum()]
    np.testing.assert_allclose(each, 6 * 0.575, rtol=0.01)


def test_a_site_with_two_seqlets_is_a_member_once() -> None:
    """Both ends of a long motif contribute: their seqlets form two groups, which show the same motif."""
    site, rng = code("GGATTGCACATCGGTATTCAACGCTAGA"), np.random.default_rng(0)
    codes, contributions = rng.integers(0, 4, (40, 80)).astype(np.uint8), np.zeros((40, 4, 80))
    codes[:, 20:48] = site
    contributions[:, site, range(20, 48)] = np.repeat([1.0, 0.2, 1.0], [8, 12, 8])
    found = seqlet_motifs(codes, contributions, np.zeros((40, 80)), np.arange(40).astype(str), both_strands=False)
    assert found.table["n_sites"].tolist() == [40]
    assert found.sites["id"].tolist() == [*map(str, range(40))]
    assert set(found.sites["start"]) == {20}
