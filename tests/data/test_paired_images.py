"""Pairs of images are read from a table or two folders, and pairs that do not match are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.facts import read as checked_read
from biocnn.data.image_pairs import pair_folders
from biocnn.data.paired_images import PairedImages


def picture(seed: int, size: tuple[int, ...] = (24, 30)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(500, 3000, [-(-n // 6) for n in size[-2:]])
    return (coarse.repeat(6, 0).repeat(6, 1)[: size[-2], : size[-1]] * np.ones(size)).astype(np.uint16)


def noisy(seed: int, image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(100 + seed).normal(0, 300, image.shape)
    return np.clip(image + noise, 0, 65535).astype(image.dtype)


def table(folder: Path, pairs: dict[str, tuple[np.ndarray, np.ndarray]], more: dict[str, list[str]] | None = None):
    """Write pairs by name, and a table with further columns."""
    more = more or {}
    for side in ("noisy", "clean"):
        (folder / side).mkdir()
    rows = [",".join(["image", "target", *more])]
    for k, (name, (image, target)) in enumerate(pairs.items()):
        tifffile.imwrite(folder / "noisy" / f"{name}.tif", image)
        tifffile.imwrite(folder / "clean" / f"{name}.tif", target)
        rows.append(",".join([f"noisy/{name}.tif", f"clean/{name}.tif", *(values[k] for values in more.values())]))
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder / "index.csv"


def pairs(n: int = 6) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {f"p{k}": (noisy(k, picture(k)), picture(k)) for k in range(n)}


def read(**settings: Any):
    checks = Checks()
    return checked_read(PairedImages(**settings), 1, checks), checks


def test_a_table_of_pairs(tmp_path: Path) -> None:
    found = pairs()
    splits = ["train", "train", "train", "val", "test", "test"]
    path = table(tmp_path, found, {"split": splits, "group": list("aabbcc"), "stain": list("xyxyxy")})
    raw, checks = read(table=path)
    assert (raw.facts.task, raw.facts.outputs, raw.facts.channels) == ("image_to_image", ["grey"], ["grey"])
    assert (raw.facts.dtype, raw.facts.target_dtype) == ("uint16", "uint16")
    assert raw.examples[["split", "group", "stain"]].to_numpy().tolist()[1] == ["train", "a", "y"]
    for row, (image, target) in enumerate(found.values()):
        np.testing.assert_array_equal(raw.x(row)[0], image)
        assert raw.y(row).dtype == np.float32
        np.testing.assert_array_equal(raw.y(row)[0], target)
    counts = {(row[1], row[2]): row[3] for row in checks.rows}
    assert counts["read", "images"] == counts["read", "targets"] == 6
    assert not len(checks.findings_frame())


def test_files_of_two_folders_without_a_partner_are_left_out_and_counted(tmp_path: Path) -> None:
    table(tmp_path, pairs(4))
    (tmp_path / "clean/p3.tif").rename(tmp_path / "clean/other.tif")
    raw, checks = read(images=tmp_path / "noisy", targets=tmp_path / "clean", group="p([0-9])")
    assert raw.examples["id"].tolist() == ["p0", "p1", "p2"]
    assert raw.examples["group"].tolist() == list("012")
    dropped = {(row[0], row[2], row[4]) for row in checks.rows if row[1] == "dropped"}
    assert dropped == {("noisy", "image without target", "p3.tif"), ("clean", "target without image", "other.tif")}


def test_names_of_targets_have_words_of_their_own(tmp_path: Path) -> None:
    for folder, names in (("a", ["x_noisy.png", "y_noisy.png"]), ("b", ["x_clean.png", "y_clean.png"])):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    rows, _, rule = pair_folders(tmp_path / "a", tmp_path / "b", "target")
    assert rows["target"].tolist() == ["b/x_clean.png", "b/y_clean.png"]
    assert "_target" in rule


def test_folders_without_a_pair_are_refused(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.png").touch()
    with pytest.raises(InputError, match=r"no target in .*b for 1 of 1 image: a\.png") as caught:
        read(images=tmp_path / "a", targets=tmp_path / "b")
    assert "columns image and target" in caught.value.remedy


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "data: neither table nor images and targets given"),
        ({"images": Path("a")}, "data: images given"),
        ({"targets": Path("a"), "learn_from": "images"}, "data: targets given"),
        ({"table": Path("a"), "targets": Path("b")}, "data: table and targets given"),
        ({"table": Path("a"), "axes": "TYX"}, "data.axes: 'TYX'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PairedImages(**settings)


def test_every_pair_of_different_sizes_is_named(tmp_path: Path) -> None:
    found = pairs()
    for name in ("p1", "p4"):
        found[name] = (found[name][0][:, :20], found[name][1])
    with pytest.raises(InputError) as caught:
        read(table=table(tmp_path, found))
    text = str(caught.value)
    assert "2 of 6 pairs do not match" in text
    assert "clean/p1.tif: 24 x 30 pixels, but its image" in text
    assert "noisy/p4.tif has 24 x 20" in text


def test_pixel_sizes_of_a_pair_must_agree_unless_arrays_are_trusted(tmp_path: Path) -> None:
    path = table(tmp_path, pairs())
    for side, size in (("noisy", 0.5), ("clean", 0.25)):
        sizes = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size}
        tifffile.imwrite(tmp_path / side / "p2.tif", picture(2), ome=True, metadata=sizes)
    with pytest.raises(InputError, match=r"0\.25 x 0\.25 um; but its image .* 0\.5 x 0\.5 um"):
        read(table=path)
    read(table=path, geometry="trust_arrays")


def test_targets_may_have_other_channels_and_another_data_type(tmp_path: Path) -> None:
    found = {name: (image, np.stack([target / 7] * 2).astype(np.float32)) for name, (image, target) in pairs().items()}
    raw, _ = read(table=table(tmp_path, found), target_channels=["nuclei", "actin"], axes="CYX")
    assert (raw.facts.in_channels, raw.facts.outputs, raw.facts.target_dtype) == (1, ["nuclei", "actin"], "float32")
    np.testing.assert_array_equal(raw.y(1), found["p1"][1])


def test_a_target_in_two_groups_and_targets_of_other_images_are_found(tmp_path: Path) -> None:
    found = pairs(8)
    found["p1"] = (found["p1"][0], found["p0"][1])  # the target of another image, in another group
    found["p5"] = (found["p5"][1], found["p5"][1])
    _, checks = read(table=table(tmp_path, found))
    findings = checks.findings_frame().set_index("finding")
    assert findings.loc["targets with the same pixels as another's, in another group", "detail"] == "same target: p0"
    assert findings.loc["targets with the same pixels as another's, in another group", "severity"] == "leak"
    assert findings.loc["targets unlike their images: do they belong to others?", "id"] == "p1"
    assert findings.loc["targets with the same pixels as their images", "id"] == "p5"


@pytest.mark.parametrize("side", ["noisy", "clean"])
def test_a_constant_image_of_a_pair_is_refused_or_dropped_with_its_partner(tmp_path: Path, side: str) -> None:
    path = table(tmp_path, pairs())
    tifffile.imwrite(tmp_path / side / "p2.tif", np.full((24, 30), 7, np.uint16))
    with pytest.raises(InputError, match=f"{side}/p2.tif: a constant image"):
        read(table=path)
    raw, _ = read(table=path, constant="drop")
    assert raw.examples["id"].tolist() == ["p0", "p1", "p3", "p4", "p5"]
    np.testing.assert_array_equal(raw.y(2)[0], picture(3))


@pytest.mark.parametrize(
    ("change", "settings", "message", "remedy"),
    [
        (np.float32, {}, "images of different data types", "convert all to one type"),
        (lambda target: np.stack([target] * 2), {}, "different numbers of channels", "data.target_channels"),
        (None, {"target_channels": ["a", "b"]}, "data.target_channels: a, b, but", "new names"),
    ],
)
def test_faults_of_targets_name_their_settings(
    tmp_path: Path, change: Any, settings: dict[str, Any], message: str, remedy: str
) -> None:
    found = pairs(3)
    if change:
        found["p1"] = (found["p1"][0], change(found["p1"][1]))
    with pytest.raises(InputError, match=message) as error:
        read(table=table(tmp_path, found), **settings)
    assert remedy in error.value.remedy
    assert "data.normalise" not in error.value.remedy


@pytest.fixture
def only_images(tmp_path: Path) -> Path:
    """Return a table whose targets of the training split are empty."""
    path = table(tmp_path, pairs(), {"split": ["train"] * 3 + ["val", "test", "test"]})
    lines = path.read_text().splitlines()
    path.write_text("\n".join([line if ",train" not in line else line.split(",")[0] + ",,train" for line in lines]))
    return path


def test_images_need_no_targets_to_learn_from_themselves(only_images: Path, tmp_path: Path) -> None:
    raw, checks = read(table=only_images, learn_from="images")
    assert (raw.facts.blind, raw.facts.outputs, raw.facts.target_dtype) == (True, ["grey"], "uint16")
    assert [bool(np.isnan(raw.y(row)).all()) for row in range(6)] == [True] * 3 + [False] * 3
    np.testing.assert_array_equal(raw.y(4)[0], picture(4))
    assert {row[2]: row[3] for row in checks.rows if row[1] == "read"} == {"images": 6, "targets": 3}
    with pytest.raises(InputError, match=r"line 2: target ''") as caught:
        read(table=only_images)
    assert "data.learn_from: images" in caught.value.remedy
    only_images.write_text(only_images.read_text().replace(",,train", ",NA,train"))
    again, _ = read(table=only_images, learn_from="images")
    assert [bool(np.isnan(again.y(row)).all()) for row in range(6)] == [True] * 3 + [False] * 3
    (tmp_path / "columns.csv").write_text("\n".join(["image", *(f"noisy/p{k}.tif" for k in range(6))]))
    for given in ({"table": tmp_path / "columns.csv"}, {"images": tmp_path / "noisy", "group": "p([0-9])"}):
        raw, _ = read(learn_from="images", **given)
        assert raw.facts.target_dtype == ""
        assert raw.examples["id"].tolist() == [f"p{k}" for k in range(6)]
        assert raw.examples["group"].nunique() == 6
        assert np.isnan(raw.y(2)).all()
        assert raw.y(2).shape == raw.x(2).shape


def test_constant_images_without_targets_are_dropped(only_images: Path, tmp_path: Path) -> None:
    for name in ("noisy/p1.tif", "clean/p4.tif"):
        tifffile.imwrite(tmp_path / name, np.full((24, 30), 7, np.uint16))
    raw, _ = read(table=only_images, learn_from="images", constant="drop")
    assert raw.examples["id"].tolist() == ["p0", "p2", "p3", "p5"]
    np.testing.assert_array_equal(raw.y(2)[0], picture(3))


def test_targets_that_a_network_without_targets_cannot_predict_are_refused(tmp_path: Path) -> None:
    found = {name: (image, target.repeat(2, 0).repeat(2, 1)) for name, (image, target) in pairs().items()}
    with pytest.raises(InputError, match="they have 2 times as many pixels"):
        read(table=table(tmp_path, found), learn_from="images")


def finer(factor: int, n: int = 5) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    large = {f"p{k}": picture(k, (24, 30)) for k in range(n)}
    return {name: (image[::factor, ::factor], image) for name, image in large.items()}


@pytest.mark.parametrize("factor", [2, 3])
def test_the_factor_of_super_resolution_follows_from_the_pairs(factor: int, tmp_path: Path) -> None:
    raw, _ = read(table=table(tmp_path, finer(factor)))
    assert raw.facts.upscale == factor
    assert raw.x(1).shape == (1, 24 // factor, 30 // factor)
    np.testing.assert_array_equal(raw.y(1)[0], picture(1))


def test_pairs_with_different_factors_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 times in .*p0\.tif; 3 times in .*p4\.tif"):
        read(table=table(tmp_path, finer(2) | {"p4": finer(3)["p4"]}))


def test_the_pixels_of_finer_targets_are_smaller(tmp_path: Path) -> None:
    path = table(tmp_path, finer(2))
    for side, size, image in (("noisy", 0.5, finer(2)["p2"][0]), ("clean", 0.5, finer(2)["p2"][1])):
        sizes = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size}
        tifffile.imwrite(tmp_path / side / "p2.tif", image, ome=True, metadata=sizes)
    with pytest.raises(InputError, match=r"0\.5 x 0\.5 um; but its image .*0\.25 x 0\.25 um"):
        read(table=path)
    sizes |= dict.fromkeys(["PhysicalSizeX", "PhysicalSizeY"], 0.25)
    tifffile.imwrite(tmp_path / "clean/p2.tif", image, ome=True, metadata=sizes)
    read(table=path)
