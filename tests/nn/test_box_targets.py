import torch

from biocnn.nn import box_targets
from biocnn.nn.box_targets import BACKGROUND, UNUSED, match, sample
from biocnn.nn.boxes import iou_matrix

TRUTH = torch.tensor([[2.0, 0, 0, 10, 10], [-1, 40, 0, 60, 20], [0, 20, 20, 30, 40]])


def matched(*boxes: list[float], **settings) -> list[int]:
    return match(torch.tensor(boxes), TRUTH, **{"positive": 0.7, "negative": 0.3, **settings}).tolist()


def test_a_candidate_belongs_to_the_object_that_it_overlaps_most():
    assert matched([0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5], [0, 0, 10, 2]) == [0, 0, UNUSED, BACKGROUND]
    assert matched([20.0, 20, 30, 38], [100, 100, 110, 110]) == [2, BACKGROUND]
    assert matched([0.0, 0, 10, 5], positive=0.5, negative=0.5) == [0]


def test_what_overlaps_a_box_to_be_ignored_is_not_background():
    whole, inside, large = [40.0, 0, 60, 20], [45.0, 5, 48, 8], [30.0, 0, 90, 60]
    assert matched(whole, inside, large) == [UNUSED, UNUSED, BACKGROUND]
    ignored = torch.tensor([[-1.0, 0, 0, 10, 10], [1, 0, 0, 10, 9]])
    assert match(ignored[:1, 1:], ignored, positive=0.7, negative=0.3).tolist() == [1], "objects come first"


def test_the_best_candidate_of_each_object_belongs_to_it_in_any_case():
    candidates = [[0.0, 0, 10, 2], [0, 0, 10, 3], [20, 20, 30, 22], [70, 70, 75, 75]]
    assert matched(*candidates, negative=0.5) == [BACKGROUND] * 4
    assert matched(*candidates, negative=0.5, best=True) == [BACKGROUND, 0, 2, BACKGROUND]
    assert matched([70.0, 70, 75, 75], best=True) == [BACKGROUND], "no overlap at all"


def test_images_without_objects_or_candidates():
    candidates = torch.rand(5, 4).sort(1).values
    for truth in (TRUTH[:0], TRUTH[1:2]):
        assert (match(candidates, truth, positive=0.5, negative=0.5, best=True) == BACKGROUND).all()
    assert len(match(candidates[:0], TRUTH, positive=0.5, negative=0.5, best=True)) == 0


def test_candidates_are_compared_in_parts(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    first = 50 * torch.rand(300, 2, generator=generator)
    boxes = torch.cat([first, first + 5 + 20 * torch.rand(300, 2, generator=generator)], 1)
    truth = torch.cat([torch.arange(-1.0, 6)[:, None], boxes[:7] + 3], 1)
    settings = {"positive": 0.6, "negative": 0.3, "best": True}
    wanted = match(boxes, truth, **settings)
    monkeypatch.setattr(box_targets, "PAIRS", 70)
    assert match(boxes, truth, **settings).equal(wanted)
    best = iou_matrix(boxes, truth[1:, 1:]).argmax(0)
    assert (wanted[best] > 0).all()
    assert {*wanted.tolist()} == {UNUSED, BACKGROUND, *range(1, 7)}


def test_a_sample_has_no_more_objects_than_allowed():
    found = torch.tensor([0, BACKGROUND, UNUSED, 3, 3, BACKGROUND, BACKGROUND, 1])
    torch.manual_seed(0)
    positive, negative = sample(found, 4, 0.5)
    assert len(positive) == 2
    assert (found[positive] >= 0).all()
    assert len(negative) == 2
    assert (found[negative] == BACKGROUND).all()
    positive, negative = sample(found, 100, 0.5)
    assert sorted(positive.tolist()) == [0, 3, 4, 7]
    assert sorted(negative.tolist()) == [1, 5, 6]
    assert [len(drawn) for drawn in sample(found[:0], 4, 0.5)] == [0, 0]


def test_each_candidate_is_drawn_equally_often():
    torch.manual_seed(0)
    found = torch.zeros(8, dtype=torch.long)
    drawn = torch.cat([sample(found, 4, 0.5)[0] for _ in range(400)]).bincount(minlength=8)
    assert drawn.sum() == 800
    assert drawn.min() > 70
