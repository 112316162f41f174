"""Boxes in images of any size: tiles and views find what one pass over the image finds."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from biocnn.io.scales import Intensity
from biocnn.nn.views import turn, views
from biocnn.prediction.boxes import BoxPredictor, undo_boxes
from biocnn.prediction.compatibility import as_it_is
from biocnn.prediction.images import InMemory
from biocnn.tasks.facts import Facts, Objects

CPU = torch.device("cpu")


def rectangles(x):
    """Find the bounding box of each connected bright region: a detector that is always right."""
    found = []
    for image in x[:, 0].numpy():
        places = ndimage.find_objects(ndimage.label(image > 0.5)[0])
        scores = [image[place].max() for place in places]
        ends = [[side.start for side in place] + [side.stop for side in place] for place in places]
        rows = [(0, score, *corners) for score, corners in zip(scores, ends, strict=True)]
        rows.sort(key=lambda row: -row[1])
        found.append(torch.tensor(rows, dtype=torch.float32).view(-1, 2 + 2 * image.ndim))
    return found


@pytest.fixture(scope="module")
def image():
    """An image of rectangles, some of which lie across tiles."""
    generator = np.random.default_rng(1)
    image = np.zeros((1, 700, 450), np.uint8)
    for row in range(5, 660, 45):
        for column in range(3, 420, 40):
            height, width = generator.integers(4, 35, 2)
            image[0, row : row + height, column : column + width] = generator.integers(130, 256)
    return image


def predictor(kind="none"):
    facts = Facts(
        kind="image", task="boxes", spatial_dims=2, in_channels=1, out_channels=1, outputs=["cell"],
        objects=Objects(number=9, diameter={"5": 5, "50": 18, "95": 30}),
        intensity=Intensity(low=[0.0], high=[255.0]), normalise="dataset",
    )  # fmt: skip
    return BoxPredictor(rectangles, facts, CPU, views(2, kind))


def in_order(boxes):
    return boxes[np.lexsort(boxes.T)]


def test_tiles_find_each_object_once_like_a_pass_over_the_whole_image(image):
    whole = predictor().predict(as_it_is(InMemory(image)), 4.0)
    assert len(whole) == len(ndimage.find_objects(ndimage.label(image[0])[0])) > 100
    tiled = predictor()
    shapes = []
    detect, tiled.detect = tiled.detect, lambda x: shapes.append(x.shape) or detect(x)
    found = tiled.predict(as_it_is(InMemory(image)), 0.001)
    assert max(np.prod(shape[2:]) for shape in shapes) < image.size / 2
    np.testing.assert_array_equal(in_order(found), in_order(whole))


@pytest.mark.parametrize("dims", [2, 3])
def test_boxes_found_in_a_view_return_to_the_image(dims):
    image = torch.zeros(1, 1, *(17, 24, 30)[-dims:])
    image[0, 0, ..., 2:5, 7:19] = 1
    image[0, 0, ..., 9:16, 1:4] = 0.75
    (wanted,) = rectangles(image)
    for view in views(dims, "all"):
        (seen,) = rectangles(turn(image, view))
        np.testing.assert_array_equal(undo_boxes(seen.numpy(), view, image.shape[2:]), wanted)


def test_fused_views_of_a_right_detector_find_the_same(image):
    one, every = (predictor(kind).predict(as_it_is(InMemory(image)), 4.0) for kind in ("none", "all"))
    np.testing.assert_allclose(in_order(every), in_order(one), atol=1e-3)
