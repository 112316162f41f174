"""Kernels to motifs: a kernel made from a known matrix gives this motif, and training finds planted motifs."""

import numpy as np
import pandas as pd
import pytest
import torch
from planted import CONSENSUS, Scan, planted
from torch import nn

from biocnn.core.errors import InputError
from biocnn.explain import kernel_motifs, match_motifs
from biocnn.explain.motifs import COLUMNS, count, scan, trim
from biocnn.io.meme import Motif, information, read_meme


def set_kernel(model: Scan, kernel: int, consensus: str, start: int) -> None:
    with torch.no_grad():
        model.conv.weight[kernel] = 0.0
        for i, base in enumerate(consensus, start):
            model.conv.weight[kernel, "ACGT".index(base), i] = 1.0


def letters(motif: Motif) -> str:
    return "".join("ACGT"[base] for base in motif.pfm.argmax(axis=1))


@pytest.mark.parametrize("strands", ["both", "single"])
def test_a_known_kernel_gives_its_motif(strands: str) -> None:
    torch.manual_seed(0)
    model = Scan(3, 14, strands)
    set_kernel(model, 1, CONSENSUS, 3)
    codes, target = planted(1000, 1, strands)
    found = kernel_motifs(model, codes, target)
    motif, row = found.motifs[0], found.table.iloc[0]
    assert list(found.table.columns) == list(COLUMNS)
    assert (motif.id, letters(motif), row["rank"]) == ("kernel1", CONSENSUS, 1)
    assert row["effect"] > 0.7
    assert 0.3 < row["frequency"] < 0.6
    assert row["n_sites"] == motif.nsites == round(row["frequency"] * 1000)
    assert row["information_content"] == pytest.approx(information(motif.pfm).sum())
    np.testing.assert_allclose(motif.pfm.sum(axis=1), 1)


def test_bias_and_constants_added_to_a_column_do_not_matter() -> None:
    torch.manual_seed(0)
    model = Scan(4, 10)
    codes, target = planted(500, 2)
    before = kernel_motifs(model, codes, target)
    with torch.no_grad():
        model.conv.weight += torch.randn(4, 1, 10)
        model.conv.bias += 30
    after = kernel_motifs(model, codes, target)
    pd.testing.assert_frame_equal(before.table, after.table, rtol=1e-4)
    for one, other in zip(before.motifs, after.motifs, strict=True):
        np.testing.assert_allclose(one.pfm, other.pfm)


def test_reverse_complements_of_all_sequences_give_the_same_motifs() -> None:
    torch.manual_seed(3)
    model = Scan(4, 9)
    codes, target = planted(400, 3)
    one, other = kernel_motifs(model, codes, target), kernel_motifs(model, 3 - codes[:, ::-1], target)
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-3)


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (codes, target) = Scan(4, 9), planted(200, 4)
    whole = kernel_motifs(model, codes, target)
    monkeypatch.setattr("biocnn.explain.motifs.BATCH_BASES", 700)
    pd.testing.assert_frame_equal(whole.table, kernel_motifs(model, codes, target).table)


def test_dead_and_rare_kernels_are_excluded_and_counted() -> None:
    torch.manual_seed(0)
    model, (codes, target) = Scan(4, 10), planted(300, 5)
    with torch.no_grad():
        model.conv.bias[0] = -100.0  # never above zero
        model.head.weight[0, 1] = 0.0  # without influence
    set_kernel(model, 2, CONSENSUS, 0)
    model.conv.weight.data[2] *= 100
    codes[7, 5:13] = ["ACGT".index(base) for base in CONSENSUS]
    found = kernel_motifs(model, codes, target)
    assert {motif.id for motif in found.motifs} == {"kernel2", "kernel3"}
    assert list(found.left_out.values()) == [2, 0]
    few = kernel_motifs(model, codes[:9], target[:9])
    assert not few.motifs
    assert list(few.left_out.values()) == [2, 2]


def test_unknown_bases_padding_and_short_sequences() -> None:
    torch.manual_seed(1)
    model, (codes, target) = Scan(3, 12), planted(300, 6, at=20)
    codes[:, :10], codes[:, 50:] = 4, 5
    for motif in kernel_motifs(model, codes, target).motifs:
        assert np.isfinite(motif.pfm).all()
    short = kernel_motifs(model, codes[:, 20:28], target)
    assert not short.motifs
    assert (short.short, sum(short.left_out.values())) == (300, 3)


@pytest.mark.parametrize("span", [8, 12])
def test_windows_that_touch_padding_do_not_count(span: int) -> None:
    """Motifs are the same for sequences of different lengths and for the same sequences without padding."""
    torch.manual_seed(0)
    model = Scan(2, span, "single")
    set_kernel(model, 0, "TGACTCAG", 0)
    rng = np.random.default_rng(0)
    codes, target = np.full((400, 60), 5, np.uint8), np.arange(400) < 200
    for row, bound in zip(codes, target, strict=True):
        length = rng.integers(14, 60)
        row[:length] = rng.integers(0, 4, length)
        if bound:
            row[:8] = ["ACGT".index(base) for base in "TGACTCAG"]
    with torch.no_grad():
        model.conv.weight[1] = -1.0  # with its largest value in padding
    found = kernel_motifs(model, codes, target)
    named = {motif.id: motif for motif in found.motifs}
    assert letters(named["kernel0"]) == "TGACTCAG"
    assert information(named["kernel0"].pfm).sum() > 14
    assert all(np.allclose(motif.pfm.sum(axis=1), 1) for motif in found.motifs)
    sites = scan(model.conv, codes, both_strands=False)
    lengths = (codes != 5).sum(axis=1)
    assert (sites.start + span <= lengths[:, None]).all()
    assert found.short == 0
    codes[:7, 6:] = 5
    assert kernel_motifs(model, codes, target).short == 7


def test_counts_are_known_for_a_small_case() -> None:
    windows = np.array([[0, 1], [0, 2], [0, 4]], dtype=np.uint8)
    np.testing.assert_allclose(count(np.append(windows, [[5, 5]], axis=0)), count(windows))  # padding does not count
    expected = np.array([[3.25, 0.25, 0.25, 0.25], [0.5, 1.5, 1.5, 0.5]]) / 4
    np.testing.assert_allclose(count(windows), expected)
    np.testing.assert_allclose(information(np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4])), [2, 1, 0])


def test_ends_are_trimmed_but_four_columns_remain() -> None:
    flat, sharp = [0.25] * 4, [0.97, 0.01, 0.01, 0.01]
    even = np.full(4, 0.25)
    np.testing.assert_array_equal(
        trim(np.array([flat, sharp, flat, sharp, sharp, flat, flat]), even), [sharp, flat, sharp, sharp]
    )
    assert trim(np.array([flat] * 5 + [sharp] + [flat]), even).shape == (4, 4)
    # In AT-rich sequences, a column like the background is not informative.
    rich = np.array([0.4, 0.1, 0.1, 0.4])
    assert len(trim(np.array([rich] * 3 + [sharp] * 6 + [rich] * 3), rich)) == 6


def test_frequency_and_auroc_of_a_kernel_alone() -> None:
    torch.manual_seed(0)
    model = Scan(1, 12)
    set_kernel(model, 0, CONSENSUS, 2)
    codes, target = planted(1000, 1)
    row = kernel_motifs(model, codes, target).table.iloc[0]
    assert 0.5 < row["frequency_positive"] < 1
    assert row["frequency"] < row["frequency_positive"]
    sites = kernel_motifs(model, codes[:500], target[:500]).table.iloc[0]  # positives only
    assert np.isnan(sites[["auroc", "frequency_positive"]].astype(float)).all()
    assert row["auroc"] > 0.9
    quantitative = kernel_motifs(model, codes, target * 2.5).table.iloc[0]
    assert np.isnan(quantitative["auroc"])
    assert quantitative["effect"] == pytest.approx(row["effect"])


def test_similar_kernels_form_a_group() -> None:
    torch.manual_seed(0)
    model = Scan(5, 14)
    turned = CONSENSUS[::-1].translate(str.maketrans("ACGT", "TGCA"))
    for kernel, (site, start) in enumerate([(CONSENSUS, 1), (CONSENSUS, 5), (turned, 3)]):
        set_kernel(model, kernel, site, start)
    table = kernel_motifs(model, *planted(1000, 1)).table.set_index("motif")
    assert table.loc[["kernel0", "kernel1", "kernel2"], "group"].nunique() == 1
    assert table["group"].nunique() == 3
    first = table.loc[table["group"].unique()]
    assert (first["group"] == first.index).all()
    assert first["rank"].is_monotonic_increasing


def test_effect_is_that_on_the_output_with_the_strongest_correlation() -> None:
    torch.manual_seed(0)
    model = Scan(2, 10, outputs=2)
    set_kernel(model, 0, CONSENSUS, 1)
    codes, target = planted(400, 7)
    noise = np.random.default_rng(0).random(400)
    both = np.stack([noise, 1 - target], axis=1)
    row = kernel_motifs(model, codes, both, ["noise", "absent"]).table.iloc[0]
    assert row["effect"] < -0.8
    assert row["output"] == "absent"
    assert row["effect:absent"] == row["effect"]
    assert abs(row["effect:noise"]) < 0.2


def test_a_model_without_a_scan_is_refused() -> None:
    with pytest.raises(InputError, match="no convolution over the four bases"):
        kernel_motifs(nn.Sequential(nn.Flatten(), nn.Linear(240, 1)), *planted(20, 8))


@pytest.mark.data
def test_a_kernel_with_the_matrix_of_reb1_is_named_reb1(data_root) -> None:
    database = read_meme(data_root / "genomics/motifs_jaspar2024/JASPAR2024_CORE_fungi.meme")
    reb1 = database["MA0363.3"].pfm
    model = Scan(1, 15)
    with torch.no_grad():
        model.conv.weight.zero_()
        model.conv.weight[0, :, 3:12] = torch.from_numpy(np.log2(reb1 + 0.01)).T
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (600, 101)).astype(np.uint8)
    for row in codes[:300]:
        row[40:49] = [rng.choice(4, p=column / column.sum()) for column in reb1]
    found = kernel_motifs(model, codes, np.arange(600) < 300)
    match = match_motifs(found.motifs, database.values()).iloc[0]
    assert match["target_name"] == "REB1"
    assert match["p_value"] < 1e-8
