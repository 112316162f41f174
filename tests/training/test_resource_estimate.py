"""Estimates of time and memory before a long training, compared with actual use, and errors if memory runs out."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import experiment, image_facts, images, sequences, stored
from trainings import CPU, SERVER, Run

from biocnn.config.settings import Train
from biocnn.core.errors import InputError
from biocnn.data.measured import measure_sizes
from biocnn.losses import dice_bce
from biocnn.models import UNet
from biocnn.nn.precision import autocast
from biocnn.tasks import make_task
from biocnn.training.optimizer import make_optimizer
from biocnn.training.resource_estimate import (
    DAY,
    TIMED,
    Pace,
    duration,
    forecast,
    memory_bytes,
    memory_errors,
    resident_bytes,
)
from biocnn.training.runs import train_run
from biocnn.training.state import copy_weights

GPU = torch.device("cuda")


def lines(step: float, epochs: int, steps: int = 1000, validated: int = 0, done: int = TIMED, **settings) -> list[str]:
    """Return what is logged once steps of equal length have been timed."""
    settings = {"precision": "float32", **settings}
    pace = Pace(steps, validated, Train(epochs=epochs, batch_size=10, **settings), CPU, lambda validation: 0)
    *early, last = [pace.note(step, done) for _ in range(TIMED)]
    assert early == [[]] * (TIMED - 1)
    assert pace.note(step, done + 1) == []
    return last


def test_the_forecast_includes_validations() -> None:
    assert lines(0.0123, 1, done=0) == ["12.3 ms per step: about 12 seconds left"]
    assert lines(2.0, 2, 600, done=300)[0] == "2 s per step: about 30.0 minutes left"
    # An example of a validation costs half: 400 are as many as 20 steps of 10.
    assert lines(0.5, 10, 100, validated=400, done=0)[0].endswith("about 10.0 minutes left")
    pace = Pace(100, 600, Train(epochs=10, batch_size=10), CPU, lambda validation: 100 + 2 * validation)
    pace.validation_seconds = 40.0  # measured
    # 900 steps, 10 validations, one that takes twice as long, in float32 to choose the precision, and what follows.
    assert [pace.note(0.5, 100) for _ in range(TIMED)][-1][0].endswith("about 18.5 minutes left")


def test_the_settings_of_objects_are_chosen_for_8_microseconds_per_pixel_of_at_most_8_million() -> None:
    sizes = measure_sizes(np.array([[1, 100, 200]]))
    for n, seconds in ((10, 1.6), (1000, 64)):
        facts = image_facts(task="instances", sizes=sizes, n={"train": 9, "val": n, "test": 1})
        assert make_task(facts).tuning_seconds() == pytest.approx(seconds)


def test_a_day_warns() -> None:
    long = lines(1.0, 216)  # 216,000 steps
    assert len(long) == 2
    assert long[1].startswith("warning: this training will take about 2.5 days on this CPU; use a GPU (gpus: 1), set")
    assert len(lines(1.0, 86)) == 1
    assert lines(1.0, 86, validated=600)[1:], "with validations it takes more than a day"
    on_gpu = forecast(1.0, 2.5 * DAY, DAY, Train(), GPU)
    assert on_gpu[1].startswith("warning: this training will take about 2.5 days on this GPU; set train.max_minutes")


def test_too_few_minutes_name_the_epochs_that_fit() -> None:
    """100 epochs take 200 minutes, so half of them fit into 100."""
    warned = lines(1.2, 100, 100, max_minutes=100)
    assert warned[1].startswith(
        "warning: train.max_minutes (100) will end the training before the learning rate has fallen"
    )
    assert warned[1].endswith("set train.epochs: 50")
    assert len(lines(1.2, 100, 100, max_minutes=201)) == 1
    late = lines(1.2, 100, 100, done=5_000, max_minutes=50)
    assert late[1].endswith("set train.epochs: 25"), "of all steps, wherever it resumes"
    assert lines(1e9, 100, 100, max_minutes=1)[1].endswith("train.epochs: 1")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 seconds"), (119, "119 seconds"), (120, "2.0 minutes"), (7200, "2.0 hours"), (2 * DAY, "2.0 days")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def growth(sender) -> None:
    """Train a U-Net of 467,000 weights for two steps in a child process; return estimated and actual bytes."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = UNet(2, 1, 1, channels=[32, 64, 128]).to(memory_format=torch.channels_last)
    x = torch.rand(8, 1, 96, 96).contiguous(memory_format=torch.channels_last)
    y = (torch.rand(8, 1, 96, 96) > 0.5).to(torch.uint8)
    foretold = memory_bytes(model, dice_bce, x[:2], y[:2], 8, autocast("float32", CPU))
    before = resident_bytes(CPU)
    optimizer, _ = make_optimizer(list(model.parameters()), Train(weight_decay=0.1)), copy_weights(model)
    for _ in range(2):
        model.zero_grad()
        dice_bce(model(x), y).backward()
        optimizer.step()
    sender.send((foretold, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before))


def test_estimated_memory_is_about_the_memory_used() -> None:
    receiver, sender = SERVER.Pipe(duplex=False)
    child = SERVER.Process(target=growth, args=(sender,))
    child.start()
    foretold, grown = receiver.recv()
    child.join()
    assert foretold > 100 * 2**20
    assert 0.5 < grown / foretold < 2.2


def test_a_large_validation_image_counts() -> None:
    """A validation of one image as large as 64 examples keeps fewer layers than 64 in training."""
    model, x = UNet(2, 1, 1, channels=[4, 8]), torch.rand(2, 1, 16, 16)
    y, context = torch.zeros(2, 1, 16, 16, dtype=torch.uint8), autocast("float32", CPU)
    small, large = (memory_bytes(model, dice_bce, x, y, n, context) for n in (2, 64))
    assert small < memory_bytes(model, dice_bce, x, y, 2, context, validated=64) < large
    assert memory_bytes(model, dice_bce, x, y, 64, context, validated=2) == large


def test_copies_of_weights_in_another_precision_are_counted_once() -> None:
    """In bfloat16, activations need half the memory, and copies of weights do not grow with the batch."""
    model, x = UNet(2, 1, 1, channels=[16, 256]), torch.rand(2, 1, 16, 16)
    y = torch.zeros(2, 1, 16, 16, dtype=torch.uint8)
    exact, quick = (
        [memory_bytes(model, dice_bce, x, y, size, autocast(precision, CPU)) for size in (100, 200)]
        for precision in ("float32", "bfloat16")
    )
    assert (quick[1] - quick[0]) < 0.7 * (exact[1] - exact[0])


def test_measuring_does_not_change_the_network() -> None:
    model = UNet(2, 1, 1, channels=[4, 8])
    before = copy_weights(model)
    memory_bytes(model, dice_bce, torch.rand(2, 1, 16, 16), torch.zeros(2, 1, 16, 16), 8, autocast("bfloat16", CPU))
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", ["sequence", "image"])
def test_the_log_states_the_plan(kind: str, tmp_path: Path) -> None:
    dataset = stored(sequences(400, window=40) if kind == "sequence" else images(12), tmp_path)
    model = {"name": "DeepBind"} if kind == "sequence" else {"name": "UNet", "channels": [4, 8]}
    n, logged = dataset.facts.n, []
    batch, steps, less = (
        (-(-n.train // 8), 100, ": one pass over the examples, although train.steps_per_epoch is 100")
        if kind == "sequence"
        else (4, 8, "")
    )
    train = Train(epochs=3, batch_size=batch, steps_per_epoch=steps, threads=1, precision="float32")
    settings = experiment(model, data="Sequences" if kind == "sequence" else "Images", train=train)
    network, _, _ = train_run(settings, dataset, 1, log=logged.append)
    assert logged[0] == f"examples: {n.train:,} train, {n.val:,} val, {n.test:,} test"
    weights = sum(p.numel() for p in network.parameters())
    assert logged[1].startswith(
        f"{weights:,} weights; {next(network.parameters()).device.type}, 1 thread, precision float32, about "
    )
    assert logged[1].endswith(" GB of memory")
    assert logged[2] == f"3 epochs of 8 steps of {batch} examples{less}"
    told = [i for i, line in enumerate(logged) if " per step: about " in line]
    assert len(told) == 1, "once, after 20 steps, in the third of eight epochs"
    assert logged[told[0] - 1].startswith("epoch   2/3")


class Limit:
    """Limits a process to this many MB more than it has."""

    def __init__(self, megabytes: int) -> None:
        self.megabytes = megabytes

    def __call__(self) -> None:
        has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + self.megabytes * 2**20,) * 2)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="requires /proc")
@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"batch_size": 1024}, "set train.batch_size: 512, use narrower model.channels"),
        ({"batch_size": 1, "patch": [2048, 2048]}, "set train.patch: [1024, 1024], use narrower model.channels"),
    ],
)
def test_out_of_memory_names_the_settings_to_lower(settings: dict, remedy: str, tmp_path: Path) -> None:
    run = Run(tmp_path, "images", "short", precision="float32", **settings)
    process = run.start(before=Limit(300))
    process.join()
    assert process.exitcode == 2, run.log()
    assert "biocnn train: out of memory: " in run.log()
    assert remedy in run.log()
    assert "Traceback" not in run.log()


def test_errors_of_libraries_are_distinguished() -> None:
    for other in ("no memory is meant", "could not create a primitive descriptor for a convolution"):
        with pytest.raises(RuntimeError, match=other), memory_errors(Train()):
            raise RuntimeError(other)
    for short in ("could not create a primitive", "std::bad_alloc"):
        with pytest.raises(InputError, match="out of memory: " + short), memory_errors(Train()):
            raise RuntimeError(short)
    with (
        pytest.raises(InputError, match="out of memory: MemoryError") as caught,
        memory_errors(Train(batch_size=1)),
    ):
        raise MemoryError
    assert "half as long on each side" in caught.value.remedy
