"""Read test files of other projects: ``python -m benchmarks.corpora FOLDER [--details]``.

Valid files must be read, and equal the result of an oracle if there is one; invalid files must be refused with a
reason, or counted. Tracebacks, crashes and hangs are failures: exit status 1.
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
# By suffix, the function that reads and judges a file: returns ("equal" to an oracle, "read" without one, "counted" if
# problems were recorded, or "differs", and a short text), or raises InputError.
KINDS: dict[str, Callable[[Path], tuple[str, str]]] = {
    ".vcf": vcf,
    ".vcf.gz": vcf,
    ".bcf": vcf,
} | dict.fromkeys((suffix for suffix in SUFFIXES if suffix != ".zarr"), image)

Outcome = tuple[str, str]


def judge(kind: str, path: Path) -> Outcome:
    """Return the outcome for a file, and a short text."""
    try:
        return KINDS[kind](path)
    except InputError as error:
        return "refused", error.message
    except Exception as error:  # the failures that this script looks for
        return "traceback", repr(error)


def outcomes(files: list[tuple[str, Path]]) -> Iterator[Outcome]:
    """Yield an outcome per file; runs in a separate process, which C readers may crash."""
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
    """Return the longest known suffix of a file; DICOM is also recognised by its mark."""
    known = [ending for ending in KINDS if path.name.lower().endswith(ending)]
    return max(known, key=len, default=".dcm" if has_dicom_mark(path) else None)


def main() -> int:
    """Judge each file of a known kind in the folder, print a table and the failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--details", action="store_true", help="one line per file")
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
