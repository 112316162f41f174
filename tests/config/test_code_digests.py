"""The source files whose code a step can run."""

import hashlib
from pathlib import Path

import pytest
from tiny import experiment

from biocnn.config import code_digests
from biocnn.workflow.steps import STEPS

PACKAGE = code_digests.PACKAGE
SETTINGS = experiment(data="Intervals")


def runs_through(step: str, file: str, *sections: str) -> bool:
    """Check whether the code of a step includes a file."""
    _texts, modules = code_digests._function(code_digests.STEPS, step)
    digest = hashlib.sha256((PACKAGE / file).read_bytes()).digest()
    return digest in code_digests.code({*modules, *code_digests.chosen(SETTINGS, sections)})


@pytest.mark.parametrize(
    ("step", "sections", "inside", "outside"),
    [
        ("train", ["model", "loss", "augment"], ["training/loop.py", "models/deepbind.py", "losses/regions.py",
          "training/state.py", "tasks/binary.py", "tasks/instances.py"],
         ["models/unet.py", "apply/scan/step.py", "report/page.py", "workflow/cli.py"]),
        ("check", ["data"], ["data/intervals.py", "io/genome.py", "data/doctor.py"],
         ["training/loop.py", "data/sequences.py", "models/deepbind.py"]),
        ("genome", [], ["io/genome.py", "core/files.py"], ["data/intervals.py", "training/loop.py", "tasks/binary.py"]),
        ("predict", ["model"], ["prediction/model.py", "models/deepbind.py"], ["training/loop.py", "explain/step.py"]),
        ("explain", ["model"], ["explain/step.py", "models/deepbind.py"], ["report/page.py", "training/loop.py"]),
        ("report", [], ["report/page.py", "report/page.html.j2", "report/style.css"], ["training/loop.py"]),
        ("trial", ["model", "loss", "augment"], ["training/calibrate.py", "training/loop.py"], ["models/unet.py"]),
        ("uncertainty", ["model"], ["evaluation/uncertainty/step.py"], ["report/page.py"]),
    ],
)  # fmt: skip
def test_code_of_each_step(step: str, sections: list[str], inside: list[str], outside: list[str]) -> None:
    assert [file for file in inside if not runs_through(step, file, *sections)] == []
    assert [file for file in outside if runs_through(step, file, *sections)] == []


@pytest.mark.parametrize("step", ["train", "trial"])
def test_training_does_not_depend_on_later_steps(step: str) -> None:
    later = [file for name in ("apply", "evaluation", "explain", "report") for file in (PACKAGE / name).rglob("*.py")]
    assert later
    assert [
        file for file in later if runs_through(step, str(file.relative_to(PACKAGE)), "model", "loss", "augment")
    ] == []


def test_options_of_steps_that_apply_models_do_not_concern_other_steps() -> None:
    found = {step.__name__ for step in STEPS if runs_through(step.__name__, "workflow/options.py")}
    assert found == {"predict", "features", "explain", "variants", "scan"}
    assert not runs_through("train", "workflow/naming.py")


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_every_step_has_a_digest(step) -> None:
    assert len(code_digests.code_of_step(step.__name__, SETTINGS, [])) == 12


def test_every_choice_left_to_the_data_is_included() -> None:
    named = experiment(loss="cldice", augment=["shift"])
    assert {path.name for path in code_digests.chosen(named, ["loss", "augment"])} == {"shapes.py", "sequences.py"}
    left = {path.name for path in code_digests.chosen(experiment(augment="default"), ["loss", "augment"])}
    assert left == {
        "contrastive.py",
        "pixels.py",
        "regions.py",
        "similarity.py",
        "values.py",
        "profiles.py",
        "shapes.py",
        "instances.py",
        "sequences.py",
        "geometry.py",
        "intensity.py",
    }


def test_a_file_named_in_a_string_counts_where_its_package_does(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text('figures = "biocnn.report.page:write_report"')
    (tmp_path / "report.py").write_text('from biocnn.report import blocks\nfigures = "biocnn.report.page:write_report"')
    page = code_digests._digest(PACKAGE / "report" / "page.py")
    assert page not in code_digests.code([tmp_path / "task.py"])
    assert page in code_digests.code([tmp_path / "report.py"])


def test_imports_for_type_checkers_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from biocnn.io.genome import Genome\n"
    )
    assert len(code_digests.code([tmp_path / "typed.py"])) == 1


def test_a_users_own_module_counts_with_its_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rel_net").mkdir()
    for name in ("rel_net/__init__.py", "rel_net/parts.py", "rel_net/more.py", "beside.py", "unused.py"):
        (tmp_path / name).write_text(f"# {name}\n")
    (tmp_path / "rel_net/net.py").write_text(
        "import torch\nfrom .parts import a\nfrom rel_net import more\nimport beside\n"
    )
    found = code_digests.code([tmp_path / "rel_net/net.py"])
    wanted = ["rel_net/__init__.py", "rel_net/parts.py", "rel_net/more.py", "rel_net/net.py", "beside.py"]
    assert found == {hashlib.sha256((tmp_path / name).read_bytes()).digest() for name in wanted}
