"""Pixels are as viewers show them, whatever the polarity of the file; labels of masks are as stored."""

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from PIL import Image

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.images import Images
from biocnn.data.mask_values import read_mask, read_mask_file
from biocnn.io.image_files import decode, read_image
from biocnn.io.lazy import open_image

rng = np.random.default_rng(5)
PLANE = rng.integers(0, 256, (9, 13), dtype=np.uint8)
ORIENTATION = 0x0112
VIEWS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}


def save_white(path, stored, **more):
    tifffile.imwrite(path, stored, photometric="miniswhite", metadata=None, software="a scanner", **more)


@pytest.mark.parametrize(("dtype", "white"), [("bool", 1), ("uint8", 255), ("uint16", 65535), ("uint32", 2**32 - 1)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_with_zero_as_white_is_inverted(tmp_path, dtype, white, compression):
    stored = rng.integers(0, white, PLANE.shape, endpoint=True).astype(dtype)
    save_white(tmp_path / "a.tif", stored, compression=compression)
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.pixels[0], white - stored.astype(np.int64))
    assert found.pixels.dtype == (np.uint8 if dtype == "bool" else dtype)
    assert found.repairs == ("MINISWHITE (0 = white) inverted to 0 = black",)
    with open_image(tmp_path / "a.tif") as image:
        part = image.read((slice(2, 7), slice(1, 5)))
    np.testing.assert_array_equal(part, found.pixels[:, 2:7, 1:5])
    np.testing.assert_array_equal(decode(tmp_path / "a.tif", indices=True).pixels[0], stored)


def test_miniswhite_is_inverted_in_ome_but_a_display_setting_in_imagej(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", PLANE, photometric="miniswhite", ome=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").pixels[0], 255 - PLANE)
    tifffile.imwrite(tmp_path / "a.tif", PLANE, photometric="miniswhite", metadata=None, description="ImageJ=1.54f\n")
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.pixels[0], PLANE)
    assert "stored values used" in found.repairs[0]


def test_booleans_written_by_tifffile_stay_as_stored(tmp_path):
    truth = PLANE > 128
    tifffile.imwrite(tmp_path / "a.tif", truth)
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.pixels[0], truth)
    assert "for all boolean images: stored values used" in found.repairs[0]
    masks = squares(3, top=1)
    raw, _ = read(table=write_set(tmp_path, [(x, {}) for x in pictures(3)], [(y > 0, {}) for y in masks]))
    np.testing.assert_array_equal(raw.y(0), masks[0])


@pytest.mark.parametrize("dtype", ["int16", "float32", "uint64"])
def test_miniswhite_of_a_type_that_cannot_be_inverted_is_refused(tmp_path, dtype):
    save_white(tmp_path / "a.tif", PLANE.astype(dtype))
    with pytest.raises(InputError, match=r"a\.tif: .*MINISWHITE"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["1", "L"])
def test_pillow_agrees_on_miniswhite(tmp_path, mode):
    picture = Image.fromarray(PLANE).convert(mode)
    picture.save(tmp_path / "a.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "a.tif") as image:
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[0], np.asarray(image))


@pytest.mark.parametrize("turn", VIEWS)
@pytest.mark.parametrize("suffix", ["tif", "jpg", "png", "16.png", "rgb.tif"])
def test_the_orientation_tag_rotates_image_and_mask_equally(tmp_path, turn, suffix):
    pixels = PLANE.astype(np.uint16) * 257 if suffix == "16.png" else PLANE
    pixels = np.dstack([PLANE, PLANE // 2, PLANE // 3]) if suffix == "rgb.tif" else pixels
    path = tmp_path / f"a.{suffix}"
    if suffix.endswith("tif"):
        tifffile.imwrite(path, pixels, metadata=None, extratags=[(274, 3, 1, turn, True)])
        stored = pixels
    else:
        exif = Image.Exif()
        exif[ORIENTATION] = turn
        Image.fromarray(pixels).save(path, exif=exif)
        stored = np.asarray(Image.open(path))
    found = read_image(path)
    expected = np.stack([VIEWS[turn](plane) for plane in np.atleast_3d(stored).transpose(2, 0, 1)])
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.turn == turn
    assert found.repairs == (("rotated by the orientation tag",) if turn > 1 else ())
    with open_image(path) as image:
        assert image.shape == expected.shape
        part = image.read((slice(2, 6), slice(3, 9)))
    np.testing.assert_array_equal(part, expected[:, 2:6, 3:9])
    if suffix == "tif":
        np.testing.assert_array_equal(read_mask(path), expected[0])


def write_set(folder, images, masks, names=None):
    """Write a table of images and masks, given as (array, keywords of tifffile) or as functions of a path."""
    rows = []
    for i, pair in enumerate(zip(images, masks, strict=True)):
        for kind, (array, more) in zip("xy", pair, strict=True):
            tifffile.imwrite(folder / f"{kind}{i}.tif", array, **({"metadata": None} | more))
        rows.append({"image": f"x{i}.tif", "mask": f"y{i}.tif"})
    pd.DataFrame(rows).to_csv(folder / "index.csv", index=False)
    return folder / "index.csv"


def read(**settings):
    checks = Checks()
    return Images(**settings).read(1, checks), checks.frame()


def pictures(n, size=(20, 24)):
    return [rng.integers(0, 256, size, dtype=np.uint8) for _ in range(n)]


def squares(n, size=(20, 24), top=255):
    found = np.zeros((n, *size), np.uint8)
    for i in range(n):
        found[i, 3 + i : 12, 4:15] = top
    return list(found)


TAG = {"extratags": [(274, 3, 1, 3, True)]}
WHITE = {"photometric": "miniswhite", "software": "a scanner"}


def test_images_of_both_polarities_in_one_set_are_unified_and_counted(tmp_path):
    shown = pictures(4)
    stored = [(255 - x, WHITE) if i % 2 else (x, {}) for i, x in enumerate(shown)]
    raw, checks = read(table=write_set(tmp_path, stored, [(y, {}) for y in squares(4)]))
    for i, x in enumerate(shown):
        np.testing.assert_array_equal(raw.x(i)[0], x)
    row = checks[checks["reason"].str.startswith("MINISWHITE")].iloc[0]
    assert (row["outcome"], row["count"], row["example"]) == ("repaired", 2, "x1.tif")


def test_an_orientation_tag_only_in_the_image_is_an_error_unless_sizes_decide(tmp_path):
    x, y = pictures(1)[0], squares(1)[0]
    with pytest.raises(InputError, match=r"x0\.tif: has the orientation tag 3, but its mask .*y0\.tif has 1"):
        read(table=write_set(tmp_path, [(x, TAG)], [(y, {})]))
    raw, _ = read(table=write_set(tmp_path, [(x, TAG)], [(y, TAG)]))
    np.testing.assert_array_equal(raw.x(0)[0], x[::-1, ::-1])
    np.testing.assert_array_equal(raw.y(0), y[::-1, ::-1] > 0)
    quarter = {"extratags": [(274, 3, 1, 6, True)]}
    raw, _ = read(table=write_set(tmp_path, [(x, quarter)], [(np.rot90(y, -1).copy(), {})]))
    np.testing.assert_array_equal(raw.x(0)[0], np.rot90(x, -1))
    with pytest.raises(InputError, match=r"orientation tags: 1 and 6"):
        read(table=write_set(tmp_path, [(x, quarter)], [(y, {})]))


@pytest.mark.parametrize("kind", ["miniswhite", "palette", "few", "bits"])
def test_binary_masks_displayed_inverted_are_an_error_that_shows_both_settings(tmp_path, kind):
    masks = squares(3, top=1)
    palette = np.zeros((3, 256), np.uint16)
    palette[:, 0] = 65535
    more = {"colormap": palette} if kind == "palette" else WHITE
    stored = [(y > 0 if kind == "bits" else y, more if kind != "few" or i == 1 else {}) for i, y in enumerate(masks)]
    table = write_set(tmp_path, [(x, {}) for x in pictures(3)], stored)
    with pytest.raises(InputError, match="as stored, but background as displayed") as caught:
        read(table=table)
    assert "mask_type: binary" in str(caught.value)
    raw, _ = read(table=table, mask_type="binary")
    np.testing.assert_array_equal(raw.y(0), masks[0])
    line = str(caught.value).splitlines()[-1].strip()
    assert (
        line
        == {
            "few": "save them as greyscale PNG with 0 for background",
            "bits": "colors: {background: [0, 0, 0], foreground: [1, 1, 1]}",
            "palette": "colors: {background: [0, 0, 0], foreground: [255, 255, 255]}",
            "miniswhite": "colors: {background: [254, 254, 254], foreground: [255, 255, 255]}",
        }[kind]
    )
    if kind != "few":
        raw, _ = read(table=table, **yaml.safe_load(line))
        np.testing.assert_array_equal(raw.y(0), 1 - masks[0])


def test_labels_stay_as_stored_if_zero_is_white(tmp_path):
    labels = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((5, 5), np.uint8))
    save_white(tmp_path / "m.tif", labels)
    found = read_mask_file(tmp_path / "m.tif")
    np.testing.assert_array_equal(found.values, labels)
    assert not found.opposed
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", colors=True) & 255, 255 - labels)


@pytest.mark.parametrize(("colours", "opposed"), [([255, 255, 255, 0, 0, 0], True), ([0, 0, 0, 255, 255, 255], False),
                                                  ([255, 255, 255, 255, 0, 0], False)])  # fmt: skip
@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tif"])
def test_only_decreasing_grey_palettes_invert_their_indices(tmp_path, colours, opposed, suffix):
    image = Image.fromarray(squares(1, top=1)[0])
    image.putpalette(colours)
    image.save(tmp_path / f"m.{suffix}", **({"optimize": False} if suffix == "gif" else {}))
    if suffix == "bmp" and colours[0] == 0:
        with pytest.raises(InputError, match="black-and-white palette"):
            read_mask_file(tmp_path / "m.bmp")
        return
    found = read_mask_file(tmp_path / f"m.{suffix}")
    np.testing.assert_array_equal(found.values > 0, squares(1)[0] > 0)
    assert bool(found.opposed) == opposed


def test_a_field_of_view_displayed_inverted_is_an_error(tmp_path):
    table = write_set(tmp_path, [(x, {}) for x in pictures(2)], [(y, {}) for y in squares(2)])
    save_white(tmp_path / "fov.tif", squares(1)[0])
    frame = pd.read_csv(table).assign(fov="fov.tif")
    frame.to_csv(table, index=False)
    with pytest.raises(InputError, match=r"fov\.tif: a field of view that is displayed with inverted values"):
        read(table=table, roi="fov")
