"""How long an experiment takes on this machine: two short epochs of its networks on some of its data are timed."""

import logging
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGTERM
from typing import Any

import numpy as np

from biocnn.config.search_space import drawn, with_values
from biocnn.config.settings import Settings, Split, Train
from biocnn.core.checks import Checks
from biocnn.core.errors import Interrupted
from biocnn.core.interrupt import stop_requests
from biocnn.core.plurals import plural
from biocnn.data.dataset import Dataset
from biocnn.data.decisions import resolve
from biocnn.data.raw import Raw
from biocnn.data.storing import divide, write
from biocnn.nn.precision import fast_bfloat16
from biocnn.tasks import make_task
from biocnn.tasks.facts import Facts
from biocnn.training.calibrate import trial_plan
from biocnn.training.forward import default_device
from biocnn.training.resource_estimate import FORWARD, passes
from biocnn.training.runs import train_run
from biocnn.training.words import mixes_words, words_seconds

log = logging.getLogger("biocnn")
VALUES = 2**24  # most numbers of the arrays of the sample
FEWEST, MOST = 15, {False: 2000, True: 60}  # its examples, of maps of images and of others
STEPS = {False: 10, True: 4}  # timed, of vectors and of maps
JOB, JOBS, OF_RUN = 5.0, 12, 2  # seconds of a step besides computing; steps of an experiment, and of each run
MARGIN = 1.35  # factor by which the truth may differ either way


@dataclass(frozen=True)
class _Sample:
    """Some examples of an experiment, stored, with the facts of all: n, and what grows with it."""

    dataset: Dataset
    facts: Facts

    def rate(self, settings: Settings) -> float:
        """Return the seconds of a unit of ``work``, by the second epoch of a short training.

        On a CPU, these are the processor time of the thread that trains, which nearly is the time if nothing else ran.
        """
        plan = resolve(settings, self.facts)[0].train
        batch, maps = plan.batch_size or 1, make_task(self.facts).target.spatial
        train, val = (len(self.dataset.rows(name)) for name in ("train", "val"))
        steps = STEPS[maps] if self.patches else max(1, min(STEPS[maps], train // batch))
        short = {"epochs": 2, "steps_per_epoch": steps, "batch_size": batch, "words": "none", "first_kernels": "random"}
        if plan.precision == "auto":  # the choice after an epoch needs more steps
            short["precision"] = "float32" if self.dataset.input.scanned else "bfloat16"
        short_plan = with_values(settings, {f"train.{key}": value for key, value in short.items()})
        clock = time.thread_time if default_device().type == "cpu" else time.perf_counter
        ends: list[float] = []  # of epochs

        def note(line: str) -> None:
            if line.startswith("epoch "):
                ends.append(clock())

        train_run(short_plan, self.dataset, 1, log=note)
        seen = steps * (batch if self.patches else min(batch, train))
        return (ends[1] - ends[0]) / self._units(plan, seen, val)

    def work(self, settings: Settings) -> float:
        """Return the units of a whole training: a unit is the pixel of a patch, or an example, of a step."""
        plan = resolve(settings, self.facts)[0].train
        batch, facts = plan.batch_size or 1, self.facts
        assert facts.n
        once = (
            facts.pixels / math.prod(plan.patch or [1]) if self.patches else facts.n.train * min(1, 2 * facts.occupied)
        )
        number = plan.steps_per_epoch or math.ceil(once / batch)
        if plan.precision == "auto" and (self.dataset.input.scanned or not fast_bfloat16(default_device())):
            plan = plan.model_copy(update={"precision": "float32"})
        epochs, later = plan.epochs or 1, passes(plan, self.dataset, mixes_words(settings, self.dataset))
        return epochs * self._units(plan, number * batch, facts.n.val) + later * self._units(plan, 0, facts.n.val)

    def words(self, settings: Settings) -> float:
        """Return the seconds in which words are fitted."""
        assert self.facts.n
        share = len(self.dataset.rows("train")) / self.facts.n.train
        return words_seconds(settings, self.dataset, share) if mixes_words(settings, self.dataset) else 0.0

    @property
    def patches(self) -> bool:
        """Whether a step takes patches of images."""
        return make_task(self.facts).target.spatial and self.facts.sizes is not None

    def _units(self, plan: Train, trained: float, validated: float) -> float:
        sizes = self.facts.sizes
        patch, whole = (math.prod(plan.patch or [1]), math.prod(sizes.median)) if sizes and self.patches else (1, 1)
        return trained * patch + FORWARD * validated * whole


def seconds(settings: Settings, raw: Raw, asked: Callable[[], str] = str) -> tuple[float, float]:
    """Return the least and most time that an experiment with these data takes on this machine.

    ``asked`` returns the name of a signal to stop at, or "".
    """
    with tempfile.TemporaryDirectory() as folder:
        sample = _sample(settings, raw, Path(folder) / "sample")
        plans = [with_values(settings, drawn(settings, k)) for k in range(len(settings.calibrate.candidates or ()))]
        rates = [sample.rate(plan) for plan in plans or [settings] if not asked()]
        if asked():
            raise Interrupted(asked())
        fixed = sample.words(settings) + make_task(sample.facts).tuning_seconds()
        finals = [rate * sample.work(plan) + fixed for rate, plan in zip(rates, plans or [settings], strict=True)]
        brief, longer = (
            sorted(rates[k] * sample.work(trial_plan(settings, k, sample.facts, round)) for k in range(len(plans)))
            for round in (1, 2)
        )
    parallel = max(1, (os.cpu_count() or 1) // settings.train.threads)
    number = (settings.split.folds or 1) * len(settings.train.seeds)
    turns = math.ceil(number / parallel)
    jobs = JOB * (JOBS + OF_RUN * number + len(plans)) / min(parallel, 2)
    low = turns * min(finals) + sum(brief) + jobs
    high = turns * max(finals) + sum(brief) + sum(longer[-2:]) + jobs
    return low / MARGIN, high * MARGIN


def _sample(settings: Settings, raw: Raw, folder: Path) -> _Sample:
    examples = raw.examples.copy()
    n = divide(raw, examples, settings.split, settings.seed, Checks())[0].facts.n
    assert n
    maps = make_task(raw.facts).target.spatial and raw.facts.spatial_dims > 1
    number = min(len(examples), MOST[maps], max(FEWEST, VALUES // raw.x(0).size))
    rows = np.unique(np.linspace(0, len(examples) - 1, number).astype(int))
    table = examples.iloc[rows].reset_index(drop=True)
    table = table[[name for name in table if not name.startswith(("split", "fold"))]]
    table = table.assign(
        group=table["id"], split=[("train", "train", "train", "val", "test")[k % 5] for k in table.index]
    )

    def some(values: Any) -> Any:
        return (lambda row: values(rows[row])) if callable(values) else None if values is None else values[rows]

    parts = {name: some(getattr(raw, name)) for name in ("x", "y", "classes", "second")}
    facts = write(replace(raw, examples=table, folder=None, **parts), Split(), settings.seed, folder)
    dataset = Dataset(folder)
    share = n.train / len(dataset.rows("train"))
    grown = {"pixels": round(facts.pixels * share), "images": round(facts.images * share)}
    objects = facts.objects.model_copy(update={"number": round(facts.objects.number * share)})
    return _Sample(dataset, facts.model_copy(update=grown | {"n": n, "objects": objects}))


def time_of(settings: Settings, raw: Raw) -> str:
    """Describe the time that an experiment takes; "" if it cannot be estimated, as of too few examples."""
    try:
        with stop_requests() as asked:  # an exception may come where Python ignores it
            log.info("now timing short trainings, to estimate the time of the run; Ctrl-C skips this")
            low, high = seconds(settings, raw, asked)
    except (Exception, KeyboardInterrupt) as error:  # of any kind: the experiment is written without an estimate
        if isinstance(error, Interrupted) and SIGTERM.name in str(error):  # the training took the signal
            raise SystemExit(128 + SIGTERM) from error
        stopped = isinstance(error, KeyboardInterrupt | Interrupted)
        log.info("time not estimated: %s", "interrupted" if stopped else error)
        return ""
    unit, size = ("hour", 3600) if high > 2 * 3600 else ("minute", 60)
    first, last = (max(1, int(round(value / size, -1 if value > 100 * size else None))) for value in (low, high))
    span = f"{first} to " * (first < last) + plural(last, unit)
    cores = plural(os.cpu_count() or 1, "core")
    return f"about {span} on this machine ({cores}) if nothing else runs"
