"""Weights of another model are copied if they fit; frozen layers do not change; resuming is bit-identical."""

import hashlib
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from every_model import SMALL, dimensions
from tiny import experiment, image_facts, images, labelled, metadata, sequences, stored
from torch import nn
from trainings import network, same_weights, trained

from biocnn import models
from biocnn.config.registry import REGISTRY
from biocnn.config.schema import choose
from biocnn.config.settings import Train
from biocnn.core.errors import InputError, Interrupted
from biocnn.data.dataset import Dataset
from biocnn.models import FCN, BagNetwork, ResNet, UNet
from biocnn.tasks.facts import Decision, Facts
from biocnn.training.checkpoint import load_model, save_model
from biocnn.training.fingerprint import fingerprint
from biocnn.training.metadata import Metadata, read_metadata
from biocnn.training.runs import train_run
from biocnn.training.state import StateFolder
from biocnn.training.transfer import _body, like_source, transfer_weights

WIDTHS = {"channels": [4, 6, 8]}
SIZES = {"smallest": [16, 16], "median": [16, 16], "largest": [16, 16], "shorter": 16}
SHORT = {"epochs": 3, "batch_size": 16, "steps_per_epoch": 5}


def unet(in_channels: int = 1, out_channels: int = 1, seed: int = 5, **settings: Any) -> UNet:
    torch.manual_seed(seed)
    made = UNet(2, in_channels, out_channels, **WIDTHS | settings)
    for norm in (m for m in made.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
    return made


def saved(path: Path, model: nn.Module, facts: Facts | None = None, **settings: Any) -> Path:
    facts = facts or image_facts(normalise="image")
    train = {"size": [16, 16], "fit": "crop"} if facts.kind != "sequence" else {}
    experiment = {"model": {"name": type(model).__name__, **settings}, "train": train}
    save_model(path, model, Metadata(experiment=experiment, facts=facts))
    return path


def section(path: Path | None, epochs: int = 0) -> dict[str, Any]:
    return Train(start_from=path, freeze_epochs=epochs)


def test_all_weights_of_the_same_network_are_copied(tmp_path: Path) -> None:
    old, new, lines = unet(), unet(seed=6), []
    transfer = transfer_weights(new, section(saved(tmp_path / "m.safetensors", old)), lines.append)
    assert same_weights(old, new)
    assert transfer.record["fresh"] == []
    assert transfer.record["share"] == 1
    assert transfer.record["sha256"] == hashlib.sha256((tmp_path / "m.safetensors").read_bytes()).hexdigest()
    assert lines == [f"started from {tmp_path / 'm.safetensors'} (UNet): 13 of 13 layers, 100.0% of the weights"]


def test_with_other_channels_and_classes_the_first_layer_is_adapted_and_the_last_stays_random(tmp_path: Path) -> None:
    old, new, lines = unet(), unet(3, 4, seed=6), []
    drawn = {key: value.clone() for key, value in new.state_dict().items()}
    transfer = transfer_weights(new, section(saved(tmp_path / "m.safetensors", old)), lines.append)
    for key, value in new.state_dict().items():
        wanted = drawn[key] if key.startswith("head.") else old.state_dict()[key]
        assert torch.equal(value, wanted.expand_as(value) / 3 if key == "stem.0.conv.conv.weight" else wanted), key
    assert (transfer.record["adapted"], transfer.record["fresh"]) == (["stem.0"], ["head.conv"])
    assert "1 to 3 channels: weights are summed over channels and shared equally, in stem.0" in lines
    assert "initialized at random, because they do not fit: head.conv" in lines
    number = len(old.state_dict())
    assert f"2 of {number} weights of the file do not fit: head.conv.bias, head.conv.weight" in lines


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (2, 4)])
def test_equal_channels_give_the_same_result_in_another_number(tmp_path: Path, before: int, after: int) -> None:
    old, new = unet(before).eval(), unet(after, seed=6).eval()
    path, facts = tmp_path / "m.safetensors", image_facts(channels=list("abcd")[:before], normalise="image")
    transfer_weights(new, section(saved(path, old, facts)), print)
    x = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(new(x.expand(-1, after, -1, -1)), old(x.expand(-1, before, -1, -1)))


def test_a_classifier_starts_from_one_of_other_classes(tmp_path: Path) -> None:
    old, new = (ResNet(2, 1, classes, channels=(4, 4, 4, 4), stem="small") for classes in (3, 5))
    facts = stored(labelled(), tmp_path).facts
    section_ = choose("models", {"name": "ResNet", "channels": [4, 4, 4, 4], "stem": "small"}, "model")
    save_model(tmp_path / "m.safetensors", old, metadata(section_, facts))
    transfer = transfer_weights(new, section(tmp_path / "m.safetensors", 1), print)
    for key, value in old.state_dict().items():
        assert torch.equal(value, new.state_dict()[key]) or key.startswith("head."), key
    assert {name.split(".")[0] for name in transfer.record["fresh"]} == {"head"}
    assert {name.split(".")[0] for name in transfer.body} == {"features"}


@pytest.mark.parametrize(("factor", "line"), [(0, "does without intensities"), (2, "also receives intensities")])
def test_the_log_states_whether_a_copied_last_layer_uses_intensities(tmp_path: Path, factor: int, line: str) -> None:
    old, new = (ResNet(2, 1, 1, channels=(2, 2, 2, 2), stem="small", intensities=True) for _ in range(2))
    old.intensities.factor.fill_(factor)
    facts = image_facts(task="regression", normalise="image", sizes=SIZES)
    path, lines = saved(tmp_path / "m.safetensors", old, facts), []
    transfer_weights(new, section(path), lines.append)
    assert lines[-1] == f"the last layer {line}, as in {path}"


@pytest.mark.parametrize("name", ["vessel", "axon"])
def test_the_layer_of_outputs_is_copied_only_from_outputs_of_the_same_names(tmp_path: Path, name: str) -> None:
    facts, new, lines = image_facts(outputs=["vessel"], normalise="image"), unet(seed=6), []
    path = saved(tmp_path / "m.safetensors", unet(), facts)
    record = transfer_weights(new, section(path), lines.append, [name], lambda: unet(1, 2)).record
    assert record["fresh"] == ([] if name == "vessel" else ["head.conv"])
    assert any("outputs are axon, but vessel in" in line for line in lines) == (name == "axon")


@pytest.mark.parametrize("given", [None, "ResNet"])
@pytest.mark.parametrize("source", ["ResNet", "BagNetwork"])
def test_the_network_within_another_is_taken_from_either(tmp_path: Path, source: str, given: str | None) -> None:
    """A network for bags starts from one for single images, or for bags, and takes the settings that are left out."""
    small = {"channels": [4, 4, 4, 4], "stem": "small", "depth": 18}
    old = ResNet(2, 1, 3, **small) if source == "ResNet" else BagNetwork(2, 1, 3, network={"name": "ResNet", **small})
    facts = image_facts(task="multiclass", outputs=list("abc"), normalise="image", sizes=SIZES)
    path = tmp_path / "m.safetensors"
    of_bags = facts.model_copy(update={"kind": "bag"})
    own = small if source == "ResNet" else {"network": {"name": "ResNet", **small}}
    saved(path, old, facts if source == "ResNet" else of_bags, **own)
    bags = choose("models", {"name": "BagNetwork", "network": given}, "model")
    filled, _ = like_source(bags, section(path), of_bags, print)
    assert small.items() <= filled.network.model_dump(mode="json").items()
    new = BagNetwork(2, 1, 2, network=filled.network)
    taken = transfer_weights(new, section(path), print).record["taken"]
    inner = old if source == "ResNet" else old.network
    assert torch.equal(new.network.features[0][0].conv.weight, inner.features[0][0].conv.weight)
    assert ("pool.value" in taken) == (source == "BagNetwork")
    assert not {"head.1", "alone"} & {*taken}
    back = ResNet(2, 1, 3, **small)
    assert "head.1" not in transfer_weights(back, section(saved(path, new, of_bags)), print).record["taken"]
    assert torch.equal(back.features[0][0].conv.weight, inner.features[0][0].conv.weight)


def test_added_gates_are_random_and_the_rest_is_copied(tmp_path: Path) -> None:
    new = unet(seed=6, attention=True, deep_supervision=True)
    transfer = transfer_weights(new, section(saved(tmp_path / "m.safetensors", unet())), print)
    assert {name.split(".")[0] for name in transfer.record["fresh"]} == {"up", "coarser_heads"}
    assert len(transfer.record["taken"]) == 13


def test_a_network_without_common_layers_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", FCN(2, 1, 1, channels=(4,) * 5))
    with pytest.raises(InputError, match=r"no layer of .*m\.safetensors \(FCN\) fits UNet"):
        transfer_weights(unet(), section(path), print)
    with pytest.raises(InputError, match="no layer of"):  # norms of as many channels are not enough
        transfer_weights(UNet(3, 1, 1, channels=[4, 6, 8], up="interpolate"), section(saved(path, unet())), print)
    (tmp_path / "other").write_bytes(b"not a model")
    with pytest.raises(InputError, match="damaged"):
        transfer_weights(unet(), section(tmp_path / "other"), print)


def test_a_network_without_an_encoder_cannot_be_frozen(tmp_path: Path) -> None:
    class Own(nn.Sequential):
        pass

    path = saved(tmp_path / "m.safetensors", Own(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    transfer_weights(Own(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), section(path), print)
    with pytest.raises(InputError, match="give its class BODY = "):
        transfer_weights(Own(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), section(path, 1), print)


@pytest.mark.parametrize("name", REGISTRY["models"])
def test_every_network_has_a_body_without_the_layer_of_its_outputs(name: str) -> None:
    """Exactly the weights outside change with the number of outputs, or all that follow an encoder."""
    dims = dimensions(name)[0]
    torch.manual_seed(1)
    channels = 4 if dims == 1 else 2
    few, many = (getattr(models, name)(dims, channels, number, **SMALL.get(name, {})) for number in (2, 3))
    layers = [key for key, part in few.named_modules() if [*part.parameters(recurse=False)]]
    body = _body(few, layers)
    shapes = [{key: value.shape for key, value in network.named_parameters()} for network in (few, many)]
    changed = {key.rpartition(".")[0] for key in shapes[0] if shapes[0][key] != shapes[1][key]}
    assert body
    assert changed
    assert not changed & set(body)
    if REGISTRY["models"][name].target == "vector":
        assert changed == set(layers) - set(body)


@pytest.mark.parametrize("optional", [{}, {"norm": "group"}, {"residual": True, "down": "strided"}])
def test_frozen_layers_do_not_change_and_the_others_do(tmp_path: Path, optional: dict[str, Any]) -> None:
    new = unet(3, seed=6, **optional)
    transfer = transfer_weights(new, section(saved(tmp_path / "m.safetensors", unet(**optional)), 2), print)
    assert {name.split(".")[0] for name in transfer.body} == {"stem", "down"}
    optimizer = torch.optim.AdamW(new.parameters(), lr=0.01)
    for epoch, changed in enumerate([True, False, True, False]):
        new.eval()
        before = {key: value.clone() for key, value in new.state_dict().items()}
        new.train()
        assert transfer.freeze(new, epoch) == changed
        optimizer.zero_grad()
        new(torch.randn(2, 3, 16, 16)).square().sum().backward()
        optimizer.step()
        for key, value in new.state_dict().items():
            held = epoch < 2 and any(key.startswith(f"{name}.") for name in transfer.body)
            assert torch.equal(value, before[key]) == held, (epoch, key)


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(labelled(24), tmp_path_factory.mktemp("shades"))


STAGES = {"channels": [4, 4, 4, 4], "stem": "small"}


def transferred(data: Dataset, folder: Path, **train: Any) -> tuple[nn.Module, nn.Module, Metadata]:
    """Train from a network for other classes; return both networks, and the metadata of the second."""
    torch.manual_seed(3)
    old = ResNet(2, 1, 2, **STAGES)
    for norm in (m for m in old.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
    path, facts = (
        folder / "old.safetensors",
        data.facts.model_copy(update={"outputs": ["no", "yes"], "out_channels": 2}),
    )
    save_model(path, old, metadata(choose("models", {"name": "ResNet", **STAGES}, "model"), facts))
    given = experiment("ResNet", data="LabelledImages", train=Train(**SHORT, threads=1, start_from=path, **train))
    new, _, meta = train_run(given, data, 1)
    return old, new, meta


def test_a_body_without_a_learning_rate_keeps_every_bit(shades: Dataset, tmp_path: Path) -> None:
    """Also the statistics of its batch norms; what the data would decide of the network is as in the file."""
    old, new, meta = transferred(shades, tmp_path, body_lr=0)
    found = new.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in old.state_dict().items() if "head" not in key)
    torch.manual_seed(1)
    assert not torch.equal(found["head.1.weight"], ResNet(2, 1, 3, **STAGES).head[1].weight)
    assert (meta.start["epochs"], meta.start["fresh"]) == (SHORT["epochs"], ["head.1"])
    assert meta.decisions["channels"] == Decision(value=[4, 4, 4, 4], reason="as in train.start_from")
    assert meta.experiment.model.model_dump()["stem"] == "small"
    reason = "given: train.steps_per_epoch: 5, but an epoch is one pass at most"
    assert meta.decisions["steps_per_epoch"] == Decision(value=1, reason=reason)


def test_the_body_has_a_learning_rate_of_its_own(shades: Dataset, tmp_path: Path) -> None:
    (_, usual, _), (_, equal, _) = (transferred(shades, tmp_path, body_lr=rate) for rate in (None, 1e-3))
    assert same_weights(usual, equal)
    old, slow, _ = transferred(shades, tmp_path, body_lr=1e-12)
    for (key, before), after in zip(old.named_parameters(), slow.parameters(), strict=True):
        if "head" not in key:
            assert 0 <= (before - after).abs().max() < 1e-7, key
    assert not torch.equal(old.features[0].norm.running_mean, slow.features[0].norm.running_mean)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(images(12), tmp_path_factory.mktemp("cells"))


@pytest.mark.parametrize("when", [(3, True), (5, True), (8, True), (1, False)])
def test_an_interruption_before_or_after_the_thaw_changes_no_bit(cells: Dataset, tmp_path: Path, when) -> None:
    other = network(cells, seed=9)
    start = {"start_from": saved(tmp_path / "m.safetensors", other), "freeze_epochs": 1, "body_lr": 1e-4}
    settings = SHORT | start | {"batch_size": 4}

    def run(**more: Any):
        model, lines = network(cells), []
        return trained(
            cells, model, transfer=transfer_weights(model, Train(**settings), lines.append), **more, **settings
        )

    alone, history, _ = run()
    assert not same_weights(alone, other)

    def watch(number: int, learning: bool) -> None:
        if (number, learning) == when:
            signal.raise_signal(signal.SIGTERM)

    with StateFolder(tmp_path / "s", "mark", print) as states, pytest.raises(Interrupted):
        run(watch=watch, states=states)
    with StateFolder(tmp_path / "s", "mark", print) as states:
        model, again, lines = run(states=states)
    assert lines[0].startswith("resuming from step")
    assert same_weights(model, alone)
    assert again.drop(columns="seconds").equals(history.drop(columns="seconds"))
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_model_of_one_data_set_can_initialize_that_of_another(tmp_path: Path) -> None:
    """From the model file of one training to that of the next, with more classes; the file records what was copied."""
    given: dict[str, Any] = {"model": {"name": "UNet", **WIDTHS}, "data": "Images"}
    short = {"epochs": 2, "batch_size": 4, "steps_per_epoch": 2, "patch": [16, 16], "threads": 1}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = stored(images(8), tmp_path / "one")
    second = stored(images(8, task="classes"), tmp_path / "two")
    model, _, meta = train_run(experiment(**given, train=Train(**short)), first, 1)
    assert not meta.start
    path = tmp_path / "first.safetensors"
    save_model(path, model, meta)
    following = experiment(**given, train=Train(**short, start_from=path, freeze_epochs=2))
    lines: list[str] = []
    found, _, meta = train_run(following, second, 1, log=lines.append)
    save_model(tmp_path / "second.safetensors", found, meta)
    stored_meta = read_metadata(tmp_path / "second.safetensors")
    assert stored_meta.start["fresh"] == ["head.conv"]
    assert stored_meta.start["epochs"] == 2
    old, new = model.state_dict(), load_model(tmp_path / "second.safetensors")[0].state_dict()
    assert all(torch.equal(old[key], new[key]) for key in old if key.startswith(("stem.", "down.")))
    assert not torch.equal(old["up.0.up.weight"], new["up.0.up.weight"])
    assert any("initialized at random, because they do not fit: head.conv" in line for line in lines)


def test_states_depend_on_the_content_of_the_other_model(tmp_path: Path) -> None:
    data = stored(sequences(60), tmp_path)

    def mark() -> str:
        train = Train(start_from=tmp_path / "m.safetensors")
        return fingerprint(experiment(train=train), data, 1, network(data), 1)

    saved(tmp_path / "m.safetensors", network(data), data.facts)
    first = mark()
    assert mark() == first
    saved(tmp_path / "m.safetensors", network(data, seed=2), data.facts)
    assert mark() != first
