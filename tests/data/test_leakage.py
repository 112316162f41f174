"""Exactly the examples that splits share are found, and can be removed from the held-out split."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import sequence_facts, sequences, stored
from work import calls

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.leakage import REMOVED, account, identify, leaks
from biocnn.data.raw import Raw
from biocnn.data.sampling import overlapping
from biocnn.io.fasta import encode, read_fasta, reverse_complement
from biocnn.io.tables import read_table

SPLIT = ["train", "train", "val", "test", "test"]


def raw_of(texts: list[str], alphabet: str = "ACGT", flank: int = 0, **columns) -> Raw:
    codes = [encode(text, "unknown", "test") for text in texts]
    examples = pd.DataFrame({"id": [f"s{i}" for i in range(len(texts))], "group": range(len(texts)), **columns})
    return Raw(examples, codes.__getitem__, np.zeros((len(texts), 1)), sequence_facts(alphabet=alphabet, flank=flank))


def found(raw: Raw, split: list[str]) -> dict[str, dict[str, list[int]]]:
    pairs = leaks(identify(raw), pd.Series(split))
    return {f"{a}-{b}": {kind: list(rows) for kind, rows in kinds.items()} for (a, b), kinds in pairs.items()}


def test_the_same_sequence_and_its_reverse_complement() -> None:
    raw = raw_of(["AACC", "ACGT", "GGTT", "AACC", "TTTT"])
    assert found(raw, SPLIT) == {
        "train-test": {"exact": [3], "reverse_complement": []},
        "train-val": {"exact": [], "reverse_complement": [2]},
        "val-test": {"exact": [], "reverse_complement": [3]},
    }


def test_rna_has_one_strand() -> None:
    assert found(raw_of(["AACC", "AAAA", "GGTT", "CCCC", "CACA"], "ACGU"), SPLIT)["train-val"] == {
        "exact": [], "reverse_complement": []
    }  # fmt: skip


def test_flanks_do_not_count() -> None:
    raw = raw_of(["TAACCT", "GGGGGG", "CAACCC", "AAAAAA", "GGGTTA"], flank=1)
    assert found(raw, SPLIT)["train-val"]["exact"] == [2]
    assert found(raw, SPLIT)["train-test"]["reverse_complement"] == [4]


def test_a_subsequence_is_not_a_duplicate() -> None:
    assert not any(rows for kinds in found(raw_of(["AACC", "A", "AAC", "AA", "CC"]), SPLIT).values()
                   for rows in kinds.values())  # fmt: skip


def test_windows_that_touch_do_not_overlap() -> None:
    at = {"chrom": ["1", "1", "1", "2", "1"], "start": [0, 100, 50, 0, 59], "end": [50, 150, 60, 50, 101]}
    pairs = found(raw_of(["A", "CC", "AAA", "CCC", "AAAA"], **at), SPLIT)
    assert [pairs[pair]["overlap"] for pair in ("train-test", "train-val", "val-test")] == [[4], [], [4]]


@given(st.data())
def test_overlaps_equal_brute_force(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 25))
    start = np.array(data.draw(st.lists(st.integers(-5, 40), min_size=n, max_size=n)))
    end = start + data.draw(st.lists(st.integers(1, 12), min_size=n, max_size=n))
    chrom = data.draw(st.lists(st.sampled_from("xyz"), min_size=n, max_size=n))
    split = data.draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=n, max_size=n))
    raw = raw_of(["A" * (i + 1) for i in range(n)], chrom=chrom, start=start, end=end)
    for pair, kinds in found(raw, split).items():
        first, second = pair.split("-")
        expected = [
            b
            for b in range(n)
            if split[b] == second
            and any(
                split[a] == first and chrom[a] == chrom[b] and start[a] < end[b] and start[b] < end[a] for a in range(n)
            )
        ]
        assert kinds["overlap"] == expected


@given(st.lists(st.text("ACGT", min_size=1, max_size=3), min_size=2, max_size=25), st.randoms(use_true_random=False))
def test_duplicates_equal_brute_force(texts: list[str], random) -> None:
    split = [random.choice(["train", "val", "test"]) for _ in texts]
    raw = raw_of(texts)
    for pair, kinds in found(raw, split).items():
        first, second = pair.split("-")
        known = {raw.x(i).tobytes() for i in range(len(texts)) if split[i] == first}
        other = {reverse_complement(raw.x(i)).tobytes() for i in range(len(texts)) if split[i] == first}
        judged = [i for i in range(len(texts)) if split[i] == second]
        assert kinds["exact"] == [i for i in judged if raw.x(i).tobytes() in known]
        assert kinds["reverse_complement"] == [i for i in judged if raw.x(i).tobytes() in other - known]


def test_examples_without_positions_overlap_nothing() -> None:
    at = {"chrom": ["1", None, "1", None, "1"], "start": ["-9", None, "0", None, "."], "end": ["5", "", "3", None, "9"]}
    pairs = found(raw_of(["A", "CC", "AAA", "CCC", "AAAA"], **at), SPLIT)
    assert [pairs[pair]["overlap"] for pair in ("train-test", "train-val", "val-test")] == [[], [2], []]


def test_nothing_overlaps_an_empty_table() -> None:
    assert not overlapping(np.array([[0, 5]]), np.zeros((0, 2), int)).any()


def test_leaks_are_counted_and_removed() -> None:
    raw, checks = raw_of(["AACC", "ACGT", "GGTT", "AACC", "TTTT"]), Checks()
    split = pd.Series(SPLIT)
    kept, rows = account(identify(raw), split, False, raw.examples["id"], checks)
    assert list(kept) == list(split) == SPLIT
    assert [(row.pair, row.any) for row in rows] == [
        (["train", "test"], 1), (["train", "val"], 1), (["val", "test"], 1)
    ]  # fmt: skip
    assert checks.rows[0] == ("split", "note", "test examples that are the same as a train example", 1, "s3")
    cleaned, rows = account(identify(raw), split, True, raw.examples["id"], Checks())
    assert list(cleaned) == ["train", "train", REMOVED, REMOVED, "test"]
    assert all(row.removed for row in rows)
    assert not any(row.any for row in account(identify(raw), cleaned, False, raw.examples["id"], Checks())[1])


def leaking(**columns) -> Raw:
    """Return a set in which the first example of the last group equals the first of all."""
    raw = sequences(60)
    x = raw.x
    raw.x = lambda i: x(0) if i == 57 else x(i)
    return raw


@pytest.mark.parametrize("remove", [False, True])
def test_a_stored_data_set_lists_its_leaks(tmp_path: Path, remove: bool) -> None:
    data = stored(leaking(), tmp_path, val=["g17", "g18"], test=["g19"], remove_leaks=remove)
    first = data.facts.leakage[0]
    assert first.plain() == {
        "pair": ["train", "test"],
        "exact": 1,
        "reverse_complement": 0,
        "any": 1,
        "removed": remove,
    }
    assert data.facts.n.test == 3 - remove
    assert (57 in data.rows("test")) != remove
    checks = pd.read_csv(tmp_path / "dataset/checks.tsv", sep="\t")
    assert list(checks.iloc[0]) == [
        "split", "dropped" if remove else "note", "test examples that are the same as a train example", 1, "s57"
    ]  # fmt: skip


def test_leaks_are_removed_in_each_fold(tmp_path: Path) -> None:
    stored(leaking(), tmp_path, val=None, test=None, folds=3, remove_leaks=True)
    facts = json.loads((tmp_path / "dataset/facts.json").read_text())
    table = pd.read_csv(tmp_path / "dataset/examples.tsv", sep="\t")
    for name, fold in zip(("split", "split_1", "split_2"), facts["folds"], strict=True):
        parts = table[name].iloc[[0, 57]]
        assert sum(fold["n"].values()) == 60 - (parts == REMOVED).sum()
        if table["fold"][0] != table["fold"][57]:
            assert (parts == REMOVED).sum() == 1


def test_a_split_that_leaks_completely_is_refused(tmp_path: Path) -> None:
    raw = leaking()
    raw.examples.loc[57, "group"] = "alone"
    with pytest.raises(InputError, match="remove_leaks: leaves the test split empty"):
        stored(raw, tmp_path, val=["g17", "g18"], test=["alone"], remove_leaks=True)


@pytest.mark.data
def test_the_published_split_of_starr_seq_leaks(data_root: Path) -> None:
    """Twelve ids are in both the training and the test file."""
    folder = data_root / "genomics/starrseq_drosophila"
    parts = [read_table(folder / f"{part}.activity.tsv.gz").assign(part=part) for part in ("train", "test")]
    records = [{r.name: r.codes for r in read_fasta(folder / f"{part}.fa.gz")} for part in ("train", "test")]
    codes = [bases[name] for table, bases in zip(parts, records, strict=True) for name in table["id"]]
    table = pd.concat(parts, ignore_index=True)
    raw = Raw(table, codes.__getitem__, np.zeros(len(table)), sequence_facts())
    kinds = leaks(identify(raw), table["part"])["train", "test"]
    train, test = (set(part["id"]) for part in parts)
    assert len(train & test) == 12
    assert sorted(table["id"].iloc[kinds["exact"]]) == sorted(train & test)
    assert set(kinds["reverse_complement"]) <= set(kinds["overlap"]), "the same position on the other strand"


@pytest.mark.parametrize("n", [1000, 20_000])
def test_the_work_is_not_quadratic(n: int) -> None:
    rng = np.random.default_rng(1)
    codes, start = rng.integers(0, 4, (n, 101)).astype(np.uint8), rng.integers(0, 10**7, n)
    table = pd.DataFrame({"id": np.arange(n).astype(str), "chrom": "1", "start": start, "end": start + 101})
    raw = Raw(table, codes.__getitem__, codes[:, :1], sequence_facts())
    parts = pd.Series(rng.choice(["train", "val", "test"], n))
    assert calls(lambda: account(identify(raw), parts, False, table["id"], Checks())) < 100 * n
