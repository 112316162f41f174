"""Random search for calibration: the ranges, and the settings drawn from them; imports nothing heavy."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from biocnn.config.agreement import disagreements
from biocnn.config.registry import own_module
from biocnn.config.schema import Section, check, choose
from biocnn.core.errors import Collector, InputError, nearest

if TYPE_CHECKING:
    from biocnn.config.settings import Settings

KINDS = ("choice", "uniform", "log_uniform")
FIXED = (
    "model.name",
    "train.seeds",
    "train.learning_curve",
    "train.epochs",
    "train.max_minutes",
    "train.save_minutes",
    "train.workers",
)
# Ranges of a calibration that gives none, for the settings that the model has. They are DeepBind's, except for the
# learning rate: DeepBind's 5e-4 to 5e-2 is for plain gradient descent. With AdamW, rates below 1e-3 were never among
# the best on the validation splits of Reb1 and Cbf1, and most above 1e-1 learned nothing.
RANGES: dict[str, dict[str, list[Any]]] = {
    "train.lr": {"log_uniform": [1e-3, 5e-2]},
    "train.weight_decay": {"log_uniform": [1e-10, 1e-3]},
    "model.dropout": {"choice": [0.0, 0.25, 0.5]},
    "model.hidden": {"choice": [0, 32]},
}


class Calibrate(Section):
    """Random search by cross-validation within train and val; the best settings train the runs.

    Ranges are by dotted key: ``{train.lr: {log_uniform: [1.0e-3, 1.0e-1]}, model.channels: {choice: [16, 64]}}``.
    """

    trials: int = Field(0, ge=0, description="random trials; trial 0 has the settings of the file; 0: no calibration")
    candidates: list[dict[str, Any]] | None = Field(
        None, min_length=1, examples=[[{"train.lr": 1e-3}, {"train.lr": 1e-2}]],
        description="settings to try instead of random ones, by dotted key; model is a whole section; null: "
        "random ones",
    )  # fmt: skip
    folds: int | None = Field(
        None,
        ge=2,
        description="folds of the groups in train and val; null: 3, or for candidates the validation split "
        "(three folds if it has fewer than 50 positives)",
    )
    epochs: int | None = Field(
        None, ge=1, description="epochs of each training; null: train.epochs, for candidates fewer"
    )
    draw: dict[str, dict[str, list[Any]]] | None = Field(
        None, examples=[{"train.lr": {"log_uniform": [1e-4, 1e-2]}}],
        description="values to draw from, by dotted key: choice, uniform or log_uniform; null: ranges for the settings "
        "that the model has",
    )  # fmt: skip

    @property
    def names(self) -> list[str]:
        """Return the names of all trainings, ``trial0-part0`` and so on; none without a calibration."""
        trials = len(self.candidates) if self.candidates else self.trials + 1 if self.trials else 0
        return [f"trial{trial}-part{part}" for trial in range(trials) for part in range(self.parts)]

    @property
    def parts(self) -> int:
        """Return the number of trainings of each trial."""
        return self.folds or (1 if self.candidates else 3)


def resolve_draws(settings: "Settings") -> "Settings":
    """Fill in the ranges of a valid experiment.

    Raises
    ------
    InputError
        If a key is not a setting that can be drawn, or a value is not allowed; names the dotted key.
    """
    section = settings.calibrate
    if section.candidates and (section.trials or section.draw):
        raise InputError(
            "calibrate.trials, calibrate.draw: draw settings of one network, but several are compared",
            "name the network, for example model: {name: DeepBind}; or leave out trials and draw",
        )
    _check_candidates(settings)
    allowed = [f"{name}.{entry}" for name in ("train", "model") for entry, _ in getattr(settings, name)]
    allowed = [key for key in allowed if key not in FIXED]
    if section.draw is None and section.trials:
        section = section.model_copy(update={"draw": {key: RANGES[key] for key in RANGES if key in allowed}})
    for key, choices in (section.draw or {}).items():
        where = f"calibrate.draw.{key}"
        if key not in allowed:
            raise InputError(f"{where}: cannot be drawn", nearest(key, allowed))
        for value in _extremes(choices, where):
            _try(settings, {key: value}, where)
    return settings.model_copy(update={"calibrate": section})


def _check_candidates(settings: "Settings") -> None:
    collector = Collector()
    tried: dict[int, Settings] = {}
    known = ["model", *(key for name, _ in settings.train if (key := f"train.{name}") not in FIXED), "train.epochs"]
    for i, values in enumerate(settings.calibrate.candidates or ()):
        where = f"calibrate.candidates.{i}"
        with collector:
            found = in_trial(_candidate(settings, values, known, where))
            if same := [j for j, other in tried.items() if other == found]:
                raise InputError(
                    f"{where}: same trial as calibrate.candidates.{same[0]}",
                    "leave it out, or change model or train (train.words does not count: trials do without words)",
                )
            tried[i] = found
    collector.finish()


def _candidate(settings: "Settings", values: Mapping[str, Any], known: list[str], where: str) -> "Settings":
    collector = Collector()
    for key, value in values.items():
        with collector:
            if key not in known:
                raise InputError(f"{key}: cannot be set by a candidate", nearest(key, known))
            with_values(settings, {key: value})
    if not collector.faults:
        collector.faults += disagreements(with_values(settings, values))
    collector.finish(f"{where}.")
    return with_values(settings, values)


def in_trial(settings: "Settings") -> "Settings":
    """Return settings for a trial, which does without words: they take time, and affect similar networks alike."""
    return with_values(settings, {"train.words": "none"})


def own_modules(settings: "Settings") -> list[str]:
    """Return the modules outside biocnn that define networks of the experiment, including candidates."""
    return [module for name in network_names(settings) if (module := own_module(name))]


def network_names(settings: "Settings") -> list[str]:
    """Return the networks that may be trained: the one of section model, and those of candidates."""
    others = [one["model"] for one in settings.calibrate.candidates or () if "model" in one]
    return [settings.model.name, *(choose("models", one, "model").name for one in others)]


def _try(settings: "Settings", values: Mapping[str, Any], where: str) -> None:
    try:
        with_values(settings, values)
    except InputError as error:
        raise InputError(f"{where}: {error.message}", error.remedy) from error


def _extremes(choices: dict[str, list[Any]], where: str) -> list[Any]:
    """Return all choices, or both ends of a range."""
    if len(choices) != 1 or (kind := next(iter(choices))) not in KINDS:
        raise InputError(
            f"{where}: must be one of {', '.join(KINDS)} (given: {', '.join(choices) or 'none'})",
            "for example {choice: [0, 32]} or {log_uniform: [1.0e-4, 1.0e-2]}",
        )
    values = choices[kind]
    if kind == "choice":
        if not values:
            raise InputError(f"{where}.choice: is empty", "name the values to draw from")
        return values
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(values) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
        raise InputError(
            f"{where}.{kind}: must be two numbers, the smaller first (given: {values})", "for example [0.1, 0.5]"
        )
    if kind == "log_uniform" and numbers[0] <= 0:
        raise InputError(f"{where}.log_uniform: must be above 0 (given: {values})", "use uniform, or a small number")
    return numbers


def drawn(settings: "Settings", trial: int) -> dict[str, Any]:
    """Draw the values of a trial, by dotted key: they depend on the experiment's seed, the trial and the key alone.

    Trial 0 has the values of the experiment itself. Numbers from ranges are rounded to 4 digits. Candidates are not
    drawn, but tried in order.
    """
    if settings.calibrate.candidates:
        return settings.calibrate.candidates[trial]
    values = {}
    for key, choices in (settings.calibrate.draw or {}).items():
        seed = [settings.seed, trial, *key.encode()]
        values[key] = _draw(*next(iter(choices.items())), seed) if trial else _own(settings, key)
    return values


def _draw(kind: str, values: list[Any], seed: list[int]) -> Any:
    import numpy as np

    rng = np.random.default_rng(seed)
    if kind == "choice":
        return values[rng.integers(len(values))]
    low, high = map(float, values)
    log = kind == "log_uniform"
    value = math.exp(rng.uniform(math.log(low), math.log(high))) if log else rng.uniform(low, high)
    return min(max(float(f"{value:.4g}"), low), high)


def chosen(settings: "Settings", values: Mapping[str, Any], source: Path) -> "Settings":
    """Return the experiment with the settings that a calibration chose, as read from a file.

    Raises
    ------
    InputError
        If ``calibrate.draw`` cannot have given a setting or its value.
    """
    draw, candidates = settings.calibrate.draw or {}, settings.calibrate.candidates
    if candidates and values not in candidates:
        raise InputError(
            f"{source}: {dict(values)} is none of calibrate.candidates",
            "run `biocnn calibrate` again with the trials of this experiment",
        )
    for key, value in values.items() if not candidates else ():
        if key not in draw or not _possible(value, draw[key], _own(settings, key)):
            raise InputError(
                f"{source}: {key}: {value!r} cannot come from calibrate.draw",
                "run `biocnn calibrate` again with the trials of this experiment",
            )
    return with_values(settings, values)


def _possible(value: Any, choices: dict[str, list[Any]], own: Any) -> bool:
    """Check that a value is the experiment's own or can be drawn."""
    (kind, allowed), number = (
        next(iter(choices.items())),
        isinstance(value, int | float) and not isinstance(value, bool),
    )
    return value == own or (value in allowed if kind == "choice" else number and allowed[0] <= value <= allowed[1])


def with_values(settings: "Settings", values: Mapping[str, Any]) -> "Settings":
    """Return the experiment with other values, given by dotted key as in a file; ``model`` is a whole section."""
    changes: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, entry = key.partition(".")
        if not entry:
            settings = settings.model_copy(update={section: choose("models", value, section)})
            continue
        changes.setdefault(section, {})[entry] = value
    update = {
        section: check(type(old := getattr(settings, section)), old.model_dump(mode="json") | change, section)
        for section, change in changes.items()
    }
    return settings.model_copy(update=update)


def _own(settings: "Settings", key: str) -> Any:
    """Return the experiment's own value, as in a file."""
    section, entry = key.split(".")
    return getattr(settings, section).model_dump(mode="json")[entry]
