"""Whole images are brought to one size, without unrequested changes of scale or content."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.transform import resize
from tiny import image_facts, labelled, stored

from biocnn.config.settings import Train
from biocnn.data.frame import Frame, frame_of
from biocnn.data.measured import measure_sizes

SIDES = st.integers(1, 20)


def test_images_of_this_size_are_unchanged() -> None:
    image = np.arange(2 * 5 * 4, dtype=np.uint16).reshape(2, 5, 4)
    for fit in ("crop", "stretch"):
        assert np.array_equal(Frame((5, 4), fit).apply(image), image)


def test_crops_keep_the_centre() -> None:
    image = np.arange(49, dtype=np.uint8).reshape(1, 7, 7)
    assert np.array_equal(Frame((3, 3)).apply(image), image[:, 2:5, 2:5])


def test_smaller_images_are_padded_by_mirroring_at_both_ends() -> None:
    image = np.array([[[1, 2, 3]]], np.uint8)
    assert Frame((1, 7)).apply(image).tolist() == [[[2, 1, 1, 2, 3, 3, 2]]]
    assert Frame((1, 10)).apply(image).shape == (1, 1, 10), "even if mirrored repeatedly"


def test_all_images_are_scaled_by_the_same_factor() -> None:
    """A disc of 20 pixels has 10 pixels in every image, whatever the margins."""
    for side in (36, 40, 52):
        rows, columns = np.ogrid[:side, :side]
        image = 200 * ((rows - side / 2 + 0.5) ** 2 + (columns - side / 2 + 0.5) ** 2 < 100)[None].astype(np.uint8)
        small = Frame((20, 20), "crop", 0.5).apply(image)
        assert small.shape == (1, 20, 20)
        assert small.sum() == pytest.approx(image.sum() / 4, rel=0.02)


@given(arrays(np.uint8, st.tuples(st.integers(1, 2), SIDES, SIDES)), st.tuples(SIDES, SIDES))
def test_sizes_and_types_are_as_requested_and_values_stay_in_range(image: np.ndarray, size: tuple[int, int]) -> None:
    for frame in (Frame(size, "stretch"), Frame(size, "crop", 0.7)):
        found = frame.apply(image)
        assert found.shape == (len(image), *size)
        assert found.dtype == image.dtype
        assert found.min() >= image.min()
        assert found.max() <= image.max()


def test_stretched_images_equal_those_of_scikit_image() -> None:
    rows, columns = np.mgrid[:40, :60]
    image = (np.sin(rows / 9) + np.cos(columns / 7)).astype(np.float32)
    found = Frame((20, 24), "stretch").apply(image[None])[0]
    assert np.abs(found - resize(image, (20, 24), order=1, anti_aliasing=True))[2:-2, 2:-2].max() < 0.02


def test_the_median_image_fills_the_frame() -> None:
    facts = image_facts(task="multiclass", outputs=["a", "b"], sizes=measure_sizes(np.array([[1, 300, 200]] * 3)))
    frame = frame_of(Train(size=[90, 60], fit="crop"), facts)
    assert frame == Frame((90, 60), "crop", pytest.approx(0.3))
    assert frame_of(Train(), facts.model_copy(update={"task": "mask"})) is None


def test_a_stored_data_set_determines_its_frame(tmp_path) -> None:
    dataset = stored(labelled(24, sizes=[(20, 20), (22, 20), (20, 21)]), tmp_path)
    decisions = {key: dataset.facts.decisions[key].value for key in ("size", "fit")}
    assert decisions == {"size": [20, 20], "fit": "crop"}
    frame = frame_of(Train(**decisions), dataset.facts)
    assert {frame.apply(dataset.x[row]).shape for row in range(24)} == {(1, 20, 20)}
