"""Labels -> targets -> labels: nothing is lost, touching objects stay separate, noise is tolerated."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from biocnn.metrics import average_precision_iou
from biocnn.tasks.instance_targets import edge_distance, instance_targets
from biocnn.tasks.watershed import fill_holes, label_instances, tune_instances


def perfect_maps(labels: np.ndarray) -> np.ndarray:
    """Return the maps of a perfect network."""
    classes, distance, _ = instance_targets(labels)
    return np.stack([*(classes == k for k in range(3)), distance / 255]).astype(np.float32)


def touching_ellipses(shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """Return random ellipses (ellipsoids) with radii of 5 to 11 pixels; two that overlap share the region equally."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    centres = rng.uniform(0, shape, (count, len(shape)))
    apart = [i for i in range(count) if not (np.linalg.norm(centres[:i] - centres[i], axis=1) < 14).any()]
    radii = rng.uniform(5, 11, (count, len(shape)))
    away = np.stack([(((grid - centres[i]) / radii[i]) ** 2).sum(-1) for i in apart])
    return np.where(away.min(0) < 1, away.argmin(0) + 1, 0).astype(np.int32)


def blurred_and_noisy(maps: np.ndarray, seed: int) -> np.ndarray:
    """Return maps of an unconfident network: blurred by one pixel, with correlated noise on logits and distance."""
    rng = np.random.default_rng(seed)
    blurred = ndimage.gaussian_filter(maps, (0, *(1,) * (maps.ndim - 1)))
    noise = np.stack([ndimage.gaussian_filter(rng.normal(size=maps.shape[1:]), 2) for _ in range(4)])
    noise /= noise.std()
    odds = (blurred[:3] + 0.02) * np.exp(0.5 * noise[:3])
    return np.concatenate([odds / odds.sum(0), (blurred[3:] + 0.06 * noise[3:]).clip(0, 1)]).astype(np.float32)


def test_targets_of_a_square_by_hand():
    labels = np.zeros((9, 9), np.uint16)
    labels[1:8, 1:8] = 7
    classes, distance, _ = instance_targets(labels)
    assert classes.dtype == distance.dtype == np.uint8
    assert classes[4].tolist() == [0, 2, 2, 1, 1, 1, 2, 2, 0]
    assert distance[4].tolist() == [0, 64, 128, 191, 255, 191, 128, 64, 0]


def test_touching_objects_have_edges_between_them():
    labels = np.repeat(
        [[1] * 8 + [2] * 8], 12, axis=0
    )  # two halves without background; the border of the image is not an edge
    classes, distance, _ = instance_targets(labels)
    assert classes[0].tolist() == [1] * 6 + [2] * 4 + [1] * 6
    assert distance[5].tolist() == distance[5, ::-1].tolist()
    assert distance[5, 0] == 255


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_small_objects_keep_an_interior(size):
    labels = np.zeros((9, 9), int)
    labels[2 : 2 + size, 2 : 2 + size] = 1
    classes, distance, _ = instance_targets(labels)
    assert (classes[labels > 0] == 1).any()
    assert distance.max() == 255
    assert (distance[labels > 0] > 0).all()
    np.testing.assert_array_equal(classes > 0, labels > 0)


@pytest.mark.parametrize("shape", [(60, 70), (20, 30, 25)])
def test_distance_equals_one_transform_for_each_object(shape):
    labels = touching_ellipses(shape, 30, 0)
    expected = np.zeros(shape)
    for number in np.unique(labels[labels > 0]):
        inside = labels == number
        ends = ndimage.minimum_filter(inside.astype(int), 3, mode="nearest") == 0
        expected += np.where(inside, ndimage.distance_transform_edt(~(inside & ends)) + 1, 0)
    np.testing.assert_allclose(edge_distance(labels), expected, rtol=1e-6)


def test_targets_depend_neither_on_label_numbers_nor_on_orientation():
    labels = touching_ellipses((50, 60), 20, 1)
    order = np.random.default_rng(0).permutation(labels.max()) + 1
    renamed = np.concatenate([[0], 1000 * order])[labels]
    np.testing.assert_array_equal(instance_targets(renamed), instance_targets(labels))
    turned = instance_targets(np.rot90(labels))
    np.testing.assert_array_equal(turned, np.rot90(instance_targets(labels), axes=(1, 2)))


@pytest.mark.parametrize("shape", [(40, 50), (10, 12, 14)])
def test_images_without_objects(shape):
    empty = np.zeros(shape, np.int32)
    assert not instance_targets(empty)[:2].any()
    found = label_instances(perfect_maps(empty))
    assert found.dtype == np.int32
    assert found.shape == shape
    assert not found.any()


def test_one_object_that_fills_the_image():
    full = np.ones((30, 30), int)
    classes, distance, _ = instance_targets(full)
    assert (classes == 1).all()
    assert (distance == 255).all()
    assert (label_instances(perfect_maps(full)) == 1).all()


@pytest.mark.parametrize(("shape", "count"), [((160, 180), 90), ((30, 60, 60), 40)])
@pytest.mark.parametrize("seed", range(3))
def test_perfect_maps_reproduce_touching_objects(shape, count, seed):
    labels = touching_ellipses(shape, count, seed)
    precision = average_precision_iou(label_instances(perfect_maps(labels), min_size=0), labels)
    assert precision[0] >= 0.98
    assert precision.mean() > 0.97


@pytest.mark.parametrize("seed", range(3))
def test_blur_and_noise_are_tolerated(seed):
    labels = touching_ellipses((160, 180), 90, seed)
    precision = average_precision_iou(label_instances(blurred_and_noisy(perfect_maps(labels), seed)), labels)
    assert precision[0] > 0.9
    assert precision.mean() > 0.75


def test_labels_are_consecutive_without_small_objects():
    labels = touching_ellipses((100, 100), 40, 0)
    found = label_instances(blurred_and_noisy(perfect_maps(labels), 0), min_size=60)
    sizes = np.bincount(found.ravel())
    assert len(sizes) > 5
    assert (sizes[1:] >= 60).all()


def test_half_precision_maps_give_the_same_objects():
    maps = blurred_and_noisy(perfect_maps(touching_ellipses((100, 100), 40, 0)), 0)
    precision = average_precision_iou(label_instances(maps.astype(np.float16)), label_instances(maps))
    assert precision.min() > 0.95


def test_holes_within_one_object_are_filled_and_gaps_between_objects_are_not():
    labels = np.zeros((9, 14), np.int32)
    labels[1:8, 1:8] = 1
    labels[3:5, 3:5] = 0  # a hole
    labels[1:8, 8:13] = 2
    labels[4, 7:9] = 0  # a gap between two
    labels[0, 10:] = labels[:, 13] = 2
    labels[0, 13] = 0  # a corner of the image
    filled = fill_holes(labels)
    assert (filled[3:5, 3:5] == 1).all()
    assert (filled[4, 7:9] == 0).all()
    assert filled[0, 13] == 0
    np.testing.assert_array_equal(filled[labels > 0], labels[labels > 0])


def test_tuning_helps_and_returns_the_keywords_of_label_instances():
    truths = [touching_ellipses((80, 80), 25, seed) for seed in range(3)]
    maps = [blurred_and_noisy(perfect_maps(truth), seed) for seed, truth in enumerate(truths)]
    settings = tune_instances(maps, truths)
    assert set(settings) == set(label_instances.__kwdefaults__)
    tuned, default = (
        np.mean([average_precision_iou(label_instances(m, **kw), t) for m, t in zip(maps, truths, strict=True)])
        for kw in (settings, {})
    )
    assert tuned >= default


def test_tuning_without_images_keeps_the_defaults():
    assert tune_instances([], []) == label_instances.__kwdefaults__


@pytest.mark.data
def test_round_trip_of_real_nuclei(data_root):
    from skimage.io import imread

    folder = data_root / "images" / "dsb2018_stardist"
    table = pd.read_csv(folder / "index.csv")
    truths = [imread(folder / name).astype(np.int32) for name in table.loc[table["split"] == "test", "mask"]]
    found = [label_instances(perfect_maps(truth)) for truth in truths]
    precision = np.array([average_precision_iou(one, truth) for one, truth in zip(found, truths, strict=True)])
    assert precision[:, 0].mean() > 0.985  # ragged hand-drawn objects are cut at necks of at most 4 pixels
    assert precision.mean() > 0.97
