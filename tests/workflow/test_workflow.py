"""The workflow end to end, with sequences and images, on small simulated data; and reasons to run again."""

import html
import re
import runpy
import shutil
from pathlib import Path

import pytest
import yaml

from biocnn.config.experiment import read_frozen
from tests import forked_steps, stand_in
from tests.test_docs import blocks

ROOT = Path(__file__).parents[2]
SEQUENCES = {
    "data": {
        "name": "Intervals",
        "genome": "results/demo/sequences/genome.fa",
        "positives": "results/demo/sequences/peaks.narrowPeak",
    },
    "split": {"val": ["chr7"], "test": ["chr8"]},
    "augment": ["reverse_complement"],
    "model": {"name": "DeepBind", "channels": 4, "kernel_size": 20},
    "train": {"epochs": 1, "threads": 1},
    "metrics": {"resamples": 20},
    "explain": {"motifs": {"database": "results/demo/sequences/motifs.meme"}, "examples": 2},
}
NUCLEI = {
    "data": {"name": "Images", "table": "results/demo/nuclei/table.csv"},
    "augment": ["flip"],
    "model": {"name": "UNet", "channels": [4, 8]},
    "train": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 2, "patch": [64, 64], "threads": 1},
    "metrics": {"resamples": 20},
    "explain": {"examples": 2},
    "apply": {"images": "results/demo/nuclei/new"},
}


def snakemake(folder: Path, *options: str, status: int = 0) -> str:
    """Run the project's Snakefile in a folder, and return its output."""
    return stand_in.run(folder, forked_steps.environment(), *options, status=status)


def planned(folder: Path, *options: str) -> set[str]:
    """Return the rules in a dry run."""
    text = snakemake(folder, "--dry-run", *options)
    return set(re.findall(r"^(\w+) +\d+$", text, re.MULTILINE)) - {"total", "all"}


def write(folder: Path, name: str, experiment: dict, comment: str = "") -> None:
    (folder / f"config/experiments/{name}.yaml").write_text(yaml.safe_dump(experiment) + comment)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which both experiments were run."""
    folder = tmp_path_factory.mktemp("workflow")
    (folder / "config/experiments").mkdir(parents=True)
    shutil.copy(ROOT / "config/config.yaml", folder / "config/config.yaml")
    write(folder, "demo_sequences", SEQUENCES)
    write(folder, "demo_nuclei", NUCLEI)
    text = snakemake(folder)
    assert "results/index.html" in text, "the run must end with the path of the page"
    return folder


@pytest.mark.parametrize("experiment", ["demo_sequences", "demo_nuclei"])
def test_every_step_writes_its_files(done: Path, experiment: str) -> None:
    results = done / "results" / experiment
    for name in ("checks.tsv", "metrics.tsv", "metrics_per_example.tsv", "audit.tsv", "report.html"):
        assert (results / name).stat().st_size > 0
    run = results / "runs/fold0-seed1"
    for name in ("model.safetensors", "history.tsv", "predictions/probability.npy", "predictions/examples.tsv"):
        assert (run / name).stat().st_size > 0
    page = (results / "report.html").read_text()
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page), "the page must be self-contained"
    assert not list(done.rglob("*.tmp*")), "no incomplete file may be left"


def test_steps_of_each_kind(done: Path) -> None:
    sequences, nuclei = done / "results/demo_sequences", done / "results/demo_nuclei"
    assert {path.name for path in (sequences / "explain").glob("[!.]*")} == {
        "attributions.bw",
        "attributions.npz",
        "counts.tsv",
        "evolved.npz",
        "evolved.tsv",
        "example_sites.tsv",
        "files.tsv",
        "genome_view.npz",
        "kernel_sites.tsv",
        "matches.tsv",
        "mistakes.npz",
        "motif_sites.bed",
        "motifs.meme",
        "ohe.npz",
        "predictions.bed",
        "predictions.tsv",
        "regions.tsv",
        "seqlet_matches.tsv",
        "seqlet_motifs.meme",
        "seqlet_motifs.npz",
        "seqlets.tsv",
        "shap.npz",
        "similar_motifs.tsv",
    }
    names = ("cam.npz", "feature_maps.npz", "kernels.npz", "patches.tsv", "units.npz", "units.tsv")
    assert {path.name for path in (nuclei / "explain").glob("[!.]*")} == {*names}
    for name in ("kernels", "feature_maps", "excites_outputs", "excites_channels"):
        assert (nuclei / f"figures/{name}.png").exists()
    assert len(list((nuclei / "apply/labels").glob("*.tif"))) == 3
    header = (nuclei / "apply/objects.csv").read_text().splitlines()[0].split(",")
    assert header[0] == "image"
    assert {"label", "area", "grey_mean", "score", "class"} <= set(header)
    assert not (sequences / "apply").exists()
    assert (sequences / "negatives.tsv").stat().st_size > 0
    assert not (nuclei / "negatives.tsv").exists()
    rows = (done / "results/summary.tsv").read_text().splitlines()[1:]
    assert {row.split("\t")[0] for row in rows} == {"demo_sequences", "demo_nuclei"}


def test_a_folder_of_ones_own_needs_no_config(tmp_path: Path) -> None:
    text = snakemake(tmp_path, "--dry-run", status=2)
    assert "biocnn: experiments: none given\n  for example --config experiments=[" in text
    assert "simulate" in planned(tmp_path, "--config", "experiments=[demo_nuclei]")


def test_a_second_run_does_nothing_even_if_there_is_a_new_comment(done: Path) -> None:
    write(done, "demo_sequences", SEQUENCES, "# a thought\n")
    assert planned(done) == set()


def test_only_steps_that_depend_on_a_section_run_again(done: Path) -> None:
    try:
        write(done, "demo_sequences", {**SEQUENCES, "explain": {**SEQUENCES["explain"], "examples": 3}})
        assert planned(done) == {"explain", "report", "summary"}
        write(done, "demo_sequences", {**SEQUENCES, "metrics": {"resamples": 30}})
        assert planned(done) == {"evaluate", "negatives", "report", "summary"}
        write(done, "demo_sequences", {**SEQUENCES, "train": {**SEQUENCES["train"], "lr": 0.01}})
        assert planned(done) == {"train", "predict", "evaluate", "negatives", "explain", "report", "summary"}
    finally:
        write(done, "demo_sequences", SEQUENCES)


def test_another_seed_adds_only_its_own_training(done: Path) -> None:
    try:
        write(done, "demo_sequences", {**SEQUENCES, "train": {**SEQUENCES["train"], "seeds": [1, 2]}})
        text = snakemake(done, "--dry-run")
        assert re.search(r"^train +1$", text, re.MULTILINE), text
        assert "fold0-seed2" in text
        assert not re.search(r"^dataset +\d", text, re.MULTILINE)
    finally:
        write(done, "demo_sequences", SEQUENCES)


def test_a_training_that_starts_from_another_model_waits_for_it(done: Path) -> None:
    for seed, count in ((1, 1), (2, 2)):  # the first training of the other experiment is done
        other = f"results/demo_sequences/runs/fold0-seed{seed}/model.safetensors"
        write(done, "next", {**SEQUENCES, "train": {**SEQUENCES["train"], "start_from": other}})
        text = snakemake(done, "--dry-run", "--config", "experiments=[demo_sequences,next]")
        assert re.search(rf"^train +{count}$", text, re.MULTILINE), text


def test_experiments_share_one_encoded_genome(done: Path) -> None:
    write(done, "other", {**SEQUENCES, "seed": 2})
    text = snakemake(done, "--dry-run", "--config", "experiments=[demo_sequences,other]")
    assert "genome" not in re.findall(r"^(\w+) +\d+$", text, re.MULTILINE), text
    assert len(list((done / "results/genomes").iterdir())) == 1


def test_snakemake_report(done: Path) -> None:
    snakemake(done, "--report", "workflow.html")
    assert (done / "workflow.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"name": "DeepBind", "chanels": 4}}, r"model\.chanels: unknown key\n.*did you mean 'channels'"),
        ({"data": {**SEQUENCES["data"], "genome": "nowhere.fa"}}, r"data\.genome: no such file or folder: nowhere\.fa"),
    ],
)
def test_a_faulty_experiment_stops_the_dry_run(done: Path, change: dict, message: str) -> None:
    write(done, "faulty", {**SEQUENCES, **change})
    text = snakemake(done, "--dry-run", "--config", "experiments=[faulty]", status=2)
    assert re.search(message, text), text
    assert "Traceback" not in text


def test_a_faulty_file_stops_the_run_and_leaves_nothing(done: Path) -> None:
    bed = done / "reversed.bed"
    bed.write_text("chr1\t100\t200\nchr1\t900\t800\n")
    write(done, "reversed", {**SEQUENCES, "data": {**SEQUENCES["data"], "positives": "reversed.bed"}})
    text = snakemake(done, "--config", "experiments=[reversed]", status=1)
    assert re.search(r"reversed\.bed.* line 2", text), text
    assert "Traceback" not in text
    assert not (done / "results/reversed/checks.tsv").exists()


def test_a_users_network(done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "examples", done / "examples")
    path = done / "examples/small_net.yaml"
    text = path.read_text().replace("epochs: 8", "epochs: 1").replace("explain:", "explain:\n  examples: 2\n  units: 0")
    path.write_text(text + "metrics: {resamples: 20}\n")
    snakemake(done, "--config", f"experiments=[{path.relative_to(done)}]")
    results = done / "results/small_net"
    page = (results / "report.html").read_text()
    assert "SmallNet" in page
    command = read_frozen(results / "experiment.json").command
    assert command in html.unescape(page)
    assert "experiments=[examples/small_net.yaml]" in command
    assert {line.split("\t")[0] for line in (done / "results/summary.tsv").read_text().splitlines()} >= {
        "small_net", "demo_sequences", "demo_nuclei",
    }  # fmt: skip
    monkeypatch.chdir(done)
    monkeypatch.setattr("sys.argv", ["examples.python_api", "results/small_net/dataset", "mine.safetensors"])
    runpy.run_module("examples.python_api", run_name="__main__")
    assert "val_auprc" in capsys.readouterr().out
    assert (done / "mine.safetensors").exists()


def test_the_readme_uses_models_as_shown(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(done)
    code = next(block for block in blocks("README.md", "python") if "biocnn.load" in block)
    code += "assert labels.shape == (256, 256) and maps.shape == (4, *labels.shape)\n"
    exec(compile(code, "README.md", "exec"), {})
