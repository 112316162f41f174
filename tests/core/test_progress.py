"""The log shows how far a long step is."""

import pytest

from biocnn.core.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("biocnn.core.progress.time.monotonic", lambda: now[0])
    return now


def test_lines_are_apart_and_show_what_is_left(clock, caplog):
    caplog.set_level("INFO", "biocnn")
    progress = Progress("bases", 4000)
    for _ in range(4):
        clock[0] += 6
        progress.add(1000)
    assert caplog.messages == ["50% of 4,000 bases, 12 s left", "100% of 4,000 bases, 0 s left"]


def test_without_a_total_only_what_is_done_is_shown(clock, caplog):
    caplog.set_level("INFO", "biocnn")
    progress = Progress("alleles", seconds=1)
    progress.add(5)
    clock[0] += 2
    progress.add(1234)
    assert caplog.messages == ["1,239 alleles in 2 s"]
