"""`biocnn start` checks answers, and writes YAML that is read as it was meant."""

from pathlib import Path

import pytest

from biocnn.config.experiment_file import read_yaml
from biocnn.core.errors import InputError
from biocnn.workflow.start.questions import Questions
from biocnn.workflow.start.text import comment, yaml_of


def answers(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    given = iter(words)
    monkeypatch.setattr("builtins.input", lambda prompt: next(given))


def test_answers_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    ask, options = Questions(True), {"a": "first", "b": "second"}
    answers(monkeypatch, "3", "c", "2", "a", "", "0.5 x", "-1", "1 2 3", "0,5", "0.2", "0.1 2", "")
    assert [ask.choose("?", options) for _ in range(3)] == ["b", "a", "a"]
    assert [ask.numbers("size", 2) for _ in range(3)] == [[0.2, 0.2], [0.1, 2.0], []]
    assert ask.assumed == []
    silent = Questions(False)
    assert (silent.choose("which?", options), silent.numbers("size", 2)) == ("a", [])
    assert silent.assumed == ["which? a"]


@pytest.mark.parametrize(
    "text", ["yes", "no", "null", "1e-3", "007", "a b", "ü: #", "~", "-x", "{x}", '"', "\\", "a\nb", ""]
)
def test_text_is_read_as_it_was_written(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sections = {"data": {"name": text, "labels": [text, {text: text}]}, "split": {"val": 0.15, "folds": 3}}
    notes = {"data": "a\nb", "data.name": "c # d", "split": "e"}
    Path("mine.yaml").write_text(comment("one\n\ntwo") + yaml_of(sections, notes), encoding="utf-8")
    assert read_yaml(Path("mine.yaml")) == sections


def test_the_end_of_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    with pytest.raises(InputError, match="the answer ended"):
        Questions(True).choose("?", {"a": ""})
