"""Code blocks and commands in README and docs work as printed."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from biocnn.config.experiment import load, settings_of
from biocnn.config.experiment_file import read_yaml
from biocnn.config.settings import Settings
from biocnn.prediction.model import Model
from biocnn.workflow.cli import STEPS, parsed

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "config/README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]
OTHERS = ("mkdir", "cd", "mamba", "pip", "python3", "source", "modisco")  # commands that are not the project's
NOTEBOOK = "docs/python.md"
SITE = ("{toctree}", "{eval-rst}", "{include}")


def blocks(path: str, language: str) -> list[str]:
    """Return the code blocks of a page."""
    found = re.findall(r"^```(\S*)(?: .*)?\n(.*?)^```$", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if kind == language]


def of_pages(language: str) -> list:
    """Return the code blocks of all pages as parameters of a test."""
    return [pytest.param(text, id=f"{path}:{n}") for path in PAGES for n, text in enumerate(blocks(path, language), 1)]


def test_all_blocks_are_of_a_kind_that_is_tested() -> None:
    for path in [*PAGES, "CONTRIBUTING.md"]:
        opened = re.findall(r"^ *```(\S*)$", (ROOT / path).read_text(), re.MULTILINE)[::2]
        assert {*opened} <= {"", "python", "yaml", "snakemake", "text", *SITE}, path


def test_the_page_on_python_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run all blocks in one namespace; a block that begins with the name of a file is saved there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {}
    for code in blocks(NOTEBOOK, "python"):
        if file := re.match(r"# (\w+\.py)\n", code):
            Path(file[1]).write_text(code)
        else:
            exec(compile(code, NOTEBOOK, "exec"), names)
    assert names["model"].metrics["val_auprc"] > 0.9
    assert names["found"].shape == names["heat"].shape == (32, 32)
    assert names["contributions"].shape == (3, 4, 60)


@pytest.mark.parametrize("code", [one for one in of_pages("python") if not str(one.id).startswith(NOTEBOOK)])
def test_python_runs(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a block if the model that it loads is there; else check its imports and what it asks of the model."""
    tree = ast.parse(code)
    monkeypatch.chdir(ROOT)
    if all(Path(name).is_file() for name in re.findall(r'"([^"]+\.(?:safetensors|tif|png))"', code)):
        exec(compile(tree, "page", "exec"), {})
        return
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), "page", "exec"), {})
    for name in re.findall(r"\bmodel\.(\w+)\(", code):
        assert callable(getattr(Model, name, None)) or name == "network", name


def commands(text: str) -> list[list[str]]:
    """Return the commands of a block, one a line or joined by &&, without comments."""
    lines = [re.sub(r"\s+#.*", "", line) for line in text.splitlines()]
    return [shlex.split(command) for line in lines for command in line.split("&&") if command.strip()]


@pytest.mark.parametrize("text", of_pages(""))
def test_commands_are_valid(text: str) -> None:
    for program, *rest in commands(text):
        if program == "biocnn":
            assert rest[0] in [step.__name__ for step in STEPS], rest
            assert not getattr(parsed(rest), "more", []), rest
        elif program == "make":
            assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), rest
        elif program.endswith("python"):
            assert rest[:1] == ["-m"] or program in OTHERS, rest
            assert rest[1] == "venv" or (ROOT / f"{rest[1].replace('.', '/')}.py").is_file(), rest
        elif program == "snakemake":
            assert all(
                word.startswith("-") or re.fullmatch(r"all|\d+|[\w:]+=.*|(results|profiles)/.*", word) for word in rest
            ), rest
        else:
            assert program in OTHERS, program


def experiments(text: str) -> list[str]:
    """Return the experiments of a block: each line is one if a section occurs more than once."""
    keys = re.findall(r"^(\w+):", text, re.MULTILINE)
    return text.splitlines() if len(keys) > len({*keys}) else [text]


def strings(value: object) -> list[str]:
    """Return all text in settings: some of it names files."""
    if isinstance(value, dict | list):
        return [text for one in (value.values() if isinstance(value, dict) else value) for text in strings(one)]
    return [value] if isinstance(value, str) else []


# What blocks without a section data are tested with.
SEQUENCES = {"name": "Sequences", "table": "t.csv"}
IMAGES = {"name": "LabelledImages", "table": "t.csv"}


@pytest.mark.parametrize("text", of_pages("yaml"))
def test_settings_are_valid(text: str, tmp_path: Path) -> None:
    for one in experiments(text):
        (tmp_path / "mine.yaml").write_text(one)
        data = SEQUENCES if re.search("DeepBind|calibrate", one) else IMAGES
        data = data | ({"covariates": ["age"]} if "covariates" in one else {})
        given = {"data": data} | read_yaml(tmp_path / "mine.yaml")
        for name in strings(given):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if "." in name else path.mkdir(exist_ok=True)
        assert settings_of(given, tmp_path).data.name == given["data"]["name"]


@pytest.mark.parametrize("text", blocks("docs/running.md", "yaml"))
def test_experiments_to_write_oneself_are_valid(text: str, tmp_path: Path) -> None:
    for name in re.findall(r"[\w.]+\.(?:fa\.gz|narrowPeak|meme|csv)", text):
        (tmp_path / name).touch()
    for name in ("photos", "outlines", "new_photos", "cells"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine.yaml").write_text(text)
    assert load(tmp_path / "mine.yaml", tmp_path).settings.model.name in ("DeepBind", "UNet", "ResNet", "CentreNet")


def test_defaults_in_the_docs_equal_those_in_the_code() -> None:
    table = re.search(r"\| setting \| default .*\n\|[-|]+\n((?:\|.*\n)+)", (ROOT / "docs/training.md").read_text())
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table[1].splitlines()]
    assert len(rows) > 3
    train = Settings.model_fields["train"].default
    assert {key.strip("`"): yaml.safe_load(value) for key, value in rows} == {
        key.strip("`"): getattr(train, key.strip("`")) for key, _ in rows
    }
    assert f"`train.memory_gb` ({train.memory_gb} GB)" in (ROOT / "docs/images.md").read_text()
    assert (
        f"predict: {{memory_gb: {Settings.model_fields['predict'].default.memory_gb:g}}}"
        in (ROOT / "docs/images.md").read_text()
    )


def test_the_picture_of_the_workflow_has_all_its_rules() -> None:
    steps = {
        name
        for path in ROOT.glob("workflow/rules/*.smk")
        for name in re.findall(r"^rule (\w+)", path.read_text(), re.M)
    }
    picture = (ROOT / "docs/running.md").read_text().partition("## How it works")[2].partition("A rule depends")[0]
    assert steps - {"all"} <= set(re.findall(r"`(\w+)`", picture))


def test_links_are_valid() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "config/README.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text()):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
