"""Options of steps that apply a model: declared once, checked equally on the command line, in Python and in files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from biocnn.apply.images import apply_files
from biocnn.apply.scan.step import scan_files, scan_genome
from biocnn.apply.variants.step import annotate
from biocnn.config.experiment import load
from biocnn.config.schema import option_fields
from biocnn.config.settings import Apply, Fit, Predict, Scan, Section, Settings, Variants
from biocnn.core.errors import InputError
from biocnn.prediction.model import Model
from biocnn.workflow import cli
from biocnn.workflow.options import OPTIONS, options_of

NOWHERE = Path("nowhere")
COMMANDS = {
    "predict": ["model", "data", "out"],
    "variants": ["vcf", "out", "model", "--genome=genome"],
    "scan": ["genome", "out", "model"],
}
CALLS: list[tuple[Callable[..., Any], tuple[type[Section], ...]]] = [
    (lambda **options: Model(NOWHERE, **options), (Predict, Fit)),
    (lambda **options: apply_files(NOWHERE, [NOWHERE], NOWHERE, **options), (Predict, Apply)),
    (lambda **options: annotate(NOWHERE, [], None, NOWHERE, **options), (Variants,)),
    (lambda **options: scan_files(NOWHERE, [NOWHERE], NOWHERE, **options), (Scan,)),
    (lambda **options: scan_genome(None, [], NOWHERE, **options), (Scan,)),
]
NUMBERS = {
    "overlap": 1.0, "memory_gb": 0.0, "window": 0, "background": -1, "stride": 0, "density": 0.0,
}  # fmt: skip


def misspelt(section: type[Section]) -> list[tuple[str, str, str]]:
    """Return each allowed word of an option without its second to last letter: option, wrong word, right word."""
    found = []
    for key, field in option_fields(section).items():
        if get_origin(field.annotation) is Literal:
            found += [(key, word[:-2] + word[-1], word) for word in get_args(field.annotation)]
    return found


def sections_of(step: str) -> list[type[Section]]:
    return [type(Settings.model_fields[name].default) for name in OPTIONS[step]]


def fault_of_command(step: str, key: str, value: object, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main([step, *COMMANDS[step], f"--{key.replace('_', '-')}={value}"]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("step", OPTIONS)
def test_wrong_options_of_commands_are_refused_with_the_nearest_word(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for section in sections_of(step):
        for key, word, right in misspelt(section):
            text = fault_of_command(step, key, word, capsys)
            assert text.startswith(f"biocnn {step}: {key}: must be one of ")
            assert f"did you mean {right!r}? allowed: " in text
        for key in option_fields(section).keys() & NUMBERS.keys():
            for value in (NUMBERS[key], "many"):
                assert f"biocnn {step}: {key}: must be a" in fault_of_command(step, key, value, capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("call", "sections"), CALLS)
def test_wrong_options_of_calls_are_refused_with_the_nearest_word(
    call: Callable[..., Any], sections: tuple[type[Section], ...]
) -> None:
    for section in sections:
        for key, word, right in misspelt(section):
            with pytest.raises(InputError, match=rf"^{key}: must be one of .*{word}") as caught:
                call(**{key: word})
            assert caught.value.remedy.startswith(f"did you mean {right!r}? allowed: ")
        for key in option_fields(section).keys() & NUMBERS.keys():
            for value in (NUMBERS[key], "many", True):
                with pytest.raises(InputError, match=f"^{key}: must be a"):
                    call(**{key: value})
        for key in option_fields(section):
            with pytest.raises(InputError, match=f"^{key}s: unknown option") as caught:
                call(**{f"{key}s": 1})
            assert f"did you mean {key!r}?" in caught.value.remedy


@pytest.mark.parametrize("text", ["offsets=-3,x", "offsets=", "offsets=1.5"])
def test_wrong_lists_of_numbers_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["variants", *COMMANDS["variants"], f"--{text}"]) == 2
    assert "biocnn variants: offsets: must be a list (each: a whole number)" in capsys.readouterr().err


@pytest.mark.parametrize("step", OPTIONS)
def test_help_shows_allowed_values_and_the_default_of_each_option(
    step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([step, "--help"])
    text = " ".join(capsys.readouterr().out.split()).replace("- ", "-")
    for section in sections_of(step):
        for key, field in option_fields(section).items():
            assert f"--{key.replace('_', '-')} " in text
            assert field.description
            words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            assert ", ".join(words) in text
            assert field.default is None or f"default: {cli._joined(field.default)})" in text


def test_words_on_the_command_line_have_the_types_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def variants(**options: Any) -> None:
        """Record."""
        given.update(options)

    monkeypatch.setattr(cli, "STEPS", (variants,))
    for text, value in (
        ("--offsets=-10, 0,10", [-10, 0, 10]), ("--maps=4", 4), ("--maps=rs1, rs2", ["rs1", "rs2"]),
        ("--window=101", 101), ("--strands=both", "both"),
    ):  # fmt: skip
        assert cli.main(["variants", text]) == 0
        assert given[text[2:].split("=")[0]] == value
        given.clear()
    assert cli.main(["variants"]) == 0
    assert given == {}, "defaults must be those of the section"


def test_a_job_reads_its_sections_from_the_experiment_and_options_override_them(tmp_path: Path) -> None:
    (tmp_path / "t.csv").touch()
    (tmp_path / "new").mkdir()
    path = tmp_path / "mine.yaml"
    path.write_text(
        "data: {name: Images, table: t.csv}\nmodel: UNet\npredict: {tta: flips, overlap: 0.25}\n"
        "apply: {images: new, spacing: as_is, channels: [a, b]}\n"
    )
    load(path, tmp_path).freeze(tmp_path / "experiment.json")
    for config, root in ((path, tmp_path), (tmp_path / "experiment.json", Path())):
        found = options_of("predict", config, root, "mine,yours", {"tta": "all"})
        assert found == {
            "tta": "all", "blend": "exact", "overlap": 0.25, "memory_gb": 2.0, "spacing": "as_is",
            "intensity": "as_trained", "channels": ["a", "b"], "on_error": "skip", "exports": [],
            "trust": ["mine", "yours"],
        }  # fmt: skip
    with pytest.raises(InputError, match="tta: must be one of"):
        options_of("predict", path, tmp_path, "", {"tta": "al"})


def test_the_network_of_an_experiment_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("t.csv").touch()
    Path("trusted_net.py").write_text("class Net:\n    pass\n")
    Path("mine.yaml").write_text("data: {name: Images, table: t.csv}\nmodel: 'trusted_net:Net'\n")
    assert options_of("predict", Path("mine.yaml"), Path(), "", {})["trust"] == ["", "trusted_net"]
