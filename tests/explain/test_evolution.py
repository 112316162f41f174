"""Sequences made to excite an output contain the motif that it detects."""

import numpy as np
import torch
from planted import CONSENSUS, planted, trained
from torch import nn

from biocnn.explain.evolution import evolve, explain_evolution, write_evolution
from biocnn.models import DeepBind


def test_the_planted_motif_evolves_from_shuffled_sequences(tmp_path) -> None:
    codes, target = planted(2000, 10)
    model = trained(codes, target)
    table, arrays = explain_evolution(model, codes, [*map(str, range(2000))], ["bound"], [0], torch.sigmoid, 0, "ACGT")
    write_evolution(tmp_path, table, arrays)
    assert (table["prediction"] > 0.95).all()
    assert (table["prediction"] > table["prediction_before"]).all()
    backward = CONSENSUS[::-1].translate(str.maketrans("ACGT", "TGCA"))
    for row in table.itertuples():
        assert any(
            sum(a == b for a, b in zip(row.sequence[at:], site, strict=False)) >= len(site) - 1
            for site in (CONSENSUS, backward)
            for at in range(len(row.sequence) - len(site) + 1)
        ), "the consensus, up to one base"
        assert row.mutations == sum(a != b for a, b in zip(row.before, row.sequence, strict=True)) <= len(CONSENSUS) + 4


class Count(nn.Module):
    """Counts As, of which the first five count."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0].sum(1, keepdim=True).clamp(max=5)


def test_evolution_ends_where_no_mutation_helps() -> None:
    codes = np.full((2, 12), 3, np.uint8)
    codes[1, :4] = 0
    model = nn.Sequential(Count(), nn.Linear(1, 1))
    nn.init.ones_(model[1].weight)
    evolved, change = evolve(model, codes)
    assert (evolved == 0).sum(1).tolist() == [5, 5]
    assert change.max() == 0
    assert (evolve(model, codes, most=2)[0] == 0).sum(1).tolist() == [2, 5]


def test_slow_networks_are_left_out() -> None:
    model = DeepBind(1, 4, 1, channels=512, kernel_size=50)
    table, arrays = explain_evolution(
        model, np.zeros((3, 500), np.uint8), ["a"] * 3, ["bound"], [0], torch.sigmoid, 0, "ACGT"
    )
    assert len(table) == len(arrays) == 0
