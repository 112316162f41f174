"""Model files are complete, self-contained and harmless; other files are refused with a clear error."""

import json
import resource
import sys
from pathlib import Path

import pytest
import torch
from every_model import dimensions
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import labelled, metadata, stored
from torch import nn

from biocnn.config.registry import REGISTRY
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.tasks.facts import Facts
from biocnn.tasks.watershed import label_instances
from biocnn.training.checkpoint import build_model, load_model, save_model, versions
from biocnn.training.metadata import FORMAT, Metadata, Postprocess, read_metadata

SETTINGS = {
    "AlexNet": {"channels": [4] * 5, "hidden": 8},
    "BagNetwork": {"network": {"name": "ResNet", "channels": [4, 5, 6, 7]}, "hidden": 4},
    "CentreNet": {"channels": [4, 5, 6, 7]},
    "Basset": {"channels": [4, 5, 6], "kernel_size": [5, 4, 3], "hidden": 7},
    "DanQ": {"channels": 5, "kernel_size": 6, "recurrent": 3},
    "DeepBind": {"channels": 3, "kernel_size": 5},
    "DilatedResNet": {"channels": 5, "kernel_size": 4, "layers": 2},
    "FCN": {"channels": [2] * 5},
    "FasterRCNN": {"channels": [4, 5, 6, 7], "pyramid": 6, "dense": 8},
    "GoogLeNet": {"width": 0.1},
    "ResNet": {"channels": [4, 5, 6, 7]},
    "SlideNet": {"channels": [4, 5], "hidden": 8},
    "UNet": {"channels": [4, 6]},
    "VGG": {"channels": [4] * 5, "hidden": 8},
}


def meta(name: str = "DeepBind", spatial_dims: int = 1, **settings) -> dict:
    section = choose("models", {"name": name, **SETTINGS.get(name, {}), **settings}, "model").model_dump(mode="json")
    own, sides = REGISTRY["models"][name], [32] * spatial_dims
    task = {"vector": "multilabel", "map": "classes", "boxes": "boxes"}[own.target]
    facts = {"spatial_dims": spatial_dims, "in_channels": 4, "out_channels": 2, "outputs": ["a", "b"], "task": task}
    kind = {"kind": "sequence", "window": None} if spatial_dims == 1 else {
        "kind": "bag" if own.input == "bag" else "image", "channels": list("rgbi"), "normalise": "image",
        "sizes": {"smallest": sides, "median": list(map(float, sides)), "largest": sides, "shorter": 32.0},
    }  # fmt: skip
    whole = {"size": sides, "fit": "crop"} if own.input in ("image", "bag") and own.target == "vector" else {}
    experiment = {"model": section, "data": {"axes": None}, "train": {"threads": 1, "patch": None, **whole}}
    tuned = {"thresholds": [0.4, 0.5], "f1": [0.8, 0.1], "scale": [1.0, 0.9], "shift": [0.0, 0.2]}
    more = {"postprocess": tuned} if own.target == "boxes" else {}
    return {"experiment": experiment, "facts": facts | kind, "versions": {"biocnn": "9.9"}, **more}


def saved(path: Path, about: dict | None = None) -> nn.Module:
    about = meta() if about is None else about
    torch.manual_seed(3)
    model = build_model(choose("models", about["experiment"]["model"], "model"), Facts(**about["facts"]))
    save_model(path, model, Metadata(**about))
    return model.eval()


EVERY = [(name, dims) for name in REGISTRY["models"] for dims in dimensions(name)]


@pytest.mark.parametrize(("name", "spatial_dims"), EVERY)
def test_round_trip(tmp_path: Path, name: str, spatial_dims: int) -> None:
    path = tmp_path / "model.safetensors"
    about = meta(name, spatial_dims)
    model = saved(path, about)
    for module in model.modules():  # running means are part of a model too
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.uniform_()
    save_model(path, model, Metadata(**about))
    loaded, found = load_model(path)
    x = torch.randn(2, 4, *[32] * spatial_dims)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), model(x), rtol=0, atol=0)
    assert not loaded.training
    assert found == Metadata(**about) == read_metadata(path)
    assert found.plain() == about


def test_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    saved(tmp_path / "a.safetensors")
    saved(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_model_file_is_plain_safetensors_with_json(tmp_path: Path) -> None:
    saved(tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert all(json.loads(value) for value in header["__metadata__"].values())
    assert b"pickle" not in content
    weights = load_file(tmp_path / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}


class Tied(nn.Module):
    """Two layers that share their weights."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(in_channels, in_channels), nn.Linear(in_channels, in_channels)
        self.two.weight = self.one.weight


def test_shared_weights_can_be_saved(tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", Tied(1, 4, 2), Metadata(**meta()))
    weights = load_file(tmp_path / "model.safetensors")
    assert weights["one.weight"].equal(weights["two.weight"])


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        load_model(path)
    assert str(path) in caught.value.message
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_truncated_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "model.safetensors"
    saved(path)
    path.write_bytes(path.read_bytes()[:size])
    error = refusal(path)
    assert "damaged model file" in error.message
    assert "copy the file again" in error.remedy


def test_a_file_that_is_not_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04pickle" * 100)
    assert "damaged model file" in refusal(path).message


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "no such model file" in refusal(tmp_path / "gone.safetensors").message
    assert "a folder, not a model file" in refusal(tmp_path).message


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"facts": "{}"}])
def test_safetensors_from_other_programs(tmp_path: Path, metadata: dict | None) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata=metadata)
    assert "not a model file of biocnn" in refusal(path).message


def rewritten(path: Path, weights: dict | None = None, **changes: str) -> Path:
    """Write a model file with other metadata, or other weights."""
    about = {key: json.dumps(value) for key, value in {"format": FORMAT, **meta()}.items()}
    saved(path)
    save_file(load_file(path) if weights is None else weights, path, metadata={**about, **changes})
    return path


def test_another_format_version(tmp_path: Path) -> None:
    error = refusal(rewritten(tmp_path / "model.safetensors", format='"99"'))
    assert 'model format "99", but this biocnn reads 1' in error.message
    assert "train again" in error.remedy


def test_damaged_metadata(tmp_path: Path) -> None:
    assert "damaged model file" in refusal(rewritten(tmp_path / "model.safetensors", facts="{")).message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"channels": 2}, "the weights do not fit DeepBind: features.0.conv.conv.weight is F32 [3, 4, 5], not F32 [2"),
        ({"hidden": 0}, "the weights do not fit DeepBind: head."),
        ({"channels": 4}, "its network cannot be built: its settings make a network with more weights than the file"),
        ({"gone": 3}, "its network cannot be built: model.gone: unknown key"),
        ({"channels": "many"}, "model.channels: "),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, change: dict, reason: str) -> None:
    about = meta()
    about["experiment"]["model"] |= change
    error = refusal(rewritten(tmp_path / "model.safetensors", experiment=json.dumps(about["experiment"])))
    assert reason in error.message
    assert "written by biocnn 9.9" in error.remedy


def test_weights_of_another_type_or_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path)
    weights = load_file(path)
    key = next(iter(weights))
    assert "F16" in refusal(rewritten(path, {**weights, key: weights[key].half()})).message
    assert "not absent" in refusal(rewritten(path, {**weights, "more": weights[key].clone()})).message
    assert "NaN or infinite" in refusal(rewritten(path, {**weights, key: weights[key] * float("nan")})).message


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("DeepBind", {"channels": 10**7}), ("DeepBind", {"channels": 10**9}), ("DeepBind", {"kernel_size": 10**12}),
        ("UNet", {"channels": [10**7, 10**7]}), ("UNet", {"channels": [1] * 10**5}), ("FCN", {"channels": [10**7] * 5}),
        ("DilatedResNet", {"channels": 1, "kernel_size": 1, "layers": 10**9}),
        ("DanQ", {"recurrent": 10**7}), ("Basset", {"hidden": 10**9}),
    ],
)  # fmt: skip
def test_reading_takes_no_more_memory_than_the_file_holds(tmp_path: Path, name: str, settings: dict) -> None:
    dims = 2 if name in ("UNet", "FCN") else 1
    about, path = meta(name, dims), tmp_path / "model.safetensors"
    saved(path, about)
    about["experiment"]["model"] |= settings
    changed = {key: json.dumps(value) for key, value in {"format": FORMAT, **about}.items()}
    save_file(load_file(path), path, metadata=changed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "its network cannot be built" in refusal(path).message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "KiB"


OWN = """
from torch import nn


class Net(nn.Conv1d):
    def __init__(self, spatial_dims, in_channels, out_channels, *, width: int = 3):
        super().__init__(in_channels, out_channels, width)


open("RAN", "w").close()
"""


@pytest.fixture
def untrusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a model file with a network of a module in the working folder, which creates a file when it runs."""
    (tmp_path / "my_saved_net.py").write_text(OWN)
    about = {"model": {"name": "my_saved_net:Net", "width": 5}}
    weights = {"weight": torch.ones(2, 4, 5), "bias": torch.ones(2)}
    path = rewritten(tmp_path / "model.safetensors", weights, experiment=json.dumps(about))
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    yield path
    sys.modules.pop("my_saved_net", None)


@pytest.mark.parametrize("trust", [(), ["other"], ["my_saved"], ["biocnn"], ["my_saved_net.Net"]])
def test_an_untrusted_module_is_not_run(untrusted: Path, trust: list[str]) -> None:
    with pytest.raises(InputError, match="would run the module 'my_saved_net'") as caught:
        load_model(untrusted, trust)
    assert "trust=['my_saved_net']), or --trust my_saved_net" in caught.value.remedy
    assert read_metadata(untrusted).experiment.model.name == "my_saved_net:Net"
    assert not Path("RAN").exists()
    assert str(Path.cwd()) not in sys.path


def test_a_trusted_module_is_found_in_the_working_folder(untrusted: Path) -> None:
    model, _ = load_model(untrusted, ["my_saved_net"])
    assert model(torch.ones(1, 4, 5)).tolist() == [[[21], [21]]]
    assert Path("RAN").exists()


def test_trusted_networks_are_limited_too(untrusted: Path) -> None:
    about = {"model": {"name": "my_saved_net:Net", "width": 10**8}}
    save_file(load_file(untrusted), untrusted, metadata=dict(_metadata(untrusted), experiment=json.dumps(about)))
    with pytest.raises(InputError, match="more weights than the file holds"):
        load_model(untrusted, ["my_saved_net"])


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as handle:
        return handle.metadata()


@pytest.mark.parametrize("name", ["biocnn.io.bed:Bed", "biocnn.losses.regions:dice", "biocnn.nowhere:Net", "UNt"])
def test_only_networks_are_called(tmp_path: Path, name: str) -> None:
    error = refusal(rewritten(tmp_path / "model.safetensors", experiment=json.dumps({"model": {"name": name}})))
    said = ("torch.nn.Module", "cannot be built", "not known")
    assert any(text in error.message for text in said), error.message


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("temperature", [0], "temperature.0: "), ("temperature", [1, 1, 1], "3 temperatures for 2 outputs"),
        ("shift", [0.5], "1 shift for 2 outputs"), ("shift", ["x"], "shift.0"), ("shift", [1e400, 0], "shift.0"),
        ("temperature", ["x"], "temperature.0"), ("temperature", [1e400], "temperature.0"), ("temperature", 3, "list"),
        ("facts", {"task": "zzz"}, "facts.task: "), ("facts", {"kind": "word"}, "facts.kind: "),
        ("facts", {"task": "instances"}, "which is not for sequences"), ("facts", {"spatial_dims": 9}, "spatial_dims"),
        ("facts", {"in_channels": -1}, "in_channels"), ("facts", {"outputs": ["a"]}, "2, not 1, for 1 output"),
        ("facts", {"outputs": None}, "outputs"), ("facts", {"window": 0}, "window"),
        ("facts", {"window": 10**30}, "window"), ("facts", {"iupac": []}, "iupac"),
        ("facts", {"decisions": {"channels": 3}}, "decisions"), ("fold", -1, "fold"), ("fold", "x", "fold"),
        ("precision", {"predict": "int4"}, "precision.predict"), ("postprocess", {"sed": 1}, "postprocess.sed"),
        ("postprocess", {"smoothing": 1e9}, "postprocess.smoothing"), ("versions", [1], "versions"),
        ("experiment", {"train": {"threads": 10**9}}, "threads"), ("experiment", {"train": 3}, "experiment.train"),
        ("experiment", {"model": None}, "experiment.model"), ("experiment", {"model": {}}, "experiment.model.name"),
        ("experiment", {"data": {"axes": 3}}, "experiment.data.axes"),
        ("target_unit", {"mean": [0, 0], "sd": [1, 0]}, "target_unit.sd.1"), ("target_unit", [1], "target_unit"),
        ("target_unit", {"mean": [0, 0], "sd": [1]}, "target_unit needs one number per output"),
        ("target_unit", {"mean": [0, 0], "sd": [1, 1]}, "target_unit does not apply to task"),
    ],
)  # fmt: skip
def test_every_field_is_checked(tmp_path: Path, key: str, change: object, said: str) -> None:
    about = meta()
    value = {**about.get(key, {}), **change} if isinstance(change, dict) and key in about else change
    path = rewritten(tmp_path / "model.safetensors", **{key: json.dumps(value)})
    error = refusal(path)
    assert said in error.message
    with pytest.raises(InputError):
        read_metadata(path)


def test_a_model_of_whole_images_needs_their_size_and_task(tmp_path: Path) -> None:
    about = metadata(choose("models", "ResNet", "model"), stored(labelled(), tmp_path).facts).plain()
    assert Metadata.model_validate(about).experiment.train.size == [16, 16]
    train, sizes = about["experiment"]["train"], about["facts"]["sizes"]
    for section, change, said in (
        (train, {"size": None}, "train.size is missing"),
        (train, {"fit": None}, "train.fit is missing"),
        (train, {"size": [16]}, "train.size needs one number per dimension"),
        (train, {"fit": "squeeze"}, "experiment.train.fit"),
        (sizes, {"median": [16.0]}, "facts.sizes needs one number per dimension"),
        (sizes, {"median": [0.0, 16.0]}, "facts.sizes.median.0"),
    ):
        before = dict(section)
        section.update(change)
        with pytest.raises(ValueError, match=said):
            Metadata.model_validate(about)
        section.update(before)
    for task in ("classes", "mask"):
        outputs = about["facts"]["outputs"] if task == "classes" else ["disc"]
        edited = about["facts"] | {"task": task, "outputs": outputs, "out_channels": len(outputs)}
        with pytest.raises(ValueError, match=f"ResNet is not a network for images and task {task}"):
            Metadata.model_validate(about | {"facts": edited})
    del about["facts"]["sizes"]
    with pytest.raises(ValueError, match=r"facts\.sizes is missing"):
        Metadata.model_validate(about)


@pytest.mark.parametrize("text", ["[" * 10**5, "9" * 5000, '"' + "x" * 10**7 + '"', "{", "[]", "NaN"])
def test_metadata_that_is_not_a_json_mapping(tmp_path: Path, text: str) -> None:
    refusal(rewritten(tmp_path / "model.safetensors", facts=text))


def test_settings_of_objects_are_the_checked_ones() -> None:
    others = {"thresholds", "f1", "scale", "shift", "margin"}  # of boxes and counts
    assert Postprocess().model_dump(exclude=others) == label_instances.__kwdefaults__


def test_networks_that_cannot_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_networks.py").write_text(
        "from torch import nn\n"
        "class Even(nn.Linear):\n"
        "    def __init__(self, spatial_dims, in_channels, out_channels, *, width: int = 2):\n"
        "        if width % 2:\n"
        "            raise ValueError('width is odd')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    section = choose("models", {"name": "odd_networks:Even", "width": 3}, "model")
    with pytest.raises(InputError, match="model: cannot be built: width is odd") as caught:
        build_model(section, Facts(**meta()["facts"]))
    assert "width: 3" in caught.value.remedy


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = saved(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_model(path, model, Metadata(**meta(), best_epoch={"epoch": object()}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_versions_name_everything_that_affects_a_result() -> None:
    found = versions()
    assert {"biocnn", "torch", "numpy", "python", "commit"} <= found.keys()
    assert all(isinstance(value, str) and value for value in found.values())
