"""Images with masks are read from disk unchanged, and those that do not fit together are refused."""

import numpy as np
import pytest
from masked_images import binary, picture, read, refused, rewrite, rng, save, write_images
from PIL import Image

from biocnn.core.errors import InputError
from biocnn.io.image_files import read_image
from biocnn.io.image_paths import named_images

folder = pytest.fixture(write_images)


def test_a_table(folder):
    raw, checks = read(table=folder / "index.csv")
    assert raw.examples["id"].tolist() == ["a0", "a1", "a2"]
    assert raw.examples["split"].tolist() == ["train", "val", "test"]
    assert raw.examples["group"].tolist() == ["plate0", "plate0", "plate1"]
    assert raw.examples["stain"].tolist() == ["dapi"] * 3
    assert raw.examples["image"].iloc[1] == "images/a1.png"
    assert (raw.examples["height"] == 20).all()
    assert (raw.examples["width"] == 24).all()
    for i in range(3):
        np.testing.assert_array_equal(raw.x(i), np.asarray(Image.open(folder / f"images/a{i}.png"))[None])
        np.testing.assert_array_equal(raw.y(i), np.asarray(Image.open(folder / f"masks/a{i}.png")) // 255)
    assert raw.facts.plain() == {
        "kind": "image",
        "task": "mask",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 1,
        "outputs": ["foreground"],
        "channels": ["grey"],
        "known_as": [["grey"]],
        "spacing_range": None,
        "spacing": None,
        "unit": "um",
        "dtype": "uint8",
        "normalise": "auto",
        "decisions": {"task": {"value": "mask", "reason": "only 0, 255 occur"}},
    }
    assert checks["reason"].tolist()[:2] == ["images with a mask", "masks interpreted as mask: only 0, 255 occur"]
    assert checks["count"].tolist()[:2] == [3, 3]


def test_folders_and_a_table_give_the_same(folder):
    (folder / "masks/notes.txt").touch()
    raw, checks = read(images=folder / "images", masks=folder / "masks")
    assert raw.examples["image"].tolist() == [f"images/a{i}.png" for i in range(3)]
    assert raw.examples["group"].tolist() == ["a0", "a1", "a2"]
    assert "split" not in raw.examples
    np.testing.assert_array_equal(raw.y(2), np.asarray(Image.open(folder / "masks/a2.png")) // 255)
    assert "images and masks paired by: same name" in checks["reason"].tolist()
    passed_over = checks[checks["reason"].str.startswith("ignored: folders")]
    assert passed_over[["source", "count", "example"]].to_numpy().tolist() == [["masks", 1, "notes.txt"]]


def test_a_group_by_another_column_and_ids_of_the_table(folder):
    rewrite(folder, ("stain", "id"), ("train,plate0,dapi", "train,p,x"), (",dapi", ",y"))
    rewrite(folder, ("test,plate1,y", "test,plate1,z"))
    raw, _ = read(table=folder / "index.csv", group="split")
    assert raw.examples["group"].tolist() == ["train", "val", "test"]
    assert raw.examples["id"].tolist() == ["x", "y", "z"]
    rewrite(folder, (",z", ",y"))
    refused("index.csv line 4", "id 'y'", "ids must be unique", table=folder / "index.csv")


def test_a_table_may_have_tabs_a_byte_order_mark_blank_lines_and_windows_line_ends(folder):
    text = (folder / "index.csv").read_text().replace(",", "\t").replace("\n", "\r\n")
    (folder / "index.tsv").write_bytes(b"\xef\xbb\xbf" + ("\r\n" + text).encode())
    (folder / "index.tsv").write_bytes(b"\xef\xbb\xbf" + text.replace("\r\n", "\r\n\r\n", 1).encode())
    assert len(read(table=folder / "index.tsv")[0].examples) == 3


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
    refused("4 of 7 images have no mask", "b0.png, b1.png, b2.png, ...", "same name", "data.table", **both)
    for i in range(5):
        save(folder / "masks" / f"b{i}.png", binary())
    refused("1 of 8 masks have no image", "b4.png", "same name", **both)
    refused("both are", "data.table", images=folder / "images", masks=folder / "images")
    (folder / "none").mkdir()
    refused("data.masks", "no image file", ".png", images=folder / "images", masks=folder / "none")
    save(folder / "images" / "b0.tif", picture())
    refused("images", "only in their suffix", **both)


def test_a_mask_of_another_size(folder):
    save(folder / "masks" / "a1.png", binary(24, 20))
    refused("masks/a1.png: 24 x 20", "images/a1.png has 20 x 24", "size of its image", table=folder / "index.csv")


def test_a_constant_image(folder):
    save(folder / "images" / "a1.png", np.full((20, 24), 7, np.uint8))
    table = folder / "index.csv"
    refused("images/a1.png: a constant image", "1 of 3", "data.constant: drop or keep", table=table)
    raw, checks = read(table=table, constant="keep")
    assert len(raw.examples) == 3
    assert ("kept", "constant image", 1) in list(zip(*(checks[c] for c in ("outcome", "reason", "count")), strict=True))
    raw, checks = read(table=table, constant="drop")
    assert raw.examples["id"].tolist() == ["a0", "a2"]
    np.testing.assert_array_equal(raw.x(1), np.asarray(Image.open(folder / "images/a2.png"))[None])
    row = checks[checks["outcome"] == "dropped"].iloc[0]
    assert (row["reason"], row["count"], row["example"]) == ("constant image", 1, "a1.png")


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


def test_pixels_outside_a_field_of_view_are_ignored(folder):
    inside = np.zeros((20, 24), np.uint8)
    inside[5:15, 5:15] = 255
    save(folder / "fov.png", inside)
    table = rewrite(folder, ("stain", "fov"), ("dapi", "fov.png"))
    raw, _ = read(table=table, roi="fov")
    mask = np.asarray(Image.open(folder / "masks/a0.png"))
    np.testing.assert_array_equal(raw.y(0), np.where(inside > 0, mask // 255, 255))
    save(folder / "fov.png", inside * 0)
    refused("fov.png", "empty", "0 outside", table=table, roi="fov")
    save(folder / "fov.png", inside[1:])
    refused("fov.png: 19 x 24", "20 x 24", table=table, roi="fov")


def test_objects_are_counted_and_have_no_field_of_view(tmp_path):
    rows = ["image,mask,n_objects"]
    for i, n in enumerate((3, 5)):
        labels = np.zeros((20, 24), np.uint16)
        for k in range(n):
            labels[4 * (k % 5) : 4 * (k % 5) + 3, 2:6] = 10 * (k + 1)
        save(tmp_path / f"i{i}.tif", picture(dtype=np.uint16))
        save(tmp_path / f"m{i}.tif", labels)
        rows.append(f"i{i}.tif,m{i}.tif,3")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    raw, checks = read(table=tmp_path / "t.csv")
    assert raw.facts.task == "instances"
    assert raw.facts.out_channels == 4
    assert raw.facts.dtype == "uint16"
    assert raw.examples["n_objects"].tolist() == [3, 5]
    assert raw.y(1).dtype == np.int32
    assert set(np.unique(raw.y(1))) == {0, 10, 20, 30, 40, 50}
    assert "n_objects in the table differs from that of the file" in checks["reason"].tolist()
    refused("data.roi", "remove data.roi", table=tmp_path / "t.csv", roi="mask")


def test_colour_coded_masks(folder):
    colors = {"background": [255, 255, 255], "cell": [0, 0, 255]}
    for i in range(3):
        save(folder / "masks" / f"a{i}.png", np.where(binary()[..., None] > 0, [0, 0, 255], [255] * 3).astype(np.uint8))
    save(folder / "masks" / "a1.png", np.full((20, 24, 3), 255, np.uint8))
    raw, checks = read(table=folder / "index.csv", colors=colors)
    assert (raw.facts.task, raw.facts.outputs, raw.facts.out_channels) == (
        "classes",
        ["background", "cell"],
        2,
    )
    assert set(np.unique(raw.y(0))) == {0, 1}
    assert not raw.y(1).any()
    assert ("masks without foreground", 1) in list(zip(checks["reason"], checks["count"], strict=True))


def test_duplicates_and_leaks_are_counted(folder):
    (folder / "images" / "a2.png").write_bytes((folder / "images" / "a0.png").read_bytes())
    _, checks = read(table=folder / "index.csv")
    found = dict(zip(checks["reason"], checks["count"], strict=True))
    assert found["images with the same pixels as another"] == 2
    assert found["leak: same pixels in different splits"] == 2
    assert found["leak: same pixels in different groups"] == 2
    rewrite(folder, ("test,plate1", "train,plate0"))
    _, checks = read(table=folder / "index.csv")
    assert not checks["reason"].str.startswith("leak").any()


def test_new_images_have_unique_names(folder):
    found = named_images(folder / "images")
    assert found == [(name, folder / "images" / f"{name}.png") for name in ("a0", "a1", "a2")]
    assert read_image(found[0][1]).spacing is None
    twice = named_images([folder / "images/a0.png", str(folder / "masks/a0.png")])
    assert [name for name, _ in twice] == ["images_a0", "masks_a0"]
    (folder / "none").mkdir()
    with pytest.raises(InputError, match="no image file"):
        named_images(folder / "none")
