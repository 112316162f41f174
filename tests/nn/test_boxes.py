from math import log

import pytest
import torch
from work import calls

from biocnn.nn.boxes import area, clip, decode, encode, iou, iou_matrix, nms, nms_by_class

DIMENSIONS = pytest.mark.parametrize("dims", [2, 3])


def random_boxes(number: int, dims: int = 2, side: float = 100, seed: int = 0, spread: float = 0.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    first = side * torch.rand(number, dims, generator=generator)
    return torch.cat([first, first + 20 * torch.exp(spread * torch.randn(number, dims, generator=generator))], 1)


def one_by_one(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> list[int]:
    """Follow the definition: take the best that is left, remove what overlaps it."""
    left, kept = scores.argsort(descending=True, stable=True), []
    while len(left):
        kept.append(int(left[0]))
        left = left[1:][iou_matrix(boxes[left[:1]], boxes[left[1:]])[0] <= threshold]
    return kept


@DIMENSIONS
def test_areas_and_overlaps_are_those_of_monai(dims):
    from monai.data.box_utils import box_area, box_iou

    boxes, others = random_boxes(50, dims), random_boxes(40, dims, seed=1)
    torch.testing.assert_close(area(boxes), box_area(boxes))
    torch.testing.assert_close(iou_matrix(boxes, others), box_iou(boxes, others))


def test_overlaps_of_known_boxes():
    box = torch.tensor([0.0, 0, 4, 6])
    others = torch.tensor([[0.0, 0, 4, 6], [2, 0, 6, 6], [2, 3, 6, 9], [4, 0, 8, 6], [1, 1, 1, 1], [0, 0, 4, 3]])
    assert iou(box, others).tolist() == pytest.approx([1, 12 / 36, 6 / 42, 0, 0, 0.5])
    assert iou(others[4], others[4]) == 0, "empty boxes"
    assert area(torch.tensor([3.0, 0, 1, 5])) == 0
    assert iou_matrix(torch.zeros(0, 4), others).shape == (0, 6)


def test_an_overlap_does_not_depend_on_order_place_and_unit():
    boxes, others = random_boxes(20).double(), random_boxes(20, seed=1).double()
    wanted = iou_matrix(boxes, others)
    torch.testing.assert_close(iou_matrix(others, boxes).T, wanted)
    torch.testing.assert_close(iou_matrix(7 * boxes - 300, 7 * others - 300), wanted)
    swap = [1, 0, 3, 2]
    torch.testing.assert_close(iou_matrix(boxes[:, swap], others[:, swap]), wanted)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5, 0.7, 1.0])
@DIMENSIONS
def test_the_boxes_that_monai_keeps_are_kept(dims, threshold):
    from monai.data.box_utils import non_max_suppression

    boxes, scores = random_boxes(150, dims), torch.rand(150, generator=torch.Generator().manual_seed(2))
    assert nms(boxes, scores, threshold).tolist() == non_max_suppression(boxes, scores, threshold).tolist()


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.8])
@pytest.mark.parametrize(("side", "spread"), [(30, 0.1), (100, 0.5), (1000, 2.0)])
def test_the_boxes_are_kept_that_a_loop_over_boxes_keeps(threshold, side, spread):
    boxes, scores = (
        random_boxes(700, 2, side, spread=spread),
        torch.rand(700, generator=torch.Generator().manual_seed(2)),
    )
    assert nms(boxes, scores, threshold).tolist() == one_by_one(boxes, scores, threshold)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_boxes_that_overlap_by_exactly_the_threshold_are_kept(threshold):
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(0, 25, (600, 2), generator=generator)
    boxes = torch.cat([first, first + torch.randint(1, 11, (600, 2), generator=generator)], 1).float() - 7
    scores = torch.randint(0, 9, (600,), generator=generator).float()  # with many equal ones
    assert nms(boxes, scores, threshold).tolist() == one_by_one(boxes, scores, threshold)


def test_of_equal_boxes_the_first_is_kept():
    boxes = torch.tensor([[0.0, 0, 5, 5]]).repeat(1000, 1)
    assert nms(boxes, torch.ones(1000), 0.5).tolist() == [0]
    assert nms(boxes, torch.arange(1000.0), 0.5).tolist() == [999]


def test_a_removed_box_removes_no_other():
    """Each box overlaps the next by 2 of 3 parts: every second one is kept."""
    start = torch.arange(1000.0)[:, None]
    boxes = torch.cat([start, start * 0, start + 5, start * 0 + 1], 1)
    kept = nms(boxes, -start[:, 0], 0.6)
    assert kept.tolist() == list(range(0, 1000, 2))
    assert nms(boxes[:, [1, 0, 3, 2]], -start[:, 0], 0.6).tolist() == kept.tolist()
    assert nms(boxes[:, [0, 2]], -start[:, 0], 0.6).tolist() == kept.tolist(), "in 1D"


def test_none_of_none_is_kept():
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []
    assert nms_by_class(torch.zeros(0, 6), torch.zeros(0), torch.zeros(0), 0.5).tolist() == []
    assert nms(torch.tensor([[0, 0, torch.nan, 1], [0, 0, 1, 1]]), torch.tensor([2.0, 1.0]), 0.5).tolist() == [1]
    assert nms(torch.zeros(2, 4), torch.ones(2), 0.5).tolist() == [0, 1], "empty boxes do not overlap"


@DIMENSIONS
def test_classes_do_not_suppress_each_other(dims):
    from monai.data.box_utils import batched_nms

    boxes = random_boxes(200, dims, side=40)
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.rand(200, generator=generator), torch.randint(0, 5, (200,), generator=generator)
    kept = nms_by_class(boxes, scores, labels, 0.3)
    assert kept.tolist() == batched_nms(boxes, scores, labels, 0.3).tolist()
    for label in range(5):
        (own,) = (labels == label).nonzero(as_tuple=True)
        assert own[nms(boxes[own], scores[own], 0.3)].tolist() == [i for i in kept.tolist() if labels[i] == label]


def test_the_result_does_not_depend_on_place_and_order_of_rows():
    boxes, scores = random_boxes(400), torch.rand(400, generator=torch.Generator().manual_seed(0))
    wanted = nms(boxes, scores, 0.4)
    assert nms(boxes * 8 - 1024, scores, 0.4).equal(wanted)
    mixed = torch.randperm(400, generator=torch.Generator().manual_seed(1))
    assert mixed[nms(boxes[mixed], scores[mixed], 0.4)].equal(wanted)


@pytest.mark.parametrize("case", ["apart", "together", "equal", "mixed"])
def test_twenty_thousand_boxes_need_fewer_calls_than_one_per_box(case):
    number = torch.arange(20_000)
    cell = torch.stack([number // 141, number % 141], 1) * 10.0
    boxes = {
        "apart": torch.cat([cell, cell + 9], 1),
        "together": random_boxes(20_000, side=1, spread=0.1),
        "equal": torch.tensor([[0.0, 0, 5, 5]]).repeat(20_000, 1),
        "mixed": random_boxes(20_000, side=1000),
    }[case]
    scores = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    kept = nms(boxes, scores, 0.5)
    assert calls(lambda: nms(boxes, scores, 0.5)) < 20_000
    assert len(kept) == 20_000 if case == "apart" else len(kept) < 20_000


WEIGHTS = pytest.mark.parametrize("weights", [(1.0, 1.0), (10.0, 5.0)])


@WEIGHTS
@DIMENSIONS
def test_codes_are_those_of_monai(dims, weights):
    """MONAI has no order of axes: it is that of the boxes."""
    from monai.apps.detection.utils.box_coder import BoxCoder

    boxes, anchors = random_boxes(30, dims), random_boxes(30, dims, seed=1)
    coder = BoxCoder([weights[0]] * dims + [weights[1]] * dims)
    codes = encode(boxes, anchors, weights)
    torch.testing.assert_close(codes, coder.encode_single(boxes, anchors), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(decode(codes, anchors, weights), boxes, rtol=1e-4, atol=1e-3)
    far = 5 * torch.randn(30, 2 * dims, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(decode(far, anchors, weights), coder.decode_single(far, anchors), rtol=1e-4, atol=1e-3)


@WEIGHTS
def test_codes_with_rows_and_columns_swapped_are_those_in_x_and_y(weights):
    from monai.apps.detection.utils.box_coder import BoxCoder

    boxes, anchors, swap = random_boxes(30), random_boxes(30, seed=1), [1, 0, 3, 2]
    coder = BoxCoder([weights[0]] * 2 + [weights[1]] * 2)
    theirs = coder.encode_single(boxes[:, swap], anchors[:, swap])[:, swap]
    torch.testing.assert_close(encode(boxes, anchors, weights), theirs, rtol=1e-4, atol=1e-4)


def test_codes_of_known_boxes():
    anchor = torch.tensor([0.0, 0, 10, 20])
    assert encode(anchor, anchor).tolist() == [0, 0, 0, 0]
    assert encode(torch.tensor([5.0, 10, 15, 50]), anchor).tolist() == pytest.approx([0.5, 1, 0, log(2)])
    assert decode(torch.tensor([0.0, 0, 99, 99]), anchor).tolist() == pytest.approx([-307.5, -615, 317.5, 635])


def test_boxes_of_each_class_are_decoded_at_once():
    anchors, codes = random_boxes(6), torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0))
    boxes = decode(codes, anchors[:, None])
    assert boxes.shape == (6, 3, 4)
    torch.testing.assert_close(boxes[:, 1], decode(codes[:, 1], anchors))


def test_boxes_end_at_the_border():
    boxes = torch.tensor([[-3.0, 2, 5, 40], [1, 1, 2, 2], [30, 50, 40, 60]])
    assert clip(boxes, (20, 30)).tolist() == [[0, 2, 5, 30], [1, 1, 2, 2], [20, 30, 20, 30]]
    assert clip(torch.tensor([[-1.0, 0, 0, 9, 9, 9]]), (4, 5, 6)).tolist() == [[0, 0, 0, 4, 5, 6]]
