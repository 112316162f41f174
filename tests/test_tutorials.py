"""The notebooks of the tutorials show what their code gives."""

import json
from pathlib import Path

import pytest

from docs.execute import FOLDER, digest, execute

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_those_of_the_code(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert notebook["metadata"]["executed"] == digest(notebook), f"run: python -m docs.execute {path}"
    assert path.stat().st_size < 1_000_000
    assert "/tmp/" not in path.read_text()


def test_cells_print_and_show_as_in_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codes = ["%%writefile a.txt\nwritten", "!cat a.txt", "x = 1\nprint('said')\nx + 1", "x;"]
    found = list(execute({"cells": [{"cell_type": "code", "source": [code]} for code in codes]}))
    texts = ["".join(output.get("text", output.get("data", {}).get("text/plain"))) for one in found for output in one]
    assert texts == ["Writing a.txt\n", "written\n", "said\n", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(path.read_text())
    found = list(execute(notebook))
    stored = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [[output["output_type"] for output in one] for one in found] == [
        [output["output_type"] for output in one] for one in stored
    ]
