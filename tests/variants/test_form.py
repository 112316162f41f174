"""What is not as the specification of VCF has it is counted, and what is as it has it is not."""

import pytest

from biocnn.variants.form import Form

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
GOOD = ("chr1", "5", "rs1;x", "A", "C,<DEL>,*,G]chr2:7],]<ctg1>:7]G,.A", "1e-3", "PASS", "AC=1;DB;1000G;Z=a,b=c")


def counted(header: tuple[str, ...] = HEADER, **columns: str) -> dict[str, int]:
    form, names = Form(header), ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
    form.see([1, 2], [list(GOOD), [columns.get(name, good) for name, good in zip(names, GOOD, strict=True)]])
    assert set(form.examples) == set(form.counts)
    return dict(form.counts)


def test_a_good_file_has_nothing_to_count() -> None:
    assert counted() == {}


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("CHROM", "<1>"), ("CHROM", "HLA-A*01"), ("POS", "0"), ("ID", "."), ("REF", "acgtn"), ("ALT", "."),
        ("ALT", "<*>"), ("ALT", "A[<c>:3["), ("ALT", "C<ctg1>"), ("QUAL", "."), ("QUAL", "NaN"), ("QUAL", "50.0"),
        ("FILTER", "."), ("FILTER", "q10;s50"), ("FILTER", "0x"), ("INFO", "."), ("INFO", "AC=1;"),
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
    ],
)  # fmt: skip
def test_columns(name: str, bad: str) -> None:
    assert counted(**{name: bad}) == {f"column {name}": 1}


@pytest.mark.parametrize(("name", "bad"), [("ID", "a;b;a"), ("FILTER", "q;q"), ("INFO", "AC=1;AC=2")])
def test_what_is_said_twice(name: str, bad: str) -> None:
    assert counted(**{name: bad}) == {f"column {name}, which says something twice": 1}


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
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
def test_lines_of_the_header(bad: str, kind: str) -> None:
    assert counted((*HEADER[:-1], bad, HEADER[-1])) == {f"lines ##{kind} of the header": 1}
