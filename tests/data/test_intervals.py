"""Windows around intervals: their positions, and what is repaired, dropped or refused."""

import gzip

import numpy as np
import pandas as pd
import pytest

from biocnn.config.settings import Split
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.intervals import Intervals
from biocnn.data.storing import write
from biocnn.io.bed import read_bed
from biocnn.io.fasta import decode, encode, reverse_complement
from biocnn.io.genome import read_genome, write_genome

LENGTHS = {"chrI": 6000, "chrII": 5000, "chrM": 3000}
NEGATIVES = {"name": "random", "distance": 20}


@pytest.fixture
def genome(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "genome.fa"
    text = {name: "".join(rng.choice(list("ACGT"), length)) for name, length in LENGTHS.items()}
    text["chrM"] = text["chrM"][:1000] + "N" * 2000
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in text.items()))
    return path


@pytest.fixture
def read(genome, tmp_path):
    def read(bed, folder=None, name="peaks.bed", **settings):
        path = tmp_path / name
        data = bed.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        checks = Checks()
        settings = {"window": 10, "flank": 2, "negatives": NEGATIVES, **settings}
        raw = Intervals(genome=genome, positives=path, **settings).read(1, checks, folder)
        return raw, checks.frame()

    return read


def bases(raw, row):
    return decode(raw.x(row))


def test_windows_are_centred_and_stranded(read, genome):
    raw, checks = read("track name=x\n#c\nchrI\t100\t201\ta\t7\t+\nchrI\t100\t201\tb\t.\t-\n\nchrII 49 50\n", flank=0)
    table = raw.examples
    assert table["id"].tolist()[:3] == ["chrI:145-155(+)", "chrI:145-155(-)", "chrII:44-54(.)"]
    assert table["group"].tolist()[:3] == ["chrI", "chrI", "chrII"]
    assert table["score"].tolist()[:1] == [7]
    expected = read_genome(genome).codes("chrI", 145, 155)
    np.testing.assert_array_equal(raw.x(0), expected)
    np.testing.assert_array_equal(raw.x(1), reverse_complement(expected))
    assert raw.y.tolist() == [[1], [1], [1], [0], [0], [0]]
    assert raw.y.dtype == np.float32
    assert (table["kind"] == np.where(raw.y[:, 0], "positive", "negative")).all()
    assert table["id"].is_unique
    assert checks[["source", "outcome", "count"]].to_numpy().tolist() == [
        ["genome.fa", "read", 3],
        ["peaks.bed", "read", 3],
        ["negatives", "made", 3],
    ]
    assert raw.facts.outputs == ["peaks"]
    assert (raw.facts.task, raw.facts.window, raw.facts.flank) == ("binary", 10, 0)


def test_ambiguous_letters_of_a_genome_can_be_kept_or_refused(genome, tmp_path):
    genome.write_text(genome.read_text().replace(">chrII\n", ">chrII\nACGTRRYYKM"))
    (tmp_path / "peaks.bed").write_text("chrII\t0\t10\t.\t0\t-\nchrI\t50\t60\n")
    write_genome(genome, tmp_path / "encoded")
    found = {}
    settings = {"window": 10, "flank": 0, "negatives": NEGATIVES, "max_unknown": 0.6}
    for iupac in ("unknown", "mixed", "error"):
        data = Intervals(genome=genome, positives=tmp_path / "peaks.bed", iupac=iupac, **settings)
        try:
            found[iupac] = bases(data.read(1, Checks(), tmp_path / "encoded"), 0)
        except InputError as error:
            found[iupac] = error.message.split(": ")[-1]
    assert found == {"unknown": "NNNNNNACGT", "mixed": "KMRRYYACGT", "error": "'R' is not a base"}


@pytest.mark.parametrize("positives", [[], {}])
def test_no_file_of_positives(positives, genome):
    with pytest.raises(InputError, match=r"data\.positives: lists no file"):
        Intervals(genome=genome, positives=positives)


def test_flanks_are_stored_beyond_the_window(read, genome):
    raw, _ = read("chrI\t100\t110\n", flank=3)
    assert raw.examples.loc[0, ["start", "end"]].tolist() == [100, 110]
    np.testing.assert_array_equal(raw.x(0), read_genome(genome).codes("chrI", 97, 113))


def test_the_summit_of_a_narrowpeak_is_the_centre(read):
    peak = "chrI\t100\t200\tp\t0\t.\t5.5\t-1\t-1\t10\nchrI\t300\t400\tp\t0\t.\t5.5\t-1\t-1\t-1\n"
    raw, checks = read(peak, name="peaks.narrowPeak.gz")
    assert raw.examples["start"].tolist()[:2] == [105, 345]
    assert raw.examples["score"].tolist()[:2] == [5.5, 5.5]
    assert "no summit" in checks.iloc[2]["reason"]
    raw, _ = read(peak, center="center")
    assert raw.examples["start"].tolist()[:2] == [145, 345]
    with pytest.raises(InputError, match=r"line 2: has no summit, but data\.center is summit"):
        read(peak, center="summit")


def test_a_window_beyond_the_end_is_filled_with_unknown_bases(read):
    raw, checks = read("chrI\t0\t2\nchrII\t4996\t5003\n")
    assert bases(raw, 0).startswith("NNNNNN")
    assert bases(raw, 1).endswith("NNNNNN")
    assert checks.set_index("reason")["count"]["window beyond a contig's end: filled with unknown bases"] == 2
    assert checks.set_index("reason")["count"]["interval ends beyond its contig"] == 1


def test_dropped_intervals_are_counted(read):
    raw, checks = read("chrI\t100\t110\nchrI\t99\t111\nchrM\t2000\t2010\n")
    assert (raw.y[:, 0] == 1).sum() == 1
    dropped = checks[checks["outcome"] == "dropped"]
    assert dropped["reason"].tolist() == ["same window as an earlier line", "more than 50% unknown bases"]
    assert dropped["count"].tolist() == [1, 1]
    assert dropped["example"].tolist() == ["chrI:100-110(.)", "chrM:2000-2010(.)"]


def test_contig_names_are_reconciled_and_counted(read):
    raw, checks = read("1\t100\t110\n2\t50\t60\n")
    assert raw.examples["chrom"].tolist()[:2] == ["chrI", "chrII"]
    repaired = checks[checks["outcome"] == "repaired"].iloc[0]
    assert (repaired["count"], repaired["example"]) == (2, "1 -> chrI")
    with pytest.raises(InputError, match=r"peaks\.bed line 1: contig '1' is not in .*genome\.fa"):
        read("1\t100\t110\n", contig_names="exact")


@pytest.mark.parametrize(
    ("val", "test", "settings"),
    [
        ([1], ["MT"], {}),
        (["chr1"], ["chrM"], {}),
        (["chrI"], ["chrM"], {"contig_names": "exact"}),
        (["1:0", "1:1", "1:2"], ["chrMito:0"], {"block": 1000}),
    ],
)
def test_a_split_may_use_other_names_of_contigs(read, tmp_path, val, test, settings):
    bed = "".join(f"{chrom}\t{s}\t{s + 10}\n" for chrom in LENGTHS for s in (100, 200, 300))
    bed += "chrI\t1500\t1520\nchrI\t2500\t2520\n" * ("block" in settings)
    raw, _ = read(bed, **settings)
    write(raw, Split(val=val, test=test), 1, tmp_path / "dataset")
    examples = Dataset(tmp_path / "dataset").examples
    assert examples.groupby("chrom")["split"].unique().map(list).to_dict() == {
        "chrI": ["val"], "chrII": ["train"], "chrM": ["test"],
    }  # fmt: skip
    checks = pd.read_csv(tmp_path / "dataset" / "checks.tsv", sep="\t")
    assert (checks["source"] == "split").any() == ("contig_names" not in settings)


def test_a_split_with_unused_contigs_is_refused(read, tmp_path):
    raw, _ = read("chrI\t100\t110\nchrII\t50\t60\nchrM\t50\t60\n")
    for name in ("chrX", "chr10", "chr1:0"):
        with pytest.raises(InputError, match=r"split\.val: no group '"):
            write(raw, Split(val=[name], test=["chrII"]), 1, tmp_path / "dataset")
    with pytest.raises(InputError, match=r"split: '1' and '01' both match 'chrI'"):
        write(raw, Split(val=[1], test=["01"]), 1, tmp_path / "dataset")


def test_contigs_not_in_the_genome_can_be_skipped(read, tmp_path):
    bed = "chrUn\t5\t15\n1\t100\t110\nchrM\t10\t20\nchrUn\t50\t60\nchr9\t5\t15\n"
    (tmp_path / "closed.bed").write_text("chrUn\t1\t2\nchrM\t12\t13\n")
    raw, checks = read(bed, unknown_contigs="skip", blacklist=tmp_path / "closed.bed")
    assert raw.examples["chrom"].tolist()[: int(raw.y.sum())] == ["chrI"]
    dropped = checks[checks["reason"] == "intervals on contigs that the genome lacks"]
    assert dropped[["source", "outcome", "count", "example"]].to_numpy().tolist() == [
        ["closed.bed", "dropped", 1, "chrUn"], ["peaks.bed", "dropped", 3, "chrUn, chr9"],
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"closed\.bed line 1: contig 'chrUn' is not in") as caught:
        read("1\t100\t110\n", blacklist=tmp_path / "closed.bed")
    assert "unknown_contigs: skip" in caught.value.remedy
    with pytest.raises(InputError, match=r"peaks\.bed line 1: contig 'chrUn' .*1 more are missing"):
        read("chrUn\t5\t15\n1\t100\t110\nchr9\t5\t15\n")
    with pytest.raises(InputError, match=r"peaks\.bed: none of its contigs is in .*genome\.fa \(chrUn\)"):
        read("chrUn\t5\t15\n", unknown_contigs="skip")


def test_an_encoded_genome_gives_the_same(read, genome, tmp_path):
    write_genome(genome, tmp_path / "encoded")
    bed = "chrI\t100\t110\nchrII\t300\t310\n"
    (stored, _), (fresh, _) = read(bed, folder=tmp_path / "encoded"), read(bed)
    pd.testing.assert_frame_equal(stored.examples, fresh.examples)
    for row in range(len(fresh.examples)):
        np.testing.assert_array_equal(stored.x(row), fresh.x(row))


@pytest.mark.parametrize("negatives", [NEGATIVES, "dinucleotide_shuffled", {"name": "gc_matched", "distance": 20}])
def test_overlapping_windows_are_in_the_same_block(read, negatives):
    starts = [95, 98, 101, 250, 290, 399, 405, 1500]
    bed = "".join(f"chrI\t{s}\t{s + 10}\n" for s in starts)
    raw, _ = read(bed, block=100, negatives=negatives)
    table = raw.examples
    found = table["group"].tolist()[: len(starts)]
    assert found == [f"chrI:{block}" for block in (0, 0, 0, 2, 2, 3, 3, 15)]
    for a in table.itertuples():
        for b in table.itertuples():
            if a.chrom == b.chrom and a.start - 2 < b.end + 2 and b.start - 2 < a.end + 2:
                assert a.group == b.group


def test_shuffles_name_the_window_that_they_come_from(read):
    negatives = {"name": "dinucleotide_shuffled", "fresh": False}
    table = read("chrI\t100\t110\nchrI\t300\t310\n", negatives=negatives)[0].examples
    assert table["shuffled_from"].tolist()[2:] == table["id"].tolist()[:2]


def test_given_negatives_are_cut_like_positives_and_never_overlap_them(read, tmp_path):
    (tmp_path / "other.bed").write_text("1\t105\t115\n2\t1000\t1010\n")
    raw, checks = read("chrI\t100\t110\n", negatives={"name": "given", "path": tmp_path / "other.bed"})
    assert raw.examples["id"].tolist() == ["chrI:100-110(.)", "chrII:1000-1010(.)"]
    assert raw.y.tolist() == [[1], [0]]
    assert checks.set_index("reason")["count"]["equals or overlaps a positive"] == 1
    with pytest.raises(InputError, match="every negative equals or overlaps a positive"):
        read("chrI\t100\t110\n", negatives={"name": "given", "path": tmp_path / "peaks.bed"})


BAD = [
    ("", "has no intervals"),
    ("#only\ntrack a comment\n", "has no intervals"),
    ("chrI\t100\t110\nchrI\t20\t10\n", "line 2: end 10 is before start 20"),
    ("chrI\t-5\t10\n", "line 1: start -5 is negative"),
    ("chrI\t1.5\t10\n", "line 1: start '1.5' is not a whole number"),
    ("chrI\t1_0\t20\n", "line 1: start '1_0' is not a whole number"),
    ("chrI\t1\t\uff12\n", "line 1: end '\uff12' is not a whole number"),
    ("chrI\t1\t9223372036854775808\n", "line 1: end 9223372036854775808 is beyond the end of any contig"),
    ("chrI\t1\t" + "9" * 5000 + "\n", "line 1: end 9{20}... .5000 digits. is beyond the end of any contig"),
    ("contig\tpos1\tpos2\nchrI\t1\t10\n", "line 1: start 'pos1' and end 'pos2' are not numbers"),
    ("chrom\tstart\tend\nchrI\t1\t10\n", "line 1: start 'start' and end 'end' are not numbers"),
    ("chrI\t-5\t10\nchrI\t5\t10\nchrI\t5\t2\n", r"line 1: start -5 is negative .2 faulty lines"),
    ("chrI\t1\t10\ta\t0\t.\t0\t0\t0\t-2\n", "line 1: summit -2 is outside"),
    ("chrI\u2028\t1\t10\n", "line 1: contig 'chrI.u2028' is not in"),
    ("chrI\x0b1\x0b10\n", "line 1: has 1 column"),
    ("chrI\t100\t110\nchrI\t100\n", "line 2: has 2 columns"),
    ("chrI\n", "line 1: has 1 column"),
    ("chrI\t1\t10\ta\t0\tx\n", "line 1: strand 'x' in column 6"),
    ("chrI\t1\t10\ta\t0\t.\t0\t0\t0\t99\n", "line 1: summit 99 is outside"),
    ("chrI\t1\t10\nchrX\t1\t10\n", "line 2: contig 'chrX' is not in"),
    ("chrI\t1\t10\nchrII\t5100\t5110\n", "line 2: 5100-5110 lies beyond the end of contig 'chrII' .5000 bp"),
    ("chrM\t2000\t2010\n", r"all windows \(1\): more than 50% unknown bases"),
]


@pytest.mark.parametrize(("bed", "message"), BAD, ids=[message for _, message in BAD])
def test_invalid_files_are_refused_with_line_and_remedy(read, bed, message):
    with pytest.raises(InputError, match=message) as caught:
        read(bed)
    assert "peaks.bed" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("bad", [{"window": 0}, {"flank": -1}, {"block": 5}, {"max_unknown": 1.0}])
def test_settings_out_of_range_name_their_key(read, bad):
    (key,) = bad
    with pytest.raises(InputError, match=rf"data\.{key}: "):
        read("chrI\t100\t110\n", **bad)


def test_bed_columns(tmp_path):
    path = tmp_path / "x.bed"
    path.write_text("browser x\nchr1\t5\t5\nchr1\t5\t9\tname\thigh\n")
    assert read_bed(path).drop(columns="score").to_numpy().tolist() == [
        ["chr1", 5, 5, ".", -1, 2],
        ["chr1", 5, 9, ".", -1, 3],
    ]
    path.write_bytes("\ufeffchr1\t5\t5\ta\x85b\r\r  chr1  5 9 \r".encode())
    assert read_bed(path)[["chrom", "start", "end", "line"]].to_numpy().tolist() == [
        ["chr1", 5, 5, 1],
        ["chr1", 5, 9, 3],
    ]


@pytest.mark.data
@pytest.mark.parametrize("name", ["Reb1.narrowPeak.gz", "Reb1.original_arabic_chrom_names.bed"])
def test_reb1_peaks_contain_its_motif(data_root, name):
    folder = data_root / "genomics/yeast_sacCer3"
    checks = Checks()
    raw = Intervals(genome=folder / "sacCer3.fa.gz", positives=folder / "peaks" / name, flank=0).read(1, checks)
    has = np.array(["TTACCC" in decode(c) or "GGGTAA" in decode(c) for c in map(raw.x, range(len(raw.y)))])
    assert len(raw.y) == 2 * 1078
    assert has[raw.y[:, 0] == 1].mean() > 0.5 > 4 * has[raw.y[:, 0] == 0].mean()
    assert (checks.frame()["outcome"] == "repaired").any() == name.endswith(".bed")
    assert encode("TTACCC").tolist() == [3, 3, 0, 1, 1, 1]
