"""The steps of a calibration: train with random settings, many times; choose the best of them."""

import json
import logging
import re
from functools import partial
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.files import atomic

log = logging.getLogger("biocnn")


def trial(
    config: Path, data: Path, name: str, out: Path, *, data_root: Path = Path(), state: Path | None = None
) -> None:
    """Train with random settings and validate: NAME, fold0-trial3-part1 say, has numbers from 0."""
    from biocnn.config.experiment import load
    from biocnn.data.dataset import Dataset
    from biocnn.training.calibrate import run_trial
    from biocnn.training.state import clear

    settings, (fold, number, part) = load(config, data_root).settings, numbers(name, "fold", "trial", "part")
    record = run_trial(settings, Dataset(data, fold), number, part, partial(log.info, "%s  %s", name), state)
    with atomic(out) as path:
        path.write_text(json.dumps(record, indent=1))
    if state:
        clear(state, unfinished=True)  # of trainings that diverged


def calibrate(table: Path, best: Path, *trials: Path) -> None:
    """Rank the trials in a table; BEST gets the settings of the first, for `biocnn train --settings`."""
    from biocnn.training.calibrate import rank_trials, read_record

    ranked, chosen = rank_trials([read_record(path) for path in trials])
    with atomic(table) as path:
        ranked.to_csv(path, sep="\t", index=False, float_format="%.6g")
    with atomic(best) as path:
        path.write_text(json.dumps(chosen, indent=1))
    log.info("trial %d is the best of %d: %s", ranked["trial"].iloc[0], len(ranked), chosen)


def numbers(name: str, *words: str) -> list[int]:
    """The numbers in a name such as fold0-seed1."""
    found = re.fullmatch("-".join(rf"{word}(\d{{1,10}})" for word in words), name)
    if not found:
        raise InputError(f"{name!r} is not understood", f"for example {'-'.join(f'{word}0' for word in words)}")
    return [int(number) for number in found.groups()]
