"""Conversion of published files to what the experiments read, and digests that ignore how a file is packed."""

import csv
import gzip
import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.files import atomic
from biocnn.core.text import read_lines


def as_is(original: Path, target: Path) -> None:
    """Keep the file as it was published."""
    shutil.move(original, target)


def chr20_bed(original: Path, target: Path) -> None:
    """Write peaks on chromosome 20, given as starts and ends alone, as BED3 in genomic order."""
    spans = sorted(tuple(map(int, line.split()[:2])) for line in read_lines(original) if line.strip())
    target.write_text("".join(f"chr20\t{start}\t{end}\n" for start, end in spans))


def deepbind_fasta(original: Path, target: Path) -> None:
    """Write all sequences of DeepBind's table, peaks and shuffled ones, as gzipped FASTA."""
    _write_fasta(((name, sequence) for name, sequence, _ in _deepbind_rows(original)), target)


def deepbind_peaks(original: Path, target: Path) -> None:
    """Write the peaks of DeepBind's table as gzipped FASTA."""
    _write_fasta(((name, sequence) for name, sequence, label in _deepbind_rows(original) if label == "1"), target)


def deepbind_labels(original: Path, target: Path) -> None:
    """Write a table of id and label from DeepBind's table: 1 for a peak, 0 for a shuffled sequence."""
    target.write_text("id\tlabel\n" + "".join(f"{name}\t{label}\n" for name, _, label in _deepbind_rows(original)))


def _write_fasta(records: Iterable[tuple[str, str]], target: Path) -> None:
    with open(target, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as handle:
        handle.writelines(f">{name}\n{sequence}\n".encode() for name, sequence in records)


def _deepbind_rows(original: Path) -> Iterator[tuple[str, str, str]]:
    """Yield name, sequence and label; the columns are FoldID, EventID, seq, Bound."""
    for number, line in enumerate(read_lines(original), 1):
        columns = line.split()
        if columns and columns[0] == "FoldID":
            continue
        if len(columns) != 4:
            raise InputError(
                f"{original} line {number}: expected 4 columns, found {len(columns)}",
                "expected FoldID, EventID, seq, Bound: is this one of DeepBind's *.seq.gz files?",
            )
        yield columns[1], columns[2], columns[3]


def image_folders(original: Path, target: Path) -> None:
    """Unpack a zip of {train,test}/{images,masks} below one folder, without that folder, and write an index."""
    with zipfile.ZipFile(original) as archive:
        for member in archive.infolist():
            parts = Path(member.filename).parts[1:]
            if member.is_dir() or not parts or parts[0] not in ("train", "test") or ".." in parts:
                continue
            path = target.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, open(path, "wb") as sink:
                shutil.copyfileobj(source, sink)
    write_index(target)


def write_index(folder: Path) -> None:
    """Write ``index.csv``: images in {train,test}/images with the masks (and fields of view) of the same stem."""
    rows = []
    for image in sorted(folder.glob("*/images/*")):
        split = image.parts[-3]
        matches = {kind: sorted((folder / split / kind).glob(image.stem + ".*")) for kind in ("masks", "fov")}
        if not matches["masks"]:
            raise InputError(f"{image}: no mask of the same name in {folder / split / 'masks'}", "fetch the set again")
        files = [image, matches["masks"][0], *matches["fov"][:1]]
        rows.append([*(path.relative_to(folder).as_posix() for path in files), split, image.stem])
    header = ["image", "mask", *(["fov"] if rows and len(rows[0]) == 5 else []), "split", "group"]
    with atomic(folder / "index.csv") as temporary, open(temporary, "w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows([header, *rows])


def digest_sequences(path: Path) -> str:
    """Return the SHA-256 of the sorted, upper-case sequences of a FASTA file."""
    sequences: list[list[str]] = []
    for line in read_lines(path):
        if line.startswith(">"):
            sequences.append([])
        elif sequences:
            sequences[-1].append(line.strip().upper())
    return _digest("".join(lines) for lines in sequences)


def digest_rows(path: Path) -> str:
    """Return the SHA-256 of the sorted chrom, start and end of a BED file."""
    return _digest("\t".join(line.split()[:3]) for line in read_lines(path) if line.strip())


def _digest(items: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for item in sorted(items):
        digest.update(item.encode() + b"\n")
    return digest.hexdigest()


MAKE: dict[str, Callable[[Path, Path], None]] = {
    function.__name__: function
    for function in (as_is, chr20_bed, deepbind_fasta, deepbind_peaks, deepbind_labels, image_folders)
}
DIGESTS: dict[str, Callable[[Path], str]] = {"sequences": digest_sequences, "rows": digest_rows}
