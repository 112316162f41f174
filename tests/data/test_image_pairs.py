"""Images and masks are paired by name, and files get short unique names."""

import pytest

from biocnn.core.errors import InputError
from biocnn.data.image_pairs import pair_folders, read_table
from biocnn.io.image_paths import unique_ids


def paired(tmp_path, images, masks):
    for folder, names in (("images", images), ("masks", masks)):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    return pair_folders(tmp_path / "images", tmp_path / "masks")


@pytest.mark.parametrize(
    ("images", "masks", "rule"),
    [
        (["a.png", "b.png"], ["a.tif", "b.tif"], "same name"),
        (["a.ome.tif", "b.ome.tif"], ["a.png", "b.png"], "same name"),
        (["a.png", "b.png"], ["a_mask.png", "b_mask.png"], "same name without"),
        (["a.png", "b.png"], ["a_masks.png", "b-labels.png"], "same name without"),
        (["a_img.png", "b_img.png"], ["a_seg.png", "b.label.png"], "same name without"),
        (["A.png", "B.png"], ["A_Mask.png", "B_MASK.png"], "same name without"),
        (["21_training.tif", "22_training.tif"], ["21_manual1.gif", "22_manual1.gif"], "same leading digits"),
        (["01_test.tif", "1_x.tif"], ["01_manual1.gif", "1_manual1.gif"], "same leading digits"),
    ],
)
def test_the_rule_that_pairs_all_is_used_and_reported(tmp_path, images, masks, rule):
    rows, base, found = paired(tmp_path, images, masks)
    assert found.startswith(rule)
    assert base == tmp_path.resolve()
    assert rows["image"].tolist() == [f"images/{name}" for name in images]
    assert rows["mask"].tolist() == [f"masks/{name}" for name in masks]


def test_hidden_and_foreign_files_are_ignored(tmp_path):
    rows, _, _ = paired(tmp_path, ["a.png", ".b.png", "Thumbs.db", "notes.txt"], ["a.PNG"])
    assert len(rows) == 1


def test_the_rule_that_pairs_most_is_tried_on_incomplete_folders(tmp_path):
    with pytest.raises(InputError) as caught:
        paired(tmp_path, ["a.png", "b.png", "c.png"], ["a_mask.png", "b_mask.png", "x_mask.png"])
    assert "for 1 of 3 images: " in str(caught.value)
    assert "c.png" in str(caught.value)
    assert "without words" in caught.value.remedy


def test_a_mask_without_an_image_is_a_mask_also_in_one_folder(tmp_path):
    for name in ("a.png", "a_mask.png", "b.png", "b_mask.png", "c_mask.png"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"no image in .* for 1 of 3 masks: .*c_mask\.png"):
        pair_folders(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("paths", "ids"),
    [
        (["x/a.png", "y/b.tif"], ["a", "b"]),
        (["x/a.ome.tif"], ["a"]),
        (["d/x/a.png", "d/y/a.png"], ["x_a", "y_a"]),
        (["d/train/images/a.png", "d/test/images/a.png"], ["train_images_a", "test_images_a"]),
        (["a.png", "a.png", "b.png"], ["a", "a-2", "b"]),
        (["a.png", "a.png", "a-2.png"], ["a", "a-2", "a-2-2"]),
    ],
)
def test_ids_are_short_and_unique(paths, ids):
    assert unique_ids(paths) == ids
    assert len(set(ids)) == len(ids)


def test_a_file_of_the_name_in_a_subfolder_is_named(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a[1].png").touch()
    (tmp_path / "table.csv").write_text("image\na[1].png\n")
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "table.csv", ["image"])
    assert caught.value.remedy == f"did you mean 'photos/a[1].png'? paths are relative to {tmp_path}"


def test_an_unclosed_quote_is_reported_even_in_long_tables(tmp_path):
    (tmp_path / "table.csv").write_text('image,mask,note\na.png,b.png,"5 end\n' + "c.png,d.png,none\n" * 10_000)
    with pytest.raises(InputError, match="a quoted cell spans several lines"):
        read_table(tmp_path / "table.csv", ["image", "mask"])
