"""Tables, images and masks that do not fit together are refused with the reason."""

import numpy as np
import pytest
from masked_images import binary, picture, refused, rewrite, rng, save, write_images

from biocnn.core.errors import InputError
from biocnn.io.image_files import read_image

folder = pytest.fixture(write_images)


def test_bad_settings_are_refused_before_anything_is_read(folder):
    table = folder / "index.csv"
    refused("neither table nor images", "either table")
    refused("table and images and masks", "either table", table=table, images=folder / "images", masks=folder / "masks")
    refused("images given", "both images and masks", images=folder / "images")
    refused("data.group", "data.table", images=folder / "images", masks=folder / "masks", group="plate")
    refused("data.axes: 'CZ'", "C, Z, Y and X", table=table, axes="CZ")
    refused("data.spacing: must be a list (each: a number > 0)", "spacing: [0.5]", table=table, spacing=[0.0, 1.0])
    refused("data.colors.b", "three numbers", table=table, colors={"a": [0, 0, 0], "b": [1]})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("mask,", "masks,")], ("no column 'mask'", "did you mean 'masks'")),
        ([("val,", "valid,")], ("index.csv line 3", "split 'valid'", "allowed: train, val, test")),
        ([("val,", ",")], ("index.csv line 3", "split ''", "fill the column split")),
        ([("masks/a1.png", "")], ("index.csv line 3", "mask ''", "fill the column mask")),
        ([("masks/a1.png", "masks/b.png")], ("1 of 3 mask files do not exist", "masks/b.png (line 3)", "relative to")),
        ([("images/a", "images/b")], ("3 of 3 image files", "b0.png (line 2), images/b1.png (line 3), images/b2.png")),
        ([("plate0,dapi", "plate0,dapi,x")], ("index.csv line 2: 6 cells, but 5 columns", "quote")),
        ([("stain", "image")], ("duplicate column 'image'", "its own name")),
        ([(",", ";")], ("semicolons", "commas or tabs")),
    ],
)
def test_an_invalid_table_is_refused_with_the_line(folder, changes, words):
    refused(*words, table=rewrite(folder, *changes))


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "/".join(["y" * 200] * 30)])
def test_an_impossible_file_name_is_a_missing_file(folder, name):
    table = rewrite(folder, ("images/a1.png", name))
    refused("1 of 3 image files do not exist", "(line 3)", table=table)
    for path in (folder / name, folder / "a\0b.png"):
        with pytest.raises(InputError, match="no such file"):
            read_image(path)


def test_an_empty_table_and_an_unknown_column_are_refused(folder):
    (folder / "empty.csv").write_text("image,mask\n")
    refused("empty.csv: no rows", "header", table=folder / "empty.csv")
    refused("no column 'plate'", "allowed: image, mask", table=folder / "index.csv", group="plate")
    refused("no column 'fov'", "allowed", table=folder / "index.csv", roi="fov")


def test_an_image_without_mask_and_a_mask_without_image(folder):
    for i in range(4):
        save(folder / "images" / f"b{i}.png", picture())
    both = {"images": folder / "images", "masks": folder / "masks"}
    refused("for 4 of 7 images: b0.png, b1.png, b2.png, ...", "same name", "data.table", **both)
    for i in range(5):
        save(folder / "masks" / f"b{i}.png", binary())
    refused("no image in ", "for 1 of 8 masks: b4.png", "same name", **both)
    refused("both are", "data.table", images=folder / "images", masks=folder / "images")
    (folder / "none").mkdir()
    refused("data.masks", "no image file", ".png", images=folder / "images", masks=folder / "none")
    save(folder / "images" / "b0.tif", picture())
    refused("images", "only in their suffix", **both)


def test_a_mask_of_another_size(folder):
    save(folder / "masks" / "a1.png", binary(24, 20))
    refused("masks/a1.png: 24 x 20", "images/a1.png has 20 x 24", "size of its image", table=folder / "index.csv")


def test_damaged_files_and_odd_masks_are_reported(folder):
    table = folder / "index.csv"
    good = (folder / "masks" / "a1.png").read_bytes()
    (folder / "masks" / "a1.png").write_bytes(good[:50])
    refused("masks/a1.png: damaged or unreadable PNG", "copy it again", table=table)
    (folder / "masks" / "a1.png").write_bytes(good)
    save(folder / "masks" / "a2.png", np.full((20, 24), 9, np.uint8))
    refused("masks/a2.png", "unexpected values 9, 255", "allowed", "data.mask_type", table=table)
    pixels = rng.random((20, 24)).astype(np.float32)
    pixels[3, 3] = np.nan
    save(folder / "images" / "a0.tif", pixels)
    refused(
        "images/a0.tif: 1 of 480 pixel values are NaN",
        "finite",
        table=rewrite(folder, ("images/a0.png", "images/a0.tif")),
    )


def test_all_unusable_files_are_listed_at_once(folder):
    table = folder / "index.csv"
    (folder / "masks" / "a0.png").write_bytes((folder / "masks" / "a0.png").read_bytes()[:50])
    save(folder / "images" / "a1.png", picture(19, 24))
    (folder / "images" / "a2.png").write_text("no picture")
    save(folder / "masks" / "a2.png", picture(channels=3))
    refused(
        "4 faults in 3 images with their masks", "masks/a2.png: a mask of 3 channels",
        "masks/a0.png: damaged", "masks/a1.png: 20 x 24",
        "images/a2.png: not a supported image", "copy it again", "a mask must have the size of its image", table=table,
    )  # fmt: skip
