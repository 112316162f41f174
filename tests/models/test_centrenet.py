"""CentreNet: the terms of its loss, how boxes are decoded, and that it learns."""

from math import log

import pytest
import torch
from torch import nn

from biocnn.models.centrenet import CentreNet
from biocnn.nn.boxes import iou_matrix


def blank(dims=2, classes=2):
    """A network whose map is the same everywhere: probability .1, boxes of 8 cells around each cell."""
    network = CentreNet(dims, 1, classes, channels=(4, 4, 4, 4), stem="large").eval()
    nn.init.zeros_(network.head[1].conv.weight)
    return network


def test_loss_of_a_map_without_contrast():
    """The terms by hand: 16 x 16 cells, two classes, one small object whose box is predicted exactly."""
    network, x = blank(), torch.zeros(1, 1, 64, 64)
    centre = torch.tensor([22.0, 34.0])  # of cell (5, 8), for which a box of 32 x 32 pixels is predicted
    y = torch.cat([torch.tensor([0.0, 1.0]), centre - 16, centre + 16])[None]
    reach = int(0.54 * 8 / 2)
    sd = (2 * reach + 1) / 6
    steps = torch.arange(-reach, reach + 1)
    near = torch.exp(-(steps[:, None] ** 2 + steps**2) / (2 * sd**2))
    others = (1 - near).pow(4).sum() + 2 * 256 - near.numel()
    wanted = -(0.9**2 * log(0.1) + others * 0.1**2 * log(0.9))
    # Boxes at the other cells near the centre are shifted by whole cells.
    shifts = 4 * torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).view(-1, 2).float()
    boxes = torch.cat([centre - 16 + shifts, centre + 16 + shifts], 1)
    hull = (32 + shifts.abs()).prod(1)
    overlap = (32 - shifts.abs()).prod(1)
    union = 2 * 32**2 - overlap
    giou = iou_matrix(boxes, y[:, 2:])[:, 0] - 1 + union / hull
    wanted += 5 * (near.flatten() / near.sum() * (1 - giou)).sum()
    assert network.loss(x, y).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_ignored_boxes_are_neither_objects_nor_background():
    """The lower half of the image is ignored, so that background costs half as much."""
    network, x = blank(), torch.zeros(2, 1, 64, 64)
    nothing = network.loss(x, torch.zeros(0, 6)).item()
    assert nothing == pytest.approx(-2 * 2 * 256 * 0.1**2 * log(0.9), rel=1e-5)
    ignored = torch.tensor([[0, -1, 32, 0, 64, 64], [1, -1, 32, 0, 64, 64]], dtype=torch.float32)
    assert network.loss(x, ignored).item() == pytest.approx(nothing / 2, rel=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_boxes_are_decoded_around_their_cell(dims):
    """One peak in a map: the box has the predicted side, and is moved by the predicted offset and cut at the border."""
    network = blank(dims, classes=1)
    cells = (8, 9, 10)[-dims:]
    maps = torch.zeros(1, 1 + 2 * dims, *cells)
    maps[:, 0] = -9
    place = (2, 3, 0)[-dims:]
    maps[0, 0, *place] = 2
    maps[0, 1 : 1 + dims] = log(1.5)  # sides of 8 x 1.5 cells
    maps[0, 1 + dims :] = 0.25
    network._maps = lambda x: maps
    sizes = [4 * n for n in cells]
    (found,) = network(torch.zeros(1, 1, *sizes))
    centre = torch.tensor(place) + 0.75
    corners = 4 * torch.cat([centre - 6, centre + 6])
    assert found.shape == (1, 2 + 2 * dims)
    torch.testing.assert_close(found[0, 2:], corners.clamp(min=0).minimum(torch.tensor([*sizes, *sizes])))
    assert found[0, 1].item() == pytest.approx(torch.tensor(2.0).sigmoid().item())


def test_learns_to_find_rectangles_of_two_colours():
    torch.manual_seed(1)
    network = CentreNet(2, 2, 2, channels=(8, 8, 8, 8), stem="medium").train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)

    def scene():
        x, rows = torch.rand(8, 2, 32, 32) * 0.2, []
        for number, image in enumerate(x):
            top, left, height, width = torch.randint(1, 14, (4,)).tolist()
            height, width, label = height + 4, width + 4, number % 2
            image[label, top : top + height, left : left + width] += 0.8
            rows.append([number, label, top, left, min(32, top + height), min(32, left + width)])
        return x, torch.tensor(rows, dtype=torch.float32)

    for step in range(70):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / 70)
        optimizer.zero_grad()
        network.loss(*scene()).backward()
        optimizer.step()
    x, y = scene()
    with torch.no_grad():
        found = network.eval()(x)
    best = torch.stack([boxes[0] for boxes in found])  # highest score first
    assert (best[:, 0] == y[:, 1]).all()
    assert iou_matrix(best[:, 2:], y[:, 2:]).diagonal().mean() > 0.6
