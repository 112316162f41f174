"""Faster R-CNN: number of weights, proposals, what is learned and what is found."""

import pytest
import torch
from torch import nn

from biocnn.core.errors import InputError
from biocnn.metrics import mean_average_precision
from biocnn.models.faster_rcnn import FasterRCNN
from biocnn.models.resnet import ResNet
from biocnn.models.rpn import Scored
from biocnn.nn.boxes import encode, iou_matrix
from biocnn.nn.summary import output_size, receptive_field, summary

TINY = {"channels": [8, 16, 16, 16], "pyramid": 16, "dense": 32, "sampled": 32}


def tiny(**settings) -> FasterRCNN:
    torch.manual_seed(0)
    return FasterRCNN(2, 1, 2, **TINY | settings)


def test_weights_are_as_many_as_in_torchvision():
    """Its network of this name for COCO has 41,755,286, with norms that are not trained, so their weights do not count.

    Its 91 classes include background, for which it has a box, too.
    """
    with torch.device("meta"):
        network = FasterRCNN(2, 3, 90, depth=50)
    norms = sum(p.numel() for part in network.modules() if isinstance(part, nn.BatchNorm2d) for p in part.parameters())
    assert norms == 2 * 26_560
    box_of_background = 4 * (1024 + 1)
    assert sum(p.numel() for p in network.parameters()) == 41_755_286 + norms - box_of_background


def test_the_body_takes_the_weights_of_a_resnet():
    """``train.start_from`` copies layers of the same name and shape."""
    resnet = ResNet(2, 1, 5, channels=TINY["channels"]).features.state_dict(prefix="features.")
    body = tiny().features.state_dict(prefix="features.")
    assert {key: value.shape for key, value in body.items()} == {key: value.shape for key, value in resnet.items()}


def test_summaries_do_not_need_a_shape_of_the_output():
    network = tiny()
    told = summary(network, 64)
    assert told.shape == output_size(network, 64) == ()
    assert sum(row.weights for row in told.rows) == told.weights == sum(p.numel() for p in network.parameters())
    assert "proposals.score" in str(told)
    assert receptive_field(network) == (None, None), "boxes have no position on a map"


@pytest.mark.parametrize(("stem", "finest"), [(None, 4), ("huge", 8), ("large", 4), ("medium", 2), ("small", 1)])
def test_anchors_follow_the_stride_of_the_stem(stem, finest):
    network = tiny(stem=stem, ratios=[1.0])
    anchors = network.proposals(network._levels(torch.zeros(1, 1, 128, 128))).anchors
    assert [len(level) for level in anchors[:3]] == [128 * 128 // (finest * 2**level) ** 2 for level in range(3)]
    sides = [float(level[0, 2] - level[0, 0]) for level in anchors]
    assert sides == [8 * finest * 2**level for level in range(5)]
    given = tiny(stem=stem, sizes=[5, 9, 17, 33, 65]).proposals.shapes
    torch.testing.assert_close(given.prod(2).sqrt().amax(1), torch.tensor([5.0, 9, 17, 33, 65]))


def test_proposals_are_the_best_anchors_moved_by_their_codes_without_duplicates():
    network = tiny().eval().proposals
    anchors = [torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [-20, -20, -10, -10], [30, 30, 60, 60]])]
    scores = [torch.tensor([[1.0, 2, 5, 0]])]
    codes = encode(anchors[0] + torch.tensor([0.0, 0, 0, 5]), anchors[0])[None]
    (found,) = network.propose(Scored(scores, [codes], anchors), (50, 40))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0, 10, 16], [30, 30, 50, 40]]), msg="clipped; none is empty")
    (found,) = network.propose(Scored(scores * 2, [codes] * 2, anchors * 2), (50, 40))
    assert len(found) == 4, "levels do not suppress each other"


def loss_of(scores: torch.Tensor, codes: torch.Tensor, anchors: torch.Tensor, truth: torch.Tensor) -> float:
    return tiny().proposals.loss(Scored([scores[None]], [codes[None]], [anchors]), [truth]).item()


def test_the_loss_of_proposals_is_that_of_scores_and_codes():
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [40, 40, 50, 50], [0, 0, 10, 6]])
    truth = torch.tensor([[1.0, 0, 0, 10, 10]])
    codes = encode(truth[:, 1:], anchors)
    right = torch.tensor([9.0, 9, -9, 0])
    assert loss_of(right, codes, anchors, truth) == pytest.approx(0, abs=1e-3)
    ignored = right.clone()
    ignored[3] = 50  # between the thresholds
    assert loss_of(ignored, codes, anchors, truth) == pytest.approx(0, abs=1e-3)
    assert loss_of(-right, codes, anchors, truth) == pytest.approx(9, abs=1e-3)
    wrong = codes.clone()
    wrong[:2, 0] += 1  # smooth L1: 1 - beta / 2
    assert loss_of(right, wrong, anchors, truth) == pytest.approx(2 * (1 - 1 / 18) / 3, abs=1e-3)


def test_the_loss_of_boxes_is_that_of_classes_and_codes():
    head = tiny().head
    labels = torch.tensor([0, 2, 1, 2])  # 2: background
    scores = 20 * nn.functional.one_hot(labels, 3).float()
    codes, wanted = torch.randn(4, 2, 4), torch.randn(2, 4)
    codes[0, 0], codes[2, 1] = wanted[0], wanted[1] + torch.tensor([0.5, 0, 0, 2])
    assert head.loss(scores, codes, labels, wanted).item() == pytest.approx((0.5 * 0.5**2 + 2 - 0.5) / 4, abs=1e-4)


def test_boxes_to_be_ignored_change_nothing_elsewhere_and_hide_what_is_there():
    """Scores that are high in one place cost nothing if the box there is ignored, and much if there is none."""
    anchors = torch.tensor([[0.0, 0, 10, 10], [40, 40, 50, 50]])
    scores, codes = torch.tensor([9.0, -9]), torch.zeros(2, 4)
    assert loss_of(scores, codes, anchors, torch.tensor([[-1.0, 0, 0, 10, 11]])) == pytest.approx(0, abs=1e-3)
    assert loss_of(scores, codes, anchors, torch.zeros(0, 5)) == pytest.approx(4.5, abs=1e-3)


def test_what_is_found_is_limited_by_score_overlap_and_number():
    x = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))

    def found(**settings) -> torch.Tensor:
        with torch.no_grad():
            return tiny(**settings).eval()(x)[0]

    assert len(found(overlap=0.9)) > 100, "enough for crowded images"
    assert len(found(most=7)) == 7
    assert found(most=7).equal(found()[:7])
    assert len(found(score=0.99)) == 0
    for overlap in (0.1, 0.5):
        boxes = found(overlap=overlap)
        overlaps = iou_matrix(boxes[:, 2:], boxes[:, 2:]).fill_diagonal_(0)
        assert overlaps[boxes[:, :1] == boxes[:, 0]].max() <= overlap


def discs(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy images with a dark disc (label 0), a bright one (1), or both; and their boxes."""
    generator = torch.Generator().manual_seed(seed)
    x, rows, place = 0.1 * torch.randn(number, 1, 48, 48, generator=generator), [], torch.arange(48) + 0.5
    for image in range(number):
        for label in {0: [0], 1: [1], 2: [0, 1]}[image % 3]:
            radius = 6 + 3 * float(torch.rand(1, generator=generator))
            row, column = (9 + 30 * torch.rand(2, generator=generator)).tolist()
            inside = (place[:, None] - row) ** 2 + (place - column) ** 2 < radius**2
            x[image, 0, inside] = [-1.0, 1.0][label]
            rows.append([image, label, row - radius, column - radius, row + radius, column + radius])
    return x, torch.tensor(rows)


def test_learns_to_find_dark_and_bright_discs():
    network = tiny(sizes=[16, 32, 64, 128, 256], ratios=[1.0])
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for step in range(120):
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (1 - step / 120)
        optimizer.zero_grad()
        network.loss(*discs(3, seed=step)).backward()
        optimizer.step()
    x, y = discs(30, seed=1000)
    with torch.no_grad():
        found = [boxes.numpy() for boxes in network.eval()(x)]
    truth = [y[y[:, 0] == image, 1:].numpy() for image in range(30)]
    assert mean_average_precision(found, truth, 2, [0.5]) > 0.9


@pytest.mark.parametrize(
    ("spatial_dims", "settings", "message"),
    [
        (3, {}, "FasterRCNN has two dimensions, not 3"),
        (2, {"sizes": [32, 64]}, "give a list with 5 numbers"),
        (2, {"ratios": []}, "model.ratios is"),
        (2, {"depth": 20}, "model.depth is 20"),
    ],
)
def test_settings_that_make_no_detector_are_refused(spatial_dims, settings, message):
    with pytest.raises(InputError) as caught:
        FasterRCNN(spatial_dims, 1, 2, **settings)
    assert message in str(caught.value)
