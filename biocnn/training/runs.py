"""One training of an experiment, from a stored data set to a network that can be saved and used."""

import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from biocnn.augment.sets import resolve_augment
from biocnn.config.settings import Settings, Train
from biocnn.config.strands import check_strands
from biocnn.core.files import atomic
from biocnn.core.parallel import ALONE, Processes
from biocnn.data.dataset import Dataset
from biocnn.data.decisions import GIB, resolve
from biocnn.losses import Loss
from biocnn.nn.encode import one_hot
from biocnn.nn.precision import SLOW, autocast, fast_bfloat16, numbers_for
from biocnn.tasks import Task
from biocnn.tasks.facts import BySplit
from biocnn.tasks.temperature import remarks
from biocnn.training import batches, transfer
from biocnn.training.checkpoint import build_model, save_model, versions
from biocnn.training.fingerprint import fingerprint
from biocnn.training.forward import default_device, logits_of, predict_batches
from biocnn.training.loop import fit
from biocnn.training.metadata import Metadata, Precision, read_metadata
from biocnn.training.resource_estimate import memory_bytes, memory_errors, resident_bytes
from biocnn.training.state import StateFolder
from biocnn.training.target_unit import in_unit, target_unit
from biocnn.training.validation import compare, validate

Log = Callable[[str], None]
SHIFT = 5  # bp from one place at which a positive is seen to the next


def train_run(
    settings: Settings,
    dataset: Dataset,
    seed: int,
    network: nn.Module | None = None,
    log: Log = lambda line: None,
    state: Path | None = None,
    processes: Processes = ALONE,
    files: tuple[Path, Path] | None = None,
) -> tuple[nn.Module, pd.DataFrame, Metadata]:
    """Train on the training part, choose the epoch (and how maps become objects) on the validation part.

    Parameters
    ----------
    settings
        An experiment with all defaults, as ``biocnn.config.experiment.load(path).settings`` gives it.
    dataset
        Its stored data set.
    seed
        Of the first weights, the order of examples, augmentation and dropout.
    network
        Trained instead of the one that ``settings.model`` names; name its class there all the same, as
        ``package.module:Name``, so that the model file can be loaded.
    log
        Takes one line at a time.
    state
        Folder for what is needed to go on after an interruption; None: nothing is saved on the way. Without ``files``,
        ``biocnn.training.state.clear(state)`` frees the space once the model is saved.
    processes
        Those that train together; all of them call this.
    files
        Model file and table of the history, to be written before another process may train the same run. States are
        removed then, and links to both kept in their place: the next identical training ends at once, with these.

    Returns
    -------
    network, history, meta
        The network with its best weights; one row an epoch; what ``biocnn.training.checkpoint.save_model`` stores
        beside them. Temperature and the unit of targets are in ``meta``, for ``biocnn.load`` to apply: of numbers, the
        network gives how many standard deviations of the training part they are from its mean.

    Raises
    ------
    InputError, Interrupted
        As ``biocnn.training.loop.fit``; and where another process took this one for dead. One that trains the same run
        is waited for.
    """
    facts, task = dataset.facts, dataset.task
    check_strands(settings, facts.alphabet)
    settings, decisions = resolve(settings, facts)
    section = settings.train
    augment = resolve_augment(settings.augment, facts, section.patch)
    settings = settings.model_copy(update={"augment": augment})
    torch.set_num_threads(section.threads)
    device = default_device()
    torch.manual_seed(seed)
    network = network or build_model(settings.model, facts)
    begun = transfer.start(network, section, log)
    network.to(device)
    parts = [dataset.rows(part) for part in ("train", "val")]
    train = batches.make(dataset, parts[0], device, augment, section.patch, section.workers, section.foreground or 0.0)
    val = batches.make(dataset, parts[1], device)
    for name in task.without_metric(dataset.y[row] for row in parts[1]):
        log(f"{name}: the validation part has no two values of it: left out of {task.monitored}")
    loss = task.make_loss(settings.loss, section.class_weights, device)
    unit = target_unit(dataset.y.stacked(parts[0])) if task.standardised else None
    loss = in_unit(loss, unit, device) if unit else loss
    plan = train.plan(seed, 0, section.batch_size, section.steps_per_epoch)
    x, y = train.get(plan[0][:2])
    with memory_errors(section):
        section = section.model_copy(update={"precision": numbers_for(section.precision, network, x)})
        if (asked := settings.train.precision) == "bfloat16" != section.precision:
            log(f"warning: train.precision is {asked}, and this machine has no instructions for it: float32 is used")
        deterministic, memory = try_step(network, loss, x, y, section, processes, log)
    announce(network, section, facts.n, len(plan), memory, device, processes, log)
    mark = fingerprint(settings, dataset, seed, network, processes.number)
    with StateFolder(state, mark, log) if state and processes.rank == 0 else nullcontext() as states:
        if processes.of_first(bool(files and states and states.put_back(files))):
            log(f"this training was finished before, with the same settings, code and data: see {state}")
            return _written(network, *files)
        history = fit(network, train, val, loss, task, section, seed, log, states, processes, begun)
        precision = choose_precision(network, val, loss, task, settings.train.precision, history["precision"])
        log(describe_precision(precision))
        found = predict_batches(network, val, task, precision.predict)
        postprocess = task.tune(found, (dataset.labels[row][0] for row in parts[1]))
        if postprocess:
            log(f"objects are made with {postprocess}")
        measured = {"start": begun.record, "target_unit": unit}  # where there are any
        if temperature := choose_temperature(network, val, task, len(parts[1]), precision.predict):
            measured["temperature"] = temperature
            said = zip(temperature, remarks(temperature), strict=True)
            log("temperature " + ", ".join(f"{value:.3g}" + f" ({why})" * bool(why) for value, why in said))
        if task.positives and dataset.input.scanned:
            measured["recall"] = recall_levels(network, val, temperature, precision.predict)
        meta = Metadata(
            experiment=settings.model_dump(mode="json"),
            facts=facts,
            decisions=decisions,
            seed=seed,
            fold=dataset.fold,
            deterministic=deterministic,
            precision=precision,
            postprocess=postprocess,
            # Without the time it took, so that the same training gives the same file.
            best_epoch=history[history["best"] == 1].drop(columns="seconds").iloc[0].to_dict(),
            versions=versions(),
            **{key: value for key, value in measured.items() if value},
        )
        if files and processes.rank == 0:
            if states:
                states.lock.confirm()
            _write(network, history, meta, *files)
            if states:
                states.close(files if _ended_by_itself(history, section) else ())
    return network, history, meta


def _write(network: nn.Module, history: pd.DataFrame, meta: Metadata, model: Path, table: Path) -> None:
    with atomic(table) as path:
        history.to_csv(path, sep="\t", index=False)
    save_model(model, network, meta)


def _written(network: nn.Module, model: Path, table: Path) -> tuple[nn.Module, pd.DataFrame, Metadata]:
    """What ``train_run`` gives, from its files."""
    network.load_state_dict(load_file(model))
    return network, pd.read_csv(table, sep="\t"), read_metadata(model)


def _ended_by_itself(history: pd.DataFrame, section: Train) -> bool:
    """Whether the settings ended it, not the clock or a request to stop: those say nothing of the next training."""
    since = len(history) - 1 - int(history["best"].argmax())
    return len(history) >= section.epochs or bool(section.patience and since >= section.patience)


def announce(
    network: nn.Module,
    section: Train,
    counts: BySplit[int],
    steps: int,
    memory: int,
    device: torch.device,
    processes: Processes,
    log: Log,
) -> None:
    """Say what is about to be done."""
    weights = sum(p.numel() for p in network.parameters())
    log("examples: " + ", ".join(f"{n:,} {part}" for part, n in counts))
    log(
        f"{weights:,} weights; {device.type}, {section.threads} threads, "
        + (f"{processes.number} processes, " if processes.number > 1 else "")
        + f"precision {section.precision}, about {(memory + resident_bytes(device)) / GIB:.1f} GB of memory"
    )
    log(f"{section.epochs} epochs of {steps:,} steps of {section.batch_size} examples")


def try_step(
    network: nn.Module,
    loss: Loss,
    x: Tensor,
    y: Tensor,
    section: Train,
    processes: Processes,
    log: Log,
) -> tuple[bool, int]:
    """Whether training is deterministic, and the bytes that a step takes, from a step with two examples."""
    start = autocast("float32" if section.precision == "float32" else "bfloat16", x.device)
    share = -(-section.batch_size // processes.number)
    return _deterministic(section.deterministic, partial(memory_bytes, network, loss, x, y, share, start), log)


def _deterministic(wanted: bool, attempt: Callable[[], int], log: Log) -> tuple[bool, int]:
    """Ask torch for deterministic algorithms, unless this network has a step that has none; what the attempt gives."""
    # Without the first, cuBLAS sums in any order; the second would fill memory that is overwritten anyhow.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.utils.deterministic.fill_uninitialized_memory = False
    # As torch.use_deterministic_algorithms, which takes 2 seconds to load a compiler first.
    torch.set_deterministic_debug_mode("error" if wanted else "default")
    try:
        return wanted, attempt()
    except RuntimeError as error:
        if not wanted or "deterministic" not in str(error):
            raise
        log(f"warning: {str(error).split('.')[0]}: another training will give other bits")
    torch.set_deterministic_debug_mode("default")
    return False, attempt()


def choose_precision(
    network: nn.Module,
    val: batches.SequenceBatches | batches.ImageBatches,
    loss: Loss,
    task: Task,
    asked: str,
    epochs: Iterable[str],
) -> Precision:
    """In which numbers it was trained, and may predict: bfloat16 where validation is the same as in float32.

    ``epochs`` are those of the history, each perhaps with several; where bfloat16 was given up for want of
    instructions, ``reason`` says so.
    """
    trained = ", ".join(dict.fromkeys(word for numbers in epochs for word in numbers.split(", ")))
    found = {"train": trained, "predict": "float32"}
    if trained != "bfloat16" and "bfloat16" in (asked, *trained.split(", ")):
        found |= {"asked": asked, "reason": SLOW}
    device = next(network.parameters()).device
    if "bfloat16" not in trained or not fast_bfloat16(device):
        return Precision(**found)
    rows = [validate(network, val, loss, task, autocast(p, device)) for p in ("float32", "bfloat16")]
    compared = compare(*rows, task)
    return Precision(**found | {"predict": "bfloat16" if compared.pop("holds") else "float32", **compared})


@torch.inference_mode()
def choose_temperature(
    network: nn.Module, val: batches.SequenceBatches | batches.ImageBatches, task: Task, number: int, precision: str
) -> list[float]:
    """The temperature of a network, from all ``number`` examples of the validation part."""
    network.eval()
    return task.temperature(((logits_of(network, x, precision), y) for x, y in val.plain()), number)


@torch.inference_mode()
def recall_levels(
    network: nn.Module, val: batches.SequenceBatches, temperatures: list[float], precision: str
) -> list[list[float]]:
    """What 100%, 99%, ..., 0% of the positives of the validation part reach in a scan, which sees them at many places.

    A positive reaches the largest probability of all windows that lie up to its flanks beside it, 5 bp apart.

    Returns
    -------
    levels
        For each output 101 probabilities, ascending; none where it has no positive.
    """
    network.eval()
    length, divisor = val.codes.shape[1] - 2 * val.flank, torch.tensor(temperatures, device=val.codes.device)
    shifts = range(val.flank % SHIFT, 2 * val.flank + 1, SHIFT)
    found = []
    for codes in val.codes.split(batches.BATCH):
        seen = [logits_of(network, one_hot(codes[:, at : at + length]), precision) for at in shifts]
        found.append((torch.stack(seen).amax(0) / divisor).sigmoid().cpu().double().numpy())
    p, y = np.concatenate(found), val.y.cpu().numpy()
    positives = [p[y[:, k] == 1, k] for k in range(y.shape[1])]
    return [np.quantile(one, np.linspace(0, 1, 101)).round(6).tolist() if len(one) else [] for one in positives]


def describe_precision(found: Precision) -> str:
    """One line for the log."""
    said = f"trained in {found.train}"
    if found.reason:
        said = f"warning: {said}, where train.precision is {found.asked}: {found.reason}"
    if not found.metric:
        return said
    values = f"{found.metric} {found.bfloat16:.4f}, in float32 {found.float32:.4f}"
    return f"{said}: {values} (tolerance {found.tolerance:g}); predicts in {found.predict}"
