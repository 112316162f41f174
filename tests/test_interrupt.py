"""A first request to stop sets a flag; who insists is obeyed; handlers are put back."""

import signal
import threading
import time

import pytest

from biocnn import interrupt
from biocnn.interrupt import SIGNALS, exit_on_sigterm, stop_requests


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


def test_what_a_launcher_passes_on_is_the_same_request() -> None:
    """Ctrl-C reaches a terminal's whole group, and torchrun sends it once more."""
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


def test_handlers_are_put_back_after_an_error() -> None:
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


def test_sigterm_ends_what_is_done_as_an_exit() -> None:
    before, cleaned = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with exit_on_sigterm():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGTERM)  # a scheduler repeats itself
                cleaned.append(True)

    with pytest.raises(SystemExit) as caught:
        work()
    assert (caught.value.code, cleaned) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_request_to_stop_goes_before_an_exit() -> None:
    with exit_on_sigterm():
        with stop_requests() as asked:
            signal.raise_signal(signal.SIGTERM)
            assert asked() == "SIGTERM"
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)
