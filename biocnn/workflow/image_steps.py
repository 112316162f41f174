"""The steps that are for images alone."""

import logging
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.files import atomic

log = logging.getLogger("biocnn")


def uncertainty(config: Path, data: Path, out: Path, *runs: Path, data_root: Path = Path()) -> None:
    """How sure the networks are of pixels, objects and images; RUNS have model.safetensors and predictions."""
    import torch

    from biocnn.config.experiment import load
    from biocnn.data.dataset import Dataset
    from biocnn.evaluation.uncertainty.step import write_uncertainty

    settings, stored = load(config, data_root).settings, Dataset(data)
    if not stored.input.unsure:
        raise InputError(f"uncertainty: is not for {stored.input.examples}", "set uncertainty: {methods: []}")
    torch.set_num_threads(settings.train.threads)
    with atomic(out) as folder:
        folder.mkdir()
        for line in write_uncertainty(stored, runs, settings, folder):
            log.info("%s", line)
