"""The optimizers: steps are those of the formulas, only weights decay, moments can be stored, rates rise and fall."""

import copy

import numpy as np
import pytest
import torch
from tiny import images, stored
from torch import Tensor, nn
from trainings import CPU, network

from biocnn.config.settings import Train
from biocnn.data.dataset import Dataset
from biocnn.models import UNet
from biocnn.training.batches import make
from biocnn.training.loop import fit
from biocnn.training.optimizer import (
    CLIP,
    clip_gradients,
    lr_factor,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(images(16), tmp_path_factory.mktemp("cells"))


def unet() -> nn.Module:
    torch.manual_seed(1)
    return UNet(2, 1, 1, channels=[8, 16]).to(memory_format=torch.channels_last)


X = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(1)).contiguous(memory_format=torch.channels_last)


def backward(model: nn.Module, scale: float = 1.0) -> None:
    model.zero_grad()
    (scale * model(X).square().mean()).backward()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_gradients_are_clipped_as_torch_clips_them(scale: float) -> None:
    model, other = unet(), unet()
    for one in (model, other):
        backward(one, scale)
    norm = clip_gradients(list(model.parameters()))
    wanted = nn.utils.clip_grad_norm_(other.parameters(), CLIP)
    torch.testing.assert_close(norm, wanted)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    clipped = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    assert clipped <= CLIP * 1.0001


def test_weights_without_a_gradient_are_skipped() -> None:
    used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    used.grad = torch.full((3,), 2.0)
    assert clip_gradients([unused, used]).item() == pytest.approx(12**0.5)


def test_steps_are_those_of_plain_adamw() -> None:
    """Fused steps of channels_last weights equal torch's loop over parameters in the usual layout."""
    model, other = unet(), copy.deepcopy(unet()).to(memory_format=torch.contiguous_format)
    parameters = list(other.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    plain = torch.optim.AdamW(groups, foreach=False, fused=False)
    quick = make_optimizer(list(model.parameters()), Train(weight_decay=0.1))
    for _ in range(5):
        backward(model)
        for p, q in zip(model.parameters(), parameters, strict=True):
            q.grad = p.grad.clone(memory_format=torch.contiguous_format)
        for optimizer in (quick, plain):
            for group in optimizer.param_groups:
                group["lr"] = 0.01
            optimizer.step()
    for p, q in zip(model.parameters(), parameters, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-6)


def stepped(section: Train, values: list[list[float]], *gradients: list[list[float]]) -> Tensor:
    """Return a weight after steps with these gradients at lr 0.1."""
    weight = nn.Parameter(torch.tensor(values))
    optimizer = make_optimizer([weight], section)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        optimizer.step()
    return weight.detach()


def test_steps_of_gradient_descent_with_momentum_are_those_of_the_formula() -> None:
    """The penalty, 0.5 times the weight, belongs to the gradient; momentum sums gradients with weights 1, 0.8, ..."""
    section = Train(optimizer="sgd", momentum=0.8, weight_decay=0.5)
    first = 2 - 0.1 * (3 + 0.5 * 2)
    second = first - 0.1 * (0.8 * (3 + 0.5 * 2) + 1 + 0.5 * first)
    torch.testing.assert_close(stepped(section, [[2.0]], [[3.0]], [[1.0]]), torch.tensor([[second]]))
    plain = Train(optimizer="sgd", momentum=0.0, weight_decay=0.0)
    torch.testing.assert_close(stepped(plain, [[2.0]], [[3.0]], [[1.0]]), torch.tensor([[2 - 0.3 - 0.1]]))
    usual = Train(optimizer="sgd", weight_decay=0.0)
    torch.testing.assert_close(stepped(usual, [[2.0]], [[3.0]], [[1.0]]), torch.tensor([[2 - 0.3 - 0.1 * (2.7 + 1)]]))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_l1_moves_weights_to_zero_and_not_beyond(optimizer: str) -> None:
    section, zero = Train(optimizer=optimizer, weight_decay=0.0, l1=2.0), [[0.0] * 4]
    found = stepped(section, [[1.0, -1.0, 0.3, 0.0]], zero, zero)
    torch.testing.assert_close(found, torch.tensor([[0.6, -0.6, 0.0, 0.0]]))
    weight, bias = nn.Parameter(torch.ones(1, 1)), nn.Parameter(torch.ones(1))
    frozen = nn.Parameter(torch.ones(1, 1))
    made = make_optimizer([weight, bias, frozen], section)
    weight.grad, bias.grad = torch.zeros(1, 1), torch.zeros(1)
    made.step()
    assert weight.item() == pytest.approx(1 - 2 * section.lr)
    assert bias.item() == frozen.item() == 1


def test_the_body_has_its_own_highest_rate_and_the_same_penalties() -> None:
    weight, bias, slow = (nn.Parameter(torch.ones(shape)) for shape in ((1, 1), (1,), (1, 1)))
    section = Train(optimizer="sgd", momentum=0.0, weight_decay=0.5, lr=0.1, body_lr=0.01, l1=1.0)
    optimizer = make_optimizer([weight, slow, bias], section, [slow])
    for one in (weight, bias, slow):
        one.grad = torch.ones_like(one)
    for group in optimizer.param_groups:
        group["lr"] = group["highest"]
    optimizer.step()
    assert weight.item() == pytest.approx(1 - 0.1 * 1.5 - 0.1)
    assert bias.item() == pytest.approx(1 - 0.1)
    assert slow.item() == pytest.approx(1 - 0.01 * 1.5 - 0.01)


def test_weights_that_were_frozen_at_first_start_without_momentum() -> None:
    first, later = nn.Parameter(torch.ones(1, 1)), nn.Parameter(torch.ones(1, 1))
    optimizer = make_optimizer([first, later], Train(optimizer="sgd", weight_decay=0.0, lr=0.1))
    for gradients in ((1.0, None), (1.0, 1.0)):
        for weight, gradient in zip((first, later), gradients, strict=True):
            weight.grad = None if gradient is None else torch.full((1, 1), gradient)
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        optimizer.step()
    assert first.item() == pytest.approx(1 - 0.1 - 0.19)
    assert later.item() == pytest.approx(1 - 0.1)


def layout(tensor: Tensor) -> list[int]:
    """Return the strides of all axes longer than 1."""
    return [stride for stride, length in zip(tensor.stride(), tensor.shape, strict=True) if length > 1]


def stored_moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the moments as read from a file: in the usual layout."""
    return {
        key: value.clone(memory_format=torch.contiguous_format) for key, value in optimizer_tensors(optimizer).items()
    }


@pytest.mark.parametrize(
    ("name", "moments"), [("adamw", {"exp_avg", "exp_avg_sq", "step"}), ("sgd", {"momentum_buffer"})]
)
def test_restored_moments_have_the_original_values_and_layout(name: str, moments: set[str]) -> None:
    model, other = unet(), unet()
    section = Train(optimizer=name, weight_decay=0.1)
    optimizer, again = (make_optimizer(list(one.parameters()), section) for one in (model, other))
    for _ in range(2):
        backward(model)
        optimizer.step()
    other.load_state_dict(model.state_dict())
    restore_optimizer(again, stored_moments(optimizer))
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert optimizer.state[p].keys() == again.state[q].keys() == moments
        for key, value in optimizer.state[p].items():
            assert value.equal(again.state[q][key])
            assert layout(value) == layout(again.state[q][key]), key
    assert any(not p.is_contiguous() for p in model.parameters()), "without any channels_last weight this tests nothing"
    for one, o in ((model, optimizer), (other, again)):
        backward(one)
        o.step()
    assert all(p.equal(q) for p, q in zip(model.parameters(), other.parameters(), strict=True))


def test_norms_and_biases_do_not_decay(cells: Dataset) -> None:
    """With a gradient of zero, only the decay changes weights."""
    model = network(cells)
    before = copy.deepcopy(model.state_dict())
    parts = [make(cells, cells.rows(part), CPU) for part in ("train", "val")]
    settings = Train(epochs=1, steps_per_epoch=1, batch_size=2, weight_decay=0.5, lr=0.1, schedule="constant")
    fit(model, *parts, lambda logits, y: (0 * logits).sum(), cells.task, settings, 1, lambda line: None)
    for name, parameter in model.named_parameters():
        factor = 1 - 0.5 * 0.1 if parameter.ndim > 1 else 1
        torch.testing.assert_close(parameter.detach(), factor * before[name], msg=name)


@pytest.mark.parametrize("total", [1, 2, 10, 1000])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_learning_rates_rise_and_fall(schedule: str, total: int) -> None:
    factors = np.array([lr_factor(schedule, step, total) for step in range(total + 1)])
    assert ((factors > 0) & (factors <= 1.001)).all()
    top = int(factors.argmax())
    assert (np.diff(factors[: top + 1]) >= 0).all()
    assert (np.diff(factors[top:]) <= 0).all()
    if schedule == "constant":
        assert (factors == 1).all()
    elif total == 1000:
        assert top == {"one_cycle": 200, "cosine": 20}[schedule]
        assert factors[(top + 1000) // 2] == pytest.approx(0.5, abs=0.01)
        assert factors[-1] < 1e-3
