"""All spellings of a variant are equivalent: for alleles, windows and scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import DEEPBIND, genome_of, model_of, run, vcf_text

from biocnn.apply.variants.normalise import normalise, trimmed
from biocnn.io.fasta import decode, encode, reverse_complement

TEXT = "GGCAAATCACACACTTN" + "T" * 300 + "G"


def normal(start: int, ref: str, alt: str, text: str = TEXT) -> tuple[int, str, str]:
    place, refs, alts = normalise(genome_of(c=text), np.array([0]), np.array([start]), [ref], [alt])
    return int(place[0]), refs[0], alts[0]


def spellings(text: str, edited: str) -> list[tuple[int, str, str]]:
    """Return all VCF spellings of a change of a text, with at least one base in each allele."""
    found = []
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            behind = len(edited) - (len(text) - end)
            if text[:start] == edited[:start] and text[end:] == edited[behind:] and behind > start:
                found.append((start, text[start:end], edited[start:behind]))
    return found


@pytest.mark.parametrize(
    ("start", "ref", "alt", "wanted"),
    [
        (1, "G", "T", (1, "G", "T")),
        (0, "GG", "GT", (1, "G", "T")),
        (1, "GCA", "TCA", (1, "G", "T")),
        (1, "GCA", "TCC", (1, "GCA", "TCC")),
        (2, "CA", "C", (3, "AAA", "AA")),
        (4, "AA", "A", (3, "AAA", "AA")),
        (3, "aaat", "aat", (3, "AAA", "AA")),
        (3, "A", "AA", (3, "AAA", "AAAA")),
        (6, "TCA", "T", (7, "CACACAC", "CACAC")),
        (9, "CAC", "C", (7, "CACACAC", "CACAC")),
        (7, "C", "CACAC", (7, "CACACAC", "CACACACACAC")),
        (2, "C", "CG", (3, "", "G")),
        (1, "GC", "G", (2, "C", "")),
        (2, "CAA", "CTTTT", (3, "AA", "TTTT")),
        (14, "TTN", "TN", (14, "TT", "T")),
        (316, "TG", "G", (17, "T" * 300, "T" * 299)),
    ],
)
def test_known_variants(start: int, ref: str, alt: str, wanted: tuple[int, str, str]) -> None:
    assert normal(start, ref, alt) == wanted


def test_shared_ends_of_alleles_are_trimmed() -> None:
    assert trimmed("ACGT", "ACT") == (2, "G", "")
    assert trimmed("aC", "AT") == (1, "C", "T")
    assert trimmed("A", "A") == (0, "", "")


REPEATS = st.lists(
    st.tuples(st.text("ACGT", min_size=1, max_size=3), st.integers(1, 5)), min_size=2, max_size=6
).map(lambda parts: "".join(unit * times for unit, times in parts))  # fmt: skip


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, str]:
    """Return a text of repeats, and the same with an insertion, a deletion or a replacement."""
    text = draw(REPEATS)
    start = draw(st.integers(0, len(text) - 1))
    end = draw(st.integers(start, min(len(text), start + 4)))
    new = draw(st.one_of(st.just(""), st.just(text[start : start + 2]), st.text("ACGT", max_size=4)))
    edited = text[:start] + new + text[end:]
    return (text, edited) if edited not in ("", text) else (text, text + "A")


@given(changes())
def test_all_spellings_have_one_equivalent_normal_form(change: tuple[str, str]) -> None:
    text, edited = change
    found = {normal(*spelling, text) for spelling in spellings(text, edited)}
    assert len(found) == 1
    ((start, ref, alt),) = found
    assert text[start : start + len(ref)] == ref
    assert text[:start] + alt + text[start + len(ref) :] == edited


@given(changes())
def test_the_normal_form_is_the_same_on_the_other_strand(change: tuple[str, str]) -> None:
    text, edited = change
    start, ref, alt = normal(*spellings(text, edited)[0], text)
    other = [decode(reverse_complement(encode(part))) for part in change]
    found = normal(*spellings(*other)[0], other[0])
    assert found[0] == len(text) - start - len(ref)
    assert [decode(reverse_complement(encode(part))) if part else "" for part in found[1:]] == [ref, alt]


def table(folder: Path, text: str, records: list[tuple[int, str, str]], window: int = 31) -> pd.DataFrame:
    lines = [f"c {start + 1} . {ref} {alt} . . ." for start, ref, alt in records]
    model = model_of(folder, DEEPBIND | {"pool": "both"}, window=window)
    out = run(folder, vcf_text(*lines), genome_of(c=text), model)
    return pd.read_csv(out / "variants.tsv", sep="\t")


@pytest.mark.parametrize("window", [30, 31])
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=changes(), seed=st.integers(0, 9))
def test_scores_depend_neither_on_spelling_nor_on_strand(
    tmp_path: Path, window: int, change: tuple[str, str], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    flanks = ["".join(rng.choice(list("ACGT"), 40)) for _ in range(2)]
    text, edited = (part.join(flanks) for part in change)
    other = [decode(reverse_complement(encode(part))) for part in (text, edited)]
    values = ["bound_ref", "bound_alt", "bound_delta", "bound_dlogit"]
    found = table(tmp_path, text, spellings(text, edited)[::7], window=window)
    there = table(tmp_path, other[0], spellings(*other)[::7], window=window)
    assert found["set_aside"].isna().all()
    assert found[[*values, "places", "kind"]].drop_duplicates().shape[0] == 1
    np.testing.assert_allclose(found[values].iloc[0], there[values].iloc[0], rtol=2e-3, atol=2e-6)


def test_left_and_right_aligned_deletions_of_a_repeat_have_the_same_effect(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    flanks = ["".join(rng.choice(list("ACGT"), 60)) for _ in range(2)]
    text = flanks[0] + "CAG" * 13 + flanks[1]
    records = [(59, text[59:63], text[59]), (95, text[95:99], text[95]), (50, text[50:80], text[50:77])]
    found = table(tmp_path, text, sorted(records))
    assert found["bound_dlogit"].nunique() == 1
    assert (found["places"] >= 37).all()
    assert found["bound_dlogit"][0] == 0, "the repeat fills the window"
    counts = pd.read_csv(tmp_path / "out" / "counts.tsv", sep="\t").set_index("reason")["count"]
    assert counts[next(reason for reason in counts.index if "(normalise)" in reason)] == 3
    assert counts["alleles in repeats that fill the window, so that the windows are identical"] == 3
    wider = table(tmp_path, text, sorted(records), window=61)
    assert wider["bound_dlogit"].nunique() == 1
    assert wider["bound_dlogit"][0] != 0


def test_padded_alleles_longer_than_the_window_are_scored(tmp_path: Path) -> None:
    text = "".join(np.random.default_rng(0).choice(list("ACGT"), 200))
    base = "C" if text[100] != "C" else "A"
    short, padded = (100, text[100], base), (40, text[40:140], text[40:100] + base + text[101:140])
    found = table(tmp_path, text, [padded, short])
    assert found["bound_dlogit"].nunique() == 1
    assert found["kind"].tolist() == ["SNV", "SNV"]
