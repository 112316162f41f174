"""A training that is killed or asked to stop resumes and ends with the same bits as an uninterrupted one."""

import hashlib
import logging
import os
import random
import signal
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from trainings import SETTINGS, Run, is_intact, resumed, same_weights, stopped, trained, wait_until

import biocnn
from biocnn.core.errors import InputError, Interrupted
from biocnn.data.dataset import Dataset
from biocnn.training.optimizer import AdamW
from biocnn.training.state import STOP, StateFolder, clear
from biocnn.workflow import cli

STEPS = 13  # within the second epoch of every training
LATER = [kind for kind in SETTINGS if kind not in ("sequences", "images")]


@pytest.fixture(scope="module")
def uninterrupted_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return a folder with a data set, its kind, and the hash of the model of an uninterrupted training."""
    folder, kind = tmp_path_factory.mktemp("resume"), "sequences"
    return folder, kind, Run(folder, kind, "whole").finish()


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("sequences", 3),
        ("images", 3),
        *(pytest.param(kind, 10, marks=pytest.mark.slow) for kind in ("sequences", "images")),
        *(pytest.param(kind, 2, marks=pytest.mark.slow) for kind in LATER),
    ],
)
def test_kills_at_any_moment_change_no_bit(kind: str, number: int, tmp_path: Path) -> None:
    wanted = Run(tmp_path, kind, "whole").finish()
    assert finish_despite_kills(Run(tmp_path, kind, "killed"), number, random.Random(kind)) == wanted


@pytest.mark.parametrize("kind", LATER)
def test_a_stop_between_two_steps_changes_no_bit(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each kind of training, in this process."""
    caplog.set_level(logging.INFO)
    steps = count(1)

    def step(optimizer: AdamW, plain: Callable[[AdamW], None] = AdamW.step) -> None:
        plain(optimizer)
        if next(steps) == STEPS:
            signal.raise_signal(signal.SIGTERM)

    whole, run = (Run(tmp_path, kind, name, save_minutes=10) for name in ("whole", "stopped"))
    assert cli.main(whole.arguments()) == 0
    monkeypatch.setattr(AdamW, "step", step)
    assert cli.main(run.arguments()) == 75
    assert cli.main(run.arguments()) == 0
    assert f"resuming from step {STEPS} of " in caplog.text
    assert run.model.read_bytes() == whole.model.read_bytes()


def finish_despite_kills(run: Run, number: int, moment: random.Random) -> str:
    """Kill a training several times, let it finish, and return the hash of the model."""
    kills = 0
    while kills < number:
        before = run.states()[-1:]
        process = run.start()
        # Some die before they start, others while they train or save, which happens after each step.
        if kills % 3:
            wait_until(lambda: run.states()[-1:] != before, process)  # noqa: B023
        time.sleep(moment.uniform(0, 0.1))
        assert process.is_alive(), "the training is too short for so many kills"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
        assert all(map(is_intact, run.states()))
    found = run.finish()
    assert run.log().count("resuming from step") >= number // 3
    assert run.states() == [], "states must be removed once the model is saved"
    return found


def test_on_request_it_stops_saves_and_exits_with_75(uninterrupted_run: tuple[Path, str, str]) -> None:
    folder, kind, wanted = uninterrupted_run
    run = Run(folder, kind, "asked")
    for number, states in ((signal.SIGTERM, 5), (signal.SIGINT, 11)):
        process = run.start()
        wait_until(lambda: run.states() and int(run.states()[-1].stem) >= states, process)  # noqa: B023
        os.kill(process.pid, number)
        process.join()
        assert process.exitcode == 75
        assert f"{number.name} at step " in run.log()
        assert f"saved in {run.state}" in run.log()
        assert "run again to resume" in run.log()
    assert run.finish() == wanted
    assert run.log().count("resuming from step") == 2


def test_if_stopped_without_a_folder_for_states_it_reports_that_nothing_was_saved(
    uninterrupted_run: tuple[Path, str, str],
) -> None:
    folder, kind, _ = uninterrupted_run
    run = Run(folder, kind, "unsaved", epochs=1000)
    process = run.start(saving=False)
    wait_until(lambda: "*best" in run.log(), process)
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == 75
    assert "nothing was saved" in run.log()
    assert not run.model.exists()


def test_a_stop_file_ends_it_with_the_best_model(uninterrupted_run: tuple[Path, str, str]) -> None:
    folder, kind, _ = uninterrupted_run
    run = Run(folder, kind, "stopped", epochs=1000)
    process = run.start()
    wait_until(lambda: "*best" in run.log(), process)
    (run.state / STOP).touch()
    process.join(60)
    assert process.exitcode == 0, run.log()
    assert not run.state.exists(), "the next training must not be stopped"
    model = biocnn.load(run.model)
    line = f"stopped by hand in epoch {len(model.history)} of 1000"
    assert line in run.log()
    assert line in model._repr_html_()
    assert 1 <= model.meta.best_epoch["epoch"] <= len(model.history) < 1000


def remove(run: Run) -> None:
    """Remove outputs, as Snakemake does with those of a killed job before it starts the job again."""
    for path in (run.model, run.folder / "history.tsv"):
        path.unlink(missing_ok=True)


def test_a_second_process_waits_and_does_not_train(uninterrupted_run: tuple[Path, str, str]) -> None:
    """Snakemake was killed; its job continues, and the next Snakemake starts the same job again."""
    folder, kind, wanted = uninterrupted_run
    run = Run(folder, kind, "twice")
    orphan = run.start()
    wait_until(lambda: run.states(), orphan)
    os.kill(orphan.pid, signal.SIGSTOP)  # so that it does not finish first
    remove(run)
    process = run.start()
    wait_until(lambda: f"waiting for process {orphan.pid}" in run.log(), process)
    os.kill(orphan.pid, signal.SIGCONT)
    orphan.join()
    process.join()
    assert (orphan.exitcode, process.exitcode) == (0, 0), run.log()
    assert run.log().count("already trained with the same") == 1
    assert hashlib.sha256(run.model.read_bytes()).hexdigest() == wanted


def test_a_finished_training_is_not_lost_with_its_files(uninterrupted_run: tuple[Path, str, str]) -> None:
    folder, kind, wanted = uninterrupted_run
    run = Run(folder, kind, "removed")
    assert run.finish() == wanted
    history = (run.folder / "history.tsv").read_bytes()
    remove(run)
    (folder / "now").touch()
    assert run.finish() == wanted
    assert run.log().count("already trained with the same") == 1
    assert (run.folder / "history.tsv").read_bytes() == history
    assert run.model.stat().st_mtime >= (folder / "now").stat().st_mtime, "must be newer than its inputs"


@pytest.fixture(scope="module")
def dataset(uninterrupted_run: tuple[Path, str, str]) -> Dataset:
    return Dataset(uninterrupted_run[0] / "dataset")


# Three epochs of five steps. States are saved every 10 minutes, at the end of each epoch, and on a request to stop.
SHORT = {"epochs": 3, "batch_size": 16, "steps_per_epoch": 5}


@pytest.fixture(scope="module")
def uninterrupted(dataset: Dataset):
    return trained(dataset, **SHORT)


@pytest.mark.parametrize("when", [(1, True), (8, True), (15, True), (1, False), (2, False)])
def test_any_step_and_any_validation_can_be_interrupted(
    when: tuple[int, bool], dataset: Dataset, uninterrupted, tmp_path: Path
) -> None:
    stopped(dataset, tmp_path, when, **SHORT)
    model, history, lines = resumed(dataset, tmp_path, **SHORT)
    assert f"resuming from step {when[0]} of 15" in lines[0] or not when[1]
    assert same_weights(model, uninterrupted[0])
    assert history.drop(columns="seconds").equals(uninterrupted[1].drop(columns="seconds"))


@pytest.mark.parametrize("when", [(2, True), (8, True)])
def test_gradient_descent_with_momentum_and_penalties_can_be_interrupted(
    when: tuple[int, bool], dataset: Dataset, tmp_path: Path
) -> None:
    settings = SHORT | {"epochs": 2, "optimizer": "sgd", "lr": 0.05, "momentum": 0.8, "l1": 0.01}
    stopped(dataset, tmp_path, when, **settings)
    model, _, lines = resumed(dataset, tmp_path, **settings)
    assert f"resuming from step {when[0]} of 10" in lines[0]
    assert same_weights(model, trained(dataset, **settings)[0])


@pytest.mark.parametrize("harm", ["truncated", "one bit", "empty", "unreadable"])
def test_a_damaged_state_is_noticed_and_the_previous_one_used(
    harm: str, dataset: Dataset, uninterrupted, tmp_path: Path
) -> None:
    stopped(dataset, tmp_path, (8, True), **SHORT)  # saved at the end of the first epoch and after three more steps
    first, last = sorted(tmp_path.glob("*/[0-9]*.state"))
    spoil(last, harm)
    model, _, lines = resumed(dataset, tmp_path, **SHORT)
    assert lines[0] == f"{last}: damaged state; resuming from the previous one, if there is one"
    assert lines[1].startswith("resuming from step 5 of 15")
    assert same_weights(model, uninterrupted[0])
    assert not first.exists()


def test_without_an_intact_state_it_starts_from_scratch(dataset: Dataset, uninterrupted, tmp_path: Path) -> None:
    stopped(dataset, tmp_path, (8, True), **SHORT)
    for path in tmp_path.glob("*/[0-9]*.state"):
        spoil(path, "truncated")
    model, _, lines = resumed(dataset, tmp_path, **SHORT)
    assert [line.split(": ")[1][:13] for line in lines[:2]] == ["damaged state"] * 2
    assert not any("resuming from step" in line for line in lines)
    assert same_weights(model, uninterrupted[0])


def spoil(path: Path, harm: str) -> None:
    content = bytearray(path.read_bytes())
    if harm == "truncated":
        content = content[: len(content) // 2]
    elif harm == "one bit":
        content[len(content) // 3] ^= 1
    elif harm == "empty":
        content = b""
    path.write_bytes(content)
    if harm == "unreadable":
        path.unlink()
        path.mkdir()


def test_states_with_another_fingerprint_are_kept(dataset: Dataset, uninterrupted, tmp_path: Path) -> None:
    stopped(dataset, tmp_path, (8, True), **SHORT | {"lr": 0.1})
    states = sorted(tmp_path.glob("mark/*.state"))
    model, _, lines = resumed(dataset, tmp_path, "other", **SHORT)
    assert lines[0] == f"states of other settings, code or data are kept in {tmp_path}: mark"
    assert not any("resuming" in line for line in lines)
    assert same_weights(model, uninterrupted[0])
    clear(tmp_path)
    assert sorted(tmp_path.rglob("*.state")) == states


def test_patience_and_the_best_weights_survive_an_interruption(dataset: Dataset, tmp_path: Path) -> None:
    """The first epoch, before the learning rate spoils the weights, stays the best; the interruption follows it."""
    settings = SHORT | {"epochs": 9, "patience": 3, "lr": 3e-5, "weight_decay": 0.0, "schedule": "constant"}
    wanted, history, lines = trained(dataset, **settings)
    best, last = history["best"].argmax() + 1, len(history)
    assert last < 9, "patience ended it"
    stopped(dataset, tmp_path, (5 * (last - 1) + 2, True), **settings)
    model, again, log = resumed(dataset, tmp_path, **settings)
    assert (again["best"].argmax() + 1, len(again), log[-1]) == (best, last, lines[-1])
    assert same_weights(model, wanted)


def test_minutes_of_earlier_processes_count(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SHORT | {"epochs": 1000, "max_minutes": 20, "save_minutes": 0}
    minutes = 0
    monkeypatch.setattr("biocnn.training.loop.time", SimpleNamespace(monotonic=lambda: 60.0 * minutes))

    def watch(number: int, learning: bool) -> None:
        nonlocal minutes
        minutes += 1
        if minutes == 12:
            signal.raise_signal(signal.SIGTERM)

    with StateFolder(tmp_path, "mark", print) as states, pytest.raises(Interrupted):
        trained(dataset, watch=watch, states=states, **settings)
    _, history, lines = resumed(dataset, tmp_path, watch=watch, **settings)
    assert lines[-1].startswith(f"stopped by train.max_minutes (20) in epoch {len(history)} of 1000")
    assert 20 <= history["seconds"].sum() / 60 <= minutes < 30


def test_nothing_is_written_after_another_process_took_over(dataset: Dataset, tmp_path: Path) -> None:
    def watch(number: int, learning: bool) -> None:
        if number == 7 and learning:
            (tmp_path / "lock").write_text('{"token": "another", "host": "elsewhere", "pid": 7}')

    with (
        StateFolder(tmp_path, "mark", print) as states,
        pytest.raises(InputError, match=r"lock: taken over by process 7 on elsewhere"),
    ):
        trained(dataset, watch=watch, states=states, **SHORT)
    assert [path.name for path in tmp_path.glob("*/[0-9]*.state")] == ["00000001.state"]
    assert (tmp_path / "lock").exists(), "the lock belongs to the other process"


def test_it_validates_its_last_steps_even_if_stopped_twice(dataset: Dataset, tmp_path: Path) -> None:
    """A file requests a stop, and a signal arrives during the validation that follows."""

    def watch(number: int, learning: bool) -> None:
        if learning and number == 3:
            (tmp_path / STOP).touch()
        elif not learning:
            signal.raise_signal(signal.SIGTERM)

    settings = SHORT | {"save_minutes": 0}
    with StateFolder(tmp_path, "mark", print) as states, pytest.raises(Interrupted):
        trained(dataset, watch=watch, states=states, **settings)
    _, history, lines = resumed(dataset, tmp_path, **settings)
    assert history["step"].tolist() == [3]
    assert history["best"].tolist() == [1]
    assert lines[-1] == history.attrs["over"] == "stopped by hand in epoch 1 of 3"


def test_a_stop_in_the_last_epoch_is_logged(dataset: Dataset, tmp_path: Path) -> None:
    def watch(number: int, learning: bool) -> None:
        if learning and number == 13:
            (tmp_path / STOP).touch()

    with StateFolder(tmp_path, "mark", print) as states:
        _, history, lines = trained(dataset, watch=watch, states=states, **SHORT | {"save_minutes": 0})
    assert history["step"].tolist() == [5, 10, 13]
    assert lines[-1] == "stopped by hand in epoch 3 of 3"
