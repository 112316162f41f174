import pytest
import torch

from biocnn.nn.anchors import anchor_shapes, grid_anchors


def test_anchors_of_known_cells():
    found = grid_anchors((2, 3), 4, torch.tensor([[8.0, 4], [2, 2]]))
    assert found.shape == (12, 4)
    assert found[0].tolist() == [-2, 0, 6, 4]
    assert found[1].tolist() == [1, 1, 3, 3]
    assert found[2].tolist() == [-2, 4, 6, 8], "the next cell of the row"
    assert found[6].tolist() == [2, 0, 10, 4], "the first cell of the next row"


def test_shapes_have_the_same_area():
    shapes = anchor_shapes(32, [0.5, 1, 2])
    torch.testing.assert_close(shapes.prod(1), torch.full((3,), 32.0**2))
    torch.testing.assert_close(shapes[:, 0] / shapes[:, 1], torch.tensor([0.5, 1, 2]))


@pytest.mark.parametrize(("size", "stride"), [(32, 4), (128, 16), (20, 2)])
def test_anchors_are_those_of_monai(size, stride):
    """MONAI rounds sides; its ratio is that of the second axis to the first."""
    from monai.apps.detection.utils.anchor_utils import AnchorGenerator

    theirs = AnchorGenerator(((size,),), ((2.0, 1.0, 0.5),))(
        torch.zeros(1, 1, 5 * stride, 7 * stride), [torch.zeros(1, 1, 5, 7)]
    )[0]
    torch.testing.assert_close(grid_anchors((5, 7), stride, anchor_shapes(size, [0.5, 1, 2])), theirs, rtol=0, atol=0.5)


def test_anchors_in_3d():
    found = grid_anchors((2, 1, 1), 2, torch.tensor([[2.0, 4, 6]]))
    assert found.tolist() == [[0, -1, -2, 2, 3, 4], [2, -1, -2, 4, 3, 4]]
