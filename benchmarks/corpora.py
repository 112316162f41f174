"""Other projects' test files, read one after another: ``python -m benchmarks.corpora FOLDER [--details]``.

Files that are valid have to be read, equal to what an oracle says where there is one; files that are not have to be
refused with a reason, or counted. What ends in a traceback, a crash, or takes too long is a fault: exit status 1.
"""

import argparse
import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from benchmarks.corpora_images import image
from benchmarks.corpora_vcf import vcf
from biocnn.core.errors import InputError
from biocnn.io.kinds import SUFFIXES, has_dicom_mark

SECONDS = 60  # for one file; a large one of 4 Gb takes a few
FAULTS = ("differs", "traceback", "crash", "hang")
# What a file is called to what reads and judges it: gives ("equal" to an oracle, "read" without one, "counted" where
# something is wrong with it and the account says so, or "differs", and a few words), or raises InputError.
KINDS: dict[str, Callable[[Path], tuple[str, str]]] = {
    ".vcf": vcf,
    ".vcf.gz": vcf,
    ".bcf": vcf,
} | dict.fromkeys((suffix for suffix in SUFFIXES if suffix != ".zarr"), image)

Outcome = tuple[str, str]


def judge(kind: str, path: Path) -> Outcome:
    """What becomes of one file, and a few words."""
    try:
        return KINDS[kind](path)
    except InputError as error:
        return "refused", error.message
    except Exception as error:  # what this script is for
        return "traceback", repr(error)


def outcomes(files: list[tuple[str, Path]]) -> Iterator[Outcome]:
    """One outcome for each file; in a process of its own, since readers in C may end that."""
    pool = None
    for kind, path in files:
        pool = pool or ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        try:
            yield pool.submit(judge, kind, path).result(SECONDS)
            continue
        except BrokenProcessPool:
            yield "crash", "the process ended"
        except TimeoutError:
            yield "hang", f"more than {SECONDS} s"
            for process in list(pool._processes.values()):
                process.kill()
        pool.shutdown()
        pool = None


def kind_of(path: Path) -> str | None:
    """The longest ending by which a file is known; DICOM is known by its mark, too."""
    known = [ending for ending in KINDS if path.name.lower().endswith(ending)]
    return max(known, key=len, default=".dcm" if has_dicom_mark(path) else None)


def main() -> int:
    """Walk the folder, judge each file of a known kind, print a table and what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--details", action="store_true", help="a line for each file")
    arguments = parser.parse_args()
    files = [(kind, path) for path in sorted(arguments.folder.rglob("*")) if path.is_file() and (kind := kind_of(path))]
    table: Counter[tuple[str, str]] = Counter()
    for (kind, path), (outcome, words) in zip(files, outcomes(files), strict=True):
        table[kind, outcome] += 1
        if arguments.details or outcome in FAULTS:
            print(f"{outcome}\t{path.relative_to(arguments.folder)}\t{words.splitlines()[0] if words else ''}")
    for (kind, outcome), count in sorted(table.items()):
        print(f"{kind}\t{outcome}\t{count}")
    return int(any(outcome in FAULTS for _, outcome in table))


if __name__ == "__main__":
    sys.exit(main())
