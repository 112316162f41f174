"""Draws are functions of seed, trial and key, within their ranges; keys that cannot be drawn are reported early."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from biocnn.config.experiment import load
from biocnn.config.search_space import RANGES, Calibrate, chosen, drawn, with_values
from biocnn.config.settings import Settings, Train
from biocnn.core.errors import InputError

BASE = "data: {name: Sequences, table: t.tsv}\n"
DRAW = {
    "train.lr": {"log_uniform": [1e-4, 1e-1]},
    "model.dropout": {"uniform": [0.1, 0.5]},
    "model.channels": {"choice": [8, 16, 32]},
}


def settings(folder: Path, calibrate: str, model: str = "{name: DeepBind}") -> Settings:
    (folder / "t.tsv").touch()
    (folder / "mine.yaml").write_text(f"{BASE}model: {model}\ncalibrate: {calibrate}\n")
    return load(folder / "mine.yaml", folder).settings


@cache
def deepbind() -> Settings:
    return tiny.experiment({"name": "DeepBind", "dropout": 0.0, "channels": 4}, train=Train(lr=0.5, epochs=3))


def experiment(seed: int = 1, **draw: Any) -> Settings:
    return deepbind().model_copy(update={"seed": seed, "calibrate": Calibrate(draw=draw or DRAW)})


@given(st.integers(0, 2**40), st.integers(1, 10_000))
def test_draws_lie_within_their_ranges_and_repeat(seed: int, trial: int) -> None:
    found = drawn(experiment(seed), trial)
    assert list(found) == list(DRAW)
    assert 1e-4 <= found["train.lr"] <= 1e-1
    assert 0.1 <= found["model.dropout"] <= 0.5
    assert found["model.channels"] in (8, 16, 32)
    assert found == drawn(experiment(seed), trial)


def test_a_draw_does_not_depend_on_the_others() -> None:
    alone = {"train.lr": DRAW["train.lr"]}
    for trial in range(1, 20):
        assert drawn(experiment(1, **alone), trial)["train.lr"] == drawn(experiment(), trial)["train.lr"]


def test_trials_and_seeds_differ() -> None:
    rates = {drawn(experiment(seed), trial)["train.lr"] for seed in range(10) for trial in range(1, 11)}
    assert len(rates) > 95


def test_draws_are_uniform_over_their_range() -> None:
    values = [drawn(experiment(), trial) for trial in range(1, 601)]
    decades = [sum(low <= v["train.lr"] < 10 * low for v in values) for low in (1e-4, 1e-3, 1e-2)]
    assert all(150 < n < 250 for n in decades), "log_uniform: equally many in each decade"
    assert all(150 < sum(v["model.channels"] == c for v in values) < 250 for c in (8, 16, 32))
    assert sum(v["model.dropout"] < 0.3 for v in values) == pytest.approx(300, abs=50)


def test_trial_0_is_the_file() -> None:
    assert drawn(experiment(), 0) == {"train.lr": 0.5, "model.dropout": 0.0, "model.channels": 4}


def test_drawn_values_replace_those_of_the_file() -> None:
    before = experiment()
    after = with_values(before, {"train.lr": 0.1, "model.channels": 64})
    assert (after.train, after.model.channels) == (Train(lr=0.1, epochs=3), 64)
    assert before == experiment()


def test_nothing_is_drawn_by_default(tmp_path: Path) -> None:
    assert settings(tmp_path, "{}").calibrate == Calibrate(
        trials=0, candidates=None, folds=None, epochs=None, draw=None
    )


def test_default_draws_suit_the_model(tmp_path: Path) -> None:
    assert settings(tmp_path, "{trials: 9}").calibrate.draw == RANGES
    text = "data: {name: Images, table: results/t.csv}\nmodel: {name: UNet}\ncalibrate: {trials: 9}\n"
    (tmp_path / "images.yaml").write_text(text)
    found = load(tmp_path / "images.yaml").settings.calibrate.draw
    assert "train.lr" in found
    assert "model.hidden" not in found


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ("{train.lrr: {choice: [1.0]}}", r"calibrate\.draw\.train\.lrr: cannot be drawn"),
        ("{model.name: {choice: [FCN]}}", r"calibrate\.draw\.model\.name: cannot be drawn"),
        ("{train.seeds: {choice: [[1]]}}", r"calibrate\.draw\.train\.seeds: cannot be drawn"),
        ("{split.val: {choice: [0.1]}}", r"calibrate\.draw\.split\.val: cannot be drawn"),
        ("{lr: {choice: [0.1]}}", r"calibrate\.draw\.lr: cannot be drawn"),
        ("{train.lr: {normal: [0, 1]}}", r"must be one of choice, uniform, log_uniform \(given: normal\)"),
        ("{train.lr: {choice: [0.1], uniform: [0.1, 0.2]}}", r"must be one of"),
        ("{train.lr: {choice: []}}", r"draw\.train\.lr\.choice: is empty"),
        ("{train.lr: {uniform: [0.2, 0.1]}}", r"must be two numbers, the smaller first"),
        ("{train.lr: {uniform: [0.2]}}", r"must be two numbers"),
        ("{train.lr: {uniform: [low, high]}}", r"must be two numbers"),
        ("{train.weight_decay: {log_uniform: [0, 0.1]}}", r"weight_decay\.log_uniform: must be above 0"),
        ("{train.lr: {uniform: [0, 0.1]}}", r"draw\.train\.lr: train\.lr: must be a number > 0"),
        ("{train.schedule: {choice: [one_cycle, step]}}", r"draw\.train\.schedule: train\.schedule: .*'step'"),
        ("{model.channels: {uniform: [8, 64]}}", r"draw\.model\.channels: model\.channels: .*whole number.* 8\.0"),
        ("{model.pool: {choice: [max, mean]}}", r"draw\.model\.pool: model\.pool: .*'mean'"),
    ],
)
def test_impossible_draws_are_reported(tmp_path: Path, draw: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        settings(tmp_path, f"{{trials: 3, draw: {draw}}}")
    assert caught.value.remedy


@given(st.integers(0, 50))
def test_settings_drawn_by_a_trial_can_be_chosen(trial: int) -> None:
    values = drawn(experiment(), trial)
    assert chosen(experiment(), values, Path("best.json")) == with_values(experiment(), values)


@pytest.mark.parametrize(
    "values",
    [{"train.lr": 0.2}, {"train.lr": "0.01"}, {"train.lr": True}, {"model.channels": 9}, {"data.name": "x"}, {"x": 1}],
)
def test_settings_that_no_trial_can_have_drawn_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"best\.json: .* cannot come from calibrate\.draw"):
        chosen(experiment(), values, Path("best.json"))
