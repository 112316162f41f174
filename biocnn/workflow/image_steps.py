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
    if stored.facts["kind"] != "image":
        raise InputError("uncertainty: the examples are no images", "set uncertainty: {methods: []}")
    torch.set_num_threads(settings.train.threads)
    with atomic(out) as folder:
        folder.mkdir()
        for line in write_uncertainty(stored, runs, settings, folder):
            log.info("%s", line)
