"""Negatives keep their distance from positives and stay in their group; drawing them always ends."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from biocnn.config.registry import REGISTRY
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data import negatives
from biocnn.data.intervals import Intervals
from biocnn.data.positives import EncodedExamples, GenomeContext, Positives
from biocnn.data.sampling import Background, Stretch, crowded, gc_percent, overlaps
from biocnn.data.sequences import Sequences
from biocnn.io.genome import Genome

WINDOW = 20


def closed(*intervals):
    return pd.DataFrame(intervals, columns=["chrom", "start", "end"])


def positives(lengths=(5000, 3000), count=30, flank=4, seed=0, unknown=(0, 0)):
    """Return windows at random places of a random genome whose second half is rich in GC."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(4, sum(lengths), p=[0.35, 0.15, 0.15, 0.35]).astype(np.uint8)
    codes[len(codes) // 2 :] = rng.choice(4, len(codes) - len(codes) // 2, p=[0.2, 0.3, 0.3, 0.2])
    codes[slice(*unknown)] = 4
    genome = Genome(codes, {f"chr{i}": length for i, length in enumerate(lengths)}, {}, "test")
    contig = rng.integers(0, len(lengths), count)
    table = pd.DataFrame({"chrom": np.array(genome.names)[contig], "strand": "."})
    table["start"] = (rng.random(count) * (genome.lengths[contig] - WINDOW)).astype(int)
    table["end"] = table["start"] + WINDOW
    table["group"] = table["chrom"]
    table["id"] = [f"p{i}" for i in range(count)]

    def cut(windows):
        rows = windows["chrom"].map(genome.names.index).to_numpy()
        return genome.windows(rows, windows["start"].to_numpy() - flank, WINDOW + 2 * flank)

    stretches = {name: Stretch(name, 0, length) for name, length in genome.contigs.items()}
    context = GenomeContext(genome, flank, 0.5, stretches, table[["chrom", "start", "end"]], closed(), cut)
    return Positives(
        table, cut(table), lambda path: EncodedExamples(table.iloc[:0], np.empty((0, 28), np.uint8)), context
    )


def make(function, given, seed=1, **settings):
    checks = Checks()
    return function(given, np.random.default_rng(seed), checks, **settings), checks.frame()


def test_the_registry_names_these_functions():
    assert set(negatives.__all__) == set(REGISTRY["negatives"])


@pytest.mark.parametrize("function", [negatives.random, negatives.gc_matched])
@pytest.mark.parametrize("ratio", [0.5, 1, 3])
def test_windows_keep_the_ratio_in_each_group_and_the_distance(function, ratio):
    given = positives()
    part, checks = make(function, given, ratio=ratio, distance=15)
    wanted = given.examples.groupby("group").size() * ratio
    assert ((part.examples.groupby("group").size() - wanted).abs() < 1).all()
    assert len(part.codes) == wanted.sum()
    near = given.examples.assign(start=given.examples["start"] - 15, end=given.examples["end"] + 15)
    assert not overlaps(part.examples, near).any()
    assert not part.examples.duplicated(["chrom", "start"]).any()
    assert (part.examples["end"] - part.examples["start"] == WINDOW).all()
    assert part.codes.shape[1] == WINDOW + 8
    assert checks.set_index("outcome")["count"]["made"] == wanted.sum()


@pytest.mark.parametrize("function", [negatives.random, negatives.gc_matched, negatives.flanking])
def test_negatives_do_not_overlap_while_there_is_room(function):
    """40 positives of 20 bp with 5 negatives each take a fifth of 20 kb."""
    given = positives(lengths=(12_000, 8000), count=40)
    part, checks = make(function, given, ratio=5, distance=10)
    assert len(part.codes) == 200 or function is negatives.flanking  # which extends at most 10 windows
    assert len(part.codes) > 180
    assert not crowded(part.examples).any()
    assert not checks["reason"].str.startswith("overlap another").any()


@pytest.mark.parametrize("function", [negatives.random, negatives.gc_matched])
def test_negatives_without_room_are_packed_and_the_rest_is_counted(function):
    given = positives(lengths=(3000,), count=10)
    part, checks = make(function, given, ratio=20, distance=0)
    assert len(part.codes) == 200  # 4000 bp in less than 2800
    found = crowded(part.examples)
    (note,) = checks[checks["reason"].str.startswith("overlap another negative")].to_dict("records")
    assert note["count"] == found.sum() > 0
    order = np.sort(part.examples["start"].to_numpy())
    packed = [order[0]]
    for start in order:
        packed += [start] if start - packed[-1] >= WINDOW else []
    assert len(packed) > 0.5 * 2800 / WINDOW


@settings(max_examples=60)
@hypothesis_given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 80), st.integers(1, 12)), max_size=15))
def test_crowded_equals_the_definition(found):
    table = pd.DataFrame([(c, s, s + n) for c, s, n in found], columns=["chrom", "start", "end"])
    rows = list(table.itertuples())
    expected = [
        any(i != j and a.chrom == b.chrom and a.start < b.end and b.start < a.end for j, b in enumerate(rows))
        for i, a in enumerate(rows)
    ]
    assert crowded(table).tolist() == expected


def test_given_negatives_inside_a_wide_peak_are_dropped(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "g.fa").write_text(">c\n" + "".join(rng.choice(list("ACGT"), 9000)) + "\n")
    (tmp_path / "p.bed").write_text("c\t2000\t4000\nc\t6000\t6010\n")
    lines = ["2100\t2150", "3890\t3900", "4100\t4150", "4120\t4170", "5985\t6000", "8000\t8050"]
    (tmp_path / "n.bed").write_text("".join(f"c\t{line}\n" for line in lines))
    source = Intervals(
        genome=tmp_path / "g.fa", positives=tmp_path / "p.bed", window=50,
        negatives={"name": "given", "path": tmp_path / "n.bed"},
    )  # fmt: skip
    checks = Checks()
    raw = source.read(1, checks)
    assert raw.examples["start"][raw.examples["kind"] == "negative"].tolist() == [4100, 4120, 8000]
    assert raw.facts.density == pytest.approx([1e6 * 2 / 9000])
    counts = checks.frame().set_index("reason")["count"]
    assert counts["equals or overlaps a positive"] == 3
    assert counts[counts.index.str.startswith("overlap another negative")].tolist() == [2]


@pytest.mark.parametrize(("alphabet", "left"), [("DNA", ["n2"]), ("RNA", ["n1", "n2"])])
def test_the_reverse_complement_of_a_positive_is_not_a_negative_for_dna(tmp_path, alphabet, left):
    (tmp_path / "p.fa").write_text(">p1\nAACGTC\n>p2\nAAAAAC\n")
    (tmp_path / "n.fa").write_text(">n0\nAACGTC\n>n1\nGTTTTT\n>n2\nACACAC\n")
    given = {"name": "given", "path": tmp_path / "n.fa"}
    raw = Sequences(sequences=tmp_path / "p.fa", negatives=given, alphabet=alphabet).read(1, Checks())
    assert raw.examples["id"].tolist() == ["p1", "p2", *left]


@pytest.mark.parametrize("function", [negatives.random, negatives.dinucleotide_shuffled])
def test_a_ratio_that_gives_no_negatives_is_refused(function):
    with pytest.raises(InputError, match="gives no negative for 30 positives"):
        make(function, positives(), ratio=0.001)


def test_a_ratio_below_one_holds_over_groups_of_one():
    given = positives()
    given.examples["group"] = given.examples["id"]
    assert len(make(negatives.dinucleotide_shuffled, given, ratio=0.5)[0].codes) == 15


@pytest.mark.parametrize(
    "function", [negatives.random, negatives.gc_matched, negatives.flanking, negatives.dinucleotide_shuffled]
)
def test_the_seed_determines_the_draw(function):
    first, same, other = (make(function, positives(), seed)[0] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first.examples, same.examples)
    np.testing.assert_array_equal(first.codes, same.codes)
    assert not np.array_equal(first.codes, other.codes)


def test_gc_content_is_matched_unlike_for_random():
    given = positives(lengths=(40_000,), count=100, seed=3)
    rich = gc_percent(given.codes[:, given.window]) >= 60
    given = Positives(*vars(given.only(rich)).values(), given.read, given.context)
    matched, checks = make(negatives.gc_matched, given, ratio=2, distance=10)
    anywhere, _ = make(negatives.random, given, ratio=2, distance=10)
    goal = np.repeat(np.sort(gc_percent(given.codes[:, given.window])), 2)
    np.testing.assert_array_equal(np.sort(gc_percent(matched.codes[:, given.window])), goal)
    assert gc_percent(anywhere.codes[:, given.window]).mean() < goal.mean() - 5
    assert "histograms differ by 0.000" in " ".join(checks["reason"])


def test_strands_come_from_the_positives():
    given = positives()
    given.examples["strand"] = np.where(np.arange(30) % 3, "+", "-")
    part, _ = make(negatives.random, given, distance=10)
    pd.testing.assert_series_equal(part.examples["strand"].value_counts(), given.examples["strand"].value_counts())


def test_windows_of_unknown_bases_are_not_drawn():
    part, _ = make(negatives.random, positives(lengths=(6000,), unknown=(1000, 5500)), distance=5)
    assert ((part.codes == 4).mean(axis=1) <= 0.5 + 8 / WINDOW).all()
    assert len(part.codes) == 30


def test_a_shortage_of_room_is_reported():
    part, checks = make(negatives.random, positives(lengths=(900,), count=20), ratio=50, distance=0)
    note = checks[checks["outcome"] == "note"].iloc[0]
    assert "fewer than requested" in note["reason"]
    assert note["count"] == 1000 - len(part.codes) > 0
    with pytest.raises(InputError, match="no window of the genome is far enough") as caught:
        make(negatives.gc_matched, positives(lengths=(900,), count=20), distance=1000)
    assert "data.negatives.distance" in caught.value.remedy


@settings(max_examples=40)
@hypothesis_given(st.integers(0, 10_000))
def test_free_windows_are_exactly_those_outside_closed_intervals(seed):
    rng = np.random.default_rng(seed)
    genome = Genome(np.zeros(120, np.uint8), {"a": 120}, {}, "test")
    starts = rng.integers(-3, 120, rng.integers(0, 6))
    occupied = pd.DataFrame({"chrom": "a", "start": starts, "end": starts + rng.integers(0, 12, len(starts))})
    window, low = int(rng.integers(1, 10)), int(rng.integers(0, 40))
    found = Background(genome, occupied, window, 1.0).draw(Stretch("a", low, 110), 200, rng)
    expected = [
        s
        for s in range(low, 110 - window + 1)
        if all(s + window <= o.start or s >= o.end for o in occupied.itertuples())
    ]
    assert sorted(found.tolist()) == expected


def flanking_starts(starts, closed_=(), **settings):
    """Return starts of flanking negatives of positives at these places on a contig of 2000 bases."""
    given = positives(lengths=(2000,), count=len(starts))
    given.examples["start"] = starts
    given.examples["end"] = given.examples["start"] + WINDOW
    context = replace(given.context, occupied=given.examples[["chrom", "start", "end"]], closed=closed(*closed_))
    part, checks = make(negatives.flanking, replace(given, context=context), **settings)
    return sorted(part.examples["start"]), checks


def test_flanking_windows_are_at_a_distance_on_either_side():
    assert flanking_starts([1000], ratio=2, distance=30)[0] == [950, 1050]
    assert flanking_starts([1000], ratio=4, distance=0)[0] == [960, 980, 1020, 1040]
    assert len({tuple(flanking_starts([1000], seed=seed, distance=30)[0]) for seed in range(20)}) == 2  # either side
    assert len(flanking_starts([300, 800, 1300, 1600], ratio=0.5, distance=30)[0]) == 2


def test_flanking_windows_skip_positives_ends_and_closed_intervals():
    assert flanking_starts([1000, 1050], ratio=1, distance=30)[0] in (
        [930, 1100],
        [930, 1120],
        [950, 1080],
        [950, 1100],
    )
    assert flanking_starts([20], ratio=2, distance=5)[0] == [45, 65]
    assert flanking_starts([1000], [("chr0", 951, 952)], ratio=2, distance=30)[0] in ([930, 1050], [1050, 1070])
    assert flanking_starts([1000], [("chr0", 945, 952)], ratio=2, distance=30)[0] in ([910, 1050], [1050, 1070])


@settings(max_examples=60)
@hypothesis_given(st.integers(0, 10_000), st.sampled_from(["random", "gc_matched", "flanking"]), st.floats(0.3, 4))
def test_no_negative_overlaps_a_positive_or_a_closed_interval(seed, name, ratio):
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 2900, 3)
    black = closed(*[("chr1", s, s + e) for s, e in zip(start, rng.integers(1, 200, 3), strict=True)])
    given = positives(count=12, seed=seed)
    given = replace(given, context=replace(given.context, closed=black))
    part, checks = make(getattr(negatives, name), given, seed, ratio=ratio, distance=int(rng.integers(0, 50)))
    assert not overlaps(part.examples, pd.concat([given.context.occupied, black])).any()
    assert not part.examples.duplicated(["chrom", "start"]).any()
    assert (part.examples["start"] >= 0).all()
    assert (part.examples["end"] <= part.examples["chrom"].map(given.context.genome.contigs)).all()
    np.testing.assert_array_equal(part.codes, given.context.cut(part.examples))
    counts = checks.groupby("outcome")["count"].sum()
    short = checks.loc[checks["reason"].str.startswith("fewer than requested"), "count"].sum()
    assert counts["made"] == len(part.codes)
    assert len(part.codes) + short == sum(negatives._how_many([12], ratio))


@pytest.mark.parametrize("gc", [0, 1])
def test_gc_content_missing_in_the_genome_is_replaced_by_the_nearest_and_reported(gc):
    given = positives(lengths=(3000,), count=10)
    given.codes[:] = np.random.default_rng(0).choice([[0, 3], [1, 2]][gc], given.codes.shape)
    part, checks = make(negatives.gc_matched, given, ratio=20, distance=0)
    apart = checks[checks["reason"].str.startswith("GC content")].iloc[0]
    assert apart["count"] == len(part.codes) == 200
    assert f"GC content {100 * gc}.0% (positives)" in apart["reason"]
    assert "differ by 0.000" not in apart["reason"]


@settings(max_examples=40)
@hypothesis_given(st.integers(0, 10_000))
def test_overlaps_equal_the_definition(seed):
    rng = np.random.default_rng(seed)

    def some(n):
        table = pd.DataFrame({"chrom": rng.choice(["a", "b"], n), "start": rng.integers(-20, 60, n)})
        return table.assign(end=table["start"] + rng.integers(1, 15, n))

    ours, theirs = some(12), some(5)
    expected = [
        any(o.chrom == t.chrom and o.start < t.end and t.start < o.end for t in theirs.itertuples())
        for o in ours.itertuples()
    ]
    assert overlaps(ours, theirs).tolist() == expected


def test_shuffled_windows_keep_the_dinucleotides_of_the_window():
    given = positives()
    part, _ = make(negatives.dinucleotide_shuffled, given, ratio=2)
    parent = given.examples.set_index("id").index.get_indexer(part.examples["id"].str.split(":").str[0])
    assert part.examples["id"].is_unique

    def counts(codes):
        return np.array([np.bincount(6 * row[:-1] + row[1:], minlength=36) for row in codes[:, given.window]])

    np.testing.assert_array_equal(counts(part.codes), counts(given.codes[parent]))
    assert (part.examples["group"].to_numpy() == given.examples["group"].to_numpy()[parent]).all()


def test_a_positive_without_another_order_is_dropped_and_counted():
    codes = np.array([[0] * 8, [0, 1, 0, 2, 1, 0, 0, 3]], np.uint8)
    given = Positives(pd.DataFrame({"id": ["a", "b"], "group": ["a", "b"]}), codes, lambda path: None)
    part, checks = make(negatives.dinucleotide_shuffled, given, ratio=4)
    assert set(part.examples["group"]) <= {"b"}
    assert checks["count"].sum() == 8
    assert checks.iloc[0]["outcome"] == "dropped"


def test_sequences_have_no_genome_to_draw_from():
    given = Positives(pd.DataFrame({"id": ["a"], "group": ["a"]}), np.zeros((1, 8), np.uint8), lambda path: None)
    with pytest.raises(InputError, match="no genome") as caught:
        make(negatives.random, given)
    assert "dinucleotide_shuffled" in caught.value.remedy
