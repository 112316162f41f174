"""All faults of the settings are reported at once, before anything runs, each with an example of what is allowed."""

import sys
from pathlib import Path

import pytest
from tiny import experiment, labelled

from biocnn.config.agreement import TARGETS, check_read
from biocnn.config.experiment import load
from biocnn.config.registry import REGISTRY, suited
from biocnn.config.settings import Metrics, Train
from biocnn.core.errors import Faults, InputError
from biocnn.tasks import make_task
from biocnn.workflow.rules import Workflow
from tests.workflow.test_workflow import ROOT, snakemake

PEAKS = "data: {name: Intervals, genome: genome.fa, positives: peaks.bed}\nmodel: {name: DeepBind}\n"
CELLS = "data: {name: Images, images: images, masks: masks}\nmodel: {name: UNet}\n"
BASES = "data: {name: AnnotatedGenome, genome: genome.fa, classes: {site: peaks.bed}}\n"
LABELLED = "data: {name: LabelledImages, folder: images}\n"
AGED = "data: {name: LabelledImages, table: peaks.bed, covariates: [age]}\n"
DOSED = "data: {name: Sequences, table: peaks.bed, covariates: [dose]}\n"
BOXED = "data: {name: BoxedImages, table: peaks.bed}\nmodel: CentreNet\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(">chr1\nACGT\n>chr2\nACGT\n>chrX\nACGT\n")
    (tmp_path / "peaks.bed").touch()
    for name in ("images", "masks", "new"):
        (tmp_path / name).mkdir()
    return tmp_path


def faults(text: str, **config: object) -> list[str]:
    """Return all faults of an experiment, each with its remedy."""
    Path("mine.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        Workflow({"experiments": ["mine.yaml"], **config}, Path())
    return list(map(str, caught.value.faults if isinstance(caught.value, Faults) else [caught.value]))


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (PEAKS + "split: {val: [chr3]}", "split.val: contig 'chr3' is not in genome.fa", "did you mean 'chr"),
        (PEAKS + "split: {test: ['1', chrY]}", "split.test: contig 'chrY' is not in genome.fa", "chrX"),
        (PEAKS + "scan: {contigs: [chr9]}", "scan.contigs: contig 'chr9' is not in genome.fa", "chr1, chr2, chrX"),
        (PEAKS + "split: {val: 10}", "split.val: 10 is not a fraction", "val: 0.1; or names of groups: val: [10]"),
        (PEAKS + "split: {test: 0}", "split.test: 0 is not a fraction", "test: 0.1"),
        (PEAKS + "split: {test: []}", "split.test: names no group", "[chr2]"),
        (PEAKS + "split: {val: [chr1], test: [chr1]}", "split.val and split.test: 'chr1' is in both", "once"),
        (PEAKS + "split: {folds: 5, val: 0.1}", "split.val and split.folds: cannot be combined", "leave out one"),
        (PEAKS + "split: {folds: 2}", "split.folds: 2 folds leave none to train", "3 or more"),
        (CELLS + "split: {folds: 2}", "split.folds: 2 folds leave none to train", "3 or more"),
        (
            PEAKS + "apply: {images: new}",
            "apply.images: is for images, but data: Intervals are seq",
            "leave it out",
        ),
        (
            BASES + "variants: {vcf: peaks.bed}",
            "variants.vcf: is for sequences with one target per example",
            "leave it",
        ),
        (BASES + "model: DeepBind", "DeepBind is not for sequences with one class per base", "allowed: FCN, UNet"),
        (BASES + "loss: cldice", "loss: cldice is not for sequences", "allowed: bce"),
        (PEAKS + "metrics: {human: {auroc: 97%}}", "metrics.human: must be entries by name (each: a number)", "0.9"),
        (PEAKS + "metrics: {also: [dice]}", "metrics.also: is for sequences with one class per base", "leave it out"),
        (PEAKS + "uncertainty: {methods: [dropout]}", "uncertainty.methods: is for images", "leave it out"),
        (PEAKS + "train: {patch: [64, 64]}", "train.patch: is for images", "leave it out"),
        (PEAKS + "predict: {tta: flips}", "predict.tta: is for images", "leave it out"),
        (PEAKS + "augment: [flip]", "augment.0: flip is not for sequences", "allowed: reverse_complement, shift"),
        (PEAKS + "loss: dice", "loss: dice is not for sequences", "allowed: bce, mse"),
        (PEAKS.replace("DeepBind", "UNet"), "model: UNet is not for sequences", "allowed: DeepBind, Basset"),
        (CELLS.replace("UNet", "DeepBind"), "model: DeepBind is not for images", "allowed: FCN, UNet"),
        (CELLS.replace("UNet", "ResNet"), "ResNet is not for images with one class per pixel", "allowed: FCN, UNet"),
        (LABELLED + "model: UNet", "UNet is not for images with one target per example", "allowed: ResNet"),
        (LABELLED + "model: ResNet\nloss: dice", "dice is not for images with one target per example", "allowed: "),
        (
            LABELLED + "model: ResNet\ntrain: {patch: [8, 8]}",
            "train.patch: is for images with one class per pixel",
            "out",
        ),
        (LABELLED + "model: ResNet\ntrain: {foreground: 0.5}", "but data: LabelledImages are images with one t", "out"),
        (LABELLED + "model: ResNet\nmetrics: {also: [dice]}", "metrics.also: is for images with one class per pi", ""),
        (LABELLED + "model: ResNet\npredict: {blend: gaussian}", "predict.blend: is for images with one class per", ""),
        (LABELLED + "model: ResNet\nuncertainty: {methods: [dropout]}", "uncertainty.methods: is for images with", ""),
        (
            CELLS + "train: {size: [8, 8]}",
            "train.size: is for images with one target per example, but data: Images",
            "",
        ),
        (CELLS + "train: {fit: crop}", "train.fit: is for images with one target per example", "leave it out"),
        (PEAKS + "train: {size: [8]}", "train.size: is for images, but data: Intervals are sequences", "leave it out"),
        (BOXED + "metrics: {also: [ap75]}", "metrics.also: is for images with one", "always computed: ap50, ap75, ap"),
        (CELLS + "metrics: {also: [mcc]}", "metrics.also: there is no metric 'mcc'", "allowed: dice"),
        (CELLS + "metrics: {also: [surface_dise]}", "there is no metric 'surface_dise'", "mean 'surface_dice'?"),
        (CELLS + "loss: mse", "loss: mse is not for images", "dice_bce"),
        (CELLS + "augment: [shift]", "augment.0: shift is not for images", "rotate90"),
        (CELLS + "variants: {vcf: peaks.bed, genome: genome.fa}", "variants.vcf: is for sequences", "leave it out"),
        (CELLS + "explain: {motifs: {database: peaks.bed}}", "explain.motifs.database: is for seq", "leave it out"),
        (CELLS + "explain: {attributions: deeplift}", "explain.attributions: is for sequences", "leave it out"),
        (PEAKS + "train: {patch: 64}", "each: a whole number >= 1 and <= 1,000,000) or null (given: 64)", "[128, 128]"),
        (
            PEAKS + "train: {seeds: 1}",
            "train.seeds: must be a list (each: a whole number >= 0",
            "seeds: [1], the default",
        ),
        (PEAKS + "train: {seeds: [1, 2, 1]}", "train.seeds: duplicate value 1", "once"),
        (PEAKS + "scan: {contigs: [chr1, chr1]}", "scan.contigs: duplicate value 'chr1'", "once"),
        (
            PEAKS + "split: {val: 'chr1, chr2'}",
            "split.val: must be a number or a list",
            "write a list: val: [chr1, chr2]",
        ),
        (PEAKS + "split: {val: 10%}", "split.val: must be a number or a list", "val: 0.15"),
        (CELLS + "metrics: {also: dice}", "metrics.also: must be a list", "write a list: also: [dice]"),
        (
            LABELLED.replace("images}", "images, classes: [1, a]}"),
            "data.classes: must be a list (each: text)",
            'write text in quotes: classes: ["1", "a"]',
        ),
        (
            PEAKS + "calibrate: {draw: {train.lr: [1, 2]}}",
            "calibrate.draw: must be",
            "{train.lr: {log_uniform: [0.0001",
        ),
        (PEAKS + "train: {momentum: 0.8}", "train.momentum: is for train.optimizer: sgd", "leave momentum out"),
        (AGED + "apply: {images: new}", "apply.covariates: is missing", "with the columns image, age"),
        (LABELLED + "apply: {images: new, covariates: peaks.bed}", "apply.covariates: is for models", "leave it out"),
        (DOSED + "scan: {contigs: all, genome: genome.fa}", "scan.contigs: places in a genome have no", "leave it"),
        (CELLS + "scan: {contigs: all}", "scan.contigs: is for sequences", "leave it out"),
        (PEAKS.replace("genome.fa", "new"), "data.genome: new is a folder", "name a file in it"),
        (PEAKS.replace("peaks.bed", "[peaks.bed, new]"), "data.positives.1: new is a folder", "name a file in it"),
        (PEAKS + "variants: {vcf: new}", "variants.vcf: new is a folder", "name a file in it"),
        (CELLS + "apply: {images: peaks.bed}", "apply.images: peaks.bed is a file", "name the folder"),
        (CELLS.replace("masks: masks", "masks: peaks.bed"), "data.masks: peaks.bed is a file", "name the folder"),
        (
            CELLS.replace("masks: masks", "masks: masks, class_masks: peaks.bed"),
            "data.class_masks: peaks.bed is a file",
            "name the folder",
        ),
        (
            PEAKS.replace("genome.fa", "'D:\\g.fa'"),
            "no such file or folder: D:\\g.fa",
            "a Windows path, write it with /",
        ),
        (PEAKS.replace("genome.fa", '"D:\\g.fa"'), "line 1: not valid YAML", "double quotes \\ starts an escape"),
        (PEAKS.replace("name: I", "name:I").replace(", ", "\n  "), "not valid YAML", "space after each colon"),
        (PEAKS + "train:\n\tepochs: 3", "line 4: not valid YAML: a tab", "indent with spaces"),
        (PEAKS.replace("genome.fa", "genom.fa"), "data.genome: no such file or folder: genom.fa", "mean 'genome.fa'?"),
        (PEAKS.replace("genome.fa", "nw/genome.fa"), "no such file or folder: nw/genome.fa", "did you mean 'new'?"),
        (PEAKS.replace("genome.fa", "/no/such.fa"), "no such file or folder: /no/such.fa", "/ has no 'no'; check the"),
        (PEAKS.replace("genome.fa", "~nobody_here/g.fa"), "~nobody_here/g.fa: there is no such user", "absolute path"),
        (PEAKS.replace("genome.fa", "g" * 300), "data.genome: no such file or folder: ggg", "data_root"),
    ],
)
def test_contradicting_settings_are_reported_with_a_remedy(folder: Path, text: str, message: str, remedy: str) -> None:
    (said,) = faults(text)
    assert said.startswith("mine.yaml: ")
    assert message in said.split("\n")[0]
    assert remedy in said.split("\n", 1)[1]
    for word in ("Annotated", "FieldInfo", "Literal", "list[", "NoneType", "pydantic"):
        assert word not in said.replace("AnnotatedGenome", "")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"experiment": ["reb1"]}, "--config experiment=...: unknown key\n  did you mean 'experiments'?"),
        ({"gpus": "many"}, "gpus: must be a whole number >= 0 (given: 'many')"),
        ({"gpus": -1}, "gpus: must be a whole number >= 0 (given: '-1')"),
        ({"gpus": True}, "gpus: must be a whole number"),
    ],
)
def test_faults_of_the_command_line(folder: Path, config: dict, message: str) -> None:
    (said,) = faults(PEAKS, **config)
    assert said.startswith(message)


def test_a_dry_run_ends_with_all_faults_of_all_experiments(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text((ROOT / "config/config.yaml").read_text())
    (folder / "one.yaml").write_text(PEAKS + "split: {val: 10}\ntrain: {epochs: 0, lr: fast}\nmodle: x\n")
    (folder / "two.yaml").write_text(
        CELLS.replace("masks: masks", "masks: maskx") + "augment: [{name: flip, axs: 1}, 3]\n"
    )
    text = snakemake(folder, "--dry-run", "--config", "experiments=[one.yaml,two.yaml]", "gpus=x", status=2)
    lines = text.rstrip().split("\n")
    start = lines.index("biocnn: 8 faults; nothing was run")
    keys = [line.split(": ")[1:3] for line in lines[start + 1 :: 2]]
    assert [key if key == "gpus" else f"{key} {rest}" for key, rest in keys] == [
        "gpus", "one.yaml modle", "one.yaml train.epochs", "one.yaml train.lr", "one.yaml split.val",
        "two.yaml augment.0.axs", "two.yaml augment.1", "two.yaml data.masks",
    ]  # fmt: skip
    assert not (folder / "results").exists()


def test_a_tilde_means_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    Path("mine.yaml").write_text(PEAKS.replace("genome.fa", "~/genome.fa"))
    assert load("mine.yaml").files["data.genome"] == folder / "genome.fa"
    Path("mine.yaml").write_text(PEAKS)
    assert load("mine.yaml", "~").files["data.genome"] == folder / "genome.fa"


@pytest.mark.parametrize("names", ["[chr1]", "['1']", "[X, chr2]"])
def test_contigs_are_known_by_their_other_names(folder: Path, names: str) -> None:
    Path("mine.yaml").write_text(PEAKS + f"split: {{val: {names}}}\nscan: {{contigs: {names}}}\n")
    assert Workflow({"experiments": ["mine.yaml"]}, Path()).names == ["mine"]


def test_every_registered_name_suits_an_input() -> None:
    for kind in ("data", "models", "augment", "losses"):
        of = {name: set(suited(kind, name)) for name in REGISTRY["inputs"]}
        assert set.union(*of.values()) == set(REGISTRY[kind])
        assert all(of.values()), f"{kind}: none for an input"
    shared = set(suited("losses", "sequence", "vector")) & set(suited("losses", "image", "map"))
    assert shared == {"bce", "cross_entropy"}, "for yes or no, and for one of several classes"


def test_each_reader_and_each_network_has_one_kind_of_target_and_those_for_maps_suit_values() -> None:
    for kind in ("data", "models"):
        assert {entry.target for entry in REGISTRY[kind].values()} <= set(TARGETS)
    for name in REGISTRY["inputs"]:
        found = {target: suited("models", name, target) for target in TARGETS}
        assert set(found.pop("map")) <= set(found["values"])
        assert sorted(model for models in found.values() for model in models) == sorted(suited("models", name))
    assert "dice" not in suited("losses", "image", "vector")
    assert "dice" in suited("losses", "image", "map")


def test_settings_of_a_users_own_data_format_are_checked_once_it_is_read() -> None:
    task = make_task(labelled().facts)
    check_read(experiment("ResNet", data="mine:Reader", train=Train(size=[8, 8])), task)
    with pytest.raises(Faults) as caught:
        check_read(experiment("UNet", data="mine:Reader", train=Train(patch=[8, 8])), task)
    patch, model = map(str, caught.value.faults)
    assert "train.patch: is for images with one class per pixel, but data: mine:Reader are images" in patch
    assert "model: UNet is not for images with one target per example" in model


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_a_loss_for_another_task_is_refused_once_the_data_are_read(loss: str) -> None:
    task = make_task(labelled().facts)
    with pytest.raises(InputError, match=f"loss: {loss} does not suit targets of kind multiclass") as caught:
        check_read(experiment("ResNet", data="LabelledImages", loss=loss), task)
    assert caught.value.remedy == "allowed: cross_entropy, nt_xent, triplet"


def test_a_human_level_must_be_of_a_metric_that_the_task_has() -> None:
    task = make_task(labelled().facts)
    check_read(experiment("ResNet", data="LabelledImages", metrics=Metrics(human={"accuracy": 0.9})), task)
    with pytest.raises(InputError, match=r"metrics\.human\.rmse: is not computed") as caught:
        check_read(experiment("ResNet", data="LabelledImages", metrics=Metrics(human={"rmse": 0.9})), task)
    assert "balanced_accuracy" in caught.value.remedy


@pytest.mark.parametrize(("name", "wanted"), [("ResNet", 4), ("VGG", 5), ("AlexNet", 5), ("SlideNet", 2)])
def test_a_wrong_number_of_channels_is_refused_before_anything_runs(folder: Path, name: str, wanted: int) -> None:
    (fault,) = faults(f"{LABELLED}model: {{name: {name}, channels: [8, 8, 8]}}\n")
    assert f"model.channels: must be a list of {wanted} (each: a whole number >= 1)" in fault
