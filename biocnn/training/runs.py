"""One training run of an experiment, from a stored data set to a network to save and use."""

import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from biocnn.augment.sets import resolve_augment
from biocnn.config.schema import build
from biocnn.config.settings import Settings, Train
from biocnn.config.strands import check_strands
from biocnn.core.errors import InputError
from biocnn.core.files import atomic
from biocnn.core.memory import HELD
from biocnn.core.parallel import ALONE, Processes
from biocnn.core.plurals import plural
from biocnn.data.dataset import Dataset
from biocnn.data.decisions import GIB, resolve
from biocnn.data.frame import frame_of
from biocnn.losses import Loss
from biocnn.models.image_network import ImageNetwork
from biocnn.models.sequence_network import SequenceNetwork
from biocnn.nn.precision import SLOW, autocast, fast_bfloat16, numbers_for
from biocnn.nn.words import WordMixture
from biocnn.tasks import Task, make_task
from biocnn.tasks.facts import BySplit, Decision
from biocnn.tasks.multiclass import OF_VECTORS
from biocnn.tasks.temperature import remarks
from biocnn.training import batches
from biocnn.training.checkpoint import build_model, completed, save_model, versions, with_words
from biocnn.training.fingerprint import fingerprint
from biocnn.training.forward import default_device, give_vectors, logits_of, owns_loss, predict_batches
from biocnn.training.linear_start import start_at_intensities
from biocnn.training.loop import STOPPED, fit
from biocnn.training.metadata import Metadata, Mixed, Precision, read_metadata
from biocnn.training.recall import recall_levels, recalls
from biocnn.training.resource_estimate import memory_bytes, memory_errors, passes, resident_bytes
from biocnn.training.state import StateFolder
from biocnn.training.target_unit import in_unit, set_targets
from biocnn.training.transfer import like_source, transfer_weights
from biocnn.training.validation import compare, validate
from biocnn.training.word_kernels import start_at_words
from biocnn.training.words import describe_words, fit_words, mixes_words, words_bytes, words_seconds

Log = Callable[[str], None]
FEW_STEPS = 100  # networks for maps of images and boxes hardly find anything after fewer


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
    """Train on the training split; choose the epoch and the postprocessing of maps on the validation split.

    Parameters
    ----------
    settings
        Settings of the experiment, including defaults, e.g. ``biocnn.config.experiment.load(path).settings``.
    dataset
        Stored data set of the experiment.
    seed
        Seed of initial weights, order of examples, augmentation and dropout.
    network
        Network to train instead of the one that ``settings.model`` names. ``settings.model`` must still name its class,
        as ``package.module:Name``, so that the model file can be loaded.
    log
        Called with each log line.
    state
        Folder of the states from which an interrupted training resumes; None: no states are saved. Without ``files``,
        call ``biocnn.training.state.clear(state)`` once the model is saved.
    processes
        Processes that train together; all of them call this function.
    files
        Model file and history table, written before another process may train the same run. Links to both then replace
        the states, and the next identical training returns them at once.

    Returns
    -------
    network, history, meta
        The network with its best weights; the history, one row per epoch; the metadata for
        ``biocnn.training.checkpoint.save_model``. ``biocnn.load`` applies temperature and target unit from ``meta``;
        the returned network itself predicts regression targets in standard deviations from the training mean.

    Raises
    ------
    InputError, Interrupted
        As in ``biocnn.training.loop.fit``, and if another process took over the lock of this run. The function waits
        for a process that trains the same run.
    """
    facts = dataset.task.facts_with(settings.loss)
    task = make_task(facts)
    check_strands(settings, facts.alphabet)
    model, copied = like_source(settings.model, settings.train, facts, log)
    settings, decisions = resolve(settings.model_copy(update={"model": model}), facts)
    decisions, section = decisions | copied, settings.train
    frame = frame_of(section, facts)
    patch, whole = section.size or section.patch, frame is not None
    augment = resolve_augment(settings.augment, facts, patch, whole=whole, exact=task.exact)
    settings = settings.model_copy(update={"augment": augment})
    torch.set_num_threads(section.threads)
    device = default_device()
    torch.manual_seed(seed)
    at_words = network is None and not section.start_from and section.first_kernels == "words"
    network = build_model(settings.model, facts) if network is None else completed(network, facts)
    wider = partial(build, "models", settings.model, facts.spatial_dims, facts.in_channels, task.computed + 1)
    transfer = transfer_weights(network, section, log, facts.outputs, wider)
    network.to(device)
    train_rows, val_rows = dataset.rows("train"), dataset.rows("val")
    train = batches.make(
        dataset, train_rows, device, augment, section.patch, section.workers, section.foreground or 0.0, frame,
        section.instances,
    )  # fmt: skip
    val = batches.make(dataset, val_rows, device, patch=section.patch, frame=frame)
    for name in task.without_metric(dataset.y[row] for row in val_rows):
        log(f"{name}: fewer than two distinct values in the validation split: left out of {task.monitored}")
    own = owns_loss(network)
    if own and settings.loss:
        raise InputError(f"loss: {settings.loss.name}, but {settings.model.name} has a loss of its own", "leave it out")
    if not own:
        set_targets(task, dataset, train_rows)
    loss = None if own else task.make_loss(settings.loss, section.class_weights, device)
    if settings.loss and settings.loss.name in OF_VECTORS:
        give_vectors(network, settings.loss.name)
    if loss and task.unit:
        loss = in_unit(loss, task.unit, device)
    plan = train.plan(seed, 0, section.batch_size, section.steps_per_epoch)
    if len(plan) < (section.steps_per_epoch or 0):
        reason = f"given: train.steps_per_epoch: {section.steps_per_epoch}, but an epoch is one pass at most"
        decisions["steps_per_epoch"] = Decision(value=len(plan), reason=reason)
    with memory_errors(section):
        x, y = train.get(plan[0][:2])
        section = section.model_copy(update={"precision": numbers_for(section.precision, network, x)})
        if (asked := settings.train.precision) == "bfloat16" != section.precision:
            log(f"warning: train.precision is {asked}, but this machine has no instructions for it: using float32")
        validated = val.largest / (x[0].numel() / x.shape[-1 - facts.spatial_dims])
        deterministic, memory = try_step(network, loss, x, y, section, processes, log, validated)
    mixes = mixes_words(settings, dataset)
    if mixes and device.type == "cpu":
        memory = max(memory, words_bytes(settings, dataset))
    announce(network, section, facts.n, len(plan), memory, device, processes, log)

    def later(validation: float) -> float:
        last = validation * passes(section, dataset, mixes) + task.tuning_seconds()
        return last + words_seconds(settings, dataset) if mixes else last

    mark = fingerprint(settings, dataset, seed, network, processes.number)
    with StateFolder(state, mark, log) if state and processes.rank == 0 else nullcontext() as states:
        if processes.of_first(bool(files and states and states.put_back(files))):
            log(f"already trained with the same settings, code and data: see {state}")
            return _read_files(network, *files)
        if isinstance(network, ImageNetwork) and network.intensities and not transfer.copied_last(network):
            log(line := start_at_intensities(network, train, val, task))
            decisions["intensities"] = Decision(value=True, reason=line)
        if at_words and isinstance(network, SequenceNetwork):
            found = start_at_words(network, dataset.windows(train_rows), dataset.y.stacked(train_rows), seed)
            log(f"{len(found)} of the first kernels start at words, the most predictive first: {', '.join(found[:8])}")
        history = fit(network, train, val, loss, task, section, seed, log, states, processes, transfer, later)
        stopped = over if (over := history.attrs["over"]).startswith(STOPPED) else ""
        precision = choose_precision(network, val, loss, task, settings.train.precision, history["precision"])
        log(describe_precision(precision))
        measured = {"start": transfer.record, "target_unit": task.unit, "share": dataset.share, "stopped": stopped}
        if mixes:
            network, measured["words"] = mix_words(network, settings, dataset, val, task.unit, precision.predict, log)
        predictions = predict_batches(network, val, task, precision.predict)
        postprocess = task.tune(predictions, map(dataset.truth, val_rows))
        if postprocess:
            log(f"postprocessing: {postprocess}")
        for remark in task.remarks(postprocess):
            log(f"warning: {remark}")
        calibration = calibrated(network, val, task, len(val_rows), precision.predict)
        measured |= calibration
        if temperature := calibration["temperature"]:
            named = zip(
                task.logit_names, temperature, remarks(temperature), strict=False
            )  # one for all: that of the first
            shown = (f"{t:.3g}" + f" ({why})" * bool(why) for name, t, why in named if name in task.tempered)
            log("temperature " + ", ".join(shown))
        if shift := calibration.get("shift"):
            log("shift of logits " + ", ".join(f"{value:.3g}" for value in shift))
        if recalls(dataset):
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
            # Without the time, so that identical trainings give identical files.
            best_epoch=history[history["best"] == 1].drop(columns="seconds").iloc[0].to_dict(),
            versions=versions(),
            **{key: value for key, value in measured.items() if value},
        )
        if files and processes.rank == 0:
            if states:
                states.lock.confirm()
            _write_files(network, history, meta, *files)
            if states:
                states.close(() if stopped else files)
    return network, history, meta


def _write_files(network: nn.Module, history: pd.DataFrame, meta: Metadata, model: Path, table: Path) -> None:
    with atomic(table) as path:
        history.to_csv(path, sep="\t", index=False)
    save_model(model, network, meta)


def _read_files(network: nn.Module, model: Path, table: Path) -> tuple[nn.Module, pd.DataFrame, Metadata]:
    """Return the results of ``train_run`` from its files."""
    meta = read_metadata(model)
    network = with_words(network, meta).to(next(network.parameters()).device)
    network.load_state_dict(load_file(model))
    return network, pd.read_csv(table, sep="\t"), meta


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
    """Log what is about to be trained."""
    weights = sum(p.numel() for p in network.parameters())
    held = memory * (HELD if device.type == "cpu" else 1) + resident_bytes(device)
    log("examples: " + ", ".join(f"{n:,} {split}" for split, n in counts))
    log(
        f"{weights:,} weights; {device.type}, {plural(section.threads, 'thread')}, "
        + (f"{processes.number} processes, " if processes.number > 1 else "")
        + f"precision {section.precision}, about {held / GIB:.1f} GB of memory"
    )
    shape = f"{plural(section.epochs, 'epoch')} of {plural(steps, 'step')} of {plural(section.batch_size, 'example')}"
    asked = section.steps_per_epoch or 0
    log(shape + f": one pass over the examples, although train.steps_per_epoch is {asked:,}" * (steps < asked))
    if section.patch and steps * section.epochs < FEW_STEPS:
        few = plural(steps * section.epochs, "step")
        log(f"warning: {few} in all are few: leave out train.epochs and train.steps_per_epoch, or raise them")


def try_step(
    network: nn.Module,
    loss: Loss | None,
    x: Tensor,
    y: Tensor,
    section: Train,
    processes: Processes,
    log: Log,
    validated: float,
) -> tuple[bool, int]:
    """Try a step with two examples; return whether training is deterministic, and its estimated memory in bytes."""
    context = autocast("float32" if section.precision == "float32" else "bfloat16", x.device)
    share = -(-section.batch_size // processes.number)
    return _deterministic(
        section.deterministic, partial(memory_bytes, network, loss, x, y, share, context, validated), log
    )


def _deterministic(wanted: bool, attempt: Callable[[], int], log: Log) -> tuple[bool, int]:
    """Make torch deterministic if the network permits; return whether it is, and the result of the attempt."""
    # cuBLAS needs the first to sum in a fixed order. The second avoids filling memory that is overwritten anyway.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.utils.deterministic.fill_uninitialized_memory = False
    # Equivalent to torch.use_deterministic_algorithms, which loads a compiler first (2 seconds).
    torch.set_deterministic_debug_mode("error" if wanted else "default")
    try:
        return wanted, attempt()
    except RuntimeError as error:
        if not wanted or "deterministic" not in str(error):
            raise
        log(f"warning: {str(error).split('.')[0]}: repeated trainings will differ slightly")
    torch.set_deterministic_debug_mode("default")
    return False, attempt()


def choose_precision(
    network: nn.Module,
    val: batches.SequenceBatches | batches.ImageBatches,
    loss: Loss | None,
    task: Task,
    asked: str,
    epochs: Iterable[str],
) -> Precision:
    """Return the precision of the training, and of predictions: bfloat16 if it validates as well as float32.

    ``epochs`` are the precisions of the epochs, each one or several. If bfloat16 was given up because the machine has
    no instructions for it, ``reason`` states this.
    """
    trained = ", ".join(dict.fromkeys(name for precision in epochs for name in precision.split(", ")))
    fields = {"train": trained, "predict": "float32"}
    if trained != "bfloat16" and "bfloat16" in (asked, *trained.split(", ")):
        fields |= {"asked": asked, "reason": SLOW}
    device = next(network.parameters()).device
    if "bfloat16" not in trained or not fast_bfloat16(device):
        return Precision(**fields)
    rows = [validate(network, val, loss, task, autocast(p, device)) for p in ("float32", "bfloat16")]
    compared = compare(*rows, task)
    return Precision(**fields | {"predict": "bfloat16" if compared.pop("holds") else "float32", **compared})


@torch.inference_mode()
def mix_words(
    network: nn.Module,
    settings: Settings,
    dataset: Dataset,
    val: batches.SequenceBatches,
    unit: dict[str, list[float]] | None,
    precision: str,
    log: Log,
) -> tuple[nn.Module, Mixed | None]:
    """Return the mixture of a network and words, with its record, if it validates better; else the network."""
    network.eval()
    z = torch.cat([logits_of(network, x, precision) for x, _ in val.plain()])
    words, mixed = fit_words(settings, dataset, z, unit)
    log(describe_words(mixed, dataset.task.outputs))
    if min(mixed.share) == 1:
        return network, None
    return WordMixture(network, words, torch.tensor(mixed.share)).to(z.device).eval(), mixed


@torch.inference_mode()
def calibrated(
    network: nn.Module, val: batches.SequenceBatches | batches.ImageBatches, task: Task, number: int, precision: str
) -> dict[str, list[float]]:
    """Fit how the logits of a network are calibrated, on all ``number`` examples of the validation split."""
    network.eval()
    return task.calibration(((logits_of(network, x, precision), y) for x, y in val.plain()), number)


def describe_precision(precision: Precision) -> str:
    """Describe a precision in one log line."""
    line = f"trained in {precision.train}"
    if precision.reason:
        line = f"warning: {line}, although train.precision is {precision.asked}: {precision.reason}"
    if not precision.metric:
        return line
    values = f"{precision.metric} {precision.bfloat16:.4f}, in float32 {precision.float32:.4f}"
    return f"{line}: {values} (tolerance {precision.tolerance:g}); predicts in {precision.predict}"
