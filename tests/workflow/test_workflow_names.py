"""Names with special meaning for a shell, Snakemake or argparse: nothing is executed or lost."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from biocnn.config.experiment import read_frozen
from biocnn.core.errors import InputError
from biocnn.workflow.naming import TAKEN, check_name
from tests.stand_in import calls, run, stand_in
from tests.workflow.test_workflow import ROOT, snakemake

# Each would create a file in the working folder, or split a word.
HOSTILE = "-a b'c\"d$(touch PWNED1)`touch PWNED2`;touch PWNED3;{x}{output}&|<>*?#~%\\\n$HOME"
# Contigs are given in an option, separated by commas.
CONTIGS = ["-chr1", "$(touch${IFS}PWNED4)", ";'\"`touch${IFS}PWNED5`{x}"]
MAPS = ["-rs1", "$(touch PWNED4)", "a b;'\"`touch PWNED5`{x}\n"]


def shell_fields() -> list[tuple[str, str]]:
    """Return every field in the shell lines of all rules, with its file."""
    found = []
    for path in [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]:
        text = path.read_text()
        assert not re.search(r"^\s*(run|script|notebook|wrapper|cwl):|\bshell\(", text, re.MULTILINE), path.name
        for block in re.findall(r"^    shell:\n((?:        .*\n)+)", text, re.MULTILINE):
            found += [(path.name, field) for field in re.findall(r"\{[^}]*\}", block)]
    return found


def test_every_field_of_every_shell_line_is_quoted() -> None:
    fields = shell_fields()
    assert len(fields) > 60
    assert [field for _, field in fields if not field.endswith(":q}") and not field.startswith("{resources.")] == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of files with hostile names; three experiments read them, so that each rule has a job."""
    folder = tmp_path_factory.mktemp("hostile")
    root = folder / f"{HOSTILE} data"
    root.mkdir()
    genome, images = f"{HOSTILE}.fa", f"{HOSTILE} images"
    letters = "".join("ACGT"[(i * i + i // 7) % 4] for i in range(3000))
    (root / genome).write_text("".join(f">{name}\n{letters}\n" for name in ("chr1", "chr2", "chr3", *CONTIGS)))
    lines = [f"chr{i}\t{start}\t{start + 60}" for i in range(1, 4) for start in range(100, 2500, 200)]
    (root / f"{HOSTILE}.bed").write_text("\n".join(lines) + "\n")
    for name in (f"{HOSTILE}.vcf", f"{HOSTILE}.safetensors", f"{HOSTILE}.csv"):
        (root / name).write_text("image,mask\n")
    motif = "MEME version 4\n\nMOTIF one\nletter-probability matrix: alength= 4 w= 2\n" + "0.7 0.1 0.1 0.1\n" * 2
    (root / f"{HOSTILE}.meme").write_text(motif)
    (root / images).mkdir()
    sequences = {
        "data": {"name": "Intervals", "genome": genome, "positives": f"{HOSTILE}.bed", "window": 40},
        "split": {"val": ["chr2"], "test": ["chr3"]},
        "model": {"name": "DeepBind"},
        "train": {"start_from": f"{HOSTILE}.safetensors"},
        "calibrate": {"trials": 1, "folds": 2, "draw": {"train.lr": {"log_uniform": [1e-3, 1e-1]}}},
        "explain": {"motifs": {"database": f"{HOSTILE}.meme"}},
        "variants": {"vcf": f"{HOSTILE}.vcf", "maps": MAPS},
        "scan": {"contigs": CONTIGS},
    }
    pictures = {
        "data": {"name": "Images", "table": f"{HOSTILE}.csv"},
        "model": {"name": "UNet"},
        "apply": {"images": images},
    }
    labels = {
        "data": {"name": "LabelledImages", "table": f"{HOSTILE}.csv"},
        "model": {"name": "ResNet"},
        "train": {"learning_curve": [0.5]},
        "explain": {"likeness": True},
    }
    configs = folder / f"{HOSTILE} configs"
    configs.mkdir()
    for name, settings in {"sequences": sequences, "pictures": pictures, "labels": labels}.items():
        (configs / f"{name}.yaml").write_text(yaml.safe_dump(settings))
    (folder / "config").mkdir()
    settings = {"experiments": [str(p.relative_to(folder)) for p in configs.iterdir()], "data_root": root.name}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(settings))
    return folder


def test_every_rule_runs_with_hostile_names_and_executes_none_of_them(hostile: Path, tmp_path: Path) -> None:
    """The shell executes the lines; a stand-in for biocnn parses arguments like biocnn, and records them."""
    text = run(hostile, stand_in(tmp_path))
    assert "Nothing to be done" not in text
    assert not list(hostile.rglob("PWNED*"))
    called = calls(hostile)
    steps = {call["step"]: call for call in called}
    [steps["apply"]] = (call for call in called if str(call["given"].get("out")).endswith("/apply"))
    given = {name: call["given"] for name, call in steps.items()}
    rules = set(re.findall(r"^rule (\w+):", "\n".join(p.read_text() for p in ROOT.glob("workflow/rules/*.smk")), re.M))
    assert rules == given.keys() | {"simulate"}, "every rule must run"
    root = f"{HOSTILE} data"
    assert given["genome"]["fasta"] == f"{root}/{HOSTILE}.fa"
    assert given["variants"]["vcf"] == f"{root}/{HOSTILE}.vcf"
    assert given["apply"]["data"] == f"{root}/{HOSTILE} images"
    assert steps["scan"]["config"]["settings"]["scan"]["contigs"] == CONTIGS
    assert steps["variants"]["config"]["settings"]["variants"]["maps"] == MAPS
    again = snakemake(hostile)
    assert again.count("Nothing to be done") == 1
    for printed in (text, again):
        assert printed.endswith("\nReports: results/index.html\n")


def test_the_command_in_a_report_reruns_the_experiment(hostile: Path, tmp_path: Path) -> None:
    command = read_frozen(hostile / "results/sequences/experiment.json").command
    typed = ["bash", "-c", f"{command} --dry-run --until report"]
    done = subprocess.run(typed, cwd=hostile, env=stand_in(tmp_path), capture_output=True, text=True)
    assert re.search(r"^total +0$", done.stdout + done.stderr, re.MULTILINE), done.stderr
    assert not list(hostile.rglob("PWNED*"))


def test_a_genome_and_peaks_with_hostile_names_are_read(hostile: Path) -> None:
    targets = ["--until", "dataset", "--config", f"experiments=[{json.dumps(f'{HOSTILE} configs/sequences.yaml')}]"]
    snakemake(hostile, *targets, "--forcerun", "genome", "check")
    facts = json.loads((hostile / "results/sequences/dataset/facts.json").read_text())
    assert sum(facts["n"].values()) > 30
    assert not list(hostile.rglob("PWNED*"))


@pytest.mark.parametrize(
    "name",
    ["a;touch PWNED1;x", "$(touch PWNED2)", "a b", "a'b", 'a"b', "a`b`", "a\nb", "-a", ".a", "{x}", "ä", "", "a" * 65,
     "a" * 30, "run" + "ab" * 20, *TAKEN],
)  # fmt: skip
def test_unsafe_names_of_experiments_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        check_name(name, f"{name}.yaml")
    assert repr(name) in caught.value.message
    assert caught.value.remedy.startswith("rename it; ")


@pytest.mark.parametrize(
    "name", ["a", "reb1", "2nd_try", "_x", "ctcf.chr20-v2", "a" * 19, "a" * 30 + "b", "x" + "-y" * 9]
)
def test_safe_names_of_experiments_are_allowed(name: str) -> None:
    check_name(name, f"{name}.yaml")


def test_an_experiment_file_with_such_a_name_is_an_error_in_a_dry_run(hostile: Path) -> None:
    path = hostile / "a;touch PWNED1;$(touch PWNED2).yaml"
    path.write_text((hostile / f"{HOSTILE} configs/sequences.yaml").read_text())
    text = snakemake(hostile, "--dry-run", "--config", f"experiments=[{json.dumps(path.name)}]", status=2)
    assert "the name of an experiment" in text
    assert "rename it" in text
    assert "Traceback" not in text
    assert not list(hostile.rglob("PWNED*"))
