"""Training states: written atomically, checked when read, one kept in reserve, removed when no longer needed."""

import hashlib
import os
import resource
import shutil
from pathlib import Path

import pytest
import torch
from tiny import sequences, stored
from torch import Tensor
from trainings import network, same_weights

from biocnn.config.settings import Train
from biocnn.training.optimizer import make_optimizer
from biocnn.training.state import OVER, STOP, Progress, StateFolder, clear, copy_weights, pack, unpack


def tensors(value: float) -> dict[str, Tensor]:
    images = torch.full((2, 3, 4, 5), value).contiguous(memory_format=torch.channels_last)
    return {"a": images, "b": images[0, :, 1:3], "c": torch.tensor(7), "d": torch.zeros(0)}


def progress(over: str = "") -> dict:
    return {"epoch": 3, "loss": 0.1 + 0.2, "best": -float("inf"), "over": over}


def folder(root: Path, lines: list[str] | None = None, mark: str = "mark") -> StateFolder:
    return StateFolder(root, mark, print if lines is None else lines.append)


def test_round_trip(tmp_path: Path) -> None:
    with folder(tmp_path) as states:
        assert states.load() is None
        states.save(tensors(0.1), progress())
    with folder(tmp_path) as states:
        found, about = states.load()
    assert about == progress()
    assert {key: (value.dtype, value.tolist()) for key, value in found.items()} == {
        key: (value.dtype, value.tolist()) for key, value in tensors(0.1).items()
    }
    assert b"pickle" not in (tmp_path / "mark/00000001.state").read_bytes()


def test_the_last_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    with folder(tmp_path) as states:
        for value in range(12):
            states.save(tensors(value), progress())
        assert [path.name for path in sorted(states.folder.iterdir())] == ["00000011.state", "00000012.state"]
        assert states.load()[0]["a"].unique().tolist() == [11]


def test_nothing_is_lost_if_the_disk_is_full(tmp_path: Path) -> None:
    """The two previous states remain; the incomplete one is removed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with folder(tmp_path) as states:
        for value in range(3):
            states.save(tensors(value), progress())
        kept = sorted(states.folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
        try:
            with pytest.raises(OSError, match="too large"):
                states.save(tensors(3), progress())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert sorted(states.folder.iterdir()) == kept
        assert states.load()[0]["a"].unique().tolist() == [2]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    with folder(tmp_path) as states:
        states.save(tensors(1), progress())
    left = tmp_path / "mark/.00000002.state.abc.tmp"
    left.mkdir()
    (left / "00000002.state").write_bytes(b"half of it")
    with folder(tmp_path) as states:
        assert not left.exists()
        assert states.load()[0]["a"].unique().tolist() == [1]


def test_damaged_states_are_kept_aside_until_the_end(tmp_path: Path) -> None:
    lines: list[str] = []
    with folder(tmp_path, lines) as states:
        for value in range(2):
            states.save(tensors(value), progress())
        (states.folder / "00000002.state").write_bytes(b"")
        assert states.load()[0]["a"].unique().tolist() == [0]
        assert states.load()[0]["a"].unique().tolist() == [0]
        states.save(tensors(2), progress("done"))
        assert states.load()[0]["a"].unique().tolist() == [2]
    assert len([line for line in lines if "damaged" in line]) == 1
    clear(tmp_path)
    assert not tmp_path.exists()


def test_a_folder_that_cannot_be_opened_is_not_kept_locked(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()  # a file where the folder should be
    with pytest.raises(FileExistsError):
        folder(tmp_path).__enter__()
    assert not (tmp_path / "lock").exists()


def test_states_are_removed_once_the_training_is_finished(tmp_path: Path) -> None:
    with folder(tmp_path) as states:
        states.save(tensors(1), progress())
    (tmp_path / STOP).touch()
    clear(tmp_path)
    assert (tmp_path / "mark/00000001.state").exists(), "it is not finished"
    assert not (tmp_path / STOP).exists()
    with folder(tmp_path, mark="other") as states:
        states.save(tensors(1), progress("all epochs are done"))
    clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]
    clear(tmp_path / "never made")


def test_a_training_killed_at_its_end_counts_as_finished(tmp_path: Path) -> None:
    with folder(tmp_path) as states:
        states.save(tensors(1), progress("all epochs are done"))
    (tmp_path / "mark" / OVER).unlink()  # as if killed between the state and the mark
    with folder(tmp_path) as states:
        states.load()
    clear(tmp_path)
    assert not tmp_path.exists()


def finished(root: Path, mark: str, content: str = "whole") -> tuple[Path, Path]:
    """Return a finished training and the files that it wrote."""
    files = root / "model", root / "table"
    with folder(root / "state", mark=mark) as states:
        states.save(tensors(1), progress("all epochs are done"))
        for path in files:
            path.write_text(content)
        states.close(files)
    return files


def put_back(root: Path, files: tuple[Path, Path], mark: str = "mark") -> bool:
    with folder(root / "state", mark=mark) as states:
        return states.put_back(files)


def test_outputs_of_a_finished_training_can_be_restored(tmp_path: Path) -> None:
    files = finished(tmp_path, "mark")
    assert not list(tmp_path.rglob("*.state"))
    assert files[0].stat().st_nlink == 2, "it must take no space"
    os.utime(files[0], (1, 1))
    for path in files:
        path.unlink()
    assert not put_back(tmp_path, files, "other")
    assert put_back(tmp_path, files)
    assert [path.read_text() for path in files] == ["whole"] * 2
    assert files[0].stat().st_mtime > 1e9


def test_a_renamed_experiment_finds_its_trainings(tmp_path: Path) -> None:
    finished(tmp_path / "results/old/runs/fold0-seed1", "mark")
    root = tmp_path / "results/new/runs/fold0-seed1"
    files = root / "model", root / "table"
    assert not put_back(root, files, "other")
    assert put_back(root, files)
    shutil.rmtree(tmp_path / "results/old")
    for path in files:
        path.unlink()
    assert put_back(root, files)
    assert [path.read_text() for path in files] == ["whole"] * 2


@pytest.mark.parametrize("harm", ["changed", "removed", "no mark"])
def test_kept_outputs_are_restored_only_if_intact(tmp_path: Path, harm: str) -> None:
    files = finished(tmp_path, "mark")
    for path in files:
        path.unlink()
    kept = tmp_path / "state/mark"
    if harm == "changed":
        (kept / "table").write_text("whole?")
    else:
        (kept / ("table" if harm == "removed" else OVER)).unlink()
    assert not put_back(tmp_path, files)
    assert not any(path.exists() for path in files)


def test_outputs_of_another_training_are_not_kept(tmp_path: Path) -> None:
    finished(tmp_path, "mark", "one")
    with folder(tmp_path / "state", mark="unfinished") as states:
        states.save(tensors(1), progress())
    lines: list[str] = []
    with folder(tmp_path / "state", lines, "other"):
        assert lines == [f"states of other settings, code or data are kept in {tmp_path / 'state'}: unfinished"]
    finished(tmp_path, "other", "two")
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["other", "unfinished"]


def test_nothing_remains_if_nothing_is_kept(tmp_path: Path) -> None:
    with folder(tmp_path / "state") as states:
        states.save(tensors(1), progress("stopped"))
        (tmp_path / "state" / STOP).touch()
        states.close()
    assert list(tmp_path.iterdir()) == []


def test_packed_weights_and_moments_are_restored(tmp_path: Path) -> None:
    dataset = stored(sequences(60), tmp_path)
    model, other = network(dataset, 1), network(dataset, 2)
    optimizers = [make_optimizer(list(one.parameters()), Train(weight_decay=0.1)) for one in (model, other)]
    x = torch.randn(4, 4, 24)

    def step(one, optimizer) -> None:
        torch.manual_seed(5)  # dropout
        one.zero_grad()
        one.train()(x).square().sum().backward()
        optimizer.step()

    best = copy_weights(model)
    step(model, optimizers[0])
    states = folder(tmp_path / "state")
    with states:
        states.save(pack(model, model, best, optimizers[0]), progress())
        found, _ = states.load()
    again = unpack(found, other, other, optimizers[1])
    assert all(torch.equal(best[key], again[key]) for key in best)
    for one, optimizer in zip((model, other), optimizers, strict=True):
        step(one, optimizer)
    assert same_weights(model, other)


def test_progress_starts_at_zero() -> None:
    start = Progress("float32")
    assert (start.epoch, start.done, start.over, start.history) == (0, 0, "", [])


@pytest.mark.parametrize(
    "content", [b"", b"x" * 100, b"\xff" * 8 + b"{}", (10**9).to_bytes(8, "little") + b"{}", b"{" * 5000]
)
def test_an_invalid_state_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """Its digest may be right: anybody can compute one."""
    lines: list[str] = []
    with folder(tmp_path, lines) as states:
        states.save(tensors(1), progress())
        (states.folder / "00000002.state").write_bytes(hashlib.sha256(content).digest() + content)
        assert states.load()[1] == progress()
    assert any("damaged state" in line for line in lines)
