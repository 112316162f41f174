"""Model files: whole, self-contained, harmless; whatever else is given is refused by name."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from biocnn.checkpoint import FORMAT, build_model, load_model, read_meta, save_model, versions
from biocnn.errors import InputError
from biocnn.models import __all__ as MODELS
from biocnn.schema import choose

SETTINGS = {"DeepBind": {"channels": 3, "kernel_size": 5}, "UNet": {"channels": [4, 6]}, "FCN": {"channels": [2] * 5}}


def meta(name: str = "DeepBind", spatial_dims: int = 1, **settings) -> dict:
    section = choose("models", {"name": name, **SETTINGS.get(name, {}), **settings}, "model")
    facts = {"spatial_dims": spatial_dims, "in_channels": 4, "out_channels": 2}
    return {"experiment": {"model": section}, "facts": facts, "versions": {"biocnn": "9.9"}}


def saved(path: Path, about: dict | None = None) -> nn.Module:
    about = meta() if about is None else about
    torch.manual_seed(3)
    model = build_model(about["experiment"]["model"], about["facts"])
    save_model(path, model, about)
    return model.eval()


EVERY = [(name, dims) for name in MODELS for dims in (1, 2, 3) if name != "DanQ" or dims == 1]  # it reads along a line


@pytest.mark.parametrize(("name", "spatial_dims"), EVERY)
def test_round_trip(tmp_path: Path, name: str, spatial_dims: int) -> None:
    path = tmp_path / "model.safetensors"
    about = meta(name, spatial_dims)
    model = saved(path, about)
    for module in model.modules():  # running means are part of a model too
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.uniform_()
    save_model(path, model, about)
    loaded, found = load_model(path)
    x = torch.randn(2, 4, *[32] * spatial_dims)
    with torch.no_grad():
        assert loaded(x).equal(model(x))
    assert not loaded.training
    assert found == {"format": FORMAT, **about}
    assert read_meta(path) == found


def test_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    saved(tmp_path / "a.safetensors")
    saved(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_file_is_safetensors_with_json_alone(tmp_path: Path) -> None:
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
    save_model(tmp_path / "model.safetensors", Tied(1, 4, 2), meta())
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
    assert "copy it again" in error.remedy


def test_bytes_that_are_no_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04pickle" * 100)
    assert "damaged model file" in refusal(path).message


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.safetensors", tmp_path):
        assert "no such model file" in refusal(path).message


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"facts": "{}"}])
def test_safetensors_of_others(tmp_path: Path, metadata: dict | None) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata=metadata)
    assert "not a model file of biocnn" in refusal(path).message


def rewritten(path: Path, weights: dict | None = None, **changes: str) -> Path:
    """A model file with other metadata, or other weights."""
    about = {key: json.dumps(value) for key, value in {"format": FORMAT, **meta()}.items()}
    saved(path)
    save_file(load_file(path) if weights is None else weights, path, metadata={**about, **changes})
    return path


def test_other_format_version(tmp_path: Path) -> None:
    error = refusal(rewritten(tmp_path / "model.safetensors", format='"99"'))
    assert 'model format "99", but this biocnn reads 1' in error.message
    assert "train again" in error.remedy


def test_damaged_metadata(tmp_path: Path) -> None:
    assert "damaged model file" in refusal(rewritten(tmp_path / "model.safetensors", facts="{")).message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"channels": 4}, "size mismatch"),
        ({"hidden": 0}, "head.0"),
        ({"gone": 3}, "unexpected keyword argument 'gone'"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, change: dict, reason: str) -> None:
    about = meta()
    about["experiment"]["model"] |= change
    error = refusal(rewritten(tmp_path / "model.safetensors", experiment=json.dumps(about["experiment"])))
    assert "the weights do not fit DeepBind" in error.message
    assert reason in error.message
    assert "written by biocnn 9.9" in error.remedy


def test_own_network_of_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_saved_net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Conv1d):\n"
        "    def __init__(self, spatial_dims, in_channels, out_channels, *, width: int = 3):\n"
        "        super().__init__(in_channels, out_channels, width)\n"
    )
    about = {"model": {"name": "my_saved_net:Net", "width": 5}}
    weights = {"weight": torch.ones(2, 4, 5), "bias": torch.ones(2)}
    path = rewritten(tmp_path / "model.safetensors", weights, experiment=json.dumps(about))
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    model, _ = load_model(path)
    assert model(torch.ones(1, 4, 5)).tolist() == [[[21], [21]]]


@pytest.mark.parametrize("name", ["shutil:rmtree", "pathlib:Path", "biocnn.losses:dice", "nowhere:Net", "UNt"])
def test_nothing_but_networks_is_called(tmp_path: Path, name: str) -> None:
    error = refusal(rewritten(tmp_path / "model.safetensors", experiment=json.dumps({"model": {"name": name}})))
    assert "torch.nn.Module" in error.message or "cannot be imported" in error.message or "not known" in error.message


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "section",
    [
        {"name": "DeepBind", "channels": -1}, {"name": "DeepBind", "channels": 0}, {"name": "DeepBind", "hidden": -1},
        {"name": "DeepBind", "dropout": 2.0}, {"name": "UNet", "channels": [0, 4]}, {"name": "FCN", "dropout": -1.0},
    ],
)  # fmt: skip
def test_networks_that_cannot_be_made(section: dict) -> None:
    about = meta(**section)
    with pytest.raises(InputError, match="model: ") as caught:
        build_model(about["experiment"]["model"], about["facts"])
    assert f"{list(section)[1]}: {list(section.values())[1]}" in caught.value.remedy


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = saved(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_model(path, model, {"facts": object()})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_versions_name_what_shapes_a_result() -> None:
    found = versions()
    assert {"biocnn", "torch", "numpy", "python", "commit"} <= found.keys()
    assert all(isinstance(value, str) and value for value in found.values())
