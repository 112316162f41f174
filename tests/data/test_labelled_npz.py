"""Images with labels in one .npz file are read image by image, with their split, and their axes are not guessed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labelled import counts, pictures, read, refused

from biocnn.core.errors import InputError
from biocnn.data.doctor import write_checks
from biocnn.data.stored_raw import open_raw, write_raw

rng = np.random.default_rng(6)


def npz(folder: Path, **more) -> Path:
    """Twelve images in MedMNIST's layout, of the classes 0, 1 and 2; ``more`` replaces or, if None, removes arrays."""
    found = {}
    for split, n in (("train", 6), ("val", 3), ("test", 3)):
        found[f"{split}_images"] = pictures(n, 10, 8)
        found[f"{split}_labels"] = (np.arange(n) % 3).astype(np.uint8)[:, None]
    np.savez_compressed(folder / "set.npz", **{k: v for k, v in (found | more).items() if v is not None})
    return folder / "set.npz"


def test_an_npz_file_keeps_its_split(tmp_path: Path) -> None:
    path = npz(tmp_path)
    raw, checks = read(npz=path, classes=["a", "b", "c"])
    assert raw.facts.plain() == {
        "kind": "image",
        "task": "multiclass",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 3,
        "outputs": ["a", "b", "c"],
        "channels": ["grey"],
        "known_as": [["grey"]],
        "spacing": None,
        "spacing_range": None,
        "unit": "um",
        "dtype": "uint8",
        "normalise": "auto",
        "decisions": {"task": {"value": "multiclass", "reason": "one number for each image: 3 classes"}},
    }
    assert raw.examples["split"].tolist() == ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    assert raw.examples.loc[7, ["id", "group", "image", "label"]].tolist() == ["val_1", "val_1", "val_images[1]", "b"]
    assert (raw.examples[["height", "width"]] == [10, 8]).all(axis=None)
    np.testing.assert_array_equal(raw.y, np.tile(np.eye(3, dtype=np.float32), (4, 1)))
    with np.load(path) as stored:
        np.testing.assert_array_equal(raw.x(7), stored["val_images"][1][None])
        np.testing.assert_array_equal(raw.x(2), stored["train_images"][2][None])
    assert counts(checks)["images of class b"] == 4
    assert read(npz=path)[0].facts.outputs == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("shape", "axes", "letters", "size", "channels"),
    [
        ((9, 8), None, "", (1, 9, 8), ["grey"]),
        ((9, 8, 3), None, "YXC", (3, 9, 8), ["red", "green", "blue"]),
        ((9, 8, 4), None, "YXC", (4, 9, 8), [f"channel{i}" for i in (1, 2, 3, 4)]),
        ((9, 8, 1), None, "", (1, 9, 8), ["grey"]),
        ((3, 9, 8), None, "CYX", (3, 9, 8), ["channel1", "channel2", "channel3"]),
        ((3, 9, 8), "ZYX", "", (1, 3, 9, 8), ["grey"]),
        ((7, 9, 8), None, "ZYX", (1, 7, 9, 8), ["grey"]),
        ((7, 9, 8), "CYX", "", (7, 9, 8), [f"channel{i}" for i in range(1, 8)]),
        ((7, 9, 8, 2), None, "ZYXC", (2, 7, 9, 8), ["channel1", "channel2"]),
        ((1, 7, 9, 8), None, "-ZYX", (1, 7, 9, 8), ["grey"]),
    ],
)
def test_the_order_of_axes_is_named_where_it_is_assumed(tmp_path, shape, axes, letters, size, channels) -> None:
    images = {f"{split}_images": pictures(n, *shape) for split, n in (("train", 6), ("val", 3), ("test", 3))}
    raw, checks = read(npz=npz(tmp_path, **images), axes=axes)
    assert raw.x(0).shape == size
    assert raw.facts.channels == channels
    assert {r for r in counts(checks) if r.startswith("axes")} == (
        {f"axes not stated in the file: assumed {letters}"} if letters else set()
    )
    order = letters.replace("-", "") or axes or ""
    if "C" in order:
        expected = np.moveaxis(images["train_images"][5], order.index("C"), 0)
        np.testing.assert_array_equal(raw.x(5), expected)


@pytest.mark.parametrize("shape", [(3, 9, 3), (7, 9, 8, 7), (1, 1, 1, 9, 8)])
def test_an_unclear_order_of_axes_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = {f"{split}_images": pictures(n, *shape) for split, n in (("train", 6), ("val", 3), ("test", 3))}
    refused("set.npz/train_images[0]", "data.axes", npz=npz(tmp_path, **images))
    with pytest.raises(InputError) as caught:
        read(npz=npz(tmp_path, **images))
    assert str(caught.value).count("_images[") == 1, "once for all images"


def test_what_is_given_instead_of_an_npz_file_or_of_names_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", pictures(6, 9, 8))
    refused("images.npy: a single array (.npy)", "np.savez", "train_labels", npz=tmp_path / "images.npy")
    path = npz(tmp_path)
    refused("names class 0 '2', the number of another class", "in the order", npz=path, classes=["2", "1", "0"])
    assert read(npz=path, classes=["10", "20", "30"])[0].facts.outputs == ["10", "20", "30"]


@settings(max_examples=30)
@given(
    st.sampled_from(["|u1", ">u2", "<i2", "<i4", "<u8", "<f2", ">f4", "<f8"]),
    st.booleans(),
    st.data(),
)
def test_pixels_of_any_type_and_order_are_read_as_they_are(tmp_path_factory, dtype, fortran, data) -> None:
    shape = data.draw(st.tuples(st.integers(5, 7), st.integers(5, 7)))
    images = {
        f"{split}_images": data.draw(arrays(dtype, (n, *shape), elements=st.integers(0, 200)))
        for split, n in (("train", 6), ("val", 3), ("test", 3))
    }
    saved = {name: np.asfortranarray(array) if fortran else array for name, array in images.items()}
    raw, _ = read(npz=npz(tmp_path_factory.mktemp("npz"), **saved), constant="keep")
    every = np.concatenate([array.astype(np.float64) for array in images.values()])
    for row in (11, 0, 7):
        np.testing.assert_array_equal(raw.x(row)[0], every[row])


def test_without_test_images_those_of_val_are_test_and_val_is_drawn_from_train(tmp_path: Path) -> None:
    raw, checks = read(npz=npz(tmp_path, test_images=None, test_labels=None))
    assert raw.examples["split"].tolist() == ["train"] * 6 + ["test"] * 3
    reason = "no test images: those of val are used for test, and val is drawn from train"
    assert (counts(checks)[reason], "note") == (3, checks.frame().set_index("reason").at[reason, "outcome"])
    without = {"test_images": None, "test_labels": None, "val_images": None, "val_labels": None}
    assert "split" not in read(npz=npz(tmp_path, **without))[0].examples


def test_columns_of_0_and_1_are_several_labels(tmp_path: Path) -> None:
    labels = {f"{split}_labels": rng.integers(0, 2, (n, 4)) for split, n in (("train", 6), ("val", 3), ("test", 3))}
    raw, _ = read(npz=npz(tmp_path, **labels), classes=["a", "b", "c", "d"])
    assert (raw.facts.task, raw.facts.outputs) == ("multilabel", ["a", "b", "c", "d"])
    np.testing.assert_array_equal(raw.y, np.concatenate(list(labels.values())))
    labels["val_labels"][1, 2] = 2
    refused("set.npz val_images[1]: 2 is '2'", "0 or 1", npz=npz(tmp_path, **labels))
    labels["val_labels"] = labels["val_labels"][:, :3]
    refused("labels of different shapes", "val_labels (3, 3)", npz=npz(tmp_path, **labels))
    one_hot = {f"{split}_labels": np.eye(3, dtype=int)[np.arange(n) % 3] for split, n in (("train", 6), ("val", 3))}
    _, checks = read(npz=npz(tmp_path, **one_hot, test_images=None, test_labels=None))
    assert counts(checks)["each image has exactly one of the labels: are they classes?"] == 9


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"train_labels": None}, ("only one of train_images and its partner", "MedMNIST")),
        ({"test_images": None}, ("only one of test_labels", "MedMNIST")),
        ({"train_images": None, "train_labels": None}, ("arrays val_images", "train_images and train_labels")),
        ({"val_images": np.zeros((0, 10, 8)), "val_labels": np.zeros((0, 1), int)}, ("val_labels of shape (0, 1)",)),
        ({"val_labels": np.zeros((2, 1), int)}, ("val_images of shape (3, 10, 8), val_labels of shape (2, 1)",)),
        ({"val_images": pictures(3, 10)}, ("val_images of shape (3, 10)", "(N, H, W)")),
        ({"val_labels": np.zeros((3, 1, 1), int)}, ("val_labels of shape (3, 1, 1)", "0 and 1")),
        ({"val_labels": np.array([[1], ["b"], [None]], object)}, ("val_labels: an array of Python objects",)),
        ({"train_images": np.array([{}] * 6)}, ("train_images: an array of Python objects",)),
        ({"val_labels": np.array([0, 1, 7])}, ("label 7 of val_images[2]", "0 to 2", "all classes")),
        ({"val_labels": np.array([0, -1, 1])}, ("label -1 of val_images[1]", "0 to 2")),
        ({"val_labels": np.array([0, 1, np.nan])}, ("label nan of val_images[2]",)),
    ],
)
def test_a_wrong_npz_file_is_refused(tmp_path: Path, more: dict, words: tuple[str, ...]) -> None:
    refused("set.npz", *words, npz=npz(tmp_path, **more), classes=["a", "b", "c"])


def test_numbers_below_0_are_no_classes(tmp_path: Path) -> None:
    labels = np.array([0, -1, 1])
    refused("label -1 of val_images[1]", "counted from 0 (1 such label)", npz=npz(tmp_path, val_labels=labels))


def test_a_damaged_npz_file_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    refused("set.npz: damaged or unreadable npz", "copy it again", npz=path)
    path.write_text("no archive")
    refused("set.npz: damaged", npz=path)


def test_labels_of_an_npz_file_may_be_words(tmp_path: Path) -> None:
    words = {f"{split}_labels": np.array(["no", "yes"] * (n // 2)) for split, n in (("train", 6), ("val", 2))}
    raw, _ = read(npz=npz(tmp_path, **words, val_images=pictures(2, 10, 8), test_images=None, test_labels=None))
    assert raw.facts.outputs == ["no", "yes"]
    np.testing.assert_array_equal(raw.y[:2], np.eye(2))


def test_what_was_read_can_be_stored_with_its_findings(tmp_path: Path) -> None:
    images = pictures(6, 10, 8)
    images[4] = images[0]
    raw, checks = read(npz=npz(tmp_path, train_images=images))
    write_raw(raw, {"data.npz": tmp_path / "set.npz"}, tmp_path / "raw")
    stored = open_raw(tmp_path / "raw")
    np.testing.assert_array_equal(stored.y, raw.y)
    np.testing.assert_array_equal(stored.x(4), images[:1])
    write_checks(stored, checks, tmp_path / "checks.tsv", tmp_path / "doctor")
    with np.load(tmp_path / "doctor" / "thumbnails.npz") as shown:
        assert shown["ids"].tolist() == ["train_4"]
        assert not shown["masks"].any()
