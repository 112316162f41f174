"""Training loop for every dimension, task and network; an interrupted run resumes to bit-identical results.

All randomness is a function of seed, epoch and example, or of seed and step. A later process therefore needs only the
weights, the optimizer's moments and a few counters.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from biocnn.config.settings import Train
from biocnn.core.errors import Diverged, InputError, Interrupted
from biocnn.core.interrupt import stop_requests
from biocnn.core.parallel import ALONE, Processes
from biocnn.losses import Loss
from biocnn.nn.precision import autocast, in_float32
from biocnn.tasks import Task
from biocnn.training.averaging import move_average
from biocnn.training.batches import ImageBatches, SequenceBatches, seed_dropout
from biocnn.training.forward import OwnLoss
from biocnn.training.optimizer import clip_gradients, lr_factor, make_optimizer
from biocnn.training.resource_estimate import Pace, memory_errors
from biocnn.training.state import Progress, StateFolder, copy_weights, pack, unpack
from biocnn.training.transfer import NO_TRANSFER, TransferState
from biocnn.training.validation import compare, describe, validate, validation_score

STOPPED = "stopped by"  # a time limit or hand, which may not recur; not by patience
CHECK_EVERY = 50  # steps between checks of the loss on a GPU; each check waits for the GPU


def fit(
    model: nn.Module,
    train: SequenceBatches | ImageBatches,
    val: SequenceBatches | ImageBatches,
    loss: Loss | None,
    task: Task,
    settings: Train,
    seed: int,
    log: Callable[[str], None],
    states: StateFolder | None = None,
    processes: Processes = ALONE,
    transfer: TransferState = NO_TRANSFER,
    later: Callable[[float], float] = lambda validation: 0.0,
) -> pd.DataFrame:
    """Train ``model`` in place; it ends with the weights of its best epoch.

    Parameters
    ----------
    model
        Network on the device of the batches.
    train, val
        Batches for training, and for choosing the best epoch.
    loss
        ``loss(logits, target) -> scalar``; None: the network's own method ``loss(x, y)``.
    task
        Task; determines the validation metric.
    settings
        Section train. Precision ``auto`` starts in bfloat16, and restarts in float32 if the validation metrics of the
        first epoch's weights differ. Precision ``float32`` also resumes from states in bfloat16.
    seed
        Determines order, augmentation and dropout.
    log
        Called with each log line.
    states
        Open folder of states to save to and resume from, in the first process; None: an interrupted run is lost.
    processes
        Processes that share each batch.
    transfer
        Determines how the body is trained.
    later
        Seconds of what follows the training, as a function of those of a validation; for the forecast in the log.

    Returns
    -------
    history
        One row per epoch: epoch, step, lr, train_loss, val_loss, the validation metric, precision (both if it changed
        within the epoch), seconds, best. Its attribute ``over`` states why the training ended; it starts with
        ``STOPPED`` if neither epochs nor patience ended it.

    Raises
    ------
    InputError
        If the model's output does not suit the targets; if loss or gradient becomes NaN or infinite (names the step,
        the learning rate and the remedy); if memory runs out (names the batch size to try).
    Interrupted
        On SIGTERM or SIGINT, once the current step is done and saved.
    """
    training = Training(model, train, val, loss, task, settings, seed, log, states, processes, transfer, later)
    with stop_requests() as training.asked, memory_errors(settings):
        return training.run()


@dataclass
class Training:
    """A training in progress; ``fit`` makes and runs it."""

    model: nn.Module
    train: SequenceBatches | ImageBatches
    val: SequenceBatches | ImageBatches
    loss: Loss | None
    task: Task
    settings: Train
    seed: int
    log: Callable[[str], None]
    states: StateFolder | None
    processes: Processes
    transfer: TransferState
    later: Callable[[float], float]
    asked: Callable[[], str] = str

    def __post_init__(self) -> None:
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        self._wrap()
        self._begin("bfloat16" if self.settings.precision == "auto" else self.settings.precision)
        self.first = self.best
        self.steps = len(self._plan())
        self.total = self.steps * self.settings.epochs
        self.unchecked: list[Tensor] = []  # losses and gradient norms of the steps since the last check
        self.check_every = 1 if self.device.type == "cpu" else CHECK_EVERY
        self.clock = self.saved = self.polled = time.monotonic()
        self.pace = Pace(self.steps, len(self.val), self.settings, self.device, self.later)

    def run(self) -> pd.DataFrame:
        """Train to the end, from the last state if there is one."""
        self._resume()
        while not self.progress.over or self.progress.done:  # done: interrupted in the last validation
            if not self.progress.over:
                self._train_epoch()
            self._end_epoch()
        self.transfer.freeze(self.model, self.transfer.epochs)
        self.model.load_state_dict(self.best)
        frame = pd.DataFrame(self.progress.history)
        frame = frame.assign(best=(frame["epoch"] == self.progress.best_epoch).astype(int))
        frame.attrs["over"] = self.progress.over
        return frame

    def _train_epoch(self) -> None:
        p, shares = self.progress, [self.processes.share(index) for index in self._plan()]
        self.model.train()
        if self.transfer.freeze(self.model, p.epoch):
            self._wrap()
        # disable=None shows the bar on terminals only; the log of a job gets one line per epoch.
        bar = {"desc": f"epoch {p.epoch + 1}", "total": self.steps, "initial": p.done, "leave": False}
        for x, y in tqdm(self.train.load(shares[p.done :]), **bar, disable=None):
            self._step(x, y)
            p.done += 1
            for line in self.pace.note(self._tick(), self.step):
                self.log(line)
            if self._poll():
                break
        self._check_finite()

    def _wrap(self) -> None:
        self.network = self.processes.wrap(self.model if self.loss else OwnLoss(self.model))

    def _step(self, x: Tensor, y: Tensor) -> None:
        p, step = self.progress, self.step
        seed_dropout(self.seed, step, self.processes.rank, self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * self._lr_factor(step)
        with autocast(p.precision, self.device)():
            output = self.network(x) if self.loss else self.network(x, y)
        if self.loss:
            value = self.loss(*self.processes.gather(in_float32(output), y))
            whole = value * self.processes.number  # processes average gradients; we need the sum
        else:
            value, whole = self.processes.mean(output), output
        for parameter in self.parameters:
            parameter.grad = None
        whole.backward()
        self.unchecked.append(torch.stack([value.detach(), clip_gradients(self.parameters)]))
        if len(self.unchecked) >= self.check_every:
            self._check_finite()
        self.optimizer.step()
        if self.average is not self.model:
            move_average(self.average, self.model, step)

    def _check_finite(self) -> None:
        """Check the losses of the last steps; on a CPU before the weights are updated."""
        pairs = torch.stack(self.unchecked).tolist() if self.unchecked else []
        self.unchecked = []
        for value, norm in pairs:
            if not (math.isfinite(value) and math.isfinite(norm)):
                raise self._diverged(value)
            self.progress.loss_sum += value

    def _diverged(self, value: float) -> Diverged:
        kept = f"; the last good state is kept in {self.states.folder}" if self.states else ""
        what = "gradient is not finite" if math.isfinite(value) else f"loss is {value}"
        every = self.check_every
        where = f"step {self.step}" if every == 1 else f"one of the {every} steps up to step {self.step}"
        return Diverged(
            f"training diverged: the {what} at {where} (lr {self._lr(self.step):.2e}){kept}",
            f"lower train.lr (now {self.settings.lr:g}) about tenfold, or set train.precision: float32",
        )

    def _poll(self) -> bool:
        """Save if it is time and handle stop requests, between steps; return whether the epoch ends here."""
        asked, save, stop = bool(self.asked()), False, False
        interval = 60 * self.settings.save_minutes
        if self.clock - self.polled >= min(1.0, interval):
            self.polled = self.clock
            save = self.clock - self.saved >= interval
            stop = bool(self._reason_to_end())
        asked, save, stop = self.processes.agree(asked, save, stop)
        if asked:
            self._leave()
        if save:
            self._save()
        if stop:
            self.progress.over = self._reason_to_end() or f"{STOPPED} another process"
        return stop

    def _reason_to_end(self) -> str:
        p, minutes, epochs = self.progress, self.settings.max_minutes, self.settings.epochs
        by_hand = self.states and self.states.stop_file.exists()
        if self.step == self.total or not (by_hand or (minutes and p.seconds >= 60 * minutes)):
            return ""
        why = "hand" if by_hand else f"train.max_minutes ({minutes:g})"
        return f"{STOPPED} {why} in epoch {p.epoch + (p.done > 0)} of {epochs}"

    def _leave(self) -> None:
        self._save()
        where = f"saved in {self.states.folder}; run again to resume" if self.states else "nothing was saved"
        raise Interrupted(f"{self.asked() or 'stop requested'} at step {self.step}: {where}")

    def _leave_if_asked(self) -> None:
        """Stop between batches of a validation, which restarts when the training resumes."""
        if self.processes.number == 1 and self.asked():
            self._leave()

    def _end_epoch(self) -> None:
        p = self.progress
        row = self._validate(p.precision)
        self.pace.validation_seconds = self._tick()
        if p.epoch == 0 and self.settings.precision == "auto" and self._differs_in_float32(row):
            self.model.load_state_dict(self.first)
            self._begin("float32", p.seconds)
            return
        now = {"epoch": p.epoch + 1, "step": self.step, "lr": self._lr(self.step - 1)}
        precision = ", ".join(dict.fromkeys((p.started_in or p.precision, p.precision)))
        row = {**now, "train_loss": p.loss_sum / p.done, **row, "precision": precision, "seconds": p.epoch_seconds}
        better = not p.history or validation_score(row, self.task) > validation_score(
            p.history[p.best_epoch - 1], self.task
        )
        if better:
            p.best_epoch, self.best = p.epoch + 1, copy_weights(self.average)
        p.history.append(row)
        p.epoch, p.done, p.loss_sum, p.epoch_seconds, p.started_in = p.epoch + 1, 0, 0.0, 0.0, ""
        self.log(describe(row, self.settings.epochs, better))
        p.over = p.over or self.processes.of_first(self._reason_to_end())
        patience = self.settings.patience
        if patience and p.epoch - p.best_epoch >= patience:
            p.over = p.over or f"stopped: no better epoch in {patience}"
        if p.over:
            self.log(p.over)
        elif p.epoch == self.settings.epochs:
            p.over = "all epochs are done"
        self._save()

    def _validate(self, precision: str) -> dict[str, float]:
        """Validate in the first process, while the others wait."""
        row = None
        if self.processes.rank == 0:
            context = autocast(precision, self.device)
            row = validate(self.average, self.val, self.loss, self.task, context, self._leave_if_asked)
        return self.processes.of_first(row)

    def _differs_in_float32(self, row: dict[str, float]) -> bool:
        compared = compare(self._validate("float32"), row, self.task)
        if compared["holds"] or self.progress.precision == "float32":
            return False
        values = f"{compared['bfloat16']:.4f} in bfloat16, {compared['float32']:.4f} in float32"
        self.log(f"{compared['metric']} is {values}: restarting in float32")
        return True

    def _begin(self, precision: str, seconds: float = 0.0) -> None:
        """Initialize everything that training changes, except the model's weights."""
        self.progress = Progress(precision, seconds=seconds)
        body = self.transfer.weights(self.model) if self.settings.body_lr else []
        self.optimizer = make_optimizer(self.parameters, self.settings, body)
        self.best = copy_weights(self.model)
        # The network that is validated and kept.
        self.average = copy.deepcopy(self.model) if self.task.smoothed else self.model

    def _resume(self) -> None:
        found = self.processes.of_first(self.states.load() if self.states else None)
        if not found:
            return
        tensors, progress = found
        try:
            self.progress = Progress(**progress)
            self.best = unpack(tensors, self.model, self.average, self.optimizer)
        except (RuntimeError, TypeError, ValueError, LookupError) as error:
            where = self.states.folder if self.states else "its folder"
            raise InputError(f"{where}: a state of another training ({error})", "delete the folder") from error
        self.log(f"resuming from step {self.step} of {self.total}, saved by an earlier process")
        p = self.progress
        if p.precision == "bfloat16" and self.settings.precision == "float32" and (p.done or not p.over):
            p.precision, p.started_in = "float32", "bfloat16" if p.done else ""
            self.log("warning: continuing in float32: the run started in bfloat16, which is slow on this machine")

    def _save(self) -> None:
        self._check_finite()
        self.saved = self.clock
        if self.states:
            self.states.save(pack(self.model, self.average, self.best, self.optimizer), asdict(self.progress))

    def _tick(self) -> float:
        """Add up the time since the last call, and return it."""
        self.pace.wait()
        now = time.monotonic()
        spent, self.clock = now - self.clock, now
        self.progress.seconds += spent
        self.progress.epoch_seconds += spent
        return spent

    def _plan(self) -> list[Tensor]:
        settings = self.settings
        return self.train.plan(self.seed, self.progress.epoch, settings.batch_size, settings.steps_per_epoch)

    @property
    def step(self) -> int:
        """Completed steps over all epochs."""
        return self.progress.epoch * self.steps + self.progress.done

    def _lr(self, step: int) -> float:
        return self.settings.lr * self._lr_factor(step)

    def _lr_factor(self, step: int) -> float:
        return lr_factor(self.settings.schedule, step, self.total)
