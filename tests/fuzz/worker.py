"""A process that damages and reads files, one for each line of its input: ``python -m tests.fuzz.worker FOLDER``.

It prints the outcome of each in a line: a JSON list of ``read``, ``refused`` or ``fault`` and a few words.
"""

import json
import os
import random
import resource
import sys
import traceback
import warnings
import zlib
from pathlib import Path

import biocnn.prediction.model  # noqa: F401 (before memory is bounded)
from biocnn.core.errors import InputError
from tests.fuzz.mutations import mutate
from tests.fuzz.targets import TARGETS, copied

MEMORY = 2_000_000_000  # bytes in addition to those of the imports


def bound_memory() -> None:
    """Limit memory for data only: libraries reserve addresses that they never use."""
    now = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmData" in line)
    resource.setrlimit(resource.RLIMIT_DATA, (now * 1024 + MEMORY, now * 1024 + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def damaged(folder: Path, name: str, number: int, made: dict[str, Path]) -> Path:
    """Return the damaged file in a separate folder; it depends only on name and number; below 0 it is valid."""
    seeds = folder / f"seeds{list(TARGETS).index(name)}"
    if name not in made:
        seeds.mkdir()
        made[name] = TARGETS[name].make(seeds).relative_to(seeds)
    path = copied(seeds, folder / "case") / made[name]
    if number >= 0:
        rng = random.Random(zlib.crc32(f"{name} {number}".encode()))
        path.write_bytes(mutate(path.read_bytes(), rng, TARGETS[name].kind))
    return path


def main() -> None:
    """Answer each line ``number name`` until the end of input."""
    folder, answers = Path(sys.argv[1]), os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    warnings.simplefilter("ignore")
    bound_memory()
    made: dict[str, Path] = {}
    for line in sys.stdin:
        number, _, name = line.strip().partition(" ")
        path = damaged(folder, name, int(number), made)
        try:
            TARGETS[name].read(path)
            answer = ["read", ""]
        except InputError as error:
            answer = ["refused", str(error)] if "\n  " in str(error) else ["fault", f"no remedy: {error}"]
        except BaseException:
            answer = ["fault", traceback.format_exc()]
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
