"""Targets of intervals: one label for each of many files, columns of numbers, means of signal tracks."""

import re

import numpy as np
import pyBigWig
import pytest

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.intervals import Intervals
from biocnn.io.fasta import decode, reverse_complement

NEGATIVES = {"name": "random", "distance": 20}
B = [("chrI\t95\t140", 12), ("chrII\t100\t200", 50)]  # and the summit
NARROW = "chrI\t100\t200\tp\t0\t.\t5.5\t3\t-1\t10\nchrI\t300\t400\tp\t0\t-\t1.5\t4\t-1\t50\n"


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture
def read(write):
    rng = np.random.default_rng(0)
    genome = write(
        "genome.fa", "".join(f">{name}\n{''.join(rng.choice(list('ACGT'), 3000))}\n" for name in ("chrI", "chrII"))
    )

    def read(**settings):
        checks = Checks()
        raw = Intervals(genome=genome, **{"window": 10, "flank": 2, **settings}).read(1, checks)
        return raw, checks.frame()

    return read


def test_several_files_give_one_label_each(read, write):
    files = [
        write("A.bed", "chrI\t100\t110\nchrI\t500\t510\n"),
        write("B.narrowPeak", "".join(f"{at}\tp\t0\t.\t9\t3\t-1\t{top}\n" for at, top in B)),
        write("C.bed", "2\t60\t260\n1\t2000\t2010\n"),
    ]
    raw, checks = read(positives=files, negatives=NEGATIVES)
    table = raw.examples
    positive = (table["kind"] == "positive").to_numpy()
    found = dict(zip(table["id"], raw.y.astype(int).tolist(), strict=True))
    assert {name: y for name, y in found.items() if any(y)} == {
        "chrI:101-111(.)": [1, 1, 0],  # between 105 of A and 107 of B
        "chrI:500-510(.)": [1, 0, 0],
        "chrI:2000-2010(.)": [0, 0, 1],
        "chrII:145-155(.)": [0, 1, 1],  # around 150 of B, and in the wide peak of C
        "chrII:155-165(.)": [0, 1, 1],  # around 160 of C, and in the wide peak of B
    }
    assert (raw.y[~positive] == 0).all()
    assert (~positive).sum() == 5
    assert (raw.facts.task, raw.facts.outputs, raw.facts.out_channels) == ("multilabel", ["A", "B", "C"], 3)
    assert checks.loc[checks["outcome"] == "repaired", "source"].tolist() == ["C.bed"]


def test_outputs_can_be_named(read, write):
    one, other = write("peaks.bed", "chrI\t100\t110\n"), write("peaks.two.bed", "chrII\t100\t110\n")
    raw, _ = read(positives={"Reb1": one, "Abf1": other}, negatives=NEGATIVES)
    assert raw.facts.outputs == ["Reb1", "Abf1"]
    raw, _ = read(positives={"Reb1": one}, negatives=NEGATIVES)
    assert (raw.facts.outputs, raw.facts.task, raw.y.shape) == (["Reb1"], "binary", (2, 1))
    with pytest.raises(InputError, match="two files give outputs of the same name"):
        read(positives=[one, other])


@pytest.mark.parametrize("negatives", ["gc_matched", "flanking", "dinucleotide_shuffled"])
def test_negatives_of_every_kind_have_no_label(read, write, negatives):
    files = [write("A.bed", "chrI\t500\t510\nchrI\t900\t910\n"), write("B.bed", "chrII\t1500\t1510\n")]
    raw, _ = read(positives=files, negatives=negatives)
    kind = "shuffled" if negatives == "dinucleotide_shuffled" else "negative"
    assert raw.examples["kind"].tolist() == ["positive"] * 3 + [kind] * 3
    assert raw.y.tolist() == [[1, 0], [1, 0], [0, 1], *[[0, 0]] * 3]
    assert raw.examples["id"].is_unique


def test_columns_of_numbers_are_targets(read, write):
    path = write("peaks.narrowPeak", NARROW)
    raw, checks = read(intervals=path, targets={"signal": 7, "p": 8})
    assert raw.y.tolist() == [[5.5, 3], [1.5, 4]]
    assert raw.examples["id"].tolist() == ["chrI:105-115(.)", "chrI:345-355(-)"]
    assert "kind" not in raw.examples
    assert (raw.facts.task, raw.facts.outputs) == ("regression", ["signal", "p"])
    assert set(checks["outcome"]) == {"read"}
    raw, _ = read(intervals=path, targets={"signal": 7}, log1p=True)
    np.testing.assert_allclose(raw.y[:, 0], np.log([6.5, 2.5]), rtol=1e-6)
    assert (
        read(intervals=write("b.bed", "chrI\t9\t19\ta\t1\nchrI\t90\t99\ta\t0\n"), targets={"y": 5})[0].facts.task
        == "binary"
    )


def test_means_of_tracks_are_targets(read, write, tmp_path):
    with pyBigWig.open(str(tmp_path / "x.bw"), "w") as track:
        track.addHeader([("I", 3000), ("II", 3000)])
        track.addEntries(["I", "I", "II"], [100, 350, 0], ends=[110, 900, 8], values=[2.0, 3.0, 5.0])
    path = write("peaks.bed", "chrI\t100\t120\t.\t7\nchrI\t340\t360\t.\t8\nchrII\t1\t3\t.\t9\n")
    raw, checks = read(intervals=path, targets={"x": tmp_path / "x.bw", "score": 5})
    assert raw.examples["start"].tolist() == [105, 345, -3]
    np.testing.assert_allclose(
        raw.y, [[1, 7], [1.5, 8], [5, 9]], rtol=1e-6
    )  # only 0 to 7 of the last lie on the contig
    assert "I -> chrI" in checks[checks["outcome"] == "repaired"].iloc[0]["example"]


BAD = [
    ({}, "data: needs either positives or intervals"),
    ({"positives": "a.bed", "intervals": "a.bed"}, "data: needs either positives or intervals"),
    ({"positives": "a.bed", "targets": {"x": 5}}, "data.targets: is for intervals"),
    ({"positives": "a.bed", "log1p": True}, "data.log1p: is for intervals"),
    ({"intervals": "a.bed"}, "data.targets: is missing"),
    ({"intervals": "a.bed", "targets": {"x": 5}, "negatives": "random"}, "data.negatives: apply to positives"),
    ({"intervals": "a.bed", "targets": {"x": 3}}, "data.targets: must be entries by name"),
    ({"intervals": "a.bed", "targets": {"x": 9}}, "a.bed line 1: column 9 is missing"),
    ({"intervals": "a.bed", "targets": {"x": 4}}, "a.bed line 1: column 4 is 'name'"),
    ({"intervals": "a.bed", "targets": {"x": 5}, "log1p": True}, "x of chrI:100-110... is -1, which has no log"),
    (
        {"intervals": "a.bed", "targets": {"x": 5}, "blacklist": "a.bed"},
        r"all windows \(1\): overlaps the blacklist",
    ),
]


@pytest.mark.parametrize(("given", "message"), BAD, ids=[message for _, message in BAD])
def test_invalid_targets_are_refused(read, write, given, message):
    path = write("a.bed", "chrI\t100\t110\tname\t-1\n")
    given = {key: path if value == "a.bed" else value for key, value in given.items()}
    with pytest.raises(InputError, match=message) as caught:
        read(**given)
    assert caught.value.remedy


@pytest.mark.parametrize("negatives", ["random", "gc_matched", "flanking"])
def test_no_window_overlaps_the_blacklist(read, write, negatives):
    peaks = write("a.bed", "".join(f"chrI\t{s}\t{s + 10}\n" for s in range(100, 2900, 200)))
    black = write("black.bed", "I\t0\t304\nI\t1000\t1001\nI\t1106\t1290\nI\t2000\t3000\n")
    raw, checks = read(positives=peaks, blacklist=black, negatives={"name": negatives, "distance": 0, "ratio": 3})
    for row in raw.examples.itertuples():
        assert all(
            row.end <= start or end <= row.start for start, end in ((0, 304), (1000, 1001), (1106, 1290), (2000, 3000))
        )
    dropped = checks[checks["reason"] == "overlaps the blacklist"].iloc[0]
    assert dropped.tolist() == ["a.bed", "dropped", "overlaps the blacklist", 7, "chrI:100-110(.)"]
    assert (raw.examples["kind"] == "positive").sum() == 7


def test_given_negatives_on_the_blacklist_are_dropped(read, write):
    peaks, black = write("a.bed", "chrI\t100\t110\n"), write("black.bed", "chrI\t200\t300\n")
    other = write("no.bed", "chrI\t295\t305\nchrI\t305\t315\n")
    raw, checks = read(positives=peaks, blacklist=black, negatives={"name": "given", "path": other})
    assert raw.examples["start"].tolist() == [100, 305]
    assert checks.set_index("reason").loc["overlaps the blacklist", "count"] == 1


CORES = {"Abf1": "[AG]TC[AG][CT].{5}ACG", "Cbf1": "CACGTG", "Rap1": "ACCC[AG].ACA", "Reb1": "TTACCC"}


@pytest.mark.data
def test_windows_of_four_yeast_factors_contain_the_motifs_of_their_labels(data_root):
    folder = data_root / "genomics/yeast_sacCer3"
    files = {name: folder / "peaks" / f"{name}.narrowPeak.gz" for name in CORES}
    data = Intervals(genome=folder / "sacCer3.fa.gz", positives=files, flank=0, negatives="flanking")
    raw = data.read(1, Checks())
    texts = [f"{decode(raw.x(i))} {decode(reverse_complement(raw.x(i)))}" for i in range(len(raw.y))]
    for k, core in enumerate(CORES.values()):
        has = np.array([re.search(core, text) is not None for text in texts])
        assert has[raw.y[:, k] == 1].mean() > 0.3 > 3 * has[raw.y[:, k] == 0].mean()


@pytest.mark.data
def test_peaks_on_contig_20_are_on_chr20(data_root, write):
    folder = data_root / "genomics/human_chr20_hg19"
    text = (folder / "peaks/CTCF_K562.bed").read_text()
    found = {}
    for name in ("chr20", "20"):
        peaks, checks = write(f"{name}.bed", text.replace("chr20", name)), Checks()
        data = Intervals(genome=folder / "chr20.fa.gz", positives=peaks, block=6_000_000, negatives="random")
        found[name] = data.read(1, checks).examples
    assert checks.frame().set_index("outcome").loc["repaired", "example"] == "20 -> chr20"
    assert found["20"].equals(found["chr20"])
