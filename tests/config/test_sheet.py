"""Sheets: rows over a base, values as in YAML, and all faults at once with their rows."""

from pathlib import Path

import pytest
import yaml
from work import calls

from biocnn.config.experiment import load
from biocnn.config.sheet import read_sheet
from biocnn.core.errors import Faults, InputError

BASE = {
    "data": {"name": "Intervals", "genome": "genome.fa", "positives": "a.bed"},
    "split": {"val": ["chr1"], "test": ["chr2"]},
    "model": "DeepBind",
    "train": {"lr": 0.01},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("genome.fa", "a.bed", "b.bed"):
        (tmp_path / name).touch()
    (tmp_path / "sheet.yaml").write_text(yaml.safe_dump(BASE))
    return tmp_path


def read(text: str, name: str = "sheet.tsv") -> dict[str, dict]:
    Path(name).write_text(text)
    return {found.name: found.settings.model_dump(mode="json") for found in read_sheet(name, ".")}


def faults(text: str, name: str = "sheet.tsv") -> list[str]:
    with pytest.raises(InputError) as caught:
        read(text, name)
    return [str(fault) for fault in (caught.value.faults if isinstance(caught.value, Faults) else [caught.value])]


def test_a_row_equals_a_file_with_its_values(folder: Path) -> None:
    rows = read(
        "name\tdata.positives\ttrain.lr\tsplit.test\tmodel.channels\ttrain.patience\n"
        "# a comment\n\n"
        "one\t\t\t\t\t\n"
        "two\tb.bed\t1e-3\t[chr3, chr4]\t8\tnull\n"
    )
    (folder / "one.yaml").write_text(yaml.safe_dump(BASE))
    two = BASE | {"data": BASE["data"] | {"positives": "b.bed"}, "train": {"lr": 1e-3, "patience": None}}
    two |= {"split": {"val": ["chr1"], "test": ["chr3", "chr4"]}, "model": {"name": "DeepBind", "channels": 8}}
    (folder / "two.yaml").write_text(yaml.safe_dump(two))
    for name in ("one", "two"):
        assert rows[name] == load(folder / f"{name}.yaml").settings.model_dump(mode="json")
    assert list(rows) == ["one", "two"]


def test_rows_have_bases_of_their_own_and_lists_in_csv_are_quoted(folder: Path) -> None:
    (folder / "other.yaml").write_text(yaml.safe_dump(BASE | {"train": {"lr": 0.5}, "model": "DanQ"}))
    rows = read('name,base,split.test\na,other.yaml,\nb,,"[chr5, chr6]"\n', "sheet.csv")
    assert [(row["model"]["name"], row["train"]["lr"]) for row in rows.values()] == [("DanQ", 0.5), ("DeepBind", 0.01)]
    assert rows["b"]["split"]["test"] == ["chr5", "chr6"]


def test_whole_sections_are_replaced_before_their_settings(folder: Path) -> None:
    rows = read("name\tmodel.channels\tmodel\na\t4\t{name: DanQ}\n")
    assert (rows["a"]["model"]["name"], rows["a"]["model"]["channels"]) == ("DanQ", 4)


def test_all_faults_are_reported_at_once_with_their_rows(folder: Path) -> None:
    found = faults(
        "name\tdata.positives\ttrain.lr\ttrain.epochz\n"
        "a\tc.bed\tfast\t\n"
        "b\tb.bed\t0.1\t3\n"
        "a\t\t\t\n"
        "c\t\t[\t4\n"
        "d\t\t#N/A\t5\n"
        "e\t\t\t6\t7\n"
        "f\t\t\t8\n"
        'g\t"b.bed\t\t\n'
    )
    starts = [
        "sheet.tsv line 9: a quote is not closed",
        "sheet.tsv line 7: 5 cells, but 4 columns",
        "sheet.tsv line 2 (a): train.lr: must be",
        "sheet.tsv line 2 (a): data.positives: no such file",
        "sheet.tsv lines 3 (b), 5 (c), 6 (d), ... (5 rows): train.epochz: unknown key\n  did you mean 'epochs'?",
        "sheet.tsv line 4 (a): duplicate name 'a', as in line 2",
        "sheet.tsv line 5 (c): train.lr: '[' is not valid YAML",
        "sheet.tsv line 6 (d): train.lr: '#N/A' is a comment",
    ]
    for start in starts:
        assert any(fault.startswith(start) for fault in found), (start, found)


def test_a_fault_of_the_base_is_reported_once(folder: Path) -> None:
    (folder / "sheet.yaml").write_text(yaml.safe_dump(BASE | {"train": {"epochs": "ten"}}))
    (fault,) = faults("name\tdata.positives\na\ta.bed\nb\tb.bed\n")
    assert fault.startswith("sheet.tsv lines 2 (a), 3 (b): sheet.yaml: train.epochs: must be")


@pytest.mark.parametrize(
    ("text", "row", "start"),
    [
        ("data: [", "", "sheet.yaml: line 1: not valid YAML"),
        (yaml.safe_dump(BASE | {"trian": {}}), "", "sheet.yaml: trian: unknown key"),
        (yaml.safe_dump(BASE), "[chr1]", "split.val and split.test: 'chr1' is in both"),
    ],
)
def test_faults_name_the_base_once_and_only_if_they_are_in_it(folder: Path, text: str, row: str, start: str) -> None:
    (folder / "sheet.yaml").write_text(text)
    (fault,) = faults(f"name\tsplit.test\na\t{row}\n")
    assert fault.startswith(f"sheet.tsv line 2 (a): {start}")


def test_what_spreadsheet_programs_add_does_not_matter(folder: Path) -> None:
    rows = read('\ufeff"# Versuche, Mai",,,\r\nname,train.lr,,\r\na,"0.1",,\r\n,,,\r\nb,,,\r\n', "sheet.csv")
    assert {name: row["train"]["lr"] for name, row in rows.items()} == {"a": 0.1, "b": 0.01}
    assert list(read("name\tseed\t\t\na\t1\t\t\n\t\t\t\n")) == ["a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nam\tseed\na\t1\n", "unknown column 'nam'\n  did you mean 'name'?"),
        ("name\tdat.positives\na\t1\n", "or dotted keys, such as data.positives"),
        ("name\tseed\tseed\na\t1\t2\n", "duplicate column 'seed'"),
        ("name\ttrain..lr\na\t1\n", "unknown column 'train..lr'"),
        ("name\t\tseed\na\t1\t2\n", "unknown column ''"),
        ("name;train.lr\na;0,1\n", "separated by semicolons"),
        ('name\t"seed\na\t1\n', "sheet.tsv line 1: a quote is not closed"),
        ('name\tsead\na\t"1\n', "keep each row on one line\nsheet.tsv: unknown column 'sead'"),
        ("seed\n1\n", "has no column 'name'"),
        ("name\tseed\n", "has no rows"),
        ("", "has no column 'name'"),
        ("name\tbase\na\tnone.yaml\n", "no such experiment"),
        ("name\tsplit.val.x\na\t1\n", "split.val.x: split.val is [chr1]"),
    ],
)
def test_sheets_that_cannot_be_read_are_refused(folder: Path, text: str, words: str) -> None:
    assert words in "\n".join(faults(text))


def test_a_sheet_without_a_base_is_refused(folder: Path) -> None:
    assert "neither a cell in the column base nor a file alone.yaml" in faults("name\na\n", "alone.tsv")[0]


def test_many_rows_need_little_work_each(folder: Path) -> None:
    read("name\tdata.positives\nwarm\ta.bed\n")
    rows = "".join(f"f{i}\tb.bed\n" for i in range(50))
    parsing = calls(lambda: yaml.safe_load((folder / "sheet.yaml").read_text()))
    assert calls(lambda: read(f"name\tdata.positives\n{rows}")) < 50 * 2.5 * parsing, "is the file parsed for each row?"
