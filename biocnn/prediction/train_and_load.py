"""Train a network from Python, as the steps trial, calibrate and train of the workflow do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from biocnn.config.experiment import settings_of
from biocnn.config.search_space import own_modules
from biocnn.core.errors import InputError
from biocnn.core.files import TemporaryFolder, as_path
from biocnn.data.dataset import Dataset, check_dataset
from biocnn.prediction.model import Model
from biocnn.training.calibrate import run_trials
from biocnn.training.runs import train_run


def train(
    dataset: Dataset,
    model: str | Mapping[str, Any] = "auto",
    *,
    loss: str | Mapping[str, Any] | None = None,
    augment: str | Sequence[Any] | None = None,
    calibrate: Mapping[str, Any] | None = None,
    seed: int = 1,
    folder: str | Path | None = None,
    log: Callable[[str], None] | None = print,
    **settings: Any,
) -> Model:
    """Train a network on the training split, and choose its epoch and thresholds on the validation split.

    The same data set, settings and seed give the same model file, byte for byte, as in the workflow.

    Parameters
    ----------
    dataset
        Data set from ``Dataset.from_arrays``, ``Dataset.from_files``, or a folder of the workflow.
    model
        Name of a network, ``{"name": ..., ...}`` with its settings, or the import path of your own,
        "package.module:Name". "auto": chosen by the data; where several networks compete in short trainings, these come
        first.
    loss, augment, calibrate
        Sections of an experiment; None: as if left out there.
    seed
        Seed of initial weights, order of examples, augmentation and dropout.
    folder
        Folder for model.safetensors, history.tsv and the state of an unfinished training, from which the same call
        resumes. None: a temporary one; ``Model.save`` keeps the model.
    log
        Called with each line on progress; None: quiet.
    **settings
        Section train of an experiment: epochs, lr, batch_size, ...

    Returns
    -------
    model
        Model with ``history``, and ``metrics`` of the validation split; ``Model.evaluate`` gives those of the test
        split.

    Raises
    ------
    InputError
        If a setting is unknown or invalid; names the dotted key, and what is allowed.
    """
    check_dataset(dataset)
    if isinstance(model, nn.Module | type):
        named = model.__name__ if isinstance(model, type) else type(model).__name__
        remedy = f"write its class into a file my_module.py, and name it: model='my_module:{named}'"
        raise InputError(f"model: {named} itself, but a model file names its network", remedy)
    if log is not None and not callable(log):
        raise InputError(f"log: {log!r} cannot be called", "give a function of one line of text, or None: quiet")
    for name in ("seeds", "learning_curve"):
        if name in settings:
            raise InputError(f"train.{name}: is for runs of the workflow", "call train once for each, with seed=...")
    given = {"model": model, "loss": loss, "augment": augment, "calibrate": calibrate}
    given = {key: value for key, value in given.items() if value is not None}
    experiment = settings_of({**dataset.sections, **given, "train": {**settings, "seeds": [seed]}}, stored=True)
    kept = None if folder else TemporaryFolder()
    place = as_path("folder", folder, "my_training") if folder else kept.path
    if place.is_file():
        raise InputError(f"folder: {place} is a file", "choose another one")
    files, state = (place / "model.safetensors", place / "history.tsv"), place / "state" if folder else None
    note = log or (lambda line: None)
    with _torch_as_before():
        if experiment.calibrate.names:
            experiment = run_trials(experiment, dataset, place / "calibrate", note, state)
        train_run(experiment, dataset, seed, log=note, state=state, files=files)
        found = Model(files[0], trust=own_modules(experiment))
    found.kept = kept
    return found


@contextmanager
def _torch_as_before() -> Iterator[None]:
    """Restore what a training sets for the whole process: threads, random numbers and deterministic algorithms."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(mode)
