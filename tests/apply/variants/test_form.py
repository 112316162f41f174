"""Deviations from the VCF specification are counted, and nothing else is."""

import pytest

from biocnn.apply.variants.form import Form

HEADER = (
    "##fileformat=VCFv4.3",
    "##fileDate=20260101",
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="a \\"count\\", of alleles",Source="x">',
    '##FORMAT=<ID=LAA,Number=.,Type=Integer,Description="">',
    '##FILTER=<ID=q10,Description="x">',
    '##ALT=<ID=DEL:ME:ALU,Description="x">',
    "##contig=<ID=chr1,length=10,species=\"Homo sapiens\">",
    "##META=<ID=Assay,Type=String,Number=.,Values=[a, b]>",
    "##SAMPLE=<ID=one,Assay=WholeGenome>",
    "##PEDIGREE=<Child=a,Mother=b>",
    "##odd=<ID=x,Text='y'>",
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
)  # fmt: skip
GOOD = ("chr1", "5", "rs1;x", "A", "C,<DEL>,*,G]chr2:7],]<ctg1>:7]G,.A", "1e-3", "PASS", "NS=1;DB;1000G;Z=a,b=c")


def counted(header: tuple[str, ...] = HEADER, **columns: str) -> dict[str, int]:
    form, names = Form(header), ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
    other = {"POS": "6", **columns}
    form.see([1, 2], [list(GOOD), [other.get(name, good) for name, good in zip(names, GOOD, strict=True)]])
    assert set(form.examples) == set(form.counts)
    return dict(form.counts)


def test_a_valid_file_has_nothing_to_count() -> None:
    assert counted() == {}


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("CHROM", "<1>"), ("CHROM", "HLA-A*01"), ("POS", "0"), ("ID", "."), ("REF", "acgtn"), ("ALT", "."),
        ("ALT", "<*>"), ("ALT", "A[<c>:3["), ("ALT", "C<ctg1>"), ("QUAL", "."), ("QUAL", "NaN"), ("QUAL", "50.0"),
        ("FILTER", "."), ("FILTER", "q10;s50"), ("FILTER", "0x"), ("INFO", "."), ("INFO", "NS=1;"),
        ("INFO", "AC=1,.,3,4,5,6"), ("INFO", "AC=."), ("INFO", "DB=1"), ("INFO", "SOMATIC=0;AF=.1,1e-3,0,0,nan,1"),
    ],
)  # fmt: skip
def test_what_may_be(name: str, good: str) -> None:
    assert counted(**{name: good}) == {}


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("CHROM", "chr:1"), ("CHROM", "chr 1"), ("CHROM", "<1"), ("ID", "a b"), ("ID", ";a"), ("ID", "a;"),
        ("REF", ""), ("REF", "A,C"), ("REF", "R"), ("ALT", "R"), ("ALT", "A,"), ("ALT", "<<DEL>>"), ("ALT", "[:3["),
        ("QUAL", "-1"), ("QUAL", "x"), ("FILTER", "PASS;."), ("FILTER", "0"), ("FILTER", "a;"), ("FILTER", "a b"),
        ("INFO", "A B=1"), ("INFO", "=1"), ("INFO", "1A=1"), ("INFO", ""),
        ("ALT", "[chr2:7["), ("ALT", "]chr2:7]"),
    ],
)  # fmt: skip
def test_columns(name: str, bad: str) -> None:
    assert counted(**{name: bad}) == {f"column {name}": 1}


@pytest.mark.parametrize(("name", "bad"), [("ID", "a;b;a"), ("FILTER", "q;q"), ("INFO", "X=1;X=2")])
def test_duplicates(name: str, bad: str) -> None:
    assert counted(**{name: bad}) == {f"column {name}, with duplicate entries": 1}


@pytest.mark.parametrize(
    "bad",
    [
        "AC=1", "AC=1,2,3,4,5,6,7", "AC=1,2,3,4,5,x", "AC=1,2,3,4,5,1.5", "AC=1,2,3,4,5,-6", "NS=", "NS", "DB=2",
        "AF=x", "AA=a,b", "END=2147483648", "END=" + "9" * 5000, "MY=-2147483649", "MY=-2147483641", "MY=1", "MY=1,2,3",
    ],
)  # fmt: skip
def test_values_of_info(bad: str) -> None:
    header = (*HEADER[:-1], '##INFO=<ID=MY,Number=2,Type=Integer,Description="x">', HEADER[-1])
    text = "column INFO, with a value that does not match the Number or Type of its ID"
    assert counted(header, INFO=bad) == {text: 1}


def test_checking_values_is_fast() -> None:
    header = (*HEADER[:-1], '##INFO=<ID=MY,Number=.,Type=Character,Description="x">', HEADER[-1])
    assert counted(header, INFO="MY=" + ".," * 100_000 + "ab")
    assert counted((*HEADER[:-1], f'##INFO=<ID=MY,Number={"9" * 5000},Type=Float,Description="x">', HEADER[-1]))


@pytest.mark.parametrize("good", ["-2147483640,2147483647", "-1,+1", ".,1", "."])
def test_numbers_allowed_by_a_header(good: str) -> None:
    header = (*HEADER[:-1], '##INFO=<ID=MY,Number=2,Type=Integer,Description="x">', HEADER[-1])
    assert counted(header, INFO=f"MY={good}") == {}


@pytest.mark.parametrize(
    ("columns", "good"),
    [("GT:DP", True), ("DP", True), (".", True), ("GT", True), ("DP:GT", False), ("GT:DP:DP", False), ("GT:1A", False),
     ("GT:", False), ("GT:A B", False)],
)  # fmt: skip
def test_formats(columns: str, good: bool) -> None:
    form = Form(HEADER)
    form.see([1], [[*GOOD, f"{columns}\t0/1:1\t."]])
    assert (not form.counts) == good


def test_repeated_alleles() -> None:
    form = Form(HEADER)
    form.see([1, 2, 3], [["chr1", "5", ".", "A", alt, ".", ".", "."] for alt in ("C,<DEL>", "G,<DEL>", "T,C")])
    form.see([4, 5], [["chr1", pos, ".", "A", "G", ".", ".", "."] for pos in ("5", "6")])
    assert dict(form.counts) == {"records that repeat an allele of an earlier record": 2}
    assert form.examples["records that repeat an allele of an earlier record"] == "line 3: chr1 5 . A T,C"


@pytest.mark.parametrize("whole", [True, False])
def test_a_last_line_without_line_end(whole: bool) -> None:
    form = Form(HEADER)
    form.end(whole)
    assert sum(form.counts.values()) == (not whole)


@pytest.mark.parametrize(
    ("said", "good"),
    [
        ("INFO=<ID=DP,Number=1,Type=Integer", True), ("INFO=<ID=DP,Number=1,Type=String", False),
        ("INFO=<ID=AF,Number=1,Type=Float", False), ("FORMAT=<ID=AD,Number=R,Type=Integer", True),
        ("FORMAT=<ID=AD,Number=.,Type=Integer", True), ("FORMAT=<ID=AD,Number=A,Type=Integer", False),
        ("FORMAT=<ID=GT,Number=1,Type=String", True), ("FORMAT=<ID=GL,Number=A,Type=Float", False),
        ("FORMAT=<ID=AF,Number=1,Type=Float", True), ("INFO=<ID=ZZ,Number=1,Type=String", True),
    ],
)  # fmt: skip
def test_reserved_ids(said: str, good: bool) -> None:
    line = said[: said.index("=")]
    wanted = {} if good else {f"lines ##{line} of the header, with another Number or Type than reserved for the ID": 1}
    assert counted((*HEADER[:-1], f'##{said},Description="x">', HEADER[-1])) == wanted


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("\tFORMAT\ta\tb", True), ("\tFORMAT", False), ("\tFORMAT\ta\ta", False), ("\tFORMAT\t", False),
        ("\tsamples", False),
    ],
)  # fmt: skip
def test_the_column_line(line: str, good: bool) -> None:
    assert counted((*HEADER[:-1], HEADER[-1] + line)) == ({} if good else {"line #CHROM of the header": 1})


@pytest.mark.parametrize(
    "good",
    [
        "##assembly=ftp://www.x.org:8080/a/b.fa", "##assembly=http://123.0.1.2:8080/a", "##assembly=a.fa",
        "##assembly=file:///data/a.fa", "##pedigreeDB=<https://me@host/db?a=b>", '##ALT=<ID=NON_REF,Description="x">',
        "##SAMPLE=<ID=a,Genomes=x;y,Mixture=.3;.7>", "##PEDIGREE=<ID=a,Original=b>",
    ],
)  # fmt: skip
def test_valid_header_lines(good: str) -> None:
    assert counted((*HEADER[:-1], good, HEADER[-1])) == {}


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ("##fileformat=VCF v4.3", "fileformat"), ("##assembly=ftp://8080:8080/a.fa", "assembly"),
        ("##pedigreeDB=ftp://8080:8080/a", "pedigreeDB"), ("##ALT=<ID=THIS:THAT,Description=\"x\">", "ALT"),
        ("##SAMPLE=<ID=a,Mixture=x;y>", "SAMPLE"), ("##SAMPLE=<ID=a,Genomes=x;y,Mixture=\"x;y\">", "SAMPLE"),
        ("##PEDIGREE=<Original=b>", "PEDIGREE"),
        ("##INFO=<ID=A B,Number=1,Type=Integer,Description=\"x\">", "INFO"),
        ("##INFO=<ID=A,Number=x,Type=Integer,Description=\"x\">", "INFO"),
        ("##INFO=<ID=A,Number=1,Type=Int,Description=\"x\">", "INFO"),
        ("##INFO=<ID=A,Number=1,Type=Integer,Description=x>", "INFO"),
        ("##INFO=<Number=1,ID=A,Type=Integer,Description=\"x\">", "INFO"),
        ("##FORMAT=<ID=A,Number=0,Type=Flag,Description=\"x\">", "FORMAT"),
        ("##ALT=<ID=A B,Description=\"x\">", "ALT"), ("##contig=<length=5>", "contig"),
        ("##contig=<ID=a b,length=5>", "contig"), ("##META=<ID=a,Values=[x]>", "META"), ("##x=", "..."), ("##x", "..."),
    ],
)  # fmt: skip
def test_invalid_header_lines(bad: str, kind: str) -> None:
    assert counted((*HEADER[:-1], bad, HEADER[-1])) == {f"lines ##{kind} of the header": 1}
