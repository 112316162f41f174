"""`biocnn start` estimates the time of a run from short trainings."""

import re
from pathlib import Path
from unittest.mock import Mock

import pytest
from tiny import experiment, sequences

from biocnn.config.settings import Train
from biocnn.core.errors import InputError, Interrupted
from biocnn.workflow.start import estimate


def test_the_time_grows_with_epochs_and_is_unknown_for_too_few_examples(tmp_path: Path) -> None:
    settings = experiment("DeepBind", train=Train(epochs=3, batch_size=16, threads=1))
    longer = experiment("DeepBind", train=Train(epochs=6, batch_size=16, threads=1))
    sample = estimate._sample(settings, sequences(120), tmp_path / "sample")
    longest = experiment("DeepBind", train=Train(epochs=9, batch_size=16, threads=1))
    brief, double, triple = (sample.work(each) for each in (settings, longer, longest))
    assert triple - double == double - brief > 3 * 16
    assert 2 * brief > double, "the same follows the last epoch"
    assert sample.rate(settings) > 0
    assert sample.words(settings) > 0
    time = estimate.time_of(settings, sequences(120))
    assert re.fullmatch(r"about \d+ (to \d+ )?minutes? on this machine .* nothing else runs", time)
    with pytest.raises(InputError, match="split"):
        estimate.seconds(settings, sequences(4))


def test_ctrl_c_skips_the_estimate_and_sigterm_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training takes both signals, and ends after a step."""
    ended = Mock(side_effect=[Interrupted(f"{name} at step 1: nothing was saved") for name in ("SIGINT", "SIGTERM")])
    monkeypatch.setattr(estimate, "seconds", ended)
    assert estimate.time_of(experiment("DeepBind"), sequences(4)) == ""
    with pytest.raises(SystemExit, match="143"):
        estimate.time_of(experiment("DeepBind"), sequences(4))
