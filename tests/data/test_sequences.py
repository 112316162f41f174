"""Sequences and labels: matched by id, grouped by content, refused if they do not match."""

import gzip

import numpy as np
import pytest

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.sequences import Sequences
from biocnn.io.fasta import decode

FASTA = ">a first\nACGTTGCA\n>b\naacc\n>c\nGGTT\n>d\nGGUUNRA\n"
LABELS = "id\tlabel\tchrom\na\t1\tchr1\nd\t0\tchr2\nc\t0\tchr1\nb\t1\tchr2\n"


@pytest.fixture
def read(tmp_path):
    def read(**given):
        settings, checks = {}, Checks()
        for key, value in given.items():
            if isinstance(value, str) and "\n" in value:
                settings[key] = tmp_path / f"{key}.gz"
                settings[key].write_bytes(gzip.compress(value.encode()))
            else:
                settings[key] = value
        raw = Sequences(**settings).read(1, checks)
        return raw, checks.frame()

    return read


def texts(raw):
    return [decode(raw.x(row), raw.facts.alphabet) for row in range(len(raw.examples))]


def test_labels_are_matched_to_sequences_by_id(read):
    raw, checks = read(sequences=FASTA, labels=LABELS)
    assert texts(raw) == ["ACGTTGCA", "AACC", "GGTT", "GGTTNNA"]
    assert raw.y.tolist() == [[1], [1], [0], [0]]
    assert raw.examples["id"].tolist() == ["a", "b", "c", "d"]
    assert raw.examples["chrom"].tolist() == ["chr1", "chr2", "chr1", "chr2"]
    assert raw.examples["group"].tolist() == ["a", "b", "b", "d"]  # AACC and GGTT are reverse complements
    assert raw.examples["kind"].tolist() == ["positive", "positive", "negative", "negative"]
    assert raw.facts.task == "binary"
    assert raw.facts.window is None
    assert raw.facts.outputs == ["label"]
    assert checks[["outcome", "count"]].to_numpy().tolist() == [["read", 4], ["read", 4]]
    commas, _ = read(sequences=FASTA, labels=LABELS.replace("\t", ","))
    assert commas.examples.equals(raw.examples)
    assert (commas.y == raw.y).all()


def test_names_may_contain_all_but_line_ends(read):
    odd = "a\u2028\x0bx\x85"
    fasta, labels = f">{odd} text\nACGT\n>b\nTTTT\n", f"id\tlabel\n{odd}\t1\n b \t0\n"
    raw, _ = read(sequences=fasta, labels=labels)
    assert raw.examples["id"].tolist() == [odd, "b"]
    again, _ = read(sequences="\ufeff" + fasta.replace("\n", "\r\n"), labels="\ufeff" + labels.replace("\n", "\r\n"))
    assert again.examples["id"].tolist() == [odd, "b"]
    assert again.facts.outputs == ["label"]


def test_rna_has_one_strand_and_the_letter_u(read):
    raw, _ = read(sequences=FASTA, labels=LABELS, alphabet="RNA", group=None)
    assert texts(raw)[2] == "GGUU"
    assert raw.examples["group"].tolist() == ["a", "b", "c", "d"]


def test_letters_u_without_t_mean_rna(read):
    rna = "sequence\tlabel\nACGU\t1\nUACGU\t0\n"
    raw, checks = read(table=rna)
    assert raw.facts.alphabet == "ACGU"
    assert checks.query("reason.str.contains('RNA')")[["outcome", "count", "example"]].to_numpy().tolist() == [
        ["note", 2, "line 2"]
    ]
    assert (
        read(sequences=">a\nACGuACCGGAuuGCA\n>b\nACCAGGAC\n", negatives="dinucleotide_shuffled")[0].facts.alphabet
        == "ACGU"
    )
    assert read(table=rna.replace("UACGU", "TACGU"))[0].facts.alphabet == "ACGT"
    assert read(table=rna, alphabet="DNA")[0].facts.alphabet == "ACGT"
    assert read(table=rna.replace("U", "T"))[0].facts.alphabet == "ACGT"
    dna = {"sequences": ">a\nACGT\n>b\nACCT\n", "labels": "id\tlabel\na\t1\nb\t0\n"}
    test = {"test_sequences": ">c\nACGUU\n", "test_labels": "id\tlabel\nc\t1\n"}
    with pytest.raises(InputError, match="is RNA by its letters, but the previous file is DNA"):
        read(**dna, **test)
    assert read(**dna, **test, alphabet="RNA")[0].facts.alphabet == "ACGU"


def test_ambiguous_letters_can_be_kept(read):
    table = "sequence\tlabel\nACGTR\t1\nYACGT\t0\nNNNRR\t1\nACRR\t0\n"
    raw, _ = read(table=table, iupac="mixed")
    assert texts(raw) == ["ACGTR", "YACGT", "ACRR"]  # R is partly known, N is not
    assert raw.examples["group"].tolist() == ["line2", "line2", "line5"]  # reverse complements
    assert raw.facts.iupac == "mixed"
    assert texts(read(table=table)[0])[0] == "ACGTN"


def test_a_users_column_kind_is_renamed(read):
    raw, _ = read(table="sequence\tlabel\tkind\nACGT\t1\tshuffled\nACGG\t0\tshuffled\n")
    assert raw.examples["kind"].tolist() == ["positive", "negative"]
    assert raw.examples["given_kind"].tolist() == ["shuffled", "shuffled"]


def test_one_table_with_a_column_of_groups(read):
    raw, _ = read(table="sequence\tlabel\twell\nACGT\t1\tA1\nACGG\t0\tB2\n", group="well")
    assert raw.examples["id"].tolist() == ["line2", "line3"]
    assert raw.examples["group"].tolist() == ["A1", "B2"]
    assert raw.facts.window == 4


@pytest.mark.parametrize(
    ("table", "task", "outputs"),
    [
        (
            "id\tsequence\tlabel_x\tlabel_y\ts\tA\na\tAC\t1\t0\t3\tq\nb\tAC\t0\t0\t4\tr\n",
            "multilabel",
            ["label_x", "label_y"],
        ),
        ("id\tsequence\tstart\tone\ttwo\na\tAC\t5\t1\t0.5\nb\tAC\t6\t0\t-1e3\n", "regression", ["one", "two"]),
        ("id\tsequence\tlabel\na\tAC\t2\nb\tAC\t0\n", "regression", ["label"]),
    ],
)
def test_the_values_determine_the_task(read, table, task, outputs):
    raw, _ = read(table=table)
    assert (raw.facts.task, raw.facts.outputs) == (task, outputs)
    assert raw.facts.out_channels == raw.y.shape[1] == len(outputs)
    assert raw.y.dtype == np.float32


def test_targets_can_be_named(read):
    raw, _ = read(table="sequence\tlabel\tother\nAC\t1\t2\nAG\t0\t3\n", targets=["other"])
    assert raw.y.tolist() == [[2], [3]]
    assert raw.examples["label"].tolist() == ["1", "0"]
    with pytest.raises(InputError, match=r"data\.targets: no column 'othr'") as caught:
        read(table="sequence\tlabel\tother\nAC\t1\t2\n", targets=["othr"])
    assert "did you mean 'other'" in caught.value.remedy


def test_shuffled_negatives_are_in_the_group_of_their_positive(read):
    raw, checks = read(sequences=">a\nACGTTGCAACTG\n>b\nAACCGGATATCCGAG\n", negatives="dinucleotide_shuffled")
    assert raw.examples["id"].tolist() == ["a", "b", "a:shuffled1", "b:shuffled1"]
    assert raw.examples["group"].tolist() == ["a", "b", "a", "b"]
    assert raw.y[:, 0].tolist() == [1, 1, 0, 0]
    for positive, negative in ((0, 2), (1, 3)):
        assert sorted(texts(raw)[positive]) == sorted(texts(raw)[negative])
    assert checks.set_index("outcome")["count"]["made"] == 2


def test_given_negatives(read, tmp_path):
    (tmp_path / "no.fa").write_text(">n\nTTTT\n>m\nACGT\n")
    raw, checks = read(sequences=">a\nACGT\n", negatives={"name": "given", "path": tmp_path / "no.fa"})
    assert texts(raw) == ["ACGT", "TTTT"]
    assert checks.set_index("outcome")["count"]["dropped"] == 1


def test_an_official_test_split_is_kept_complete_and_separate(read):
    raw, checks = read(
        sequences=">a\nACGTTGCAACTG\n>b\nAAAACCCC\n",
        test_sequences=">t\nGGGGTTTT\n>u\nNNNNNNNA\n",
        test_labels="id\tlabel\nt\t1\nu\t0\n",
        negatives="dinucleotide_shuffled",
    )
    assert raw.examples["id"].tolist() == ["a", "a:shuffled1", "t", "u"]
    assert raw.examples["split"].tolist() == ["train", "train", "test", "test"]
    assert raw.y[:, 0].tolist() == [1, 0, 1, 0]
    found = checks.set_index("reason")[["outcome", "count"]]
    assert found.loc["same sequence as in the official test split"].tolist() == ["dropped", 1]
    assert found.loc["more than 50% unknown bases"].tolist() == ["kept", 1]


def test_sequences_of_unknown_bases_are_dropped_and_counted(read):
    raw, checks = read(table="sequence\tlabel\nACGT\t1\nANNN\t0\nACNN\t0\n")
    assert len(raw.y) == 2
    assert checks[checks["outcome"] == "dropped"].iloc[0]["count"] == 1
    with pytest.raises(InputError, match=r"all sequences \(1\) have more than 50% unknown bases"):
        read(table="sequence\tlabel\nNNNN\t1\n")


BAD = [
    ({"sequences": FASTA, "labels": "id\tlabel\na\t1\nx\t0\ny\t0\n"}, "3 ids of .*sequences.gz are not in .*: b, c, d"),
    ({"sequences": ">a\nAC\n", "labels": LABELS}, "3 ids of .*labels.gz are not in .*sequences.gz: b, c, d"),
    ({"sequences": ">a\nAC\n", "labels": "id\tlabel\na\t1\na\t0\n"}, "labels.gz line 3: duplicate id 'a'"),
    ({"sequences": ">a\nAC\n>a\nAC\n", "labels": "id\tlabel\na\t1\n"}, "sequences.gz line 3: duplicate name 'a'"),
    ({"sequences": FASTA, "labels": "a\t1\nb\t0\n"}, "labels.gz line 1: no column 'id'"),
    ({"sequences": FASTA, "labels": "id;label\na;1\n"}, "labels.gz line 1: no column 'id'"),
    ({"table": 'sequence,label\nAC,"1\nAG,0"\n'}, "table.gz: a quoted cell spans several lines"),
    ({"table": "sequence,label\nAC\n"}, "table.gz line 2: has 1 column"),
    ({"sequences": FASTA, "labels": "id\tlabel\na\n"}, "labels.gz line 2: has 1 column"),
    ({"sequences": FASTA, "labels": "id\tlabel\n\n"}, "labels.gz: has no lines below"),
    ({"sequences": FASTA, "labels": "id\tid\na\ta\n"}, "duplicate column names"),
    ({"sequences": FASTA, "labels": LABELS.replace("\t0", "\tNA")}, "labels.gz line 3: label is 'NA'"),
    ({"sequences": FASTA, "labels": LABELS.replace("\t0", "\t1e39")}, "labels.gz line 3: label is '1e39'"),
    ({"sequences": FASTA, "labels": LABELS.replace("\t0", "\t1_0")}, "labels.gz line 3: label is '1_0'"),
    ({"table": "sequence\tcolour\nAC\tred\n"}, "table.gz: no column of numbers"),
    ({"table": "sequence\tlabel\nAC\t1\nAXC\t1\n"}, "table.gz line 3: 'X' at position 2 is not a base"),
    ({"table": "sequence\tlabel\nAC\t1\n\t1\n"}, "table.gz line 3: has no sequence"),
    ({"table": "sequence\tlabel\nAR\t1\n", "iupac": "error"}, "line 2: 'R' at position 2"),
    ({"table": "sequence\tlabel\nAC\t1\n", "group": "plate"}, "data.group: no column 'plate'"),
    ({"sequences": FASTA}, "data.labels: is missing"),
    ({"sequences": FASTA, "labels": LABELS, "table": LABELS}, "either sequences or table"),
    ({"table": LABELS, "labels": LABELS}, "data.labels: requires data.sequences"),
    (
        {"sequences": FASTA, "labels": LABELS, "negatives": "dinucleotide_shuffled"},
        "data.negatives: apply to sequences",
    ),
    ({"sequences": FASTA, "labels": LABELS, "test_sequences": FASTA}, "data.test_labels: is missing"),
    ({"sequences": FASTA, "negatives": "random"}, "data.negatives: Sequences have no genome"),
    (
        {"sequences": FASTA, "labels": LABELS, "test_sequences": FASTA, "test_labels": LABELS},
        "contains every sequence of",
    ),
    (
        {"sequences": FASTA, "labels": LABELS, "test_sequences": ">e\nGATTACA\n", "test_labels": "id\tlabel2\ne\t1\n"},
        "data.test_labels: columns label2",
    ),
    (
        {"sequences": FASTA, "labels": LABELS, "test_sequences": ">a\nGATTACA\n", "test_labels": "id\tlabel\na\t1\n"},
        "duplicate id 'a'",
    ),
]


@pytest.mark.parametrize(("given", "message"), BAD, ids=[message for _, message in BAD])
def test_invalid_input_is_refused_with_position_and_remedy(read, given, message):
    with pytest.raises(InputError, match=message) as caught:
        read(**given)
    assert caught.value.remedy


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "positives"),
    [("CTCFL_K562", 11033), ("GABPA_GM12878", 6066), ("REST_GM12878", 6406), ("USF1_HepG2", 21390)],
)
def test_encode_sets(data_root, name, positives):
    folder = data_root / "genomics/encode_deepbind" / name
    raw = Sequences(
        sequences=folder / "train_positives.fa.gz",
        test_sequences=folder / "test.fa.gz",
        test_labels=folder / "test.labels.tsv",
        negatives="dinucleotide_shuffled",
    ).read(1, Checks())
    assert raw.examples.groupby(["split", "kind"]).size().tolist() == [500, 500, positives, positives]
    assert raw.facts.window == 101
