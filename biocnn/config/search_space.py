"""Settings drawn at random for a calibration: from what, and what comes out; imports nothing heavy."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from biocnn.config.schema import STRICT
from biocnn.core.errors import InputError, nearest

KINDS = ("choice", "uniform", "log_uniform")
FIXED = ("model.name", "train.seeds", "train.epochs", "train.max_minutes", "train.save_minutes", "train.workers")
# Drawn where the experiment does not say, as far as the model has them: DeepBind's ranges, but for the learning rate.
# Its range, 5e-4 to 5e-2, is for plain gradient descent; with AdamW, rates below 1e-3 were never among the best on the
# validation parts of Reb1 and Cbf1, and most above 1e-1 learned nothing.
RANGES: dict[str, dict[str, list[Any]]] = {
    "train.lr": {"log_uniform": [1e-3, 5e-2]},
    "train.weight_decay": {"log_uniform": [1e-10, 1e-3]},
    "model.dropout": {"choice": [0.0, 0.25, 0.5]},
    "model.hidden": {"choice": [0, 32]},
}


class Calibrate(BaseModel):
    """Random settings, tried by cross-validation within train and val; the best ones train the runs.

    Draws are by dotted key: ``{train.lr: {log_uniform: [1.0e-3, 1.0e-1]}, model.channels: {choice: [16, 64]}}``.
    """

    model_config = STRICT
    trials: int = Field(0, ge=0)  # random ones, besides trial 0: the settings of the file; 0: no calibration
    folds: int = Field(3, ge=2)  # of the groups in train and val
    epochs: int | None = Field(None, ge=1)  # of each training; None: train.epochs
    # choice, uniform or log_uniform; None: RANGES
    draw: dict[str, dict[str, list[Any]]] | None = Field(None, examples=[{"train.lr": {"log_uniform": [1e-4, 1e-2]}}])


def resolve_draws(settings: dict[str, Any], checks: Mapping[str, Callable[[dict[str, Any]], object]]) -> None:
    """Fill in what is drawn, and check it, in place.

    Parameters
    ----------
    settings
        An experiment with all other defaults.
    checks
        For each section that may be drawn from, what raises an error where its values are not allowed.

    Raises
    ------
    InputError
        Where something that could be drawn is no setting or no allowed value; names the dotted key.
    """
    section = settings["calibrate"]
    allowed = [key for name in checks for key in (f"{name}.{entry}" for entry in settings[name]) if key not in FIXED]
    if section["draw"] is None and section["trials"]:
        section["draw"] = {key: value for key, value in RANGES.items() if key in allowed}
    for key, choices in (section["draw"] or {}).items():
        where, name = f"calibrate.draw.{key}", key.split(".")[0]
        if key not in allowed:
            raise InputError(f"{where}: cannot be drawn", nearest(key, allowed))
        for value in _extremes(choices, where):
            try:
                checks[name](with_values(settings, {key: value})[name])
            except InputError as error:
                raise InputError(f"{where}: {error.message}", error.remedy) from error


def _extremes(choices: dict[str, list[Any]], where: str) -> list[Any]:
    """All choices, or the ends of a range."""
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
            f"{where}.{kind}: must be two numbers, the smaller first (given: {values})", "as in [0.1, 0.5]"
        )
    if kind == "log_uniform" and numbers[0] <= 0:
        raise InputError(f"{where}.log_uniform: must be above 0 (given: {values})", "use uniform, or a small number")
    return numbers


def drawn(settings: dict[str, Any], trial: int) -> dict[str, Any]:
    """The values of one trial by dotted key: a function of the experiment's seed, the trial and the key.

    Trial 0 has the values that stand in the experiment. Numbers from ranges are rounded to 4 digits.
    """
    values = {}
    for key, choices in settings["calibrate"]["draw"].items():
        section, entry = key.split(".")
        seed = [settings["seed"], trial, *key.encode()]
        values[key] = _draw(*next(iter(choices.items())), seed) if trial else settings[section][entry]
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


def chosen(settings: dict[str, Any], values: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """The experiment with what trials chose, from a file.

    Raises
    ------
    InputError
        For a setting, or a value of it, that ``calibrate.draw`` cannot have given.
    """
    draw = settings["calibrate"]["draw"]
    for key, value in values.items():
        section, _, entry = key.partition(".")
        if key not in draw or not _possible(value, draw[key], settings[section][entry]):
            raise InputError(
                f"{source}: {key}: {value!r} is nothing that calibrate.draw gives",
                "run `biocnn calibrate` again with the trials of this experiment",
            )
    return with_values(settings, values)


def _possible(value: Any, choices: dict[str, list[Any]], own: Any) -> bool:
    """Whether a value is the experiment's own, or can be drawn."""
    (kind, allowed), number = (
        next(iter(choices.items())),
        isinstance(value, int | float) and not isinstance(value, bool),
    )
    return value == own or (value in allowed if kind == "choice" else number and allowed[0] <= value <= allowed[1])


def with_values(settings: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment with other values, by dotted key; the one given is left as it is."""
    changed = dict(settings)
    for key, value in values.items():
        section, entry = key.split(".")
        changed[section] = {**changed[section], entry: value}
    return changed
