"""Which code a step runs through."""

import hashlib
from pathlib import Path

import pytest

from biocnn import program
from biocnn.steps import STEPS

PACKAGE = program.PACKAGE
SETTINGS = {"data": {"name": "Intervals"}, "model": {"name": "DeepBind"}, "loss": None, "augment": []}


def runs_through(step: str, file: str, *sections: str) -> bool:
    """Whether the code of a step holds that file."""
    _texts, modules = program._function(program.STEPS, step)
    digest = hashlib.sha256((PACKAGE / file).read_bytes()).digest()
    return digest in program.code({*modules, *program.chosen(SETTINGS, sections)})


@pytest.mark.parametrize(
    ("step", "sections", "inside", "outside"),
    [
        ("train", ["model", "loss", "augment"], ["train.py", "models/deepbind.py", "losses/regions.py", "state.py"],
         ["models/unet.py", "scan/step.py", "report/page.py", "cli.py"]),
        ("check", ["data"], ["data/intervals.py", "data/genome.py", "data/doctor.py"],
         ["train.py", "data/sequences.py", "models/deepbind.py"]),
        ("genome", [], ["data/genome.py", "files.py"], ["data/intervals.py", "train.py"]),
        ("predict", ["model"], ["predict.py", "models/deepbind.py"], ["train.py", "explain/step.py"]),
        ("explain", ["model"], ["explain/step.py", "models/deepbind.py"], ["report/page.py", "train.py"]),
        ("report", [], ["report/page.py", "report/page.html.j2", "report/style.css"], ["train.py"]),
        ("trial", ["model", "loss", "augment"], ["calibrate.py", "train.py"], ["models/unet.py"]),
        ("uncertainty", ["model"], ["uncertainty/step.py"], ["report/page.py"]),
    ],
)  # fmt: skip
def test_steps_run_through(step: str, sections: list[str], inside: list[str], outside: list[str]) -> None:
    assert [file for file in inside if not runs_through(step, file, *sections)] == []
    assert [file for file in outside if runs_through(step, file, *sections)] == []


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_every_step_has_a_word(step) -> None:
    assert len(program.code_of_step(step.__name__, SETTINGS, [])) == 12


def test_what_is_left_to_the_data_may_be_any() -> None:
    named = SETTINGS | {"loss": {"name": "cldice"}, "augment": [{"name": "shift"}]}
    assert {path.name for path in program.chosen(named, ["loss", "augment"])} == {"shapes.py", "sequences.py"}
    left = {path.name for path in program.chosen(SETTINGS | {"augment": "default"}, ["loss", "augment"])}
    assert left == {
        "pixels.py",
        "regions.py",
        "shapes.py",
        "instances.py",
        "sequences.py",
        "geometry.py",
        "intensity.py",
    }


def test_a_users_own_module_counts_with_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rel_net").mkdir()
    for name in ("rel_net/__init__.py", "rel_net/parts.py", "rel_net/more.py", "beside.py", "unused.py"):
        (tmp_path / name).write_text(f"# {name}\n")
    (tmp_path / "rel_net/net.py").write_text(
        "import torch\nfrom .parts import a\nfrom rel_net import more\nimport beside\n"
    )
    found = program.code([tmp_path / "rel_net/net.py"])
    wanted = ["rel_net/__init__.py", "rel_net/parts.py", "rel_net/more.py", "rel_net/net.py", "beside.py"]
    assert found == {hashlib.sha256((tmp_path / name).read_bytes()).digest() for name in wanted}
