"""Channels, pixel sizes, data types and axes of a set of images agree, or are brought to agree, or are refused."""

import numpy as np
import pytest
import tifffile
from masked_images import picture, read, refused, rewrite, rng, save, write_images
from PIL import Image

from biocnn.core.errors import InputError
from biocnn.io.lazy import open_image

folder = pytest.fixture(write_images)


def test_grey_images_stored_as_rgb_become_one_channel(folder):
    for i in range(3):
        save(folder / "images" / f"a{i}.png", np.dstack([picture()] * 3))
    raw, checks = read(table=folder / "index.csv")
    assert raw.facts.channels == ["grey"]
    np.testing.assert_array_equal(raw.x(0), np.asarray(Image.open(folder / "images/a0.png"))[None, ..., 0])
    assert ("grey image stored as RGB: one channel kept", 3) in list(
        zip(checks["reason"], checks["count"], strict=True)
    )
    save(folder / "images" / "a0.png", picture())
    raw, checks = read(table=folder / "index.csv")
    assert raw.x(1).shape == (1, 20, 24)
    assert ("grey image stored as RGB: one channel kept", 2) in list(
        zip(checks["reason"], checks["count"], strict=True)
    )
    save(folder / "images" / "a2.png", picture(channels=3))
    refused("1 in 1 image", "a0.png", "3 in 2 images", "a1.png", "convert", table=folder / "index.csv")


def test_colour_images_stay_in_colour_even_if_some_are_grey(folder):
    for i in range(3):
        save(folder / "images" / f"a{i}.png", picture(channels=3) if i else np.dstack([picture()] * 3))
    raw, _ = read(table=folder / "index.csv")
    assert raw.facts.channels == ["red", "green", "blue"]
    raw, _ = read(table=folder / "index.csv", channels=["green"])
    np.testing.assert_array_equal(raw.x(1), np.asarray(Image.open(folder / "images/a1.png"))[None, ..., 1])


def ome(path, array, names, size=0.5):
    metadata = {"axes": "CYX", "Channel": {"Name": names}, "PhysicalSizeX": size, "PhysicalSizeY": size}
    tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata)


@pytest.fixture
def stained(folder):
    """Return the table with OME-TIFF images of two channels; the last has them in the other order."""
    for i in range(3):
        names = ["DAPI", "GFP"] if i < 2 else ["GFP", "DAPI"]
        ome(folder / "images" / f"a{i}.ome.tif", np.moveaxis(picture(channels=2), -1, 0), names)
    return rewrite(folder, *((f"images/a{i}.png", f"images/a{i}.ome.tif") for i in range(3)))


def test_channels_by_name(stained):
    raw, checks = read(table=stained)
    assert raw.facts.channels == ["DAPI", "GFP"]
    assert raw.facts.spacing == [0.5, 0.5]
    np.testing.assert_array_equal(raw.x(2), tifffile.imread(stained.parent / "images/a2.ome.tif")[::-1])
    assert ("channels reordered as in the first image", 1) in list(zip(checks["reason"], checks["count"], strict=True))
    raw, _ = read(table=stained, channels=["GFP"])
    np.testing.assert_array_equal(raw.x(0), tifffile.imread(stained.parent / "images/a0.ome.tif")[1:])
    np.testing.assert_array_equal(raw.x(2), tifffile.imread(stained.parent / "images/a2.ome.tif")[:1])
    refused("data.channels: GPF", "did you mean 'GFP'", table=stained, channels=["GPF"])
    refused("data.channels", "2 new names", table=stained, channels=["DAPI", "RFP"])


def test_channels_can_be_named(folder):
    raw, _ = read(table=folder / "index.csv", channels=["Hoechst"])
    assert raw.facts.channels == ["Hoechst"]
    assert raw.x(0).shape == (1, 20, 24)


def test_different_pixel_sizes_are_reported_and_not_used(stained):
    ome(stained.parent / "images/a1.ome.tif", np.moveaxis(picture(channels=2), -1, 0), ["DAPI", "GFP"], size=0.25)
    raw, checks = read(table=stained)
    assert raw.facts.spacing is None
    assert "pixel sizes differ (0.25 to 0.5 um): not used" in checks["reason"].tolist()
    assert read(table=stained, spacing=[0.3, 0.3])[0].facts.spacing == [0.3, 0.3]


def test_8_and_16_bit_images_are_not_mixed(folder):
    save(folder / "images" / "a1.tif", picture(dtype=np.uint16))
    table = rewrite(folder, ("images/a1.png", "images/a1.tif"))
    refused("uint16 in 1 image", "a1.tif", "uint8 in 2 images", "convert all", table=table)


def test_axes_of_a_stack_can_be_given(folder):
    stack = rng.integers(0, 255, (6, 20, 24), dtype=np.uint8)
    tifffile.imwrite(folder / "images" / "a.tif", stack, photometric="minisblack")
    table = rewrite(folder, *((f"images/a{i}.png", "images/a.tif") for i in range(3)))
    refused("a.tif", "6 x 20 x 24", "data.axes", table=table)
    raw, _ = read(table=table, axes="CYX")
    assert raw.facts.in_channels == 6
    np.testing.assert_array_equal(raw.x(0), stack)
    assert raw.examples["id"].tolist() == ["a", "a-2", "a-3"]


def test_grey_is_taken_only_from_equal_colours(folder):
    path = folder / "rgb.png"

    def read():
        with open_image(path) as image:
            image.choose(["grey"])
            return image.read((slice(0, 20), slice(0, 24)))

    save(path, np.dstack([picture()] * 3))
    assert read().shape == (1, 20, 24)
    save(path, picture(channels=3))
    with pytest.raises(InputError, match=r"rgb.png: has channels red, green, blue; needed: grey"):
        read()
