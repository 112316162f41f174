"""Manifests: what differs is named, and only what a rerun reproduces is compared."""

import gzip
import logging
from pathlib import Path
from urllib.parse import unquote

import pytest
import safetensors.numpy
import yaml

from biocnn.config.experiment import load, settings_of
from biocnn.core.errors import InputError
from biocnn.core.files import read_json, sha256
from biocnn.workflow.crate import CRATE, write_crate
from biocnn.workflow.manifest import NAME, _reproduced, first_difference, step_of, verified, write_manifest
from biocnn.workflow.rerun import rerun, verify

GIVEN = {"data": {"name": "Intervals", "genome": "genome.fa", "positives": "a.bed"}, "train": {"lr": 1e-5}}


def made(folder: Path, seconds: float = 1, loss: float = 2, note: str = "") -> Path:
    """Write results of an experiment, and return their folder."""
    results = folder / "results/one"
    for name, text in (
        ("checks.tsv", "source"), ("dataset/settings.json", '{"genome": "genome.fa"}'),
        ("metrics.tsv", "run"), ("report.html", f"page {seconds}"), ("logs/train.log", "log"),
        ("runs/fold0-seed1/history.tsv", f"epoch\tloss\tseconds\n1\t{loss}\t{seconds}\n"),
        ("runs/fold0-seed1/state/x/history.tsv", ""),
    ):  # fmt: skip
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(text)
    safetensors.numpy.save_file({}, results / "runs/fold0-seed1/model.safetensors", {"commit": note})
    return results


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("genome.fa", "a.bed"):
        (tmp_path / name).write_text(name)
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(GIVEN))
    folder = made(tmp_path)
    experiment = load("one.yaml")
    experiment.freeze(folder / "experiment.json")
    write_manifest(experiment, folder, folder / NAME)
    return folder


def test_unchanged_results_are_verified(results: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "biocnn")
    verify(results)
    verify(results.parent)
    assert caplog.text.count("2 inputs and 6 outputs: all as in the manifest") == 2
    assert verified(results, results.parents[1]) == []


def test_all_that_differs_is_named(results: Path) -> None:
    Path("a.bed").write_text("other")
    (results / "metrics.tsv").write_text("other")
    (results / "checks.tsv").unlink()
    (results / "audit.tsv").touch()
    with pytest.raises(InputError) as caught:
        verify(results)
    for line in (
        "4 differences",
        "data.positives: ", "a.bed is changed",
        "evaluate: audit.tsv is new", "check: checks.tsv is absent", "evaluate: metrics.tsv is changed",
    ):  # fmt: skip
        assert line in caught.value.message


def test_experiments_that_cannot_be_verified_are_named(results: Path) -> None:
    for name in ("unfinished", "damaged"):
        (results.parent / name).mkdir()
        (results.parent / name / "experiment.json").touch()
    (results.parent / "damaged" / NAME).write_text("{}")
    with pytest.raises(InputError) as caught:
        verify(results.parent)
    for words in (
        "2 differences",
        "unfinished/manifest.json: no such file",
        "damaged/manifest.json: is not a manifest",
    ):
        assert words in caught.value.message


def test_results_may_be_a_link_to_another_disk(results: Path, tmp_path: Path) -> None:
    (tmp_path / "disk/deep").mkdir(parents=True)
    results.parent.rename(tmp_path / "disk/deep/stored")
    (tmp_path / "results").symlink_to(tmp_path / "disk/deep/stored")
    verify(Path("results"))


def test_results_and_data_may_be_moved_apart(results: Path, tmp_path: Path) -> None:
    for name in ("data", "elsewhere"):
        (tmp_path / name).mkdir()
    for name in ("genome.fa", "a.bed"):
        Path(name).rename(tmp_path / "data" / name)
    moved = results.parent.rename(tmp_path / "elsewhere/results")
    with pytest.raises(InputError, match=r"data\.genome: .*genome\.fa is absent") as caught:
        verify(moved)
    assert "--data-root" in caught.value.remedy
    verify(moved, data_root=Path("data"))
    with pytest.raises(InputError, match=r"data\.positives: .*a\.bed is absent\n.*--data-root"):
        rerun(moved / "one" / NAME, tmp_path / "again")
    (moved / "one/dataset/settings.json").write_text('{"genome": "data/genome.fa"}')
    write_manifest(load("one.yaml", "data"), moved / "one", tmp_path / "new.json")
    assert first_difference(read_json(moved / "one" / NAME), read_json(tmp_path / "new.json")) == ("", [])


def test_the_first_step_that_differs_is_named(results: Path, tmp_path: Path) -> None:
    old = read_json(results / NAME)
    for given, step in (
        ({"seconds": 5, "note": "other"}, ""),  # times and metadata
        ({"loss": 3}, "train"),
    ):
        made(tmp_path, **given)
        write_manifest(load("one.yaml"), results, tmp_path / "new.json")
        assert first_difference(old, read_json(tmp_path / "new.json"))[0] == step
    (results / "checks.tsv").write_text("other")
    write_manifest(load("one.yaml"), results, tmp_path / "new.json")
    assert first_difference(old, read_json(tmp_path / "new.json")) == ("check", ["checks.tsv is changed"])


def test_a_crate_names_all_files_with_their_hashes(results: Path) -> None:
    (results / "figures").mkdir()
    (results / "figures/a name.svg").touch()
    write_manifest(load("one.yaml"), results, results / NAME)
    manifest = read_json(results / NAME)
    named = {name: sha256(Path(name)) for name in ("a.bed", "genome.fa")}
    manifest["inputs"]["data.table"] = {"path": "one.yaml", "sha256": {"": sha256(Path("one.yaml")), **named}}
    write_crate(manifest, results)
    graph = read_json(results / CRATE)["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph)
    for entity in graph:
        for value in entity.values():
            named = [one["@id"] for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
            assert all(name in entities or name.startswith("https:") for name in named)
        if "sha256" in entity:
            path = unquote(entity["@id"].removeprefix("file://"))
            assert sha256(results / path) == entity["sha256"]
    assert {"figures/a%20name.svg", "metrics.tsv"} <= {one["@id"] for one in entities["#run"]["result"]}
    assert Path("a.bed").absolute().as_uri() in {one["@id"] for one in entities["#run"]["object"]}
    assert CRATE not in read_json(results / NAME)["outputs"]


def test_settings_of_a_manifest_are_an_experiment(results: Path) -> None:
    given = read_json(results / NAME)["settings"]
    assert settings_of(given).model_dump(mode="json") == given


def test_states_logs_and_manifests_are_no_outputs() -> None:
    assert step_of("runs/fold0-seed1/predictions/probability.npy") == "predict"
    for name in ("runs/fold0-seed1/state/x/history.tsv", "logs/train.log", "benchmarks/train.tsv", NAME):
        assert step_of(name) == ""


def test_a_rerun_needs_the_same_inputs_and_an_empty_folder(results: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="results/one: already exists"):
        rerun(results / NAME, tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/one.yaml").touch()
    with pytest.raises(InputError, match=r"one\.yaml: already exists"):
        rerun(results / NAME, tmp_path / "own")
    with pytest.raises(InputError, match="is not a manifest"):
        rerun(results / "experiment.json", tmp_path / "again")
    Path("genome.fa").write_text("other")
    with pytest.raises(InputError, match=r"inputs differ from the manifest:\ndata.genome: .*genome.fa is changed"):
        rerun(results / NAME, tmp_path / "again")
    with pytest.raises(InputError, match=r"has no manifest.json"):
        verify(tmp_path)


def test_variants_are_reproduced_by_a_model_file_with_other_paths(tmp_path: Path) -> None:
    hashes = []
    for digest, effect in (("aa", 1), ("bb", 1), ("bb", 2)):
        with gzip.open(tmp_path / "variants.vcf.gz", "wt") as handle:
            handle.write(f"##biocnn_variantsCommand=models=m(sha256 {digest})\nchr1\t1\t.\tA\tC\t.\t.\tE={effect}\n")
        hashes.append(_reproduced(tmp_path, "variants.vcf.gz", {}))
    assert hashes[0] == hashes[1] != hashes[2]
