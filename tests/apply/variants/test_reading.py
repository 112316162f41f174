"""Lines of a VCF do not depend on its compression; damaged files are reported."""

import gzip
import random
from pathlib import Path

import pysam
import pytest
from small import vcf_text

from biocnn.apply.variants import reading
from biocnn.apply.variants.reading import header_contigs, read_vcf
from biocnn.core.errors import InputError

HEADER = ("##contig=<ID=chr1,length=1000>", '##INFO=<ID=X,Number=1,Type=Integer,Description="x">')
TEXT = vcf_text(*(f"chr1 {i} id{i} A C . . X={i}" for i in range(1, 301)), header=HEADER)


def lines(path: Path) -> tuple[list[str], list[str]]:
    header, blocks = read_vcf(path)
    found, expected = [], len(header) + 1
    for first, block in blocks:
        assert first == expected, "lines are numbered consecutively"
        found += block
        expected += len(block)
    return header, found


def test_compression_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RECORDS", 70)
    plain, gz, bgz, bcf = (tmp_path / name for name in ("a.vcf", "b.vcf.gz", "c.vcf", "d.bcf"))
    plain.write_text(TEXT)
    gz.write_bytes(gzip.compress(TEXT.encode()))
    with pysam.BGZFile(str(bgz), "wb") as handle:
        handle.write(TEXT.encode())
    with pysam.VariantFile(str(plain)) as source, pysam.VariantFile(str(bcf), "wb", header=source.header) as target:
        for record in source:
            target.write(record)
    wanted = lines(plain)
    assert "\n".join([*wanted[0], *wanted[1]]) + "\n" == TEXT
    assert lines(gz) == lines(bgz) == wanted
    assert lines(bcf)[1] == wanted[1]


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_the_chunk_size_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    (tmp_path / "a.vcf").write_text(TEXT)
    monkeypatch.setattr(reading, "CHUNK", size)
    header, found = lines(tmp_path / "a.vcf")
    assert "\n".join([*header, *found]) + "\n" == TEXT


def test_windows_line_ends_and_a_missing_last_one(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_bytes(TEXT.rstrip("\n").replace("\n", "\r\n").encode())
    header, found = lines(tmp_path / "a.vcf")
    assert "\n".join([*header, *found]) + "\n" == TEXT


def test_undecodable_bytes_are_kept(tmp_path: Path) -> None:
    raw = TEXT.encode().replace(b"id7\t", b"id\xff\xe9\t")
    (tmp_path / "a.vcf").write_bytes(raw)
    header, found = lines(tmp_path / "a.vcf")
    assert ("\n".join([*header, *found]) + "\n").encode("utf-8", "surrogateescape") == raw


def test_contigs_of_the_header() -> None:
    header = ["##contig=<ID=1,length=300>", "##contig=<assembly=x,length=5,ID=HLA:01>", "##contig=<ID=a>",
              "##contig=<ID=b,length=x>", "##INFO=<ID=c,length=3>", "##contig=<>"]  # fmt: skip
    assert header_contigs(header) == {"1": 300, "HLA:01": 5, "a": None, "b": None}


def test_a_header_without_records_is_a_vcf(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(vcf_text())
    assert lines(tmp_path / "a.vcf")[1] == []


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    gz, bgz = tmp_path / "a.vcf.gz", tmp_path / "b.vcf.gz"
    gz.write_bytes(gzip.compress(TEXT.encode())[:-20])
    with pysam.BGZFile(str(bgz), "wb") as handle:
        handle.write(TEXT.encode())
    bgz.write_bytes(bgz.read_bytes()[:-28])  # at the end of a block, which gzip takes as the end of the file
    for path, message in ((gz, "damaged or truncated"), (bgz, "the file is truncated")):
        with pytest.raises(InputError, match=message):
            lines(path)


@pytest.mark.parametrize(
    "text", ["", "chr1\t5\t.\tA\tC\n", "##fileformat=VCFv4.2\nchr1\t5\t.\tA\tC\t.\t.\t.\n", "BED\n"]
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.vcf").write_text(text)
    with pytest.raises(InputError, match=r"not a VCF|line of column names"):
        lines(tmp_path / "a.vcf")


def test_lines_that_end_with_only_carriage_returns_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(TEXT.replace("\n", "\r"), newline="")
    header, found = lines(tmp_path / "a.vcf")
    assert "\n".join([*header, *found]) + "\n" == TEXT


def test_nothing_else_ends_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(TEXT.replace("id7\t", "id\u2028\x0b\x85\t"), encoding="utf-8", newline="")
    header, found = lines(tmp_path / "a.vcf")
    assert "\n".join([*header, *found]) + "\n" == TEXT.replace("id7\t", "id\u2028\x0b\x85\t")


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 5000)
    monkeypatch.setattr(reading, "CHUNK", 1000)
    (tmp_path / "a.vcf").write_text(TEXT + "A" * 10_000)
    with pytest.raises(InputError, match="line 305: longer than 5,000 bytes"):
        lines(tmp_path / "a.vcf")


def test_a_byte_order_mark_and_blank_lines_of_the_header_are_removed(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text("\ufeff" + TEXT.replace("#CHROM", "\n#CHROM"), encoding="utf-8")
    header, blocks = read_vcf(tmp_path / "a.vcf")
    assert "\n".join([*header, *(line for _, block in blocks for line in block)]) + "\n" == TEXT


def bcf(folder: Path) -> Path:
    (folder / "a.vcf").write_text(TEXT)
    path = folder / "a.bcf"
    with (
        pysam.VariantFile(str(folder / "a.vcf")) as source,
        pysam.VariantFile(str(path), "wb0", header=source.header) as to,
    ):
        for record in source:
            to.write(record)
    return path


def test_damaged_bcf_does_not_crash_the_process(tmp_path: Path) -> None:
    path = bcf(tmp_path)
    whole, rng, refused = gzip.decompress(path.read_bytes()), random.Random(1), []
    for _ in range(12):
        raw = bytearray(whole)
        for _ in range(8):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        path.write_bytes(bytes(raw))
        try:
            lines(path)
        except InputError as error:
            refused.append(error.message)
    assert refused
    assert all(message.startswith(str(path)) for message in refused)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.vcf: no such file"):
        read_vcf(tmp_path / "gone.vcf")


@pytest.mark.parametrize("text", ["##fileformat=VCFv4.2\n{}", "##fileformat=VCFv4.2\n{}\nchr1\t5\t.\tA\tC\t.\t.\t."])
def test_a_last_line_without_line_end_is_reported(tmp_path: Path, text: str) -> None:
    text = text.format("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]))
    for end in ("", "\n"):
        (tmp_path / "a.vcf").write_text(text + end)
        _, blocks = read_vcf(tmp_path / "a.vcf")
        assert sum(len(lines) for _, lines in blocks) == text.count("chr1")
        assert blocks.whole == (end == "\n")
