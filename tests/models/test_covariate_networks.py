"""Covariates join the last layer of every network with one target per example, and change nothing before it."""

from typing import Any

import pytest
import torch
from every_model import SMALL
from tiny import image_facts, sequence_facts
from torch import Tensor, nn

from biocnn.config.registry import suited
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.models.sequence_network import reverse_strand
from biocnn.nn.covariates import Joint, apart, beside
from biocnn.nn.fuse_batchnorm import fuse_batchnorm
from biocnn.nn.words import WordMixture, Words
from biocnn.tasks.facts import Covariate, Facts
from biocnn.training.checkpoint import build_model, completed
from biocnn.training.target_unit import set_temperature

CODED = [Covariate(name="dose", missing=True), Covariate(name="cells", levels=["a", "b", "c"])]
Z = torch.tensor([[1.5, 0, 1, 0, 0], [0, 1, 0, 0, 1.0]])
OTHER = torch.tensor([[-1.5, 0, 0, 1, 0], [0, 1, 0, 1, 0.0]])
NETWORKS = [
    *(("image", name, 2) for name in suited("models", "image", "vector")),
    ("image", "ResNet", 3),
    *(("sequence", name, 1) for name in suited("models", "sequence", "vector")),
]


def facts_for(kind: str, dims: int) -> Facts:
    if kind == "sequence":
        return sequence_facts(outputs=["one", "two"], task="regression")
    return image_facts(outputs=["one", "two"], task="regression", channels=["red", "green"], spatial_dims=dims)


def built(kind: str, name: str, dims: int, coded: list[Covariate], **settings: Any) -> nn.Module:
    facts = facts_for(kind, dims)
    if coded:
        facts = facts.model_copy(update={"coded": coded, "covariates": [one.name for one in coded]})
    torch.manual_seed(3)
    return build_model(choose("models", {"name": name, **SMALL.get(name, {}), **settings}, "model"), facts).eval()


def example(kind: str, dims: int) -> Tensor:
    draws = torch.Generator().manual_seed(1)
    if kind == "sequence":
        return nn.functional.one_hot(torch.randint(4, (2, 40), generator=draws), 4).float().transpose(1, 2)
    return torch.rand(2, 2, *[24] * dims, generator=draws)


@pytest.mark.parametrize(("kind", "name", "dims"), NETWORKS)
@torch.inference_mode()
def test_only_the_last_layer_of_a_network_receives_covariates(kind: str, name: str, dims: int) -> None:
    network, alone, x = built(kind, name, dims, CODED), built(kind, name, dims, []), example(kind, dims)
    own = dict(network.named_parameters())
    for key, weights in alone.named_parameters():
        last = key.startswith(f"head.{len(alone.head) - 1}.")
        head, _, which = key.rpartition(".")
        assert own[f"{head}.alone.{which}" if last else key].equal(weights)
    logits = network(beside(x, Z))
    assert logits.shape == (2, 2)
    assert (logits != network(beside(x, OTHER))).all()
    torch.testing.assert_close(network(x), network(beside(x, torch.zeros(2, 5))))
    torch.testing.assert_close(fuse_batchnorm(network)(beside(x, Z)), logits, rtol=1e-4, atol=1e-5)
    alike = network(torch.cat([beside(x, Z), beside(x, OTHER)]))
    torch.testing.assert_close(alike, torch.cat([logits, network(beside(x, OTHER))]), rtol=1e-4, atol=1e-5)
    if kind == "image":
        assert network.vectors(beside(x, Z)).equal(alone.vectors(x))


@pytest.mark.parametrize("name", suited("models", "sequence", "vector"))
@torch.inference_mode()
def test_both_strands_have_the_same_covariates(name: str) -> None:
    network, x = built("sequence", name, 1, CODED, strands="both"), example("sequence", 1)
    torch.testing.assert_close(network(beside(x, Z)), network(beside(reverse_strand(x, None), Z)))


@torch.inference_mode()
def test_temperature_and_words_apply_with_covariates() -> None:
    network, x = built("sequence", "DeepBind", 1, CODED), example("sequence", 1)
    before = network(beside(x, Z))
    set_temperature(network, [2.0, 4.0], [1.0, 0.0])
    torch.testing.assert_close(network(beside(x, Z)), before / torch.tensor([2.0, 4]) + torch.tensor([1.0, 0]))
    torch.testing.assert_close(network(x), network(beside(x, 0 * Z)))
    words = Words(2, "single")
    words.weight.normal_()
    mixture = WordMixture(network, words, torch.tensor([0.5, 0.25]))
    share = torch.tensor([0.5, 0.25])
    torch.testing.assert_close(mixture(beside(x, Z)), share * network(beside(x, Z)) + (1 - share) * words(x))


def test_covariates_travel_beside_x() -> None:
    x = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    image, z = apart(beside(x, Z), 3)
    assert image.equal(x)
    assert z.equal(Z)
    assert beside(x, torch.zeros(2, 0)) is x
    assert apart(x, 3)[1].shape == (2, 0)


def test_covariates_and_features_interact_in_the_last_layer() -> None:
    """The effect of a covariate differs between two examples, which a sum of two linear layers cannot learn."""
    torch.manual_seed(0)
    joint = Joint(nn.Linear(1, 1), 1)
    optimizer = torch.optim.Adam(joint.parameters(), lr=0.02)
    x = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    y = x[:, :1] * x[:, 1:]
    for _ in range(150):
        optimizer.zero_grad()
        loss = (joint(x) - y).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_networks_without_such_a_layer_are_refused() -> None:
    facts = facts_for("image", 2).model_copy(update={"coded": CODED, "covariates": ["dose", "cells"]})
    with pytest.raises(InputError, match="Linear cannot receive covariates") as caught:
        completed(nn.Linear(2, 1), facts)
    assert "ResNet" in caught.value.remedy
