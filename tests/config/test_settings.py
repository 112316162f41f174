"""Experiments: how they are resolved, and that every error names file, key or line, and a remedy."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from shipped import EXPERIMENTS, root_of

from biocnn.config.experiment import load
from biocnn.config.settings import Settings, Split
from biocnn.core.errors import InputError

BASE = "data: {name: Intervals, genome: genome.fa, positives: peaks.bed}\nmodel: {name: DeepBind}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with the raw files that ``BASE`` names."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    for name in ("genome.fa", "peaks.bed", "motifs.meme"):
        (tmp_path / name).write_text("x")
    (tmp_path / "new").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("augment: [{name: shift, max: 2}, reverse_complement]", ["augment.1: reverse_complement"]),
        ("model: {name: DeepBind, strands: both}", ["model.strands: both"]),
        (
            "variants: {vcf: null, strands: both}\nmodel: {name: Basset, strands: both}",
            ["model.strands", "variants.strands"],
        ),
    ],
)
def test_both_strands_are_refused_for_rna(folder: Path, more: str, named: list[str]) -> None:
    (folder / "clip.tsv").write_text("x")
    base = "data: {name: Sequences, table: clip.tsv, alphabet: RNA}\n"
    base += "" if "model" in more else "model: {name: DeepBind}\n"
    error = refusal(base + more)
    assert all(name in error.message for name in named)
    assert "RNA" in error.message
    settings((base + more).replace("RNA", "DNA"))


def settings(text: str, name: str = "mine.yaml") -> Settings:
    Path(name).write_text(text)
    return load(name).settings


def refusal(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        settings(text)
    for fault in getattr(caught.value, "faults", [caught.value]):
        assert fault.message.startswith("mine.yaml: ")
        assert fault.remedy
    return caught.value


@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem) for p in EXPERIMENTS])
def test_every_experiment_that_comes_with_biocnn_loads(path: Path, request: pytest.FixtureRequest) -> None:
    experiment = load(path, root_of(path, request))
    assert experiment.name == path.stem
    assert experiment.settings == Settings(**dict(experiment.settings))


def test_loading_imports_nothing_heavy(folder: Path) -> None:
    (folder / "mine.yaml").write_text(BASE)
    code = (
        "import sys; from biocnn.config.experiment import load; load('mine.yaml')\n"
        "print(*sorted({'torch', 'monai', 'pandas', 'sklearn', 'skimage', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_defaults_are_filled_in(folder: Path) -> None:
    found = settings(BASE)
    assert found.seed == 1
    assert (found.augment, found.loss) == ("default", None)
    assert found.split == Split(
        group="group", column=None, val=None, test=None, hashed=False, folds=None, remove_leaks=False
    )
    assert found.train.seeds == [1]
    assert found.data.window == 101


def test_settings_are_immutable_attributes(folder: Path) -> None:
    found = settings(BASE)
    for section in (found, found.train, found.model, load("mine.yaml")):
        assert not hasattr(section, "__getitem__")
        assert not hasattr(section, "get")
    for section, name in ((found, "seed"), (found.train, "lr"), (found.model, "channels"), (found.explain, "motifs")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, 2)


def test_a_value_written_as_the_default_is_the_default(folder: Path) -> None:
    """The frozen copy of an experiment, which has all defaults, must equal the experiment: 4 is not 4.0 in JSON."""
    given = settings(BASE)
    again = settings(BASE + "train: {memory_gb: 4, save_minutes: 10}")
    assert again.model_dump_json() == given.model_dump_json()
    assert settings(BASE + "train: {memory_gb: 4.5}").train.memory_gb == 4.5


def test_empty_sections_are_defaults(folder: Path) -> None:
    assert settings(BASE + "train:\nsplit: {}\naugment:\nloss:\nexplain:\n") == settings(BASE)


def test_paths_are_relative_to_data_root_except_those_the_workflow_makes(folder: Path) -> None:
    (folder / "mine.yaml").write_text(
        "data: {name: Intervals, genome: genome.fa, positives: results/demo/p.bed,\n"
        "  negatives: {name: given, path: peaks.bed}}\n"
        f"model: {{name: DeepBind}}\nexplain: {{motifs: {{database: {folder}/motifs.meme}}}}\n"
        "variants: {vcf: peaks.bed}"
    )
    (folder / "elsewhere").mkdir()
    for root in (folder, Path("elsewhere") / ".."):
        assert load("mine.yaml", root).files == {
            "data.genome": root / "genome.fa",
            "data.positives": Path("results/demo/p.bed"),
            "data.negatives.path": root / "peaks.bed",
            "explain.motifs.database": folder / "motifs.meme",
            "variants.vcf": root / "peaks.bed",
        }


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("data: {name: Intervals, genome: gone.fa, positives: peaks.bed}", "data.genome"),
        ("data: {name: Intervals, genome: genome.fa, positives: peaks.bed, negatives: {name: given, path: gone.fa}}",
         "data.negatives.path"),
        ("explain: {motifs: {database: gone.fa}}", "explain.motifs.database"),
        ("variants: {vcf: gone.fa}", "variants.vcf"),
        ("train: {start_from: gone.fa, freeze_epochs: 2}", "train.start_from"),
    ],
)  # fmt: skip
def test_missing_file(folder: Path, change: str, key: str) -> None:
    text = change + "\nmodel: {name: DeepBind}" if change.startswith("data") else BASE + change
    (folder / "mine.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        load("mine.yaml", folder)
    assert caught.value.message == f"mine.yaml: {key}: no such file or folder: {folder / 'gone.fa'}"
    assert f"data_root ({folder})" in caught.value.remedy
    assert f"did you mean '{folder}/genome.fa'" in caught.value.remedy


@pytest.mark.parametrize(
    ("addition", "key", "word"),
    [
        ("trian: {epochs: 3}", "trian", "train"),
        ("train: {epoch: 3}", "train.epoch", "epochs"),
        ("split: {groups: chrom}", "split.groups", "group"),
        ("metrics: {resample: 3}", "metrics.resample", "resamples"),
        ("explain: {motif: {}}", "explain.motif", "motifs"),
        ("explain: {motifs: {databse: motifs.meme}}", "explain.motifs.databse", "database"),
        ("apply: {image: new}", "apply.image", "images"),
        ("augment: [reverse_complement, {name: shift, maxi: 3}]", "augment.1.maxi", "max"),
        ("augment: [reverse_complment]", "augment.0.name", "reverse_complement"),
        ("loss: {name: dice, smoth: 2}", "loss.smoth", "smooth"),
        ("loss: dise", "loss.name", "dice"),
    ],
)
def test_a_misspelt_key_is_reported_with_the_nearest_word(folder: Path, addition: str, key: str, word: str) -> None:
    error = refusal(BASE + addition)
    assert error.message.startswith(f"mine.yaml: {key}: ")
    assert f"did you mean {word!r}" in error.remedy


@pytest.mark.parametrize(
    ("text", "key", "word"),
    [
        (BASE.replace("genome:", "genom:"), "data.genom", "genome"),
        (BASE.replace("Intervals", "Interval"), "data.name", "Intervals"),
        (BASE.replace("name: DeepBind", "name: Deepbind"), "model.name", "DeepBind"),
        (BASE.replace("DeepBind", "DeepBind, chanels: 3"), "model.chanels", "channels"),
        (
            BASE.replace("peaks.bed", "peaks.bed, negatives: {name: random, ration: 2}"),
            "data.negatives.ration",
            "ratio",
        ),
    ],
)
def test_misspelt_key_in_data_and_model(folder: Path, text: str, key: str, word: str) -> None:
    error = refusal(text)
    assert error.message.startswith(f"mine.yaml: {key}: ")
    assert f"did you mean {word!r}" in error.remedy


@pytest.mark.parametrize(
    "addition",
    [
        "seed: -1", "seed: true", "seed: 1.5", "seed: one",
        "train: 5", "train: 0", "train: [epochs]",
        "train: {epochs: 0}", "train: {epochs: many}", "train: {epochs: true}", "train: {epochs: 2.5}",
        "train: {lr: 0}", "train: {lr: -1e-3}", "train: {lr: .nan}", "train: {lr: .inf}", "train: {lr: fast}",
        "train: {batch_size: 0}", "train: {batch_size: [8]}", "train: {weight_decay: -1}",
        "train: {seeds: []}", "train: {seeds: 1}", "train: {seeds: [-1]}", "train: {seeds: [true]}",
        "train: {patience: 0}", "train: {max_minutes: .nan}", "train: {max_minutes: 0}",
        "train: {patch: 64}", "train: {patch: [0, 64]}", "train: {schedule: linear}", "train: {precision: float16}",
        "train: {threads: 0}", "metrics: {resamples: -1}", "explain: {examples: -1}", "explain: {examples: true}",
        "explain: {motifs: JASPAR}", "explain: {motifs: {database: 3}}",
        "split: {val: true}", "split: {val: .nan}", "split: {test: much}", "split: {group: 3}",
        "augment: flip", "augment: 0", "augment: [{max: 3}]", "augment: [{name: shift, max: 2.5}]",
        "loss: [bce]", "loss: false",
    ],
)  # fmt: skip
def test_invalid_values_are_reported_with_their_key(folder: Path, addition: str) -> None:
    error = refusal(BASE + addition)
    section = yaml.safe_load(addition)
    key = next(iter(section))
    assert error.message.startswith(f"mine.yaml: {key}")
    if isinstance(section[key], dict):
        assert error.message.startswith(f"mine.yaml: {key}.{next(iter(section[key]))}")


@pytest.mark.parametrize("text", ["0.001", "1e-3", "1E-3", "1.e-3", "1.0e-3", "1e-03", "+1e-3"])
def test_numbers_with_an_exponent_are_numbers(folder: Path, text: str) -> None:
    assert settings(BASE + f"train: {{lr: {text}}}").train.lr == 1e-3


def test_text_that_looks_like_a_number_stays_text(folder: Path) -> None:
    split = settings(BASE + "split: {val: [1e5x, '1e5', chr1], test: [20, X]}").split
    assert split.val == ["1e5x", "1e5", "chr1"]
    assert split.test == [20, "X"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE + "seed: 1\nseed: 2", "line 4: duplicate key 'seed'"),
        (BASE + "train:\n  epochs: 3\n  lr: 1\n  epochs: 4\n", "line 6: duplicate key 'epochs'"),
        (BASE + "train: {epochs: 3", "line 3: not valid YAML"),
        (BASE + "train:\n\tepochs: 3", "line 4: not valid YAML"),
        (BASE + "train: *nowhere", "line 3: not valid YAML"),
        (BASE + "train: {{epochs}: 3}", "line 3: a key is not plain text"),
        (BASE + "train: {[1, 2]: 3}", "line 3: a key is not plain text"),
        (BASE + "train: !!python/object:os.system {}", "line 3: not valid YAML"),
        ("", "must contain sections"),
        ("- data", "must contain sections"),
        ("model: {name: DeepBind}", "data: is missing"),
        ("data:\nmodel:", "data: must have a name"),
        (BASE + "3: 4", "3: unknown key"),
    ],
)
def test_bad_yaml_is_reported_with_its_line(folder: Path, text: str, message: str) -> None:
    assert refusal(text).message.startswith(f"mine.yaml: {message}")


def test_a_file_that_is_not_text(folder: Path) -> None:
    (folder / "mine.yaml").write_bytes(b"seed: 1\n\xff\xfe")
    with pytest.raises(InputError, match=r"mine\.yaml: not a text file .* at byte 8"):
        load("mine.yaml")


def test_missing_experiment_names_the_nearest(folder: Path) -> None:
    settings(BASE, "reb1.yaml")
    with pytest.raises(InputError, match=r"rebb1\.yaml: no such experiment") as caught:
        load("rebb1.yaml")
    assert "did you mean 'reb1'" in caught.value.remedy


def test_anchors_may_be_overridden(folder: Path) -> None:
    text = "x: &x {epochs: 3, lr: 1e-2}\n"
    assert refusal(text + BASE).message.endswith("x: unknown key")
    text = BASE + "train: {<<: {epochs: 3, lr: 1e-2}, lr: 1e-4}"
    assert (settings(text).train.epochs, settings(text).train.lr) == (3, 1e-4)


def only(text: str, *sections: str, leave: tuple[str, ...] = ()) -> str:
    Path("mine.yaml").write_text(text)
    return load("mine.yaml").only(*sections, leave=leave)


def test_only_values_of_the_chosen_sections_count(folder: Path) -> None:
    first = "# one\n" + BASE + "train: {epochs: 3, lr: 1e-3}\nexplain: {examples: 3}"
    same = "explain: {examples: 4}  # another\ntrain:\n  lr: 0.001\n  epochs: 3\n  schedule: one_cycle\n\n" + BASE
    assert only(first, "data", "train", "model") == only(same, "data", "train", "model")
    assert only(first, "explain") != only(same, "explain")
    more = first.replace("epochs: 3", "epochs: 4")
    assert only(first, "train") != only(more, "train")
    assert only(first, "data", "model") == only(more, "data", "model")


def test_entries_of_a_section_can_be_excluded(folder: Path) -> None:
    one, two = BASE + "train: {seeds: [1], lr: 1}", BASE + "train: {seeds: [1, 2], lr: 1}"
    assert only(one, "train", leave=("train.seeds",)) == only(two, "train", leave=("train.seeds",))
    assert only(one, "train", leave=("train.lr",)) != only(two, "train", leave=("train.lr",))


def test_a_users_model_by_import_path(folder: Path) -> None:
    (folder / "my_own_net.py").write_text(
        "import torch_is_not_needed_to_read_this\n\n"
        "class Net:\n    def __init__(self, spatial_dims, in_channels, out_channels, *, width: int = 8): ...\n"
    )
    text = BASE.replace("{name: DeepBind}", "{name: 'my_own_net:Net', width: 3}")
    assert settings(text).model.model_dump() == {"name": "my_own_net:Net", "width": 3}
    assert "did you mean 'width'" in refusal(text.replace("width", "widht")).remedy


@pytest.mark.parametrize("setting", ["freeze_epochs: 2", "body_lr: 0"])
def test_random_weights_cannot_be_frozen(folder: Path, setting: str) -> None:
    (folder / "mine.yaml").write_text(f"{BASE}train: {{{setting}}}")
    with pytest.raises(InputError, match=r"mine\.yaml: train\.start_from: is missing"):
        load("mine.yaml", folder)


def test_files_of_a_users_model_are_resolved_too(folder: Path) -> None:
    (folder / "my_filed_net.py").write_text(
        "class Net:\n"
        "    def __init__(self, spatial_dims, in_channels, out_channels, *, start: Path | None = None): ...\n"
    )
    text = BASE.replace("{name: DeepBind}", "{name: 'my_filed_net:Net', start: motifs.meme}")
    (folder / "mine.yaml").write_text(text)
    experiment = load("mine.yaml", folder)
    assert experiment.settings.model.start == experiment.files["model.start"] == folder / "motifs.meme"
    assert (
        refusal(text.replace("motifs.meme", "gone")).message == "mine.yaml: model.start: no such file or folder: gone"
    )


def test_files_in_lists_and_mappings_are_found_and_named(folder: Path) -> None:
    for given, keys in (("[peaks.bed, motifs.meme]", "01"), ("{one: peaks.bed, two: motifs.meme}", ("one", "two"))):
        (folder / "mine.yaml").write_text(BASE.replace("peaks.bed", given))
        found = load("mine.yaml", folder)
        assert {key: found.files[f"data.positives.{key}"] for key in keys} == {
            keys[0]: folder / "peaks.bed",
            keys[1]: folder / "motifs.meme",
        }
        assert str(folder / "motifs.meme") in str(found.settings.data.positives)
    with pytest.raises(InputError, match=r"data\.positives\.1: no such file"):
        settings(BASE.replace("peaks.bed", "[peaks.bed, gone.bed]"))


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ("Images, images: new, masks: new, class_masks: new", "data.class_masks"),
        ("PairedImages, images: new, targets: new", "data.targets"),
        ("BoxedImages, images: new, yolo: new", "data.yolo"),
        ("LabelledImages, folder: new", "data.folder"),
    ],
)
def test_folders_are_accepted_where_data_are_read_from_folders(folder: Path, data: str, key: str) -> None:
    (folder / "mine.yaml").write_text(f"data: {{name: {data}}}")
    assert load("mine.yaml", folder).files[key] == folder / "new"


@pytest.mark.parametrize(("word", "unseen"), [("upright", "upside down"), ("chiral", "mirrored")])
def test_views_that_were_not_trained_on_are_refused(folder: Path, word: str, unseen: str) -> None:
    text = f"data: {{name: Images, images: new, masks: new}}\nmodel: {{name: UNet}}\naugment: {word}\n"
    error = refusal(text + "predict: {tta: flips}\n")
    assert f"predict.tta: 'flips' shows images {unseen}" in error.message
    assert settings(text).predict.tta == "none"
    assert settings(text.replace(word, "default") + "predict: {tta: all}\n").predict.tta == "all"
