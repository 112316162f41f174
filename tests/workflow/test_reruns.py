"""Reasons to run again: contents of files and code, not paths or times.

A run uses the settings found at its start. Steps are a stand-in; Snakemake and the rules are real.
"""

import copy
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.stand_in import ROOT, calls, run, stand_in

PEAKS = {
    "data": {"name": "Intervals", "genome": "genome.fa", "positives": "peaks.bed"},
    "model": {"name": "DeepBind"},
    "variants": {"vcf": "some.vcf"},
}
CELLS = {"data": {"name": "Images", "table": "cells.csv"}, "model": {"name": "UNet"}, "apply": {"images": "new"}}
AT_THE_END = {"report", "summary"}
AFTER_DATA = {"dataset", "train", "predict", "baselines", "evaluate", "explain"} | AT_THE_END
OF_IMAGES = {"uncertainty", "apply"}


class Place:
    """A working folder in which two experiments with a user's files were run once."""

    def __init__(self, folder: Path) -> None:
        self.work, self.data, self.bin = folder / "work", folder / "data", folder / "bin"
        for name in ("work/config", "bin", "data/new", "data/images", "data/masks"):
            (folder / name).mkdir(parents=True)
        shutil.copy(ROOT / "config/config.yaml", self.work / "config")
        for name in ("genome.fa", "peaks.bed", "some.vcf", "images/a.png", "images/b.png", "masks/a.png", "new/n.png"):
            (self.data / name).write_bytes(name.encode().ljust(12))
        (self.data / "cells.csv").write_text("image,mask\nimages/a.png,masks/a.png\nimages/b.png,masks/a.png\n")
        self.write("peaks", PEAKS)
        self.write("cells", CELLS)
        self.run()

    def write(self, name: str, settings: dict) -> None:
        (self.work / f"{name}.yaml").write_text(yaml.safe_dump(settings))

    def run(self, *options: str, root: str = "../data", package: Path = ROOT) -> str:
        config = ["--config", f"data_root={root}", "experiments=[peaks.yaml,cells.yaml]"]
        return run(self.work, stand_in(self.bin, package), *options, *config, snakefile=package / "Snakefile")

    def planned(self, root: str = "../data", package: Path = ROOT) -> set[str]:
        """Return the rules that would run again."""
        text = self.run("--dry-run", root=root, package=package)
        return set(re.findall(r"^(\w+) +\d+$", text, re.MULTILINE)) - {"total", "all"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("reruns"))


def test_a_second_run_does_nothing_even_if_the_data_were_moved(place: Place, tmp_path: Path) -> None:
    assert place.planned() == set()
    shutil.copytree(place.data, tmp_path / "copy")
    (tmp_path / "link").symlink_to(tmp_path / "copy")
    assert place.planned(f"{tmp_path}/link/") == set()


def test_moved_results_are_not_made_again_nor_deleted_ones_that_nothing_needs(place: Place, tmp_path: Path) -> None:
    moved = copy.copy(place)
    moved.work = shutil.copytree(place.work, tmp_path / "work")
    assert moved.planned(str(place.data)) == set()
    model = "results/peaks/runs/fold0-seed1/model.safetensors"
    (moved.work / model).unlink()
    assert moved.planned(str(place.data)) == set()
    assert "train" in moved.run(model, "--dry-run", root=str(place.data))


def test_only_changed_bytes_rerun_the_steps_that_read_them(place: Place) -> None:
    """A mask and new images change, but not their size and modification time."""
    for name, rules in (("masks/a.png", {"check", *AFTER_DATA, *OF_IMAGES}), ("new/n.png", {*OF_IMAGES, *AT_THE_END})):
        path = place.data / name
        before, state = path.read_bytes(), path.stat()
        path.write_bytes(before[::-1])
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert place.planned() == rules, name
        path.write_bytes(before)
    assert place.planned() == set()


def test_raw_data_are_read_again_for_another_seed_but_not_for_another_split(place: Place) -> None:
    for settings, rules in (({"split": {"hashed": True}}, AFTER_DATA), ({"seed": 2}, {"check", *AFTER_DATA})):
        place.write("peaks", PEAKS | settings)
        assert place.planned() - {"variants"} == rules | {"negatives"}
    place.write("peaks", PEAKS)


def test_changed_code_reruns_the_steps_that_use_it(place: Place, tmp_path: Path) -> None:
    for name in ("biocnn", "workflow", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", tmp_path)
    # The step variants uses other files of the package explain, and an input names this one.
    explained = {"explain", "variants", *AT_THE_END}
    for file, rules in (("explain/step.py", explained), ("report/style.css", {*AT_THE_END})):
        path = tmp_path / "biocnn" / file
        before = path.read_text()
        path.write_text(before + "\n")
        assert place.planned(package=tmp_path) == rules, file
        path.write_text(before)


def test_a_run_uses_the_settings_found_at_its_start(place: Place) -> None:
    """A step edits the file and removes that of another experiment; later steps do not notice."""
    calls(place.work)
    texts = {path: path.read_text() for path in place.work.glob("*.yaml")}
    (place.work / "meanwhile.py").write_text(
        "if step == 'train':\n"
        "    path = Path('peaks.yaml')\n"
        "    path.write_text(path.read_text().replace('resamples: 7', 'resamples: 8'))\n"
        "    Path('cells.yaml').unlink()\n"
    )
    place.write("peaks", PEAKS | {"train": {"lr": 0.01}, "metrics": {"resamples": 7}})
    try:
        place.run()
        given = {call["step"]: call["config"] for call in calls(place.work) if call["config"]}
        assert {"train", "evaluate", "report"} <= given.keys()
        assert {config["settings"]["metrics"]["resamples"] for config in given.values()} == {7}
        assert len({config["digest"] for config in given.values()}) == 1
        (place.work / "cells.yaml").write_text(texts[place.work / "cells.yaml"])
        before = {path: path.stat().st_mtime_ns for path in place.work.glob("results/**/*")}
        assert place.planned() == {"evaluate", "negatives", *AT_THE_END}
        place.write("peaks", PEAKS | {"train": {"lr": 0.01}, "metrics": {"resamples": 7}})
        assert place.planned() == set()
        assert {path: path.stat().st_mtime_ns for path in place.work.glob("results/**/*")} == before
    finally:
        (place.work / "meanwhile.py").unlink()
        for path, text in texts.items():
            path.write_text(text)
