"""Images with masks are read from disk unchanged."""

import numpy as np
import pytest
from masked_images import binary, picture, read, refused, rewrite, save, write_images
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


def test_a_table_may_have_tabs_a_byte_order_mark_blank_lines_and_windows_line_ends(folder):
    text = (folder / "index.csv").read_text().replace(",", "\t").replace("\n", "\r\n")
    (folder / "index.tsv").write_bytes(b"\xef\xbb\xbf" + ("\r\n" + text).encode())
    (folder / "index.tsv").write_bytes(b"\xef\xbb\xbf" + text.replace("\r\n", "\r\n\r\n", 1).encode())
    assert len(read(table=folder / "index.tsv")[0].examples) == 3


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
