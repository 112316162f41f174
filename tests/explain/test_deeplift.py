"""DeepLIFT: closed forms, completeness, and the same numbers as tangermeme and captum."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.data.shuffle import dinucleotide_shuffle
from biocnn.explain.deeplift import deep_lift, shuffled_references
from biocnn.models import Basset, DanQ, DeepBind, DilatedResNet
from biocnn.nn.encode import one_hot

LENGTH, N, REFERENCES = 60, 5, 4


def sequences(number: int = N, length: int = LENGTH, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (number, length)).astype(np.uint8)


def lively(model: nn.Module) -> nn.Module:
    """Set weights and running statistics such that every layer has an effect."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(parameter[0].numel(), 4) ** 0.5)
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return model.eval()


def networks(strands: str, combine: str = "max") -> list[nn.Module]:
    two = {"strands": strands, "combine": combine}
    made = [
        DeepBind(1, 4, 2, channels=8, kernel_size=9, pool=pool, hidden=hidden, **two)
        for pool, hidden in [("max", 0), ("max", 6), ("both", 6)]
    ]
    made.append(Basset(1, 4, 2, channels=[8, 6], kernel_size=[9, 5], pool=[3, 2], hidden=5, **two))
    made.append(DilatedResNet(1, 4, 2, channels=8, kernel_size=9, layers=2, **two))
    return [lively(model) for model in made]


def present(contributions: Tensor, x: Tensor) -> Tensor:
    return (contributions * x).sum(dim=(1, 2))


@pytest.mark.parametrize("model", networks("single"), ids=lambda model: type(model).__name__)
def test_contributions_add_up_to_the_difference_of_logits(model: nn.Module) -> None:
    codes = sequences()
    x, references = one_hot(torch.from_numpy(codes)), shuffled_references(codes, REFERENCES)
    found = deep_lift(model, x, references, output=1)
    with torch.no_grad():
        mean = model(references.flatten(0, 1))[:, 1].view(N, REFERENCES).mean(dim=1)
        difference = model(x)[:, 1] - mean
    assert difference.abs().max() > 0.01
    torch.testing.assert_close(present(found.contributions, x), difference, atol=1e-5, rtol=1e-4)
    assert found.delta.shape == (N, REFERENCES)
    assert found.delta.abs().max() < 1e-5


@pytest.mark.parametrize("combine", ["max", "mean"])
def test_both_strands(combine: str) -> None:
    """The strand with the larger logit is explained, or both; the reverse complement has reversed contributions."""
    codes = sequences(12)
    x, references = one_hot(torch.from_numpy(codes)), shuffled_references(codes, REFERENCES)
    for model in networks("both", combine):
        found = deep_lift(model, x, references)
        assert found.delta.abs().max() < 1e-5
        turned = deep_lift(model, x.flip(1, 2), references.flip(2, 3))
        torch.testing.assert_close(turned.contributions.flip(1, 2), found.contributions, atol=1e-5, rtol=1e-4)
        model.strands = "single"
        one, other = (deep_lift(model, s, r) for s, r in [(x, references), (x.flip(1, 2), references.flip(2, 3))])
        with torch.no_grad():
            reverse = (model(x.flip(1, 2)) > model(x))[:, 0]
        assert 0 < reverse.sum() < len(x)
        back = other.contributions.flip(1, 2)
        winner = torch.where(reverse[:, None, None], back, one.contributions)
        expected = winner if combine == "max" else (one.contributions + back) / 2
        torch.testing.assert_close(found.contributions, expected, atol=1e-5, rtol=1e-4)


def test_contributions_in_a_linear_model_are_weights_minus_those_of_the_references() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 2))
    weight = model[1].weight[1].detach().view(4, LENGTH)
    codes = sequences()
    x, references = one_hot(torch.from_numpy(codes)), shuffled_references(codes, REFERENCES)
    expected = weight - (references * weight).sum(dim=2, keepdim=True).mean(dim=1)
    torch.testing.assert_close(deep_lift(model, x, references, output=1).contributions, expected)


def test_one_rectifier_by_hand() -> None:
    """relu(2 a - b): from a reference at -3 to 4, the slope is 4 / 7."""

    class Rectified(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(4 * x[:, 0] - 3 * x[:, 1])

    x, references = one_hot(torch.tensor([[0]])), one_hot(torch.tensor([[1]]))[None]
    found = deep_lift(Rectified(), x, references).contributions
    # The present base adds 4 and removes -3; a base without weight only removes that of the reference.
    torch.testing.assert_close(found[0, :, 0], torch.tensor([7.0, 0, 3, 3]) * 4 / 7)


def test_padding_unknown_bases_and_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = sequences()
    codes[0, 10:13], codes[1, 50:] = 4, 5
    for model in networks("both"):
        x, references = one_hot(torch.from_numpy(codes)), shuffled_references(codes, REFERENCES)
        found = deep_lift(model, x, references)
        assert found.delta.abs().max() < 1e-5
        cut = deep_lift(model, x[1:2, :, :50], references[1:2, :, :, :50])
        if not isinstance(model, Basset):  # its pooling windows start at the other end on the other strand
            torch.testing.assert_close(found.contributions[1:2, :, :50], cut.contributions, atol=1e-5, rtol=1e-4)
        monkeypatch.setattr("biocnn.explain.deeplift.PAIRS", REFERENCES)
        torch.testing.assert_close(deep_lift(model, x, references).contributions, found.contributions)
        monkeypatch.undo()


def test_the_model_is_not_changed() -> None:
    model = nn.Sequential(nn.Conv1d(4, 3, 5), nn.ReLU(inplace=True), nn.AdaptiveMaxPool1d(1), nn.Flatten()).train()
    x = one_hot(torch.from_numpy(sequences()))
    deep_lift(model, x, shuffled_references(sequences(), 2))
    assert model.training
    assert model[1].inplace
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_an_lstm_is_refused_with_the_remedy() -> None:
    codes = sequences()
    with pytest.raises(InputError, match="no rule for LSTM in DanQ") as caught:
        deep_lift(
            DanQ(1, 4, 1, channels=4, recurrent=3), one_hot(torch.from_numpy(codes)), shuffled_references(codes, 2)
        )
    assert "integrated_gradients" in caught.value.remedy


def test_a_nonlinear_step_of_a_users_model_shows_in_the_deltas() -> None:
    class Squared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x[:, 0] * torch.arange(LENGTH)).sum(dim=1, keepdim=True) ** 2

    codes = sequences()
    found = deep_lift(Squared(), one_hot(torch.from_numpy(codes)), shuffled_references(codes, 2))
    assert found.delta.abs().max() > 1


def test_references_are_shuffles_that_depend_only_on_seed_and_position() -> None:
    codes = sequences()
    three = shuffled_references(codes, 3, seed=7)
    torch.testing.assert_close(shuffled_references(codes[:2], 3, seed=7), three[:2])
    drawn = dinucleotide_shuffle(np.tile(codes[4], (3, 1)), np.random.default_rng([7, 4]))
    torch.testing.assert_close(one_hot(torch.from_numpy(drawn)), three[4])
    assert not torch.equal(shuffled_references(codes, 3, seed=8), three)
    assert shuffled_references(codes[:0], 3).shape == (0, 3, 4, LENGTH)


def plain() -> list[nn.Sequential]:
    """Return networks of only torch layers, which other tools can explain too."""
    deep = [nn.Conv1d(4, 8, 9), nn.BatchNorm1d(8), nn.ELU(), nn.MaxPool1d(3)]
    deep += [nn.Conv1d(8, 6, 5, dilation=2), nn.Softplus(), nn.MaxPool1d(4, 2), nn.Flatten(), nn.Linear(18, 2)]
    shallow = [nn.Conv1d(4, 8, 9, padding=8), nn.ReLU(), nn.MaxPool1d(68), nn.Flatten(), nn.Linear(8, 6)]
    return [lively(nn.Sequential(*layers)) for layers in (deep, [*shallow, nn.ReLU(), nn.Linear(6, 2)])]


def tangermeme(model: nn.Module, x: Tensor, references: Tensor, output: int, hypothetical: bool) -> Tensor:
    theirs = pytest.importorskip("tangermeme.deep_lift_shap").deep_lift_shap
    given = {"references": references, "hypothetical": hypothetical, "device": "cpu", "warning_threshold": 1}
    return theirs(model, x, target=output, **given)


def test_tangermeme_gives_the_same_for_every_base() -> None:
    model, codes = plain()[0], sequences(20)
    x, references = one_hot(torch.from_numpy(codes)), shuffled_references(codes, REFERENCES)
    ours = deep_lift(model, x, references, output=1).contributions
    torch.testing.assert_close(ours, tangermeme(model, x, references, 1, hypothetical=True), atol=1e-5, rtol=1e-4)


def test_deepbind_is_explained_like_its_plain_version_by_tangermeme() -> None:
    """Only present bases are compared.

    Windows beyond the ends are often equal in the reference; if such a window is not the maximum, tangermeme gives
    a slope to both it and the maximum.
    """
    ours, (_, twin) = networks("single")[1], plain()
    conv, (first, _, _, last) = ours.features[0].conv.conv, ours.head
    with torch.no_grad():
        for layer, source in zip([twin[0], twin[4], twin[6]], [conv, first, last], strict=True):
            layer.weight.copy_(source.weight)
            layer.bias.copy_(source.bias)
    codes = sequences(20)
    x, references = one_hot(torch.from_numpy(codes)), shuffled_references(codes, REFERENCES)
    theirs = tangermeme(twin, x, references, 0, hypothetical=False)
    torch.testing.assert_close(deep_lift(ours, x, references).contributions * x, theirs, atol=1e-5, rtol=1e-4)


def test_captum_gives_the_same() -> None:
    """Without max pooling, for which contributions of captum 0.9 do not add up."""
    captum = pytest.importorskip("captum.attr")
    layers = [nn.Conv1d(4, 8, 9), nn.BatchNorm1d(8), nn.ELU(), nn.AvgPool1d(3), nn.Conv1d(8, 6, 5), nn.Softplus()]
    model = lively(nn.Sequential(*layers, nn.Flatten(), nn.Linear(78, 5), nn.ReLU(), nn.Linear(5, 2)))
    codes = sequences(20)
    x, references = one_hot(torch.from_numpy(codes)), shuffled_references(codes, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its hooks and gradients
        theirs = captum.DeepLift(model).attribute(x, references[:, 0], target=1)
    ours = (deep_lift(model, x, references, output=1).contributions * x).sum(dim=1)
    torch.testing.assert_close(ours, theirs.detach().sum(dim=1), atol=1e-5, rtol=1e-4)
