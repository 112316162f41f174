"""A first request to stop sets a flag; a second one acts at once; handlers are restored."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from biocnn.core import interrupt
from biocnn.core.interrupt import SIGNALS, exit_on_sigterm, stop_requests
from tests.stand_in import ROOT, stand_in


@pytest.mark.parametrize("number", SIGNALS)
def test_first_signal_sets_a_flag(number: signal.Signals) -> None:
    before = [signal.getsignal(s) for s in SIGNALS]
    with stop_requests() as asked:
        assert asked() == ""
        signal.raise_signal(number)
        assert asked() == number.name
    assert [signal.getsignal(s) for s in SIGNALS] == before


def test_second_interrupt_acts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "REPEAT", 0.05)

    def insist() -> None:
        with stop_requests() as asked:
            signal.raise_signal(signal.SIGINT)
            assert asked() == "SIGINT"
            time.sleep(0.1)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        insist()


def test_a_signal_forwarded_by_a_launcher_is_the_same_request() -> None:
    """Ctrl-C reaches the terminal's whole process group, and torchrun sends it again."""
    with stop_requests() as asked:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert asked() == "SIGINT"


def test_repeated_sigterm_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "REPEAT", 0)
    with stop_requests() as asked:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        assert asked() == "SIGTERM"


def test_handlers_are_restored_after_an_error() -> None:
    before = [signal.getsignal(s) for s in SIGNALS]
    with pytest.raises(ZeroDivisionError), stop_requests():
        _ = 1 / 0
    assert [signal.getsignal(s) for s in SIGNALS] == before


def test_other_threads_set_no_handler() -> None:
    before, found = [signal.getsignal(s) for s in SIGNALS], []

    def work() -> None:
        with stop_requests() as asked:
            found.extend([asked(), [signal.getsignal(s) for s in SIGNALS]])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["", before]


def test_sigterm_ends_the_program_like_an_exit() -> None:
    before, cleaned = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with exit_on_sigterm():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGTERM)  # schedulers send it repeatedly
                cleaned.append(True)

    with pytest.raises(SystemExit) as caught:
        work()
    assert (caught.value.code, cleaned) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_request_to_stop_takes_precedence_over_an_exit() -> None:
    with exit_on_sigterm():
        with stop_requests() as asked:
            signal.raise_signal(signal.SIGTERM)
            assert asked() == "SIGTERM"
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)


def test_a_second_interrupt_of_snakemake_causes_no_further_error(tmp_path: Path) -> None:
    """Ctrl-C is sent twice while a step is still ending."""
    (tmp_path / "bin").mkdir()
    environment = stand_in(tmp_path / "bin")
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "meanwhile.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGINT, lambda *given: None)\n"
        "Path('going').touch()\n"
        "while not Path('enough').exists():\n"
        "    time.sleep(0.1)\n"
    )
    chosen = ["--cores", "1", "--config", "experiments=[demo_sequences]"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *chosen]
    with open(tmp_path / "said", "w") as said:
        going = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=said, stderr=said, start_new_session=True
        )
        try:
            wait_for(lambda: (tmp_path / "going").exists())
            for text in ("Terminating processes", "Still waiting"):
                os.killpg(going.pid, signal.SIGINT)
                wait_for(lambda text=text: text in (tmp_path / "said").read_text())
            (tmp_path / "enough").touch()
            assert going.wait(60) == 1
        finally:
            (tmp_path / "enough").touch()
            going.kill()
    assert "Traceback" not in (tmp_path / "said").read_text()


def wait_for(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)
