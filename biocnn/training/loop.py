"""The training loop, for every dimension, task and network; stopped at any moment, it goes on to the same bits.

What is random is a function of the seed, the epoch and the example, or of the seed and the step. So weights, moments of
the optimiser and a few counters are all that a later process needs.
"""

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
from biocnn.training.batches import ImageBatches, SequenceBatches, seed_dropout
from biocnn.training.optimizer import clip_gradients, lr_factor, make_optimizer
from biocnn.training.resource_estimate import Pace, memory_errors
from biocnn.training.state import Progress, StateFolder, copy_weights, pack, unpack
from biocnn.training.transfer import NOWHERE, Start
from biocnn.training.validation import compare, describe, validation_score, validate

LOOK_EVERY = 50  # steps between looks at the loss on a GPU, each of which waits for the GPU


def fit(
    model: nn.Module,
    train: SequenceBatches | ImageBatches,
    val: SequenceBatches | ImageBatches,
    loss: Loss,
    task: Task,
    settings: Train,
    seed: int,
    log: Callable[[str], None],
    states: StateFolder | None = None,
    processes: Processes = ALONE,
    begun: Start = NOWHERE,
) -> pd.DataFrame:
    """Train ``model`` in place and leave it with the weights of its best epoch.

    Parameters
    ----------
    model
        Its device is where the batches are.
    train, val
        Examples to learn from, and to choose the best epoch by.
    loss
        ``loss(logits, target) -> scalar``.
    task
        Kind of target: decides the validation metric.
    settings
        The experiment's section train; precision ``auto`` starts as bfloat16, and is given up for float32 where the
        validation metrics of the first epoch's weights differ. In ``float32``, what was begun in bfloat16 goes on, too.
    seed
        Order, augmentation and dropout follow from it.
    log
        Takes one line an epoch.
    states
        An open folder to save states in and to go on from, in the first process; None: what is stopped is lost.
    processes
        Those that share each batch.
    begun
        Which layers are held still at first.

    Returns
    -------
    history
        One row an epoch: epoch, step, lr, train_loss, val_loss, the validation metric, precision (both where it changed
        within an epoch), seconds, best.

    Raises
    ------
    InputError
        Where the model's output does not suit the targets; where the loss or its gradient becomes NaN or infinite:
        names the step, the learning rate and the remedy; where memory is short: names the batch size to try.
    Interrupted
        On SIGTERM or SIGINT, once the step under way is done and saved.
    """
    training = Training(model, train, val, loss, task, settings, seed, log, states, processes, begun)
    with stop_requests() as training.asked, memory_errors(settings):
        return training.run()


@dataclass
class Training:
    """One training under way, as ``fit`` makes and runs it."""

    model: nn.Module
    train: SequenceBatches | ImageBatches
    val: SequenceBatches | ImageBatches
    loss: Loss
    task: Task
    settings: Train
    seed: int
    log: Callable[[str], None]
    states: StateFolder | None
    processes: Processes
    begun: Start
    asked: Callable[[], str] = str

    def __post_init__(self) -> None:
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        self.network = self.processes.wrap(self.model)
        self._begin("bfloat16" if self.settings.precision == "auto" else self.settings.precision)
        self.first = self.best
        self.steps = len(self._plan())
        self.total = self.steps * self.settings.epochs
        self.unseen: list[Tensor] = []  # losses and norms of gradients that were not looked at yet
        self.look_every = 1 if self.device.type == "cpu" else LOOK_EVERY
        self.clock = self.saved = self.listened = time.monotonic()
        self.pace = Pace(self.total, self.settings, self.device)

    def run(self) -> pd.DataFrame:
        """Go on from the last state, or from the start, to the end."""
        self._resume()
        while not self.progress.over or self.progress.done:  # done: interrupted in the validation of its last steps
            if not self.progress.over:
                self._train_epoch()
            self._end_epoch()
        self.begun.hold(self.model, self.begun.epochs)
        self.model.load_state_dict(self.best)
        frame = pd.DataFrame(self.progress.history)
        return frame.assign(best=(frame["epoch"] == self.progress.best_epoch).astype(int))

    def _train_epoch(self) -> None:
        p, shares = self.progress, [self.processes.share(index) for index in self._plan()]
        self.model.train()
        if self.begun.hold(self.model, p.epoch):
            self.network = self.processes.wrap(self.model)
        # A bar on terminals only (disable=None): the log of a job gets a line an epoch.
        bar = {"desc": f"epoch {p.epoch + 1}", "total": self.steps, "initial": p.done, "leave": False}
        for x, y in tqdm(self.train.load(shares[p.done :]), **bar, disable=None):
            self._step(x, y)
            p.done += 1
            self._tick()
            if self._listen():
                break
        self._look()

    def _step(self, x: Tensor, y: Tensor) -> None:
        p, step = self.progress, self.step
        seed_dropout(self.seed, step, self.processes.rank, self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr(step)
        with autocast(p.precision, self.device)():
            logits = self.network(x)
        logits, y = self.processes.gather(in_float32(logits), y)
        value = self.loss(logits, y)
        for parameter in self.parameters:
            parameter.grad = None
        (value * self.processes.number).backward()  # gradients are averaged over processes, and should be summed
        self.unseen.append(torch.stack([value.detach(), clip_gradients(self.parameters)]))
        if len(self.unseen) >= self.look_every:
            self._look()
        self.optimizer.step()

    def _look(self) -> None:
        """Read the losses of the last steps; on a CPU before weights are spoiled."""
        found = torch.stack(self.unseen).tolist() if self.unseen else []
        self.unseen = []
        for value, norm in found:
            if not (math.isfinite(value) and math.isfinite(norm)):
                raise self._diverged(value)
            self.progress.loss_sum += value

    def _diverged(self, value: float) -> Diverged:
        kept = f"; the last good state is kept in {self.states.folder}" if self.states else ""
        what = "gradient is not finite" if math.isfinite(value) else f"loss is {value}"
        near = f"step {self.step}" if self.look_every == 1 else f"one of {self.look_every} steps to step {self.step}"
        return Diverged(
            f"training diverged: the {what} at {near} (lr {self._lr(self.step):.2e}){kept}",
            f"lower train.lr (now {self.settings.lr:g}) about tenfold, or set train.precision: float32",
        )

    def _listen(self) -> bool:
        """Between steps: save from time to time, obey requests to stop; whether the epoch ends here."""
        asked, late, stop = bool(self.asked()), False, False
        pause = 60 * self.settings.save_minutes
        if self.clock - self.listened >= min(1.0, pause):
            self.listened = self.clock
            late = self.clock - self.saved >= pause
            stop = bool(self._reason_to_end())
        asked, late, stop = self.processes.agree(asked, late, stop)
        if asked:
            self._leave()
        if late:
            self._save()
        if stop:
            self.progress.over = self._reason_to_end() or "stopped"
        return stop

    def _reason_to_end(self) -> str:
        minutes = self.settings.max_minutes
        if self.states and self.states.stop_file.exists():
            return f"{self.states.stop_file} is there: stopped"
        late = minutes and self.progress.seconds >= 60 * minutes
        return f"train.max_minutes ({minutes:g}) are over: stopped" if late else ""

    def _leave(self) -> None:
        self._save()
        where = f"saved in {self.states.folder}; run again to go on" if self.states else "nothing was saved"
        raise Interrupted(f"{self.asked() or 'asked to stop'} at step {self.step}: {where}")

    def _leave_if_asked(self) -> None:
        """Between batches of the validation, which begins anew when the training goes on."""
        if self.processes.number == 1 and self.asked():
            self._leave()

    def _end_epoch(self) -> None:
        p = self.progress
        row = self._validate(p.precision)
        self._tick()
        if p.epoch == 0 and self.settings.precision == "auto" and self._differs_in_float32(row):
            self.model.load_state_dict(self.first)
            self._begin("float32", p.seconds)
            return
        begun = {"epoch": p.epoch + 1, "step": self.step, "lr": self._lr(self.step - 1)}
        numbers = ", ".join(dict.fromkeys((p.begun_in or p.precision, p.precision)))
        row = {**begun, "train_loss": p.loss_sum / p.done, **row, "precision": numbers, "seconds": p.epoch_seconds}
        better = not p.history or validation_score(row, self.task) > validation_score(
            p.history[p.best_epoch - 1], self.task
        )
        if better:
            p.best_epoch, self.best = p.epoch + 1, copy_weights(self.model)
        p.history.append(row)
        p.epoch, p.done, p.loss_sum, p.epoch_seconds, p.begun_in = p.epoch + 1, 0, 0.0, 0.0, ""
        self.log(describe(row, self.settings.epochs, better))
        p.over = p.over or self.processes.of_first(self._reason_to_end())
        patience = self.settings.patience
        if patience and p.epoch - p.best_epoch >= patience:
            p.over = p.over or f"no better epoch in {patience}: stopped"
        if p.over:
            self.log(p.over)
        elif p.epoch == self.settings.epochs:
            p.over = "all epochs are done"
        self._save()

    def _validate(self, precision: str) -> dict[str, float]:
        """By the first process, while the others wait."""
        row = None
        if self.processes.rank == 0:
            context = autocast(precision, self.device)
            row = validate(self.model, self.val, self.loss, self.task, context, self._leave_if_asked)
        return self.processes.of_first(row)

    def _differs_in_float32(self, row: dict[str, float]) -> bool:
        found = compare(self._validate("float32"), row, self.task)
        if found["holds"] or self.progress.precision == "float32":
            return False
        values = f"{found['bfloat16']:.4f} in bfloat16, {found['float32']:.4f} in float32"
        self.log(f"{found['metric']} is {values}: training anew in float32")
        return True

    def _begin(self, precision: str, seconds: float = 0.0) -> None:
        """Set everything that training changes, but for the model's weights, to its start."""
        self.progress = Progress(precision, seconds=seconds)
        self.optimizer = make_optimizer(self.parameters, self.settings.weight_decay)
        self.best = copy_weights(self.model)

    def _resume(self) -> None:
        found = self.processes.of_first(self.states.load() if self.states else None)
        if not found:
            return
        tensors, progress = found
        try:
            self.progress = Progress(**progress)
            self.best = unpack(tensors, self.model, self.optimizer)
        except (RuntimeError, TypeError, ValueError, LookupError) as error:
            where = self.states.folder if self.states else "its folder"
            raise InputError(f"{where}: a state that is not of this training ({error})", "delete the folder") from error
        self.log(f"going on from step {self.step} of {self.total}, saved by an earlier process")
        p = self.progress
        if p.precision == "bfloat16" and self.settings.precision == "float32" and (p.done or not p.over):
            p.precision, p.begun_in = "float32", "bfloat16" if p.done else ""
            self.log("warning: in float32 from here on: it was begun in bfloat16, which is slow on this machine")

    def _save(self) -> None:
        self._look()
        self.saved = self.clock
        if self.states:
            self.states.save(pack(self.model, self.best, self.optimizer), asdict(self.progress))

    def _tick(self) -> None:
        """Count the time since the last call."""
        now = time.monotonic()
        spent, self.clock = now - self.clock, now
        self.progress.seconds += spent
        self.progress.epoch_seconds += spent
        for line in self.pace.tell(spent, self.total - self.step):
            self.log(line)

    def _plan(self) -> list[Tensor]:
        settings = self.settings
        return self.train.plan(self.seed, self.progress.epoch, settings.batch_size, settings.steps_per_epoch)

    @property
    def step(self) -> int:
        """Steps that are done, over all epochs."""
        return self.progress.epoch * self.steps + self.progress.done

    def _lr(self, step: int) -> float:
        return self.settings.lr * lr_factor(self.settings.schedule, step, self.total)
