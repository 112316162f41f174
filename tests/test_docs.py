"""Examples in README and docs work as printed."""

import re
from pathlib import Path

import pytest
import yaml

from biocnn.config.experiment import load
from biocnn.config.settings import Settings

ROOT = Path(__file__).parents[1]


def blocks(path: str, language: str) -> list[str]:
    """Return the code blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", [b for b in blocks("README.md", "python") if "biocnn.load" not in b])
def test_python_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("text", blocks("README.md", "yaml"))
def test_experiments_are_valid(text: str, tmp_path: Path) -> None:
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


def test_links_are_valid() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "config/README.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text()):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
