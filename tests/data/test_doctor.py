"""Each fault of a set of images is found where it was planted, and nowhere else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage
from tiny import image_facts

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.appearance import measure_appearance
from biocnn.data.doctor import SIDE, write_findings
from biocnn.data.images import Images
from biocnn.data.raw import Raw

N = 8


def cells(seed: int, size: tuple[int, ...] = (96, 96), number: int = 6) -> np.ndarray:
    """Return consecutive labels of round objects that do not touch."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(size, np.uint16)
    grid = np.indices(size)
    found = 0
    while found < number:
        centre = [rng.integers(8, n - 8) for n in size]
        inside = ((grid - np.reshape(centre, (-1, *[1] * len(size)))) ** 2).sum(axis=0) <= 36
        if not labels[ndimage.binary_dilation(inside, iterations=2)].any():
            found += 1
            labels[inside] = found
    return labels


def picture(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return an image of bright objects on a dark, uneven background, with noise."""
    rng = np.random.default_rng(seed)
    uneven = ndimage.gaussian_filter(rng.normal(0, 1, labels.shape), 12)
    x = 40 + 300 * uneven + 90 * (labels > 0) + rng.normal(0, 6, labels.shape)
    return np.clip(x, 0, 250).astype(np.uint8)


class Folder:
    """Images and masks on disk for a test to damage; ``examine`` runs the data doctor."""

    def __init__(self, path: Path, n: int = N) -> None:
        self.path, self.split = path, {}
        self.masks = [cells(i) for i in range(n)]
        self.images = [picture(mask, i) for i, mask in enumerate(self.masks)]

    def examine(self, **settings) -> tuple[Raw, Checks]:
        rows = ["image,mask,split"]
        for i, (image, mask) in enumerate(zip(self.images, self.masks, strict=True)):
            for name, array in (("x", image), ("y", mask)):
                Image.fromarray(array).save(self.path / f"{name}{i}.png")
            rows.append(f"x{i}.png,y{i}.png,{self.split.get(i, ('train', 'train', 'val', 'test')[i % 4])}")
        (self.path / "index.csv").write_text("\n".join(rows) + "\n")
        checks = Checks()
        return Images(table=self.path / "index.csv", **settings).read(1, checks), checks


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def findings(checks: Checks) -> dict[str, list[str]]:
    """Return ids by kind of finding."""
    frame = checks.findings_frame()
    return {name: rows["id"].tolist() for name, rows in frame.groupby("finding", sort=False)}


def counts(checks: Checks) -> dict[str, int]:
    return {reason: count for _, _, reason, count, _ in checks.rows}


def test_a_healthy_set_has_no_finding(folder: Folder) -> None:
    raw, checks = folder.examine()
    assert raw.facts.task == "instances"
    assert checks.findings == []
    assert [row[1] for row in checks.rows] == ["read", "note"], "only what was read and the kind of the masks"


def test_faults_of_objects(folder: Folder) -> None:
    folder.masks[1][:2, 0] = 1  # a second piece of object 1, of two pixels
    folder.masks[2][folder.masks[2] == 3] = 9  # ids 1, 2, 4, 5, 6, 9
    folder.masks[3][:] = 0
    rows, columns = np.nonzero(folder.masks[4] == 1)
    folder.masks[4][rows[columns > columns.mean()], columns[columns > columns.mean()]] = 7  # cut in two
    _, checks = folder.examine()
    assert findings(checks) == {
        "masks without foreground": ["x3"],
        "objects of 2 pixels or fewer": ["x1"],
        "objects in more than one piece, kept unchanged": ["x1"],
    }
    found = counts(checks)
    assert found["masks whose ids have gaps: harmless"] == 1
    assert found["objects that touch another, of 43"] == 2
    assert checks.findings_frame()["detail"].tolist() == ["no pixel", "1 object", "1 of 6 objects"]


def test_blurred_edges_are_repaired_and_counted(folder: Folder) -> None:
    truth = [(mask > 0) for mask in folder.masks]
    folder.masks = [(255 * mask).astype(np.uint8) for mask in truth]
    for i in (2, 5):
        soft = ndimage.zoom(ndimage.zoom(255.0 * truth[i], 2, order=1, grid_mode=True, mode="nearest"), 0.5, order=1,
                            grid_mode=True, mode="nearest")  # fmt: skip
        folder.masks[i] = np.rint(soft).astype(np.uint8)
        assert len(np.unique(folder.masks[i])) > 4
    raw, checks = folder.examine()
    assert (raw.facts.task, raw.facts.outputs) == ("mask", ["foreground"])
    for i in range(N):
        assert set(np.unique(raw.y(i))) <= {0, 1}
        assert (raw.y(i) == truth[i]).mean() > 0.99
    name = "masks with blurred edges: pixels assigned to the nearer of the two classes"
    assert findings(checks)[name] == ["x2", "x5"]
    assert next(row[1] for row in checks.rows if row[2] == name) == "repaired"
    assert "along edges only" in raw.facts.decisions["task"].reason


def test_masks_saved_as_jpeg_are_repaired(folder: Folder) -> None:
    truth = folder.masks[0] > 0
    folder.masks = [(255 * (mask > 0)).astype(np.uint8) for mask in folder.masks]
    path = folder.path / "m.jpg"
    Image.fromarray(folder.masks[0]).save(path, quality=80)
    folder.masks[0] = np.asarray(Image.open(path))
    assert len(np.unique(folder.masks[0])) > 20
    raw, _ = folder.examine(mask_type="binary")
    assert (raw.y(0) == truth).mean() > 0.995


@pytest.mark.parametrize("spoil", ["grey area", "one value along edges", "smooth"])
def test_intermediate_values_that_are_not_blur_are_refused(folder: Folder, spoil: str) -> None:
    folder.masks = [(255 * (mask > 0)).astype(np.uint8) for mask in folder.masks]
    mask = folder.masks[3]
    if spoil == "grey area":
        mask[20:40, 20:40] = np.arange(100, 120)
    elif spoil == "one value along edges":  # it may be another class
        mask[ndimage.binary_dilation(mask > 0) & (mask == 0)] = 128
    else:
        folder.masks[3] = ndimage.gaussian_filter(mask, 4)
    with pytest.raises(InputError, match=r"y3\.png: mask with unexpected values?"):
        folder.examine()


def test_a_mask_in_the_alpha_channel(folder: Folder) -> None:
    for i, mask in enumerate(folder.masks):
        plain = (255 * (mask > 0)).astype(np.uint8)
        if i < 3:  # black everywhere, opaque where the objects are
            folder.masks[i] = np.stack([0 * plain, 0 * plain, 0 * plain, plain], axis=-1)
        elif i < 5:  # white on black, without transparency
            folder.masks[i] = np.stack([plain, plain, plain, 0 * plain + 255], axis=-1)
        else:
            folder.masks[i] = plain
    truth = [mask[..., -1] > 0 if i < 3 else mask[..., 0] > 0 if i < 5 else mask > 0
             for i, mask in enumerate(folder.masks)]  # fmt: skip
    raw, checks = folder.examine()
    for i in range(N):
        np.testing.assert_array_equal(raw.y(i), truth[i])
    repaired = {row[2]: row[3] for row in checks.rows if row[1] == "repaired"}
    assert repaired == {
        "mask taken from its alpha channel, because its colour is constant": 3,
        "constant alpha channel of a mask dropped": 2,
    }
    noise = np.random.default_rng(1).integers(0, 255, (96, 96, 4), dtype=np.uint8)
    noise[:10, :10, 3] = 0
    folder.masks[0] = noise
    with pytest.raises(InputError, match=r"y0\.png: a mask with transparent pixels that are not black"):
        folder.examine()


def test_colours_are_refused_with_the_line_to_paste(folder: Folder) -> None:
    colors = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    folder.masks = [colors[np.minimum(mask, 2)] for mask in folder.masks]
    with pytest.raises(InputError) as caught:
        folder.examine()
    wanted = "data.colors: {background: [0, 0, 0], class1: [0, 0, 255], class2: [255, 0, 0]}"
    assert wanted in caught.value.remedy
    given = {"background": [0, 0, 0], "class1": [0, 0, 255], "class2": [255, 0, 0]}
    raw, _ = folder.examine(colors=given)
    assert raw.facts.outputs == ["background", "class1", "class2"]
    folder.masks[0] = np.random.default_rng(1).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="colours:") as caught:
        folder.examine()
    assert "each object has a colour" in caught.value.remedy


INVERTED = "masks that look inverted, with foreground and background swapped, in the whole set"
POLARITY = "images of the opposite polarity: inverted, or with another stain?"


def test_inverted_masks_are_reported_if_all_are_inverted(folder: Folder) -> None:
    folder.masks = [(255 * (mask > 0)).astype(np.uint8) for mask in folder.masks]
    assert INVERTED not in findings(folder.examine()[1])
    folder.masks = [255 - mask for mask in folder.masks]
    _, checks = folder.examine()
    assert findings(checks)[INVERTED] == [f"x{i}" for i in range(6)], "only the first few are listed"
    assert counts(checks)[INVERTED] == N


@pytest.mark.parametrize("number", [2, 4])
def test_images_of_the_other_polarity_are_reported_even_if_there_are_many(folder: Folder, number: int) -> None:
    assert POLARITY not in findings(folder.examine()[1])
    for i in range(number):
        folder.images[i] = 255 - folder.images[i]
    _, checks = folder.examine()
    assert findings(checks)[POLARITY] == [f"x{i}" for i in range(number)]


@pytest.mark.parametrize("kind", ["binary", "objects", "colour images", "as instances"])
def test_exchanged_images_and_masks_are_an_error(folder: Folder, kind: str) -> None:
    if kind == "binary":
        folder.masks = [(255 * (mask > 0)).astype(np.uint8) for mask in folder.masks]
    if kind == "colour images":
        folder.images = [np.dstack([image, image // 2, 255 - image]) for image in folder.images]
    folder.images, folder.masks = folder.masks, folder.images
    with pytest.raises(InputError, match=r"x0\.png looks like a mask.*\n.*swap the columns"):
        folder.examine(**({"mask_type": "instances"} if kind == "as instances" else {}))


def test_a_mask_of_another_size_or_image(folder: Folder) -> None:
    folder.images[6] = 255 - folder.images[6]
    _, checks = folder.examine()
    assert findings(checks)["masks that contradict their images: do they belong to others?"] == ["x6"]
    folder.masks[2] = folder.masks[2][:, :90]
    with pytest.raises(InputError, match=r"y2\.png: 96 x 90"):
        folder.examine()


@pytest.mark.parametrize(("change", "finding"), [
    (lambda x: x // 12, "contrast unlike that of the other images"),
    (lambda x: np.clip(x.astype(int) + 190, 0, 254).astype(np.uint8), "brightness unlike that of the other images"),
    (lambda x: np.minimum(x, np.uint8(np.percentile(x, 90))),
     "at least 2% of the pixels are saturated"),
], ids=["dim", "bright", "saturated"])  # fmt: skip
def test_an_image_unlike_the_others(folder: Folder, change, finding: str) -> None:
    folder.images[5] = change(folder.images[5])
    _, checks = folder.examine()
    assert findings(checks)[finding] == ["x5"]


def test_what_most_images_have_in_common_is_counted_but_not_listed(folder: Folder) -> None:
    for i in range(N - 1):
        folder.images[i] = np.minimum(folder.images[i], np.uint8(np.percentile(folder.images[i], 90)))
    _, checks = folder.examine()
    finding = "at least 2% of the pixels are saturated"
    assert finding not in findings(checks)
    assert counts(checks)[f"{finding}: common in these images, so they are not listed"] == N - 1


def test_two_kinds_of_images_are_not_outliers(folder: Folder) -> None:
    for i in range(0, N, 2):
        folder.images[i] = folder.images[i] // 8
    assert "contrast unlike that of the other images" not in findings(folder.examine()[1])


def test_duplicates_within_and_across_splits(folder: Folder) -> None:
    folder.images[1] = folder.images[0]  # both train
    folder.images[3] = folder.images[4]  # test and train
    folder.images[7] = np.rot90(np.clip(folder.images[2] * 1.2 + 5, 0, 255).astype(np.uint8)).copy()  # test and val
    _, checks = folder.examine()
    frame = checks.findings_frame().set_index("id")
    doubles = frame[frame["detail"].str.startswith(("same", "look"))]
    assert doubles["severity"].to_dict() == {"x1": "look", "x4": "leak", "x7": "leak"}
    assert doubles["detail"].to_dict() == {"x1": "same pixels: x0", "x4": "same pixels: x3", "x7": "look alike: x2"}
    found = counts(checks)
    assert found["leak: same pixels in different splits"] == 2
    assert found["leak: look alike in different splits"] == 2


def test_pixel_sizes_that_differ(folder: Folder) -> None:
    import tifffile

    rows = ["image,mask"]
    for i, (image, mask) in enumerate(zip(folder.images, folder.masks, strict=True)):
        size = 0.5 if i == 3 else 0.25
        meta = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size}
        tifffile.imwrite(folder.path / f"a{i}.ome.tif", image, metadata=meta)
        tifffile.imwrite(folder.path / f"b{i}.tif", mask)
        rows.append(f"a{i}.ome.tif,b{i}.tif")
    (folder.path / "t.csv").write_text("\n".join(rows) + "\n")
    checks = Checks()
    Images(table=folder.path / "t.csv").read(1, checks)
    found = checks.findings_frame()
    assert found[["id", "detail"]].to_numpy().tolist() == [["a3", "0.5 x 0.5, most have 0.25 x 0.25"]]


def test_volumes(tmp_path: Path) -> None:
    masks = [cells(i, (20, 64, 64), 2) for i in range(4)]
    images = [picture(mask, i) for i, mask in enumerate(masks)]
    masks[2][0, 0, 0] = 1
    for i, (image, mask) in enumerate(zip([*images, images[1][:, ::-1]], [*masks, masks[1][:, ::-1]], strict=True)):
        np.save(tmp_path / f"x{i}.npy", image)
        np.save(tmp_path / f"y{i}.npy", mask)
    rows = ["image,mask", *(f"x{i}.npy,y{i}.npy" for i in range(5))]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    checks = Checks()
    raw = Images(table=tmp_path / "t.csv", axes="ZYX", mask_type="instances").read(1, checks)
    assert raw.facts.spatial_dims == 3
    found = findings(checks)
    assert found["objects in more than one piece, kept unchanged"] == ["x2"]
    assert found["images that look like another, possibly rotated"] == ["x4"]
    write_findings(raw, checks, tmp_path / "doctor")
    assert np.load(tmp_path / "doctor" / "thumbnails.npz")["ids"].tolist() == ["x2", "x4"]


def test_findings_are_written_with_thumbnails(folder: Folder) -> None:
    for i in range(4):
        folder.masks[i][0, 0] = 1
    raw, checks = folder.examine()
    write_findings(raw, checks, folder.path / "doctor")
    table = (folder.path / "doctor" / "findings.tsv").read_text().splitlines()
    assert table[0] == "finding\tseverity\tid\tdetail"
    assert len(table) == 1 + len(checks.findings) == 9
    shown = np.load(folder.path / "doctor" / "thumbnails.npz")
    assert shown["ids"].tolist() == ["x0", "x1", "x2", "x3"]
    assert shown["images"].shape == (4, SIDE, SIDE, 3)
    np.testing.assert_array_equal(shown["masks"][0, :96, :96], raw.y(0) > 0)
    assert (shown["images"][0, 96:] == 255).all()


def test_pixels_to_ignore_are_not_shown_as_foreground(folder: Folder) -> None:
    y = np.zeros((20, 30), np.uint8)
    y[5:9, 5:9], y[:, 20:] = 1, 255
    x = np.zeros((1, 20, 30), np.uint8)
    checks = Checks()
    checks.find("looks odd", "look", "one")
    write_findings(
        Raw(pd.DataFrame({"id": ["one"]}), [x].__getitem__, [y].__getitem__, image_facts()),
        checks,
        folder.path / "doctor",
    )
    mask = np.load(folder.path / "doctor" / "thumbnails.npz")["masks"][0]
    np.testing.assert_array_equal(mask[: 5 * 20, : 5 * 30], np.kron(y == 1, np.ones((5, 5))), "enlarged to 160 pixels")


def test_an_image_one_pixel_wide_has_signal() -> None:
    assert measure_appearance(np.zeros((2, 5, 1), np.uint8)).silent == (False, False)


def test_channels_without_signal_are_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    noise = np.random.default_rng(0).poisson(0.5, (N, 2, 96, 96)).astype(np.uint8)
    folder.images = [np.dstack([*dark, blue]) for dark, blue in zip(noise, folder.images, strict=True)]
    notes = folder.examine()[1].frame().set_index("reason")
    assert notes["example"].filter(like="without signal").to_dict() == {
        "channels without signal, only faint noise: leave them out with data.channels: [blue]": "red, green"
    }
    assert not any("without signal" in reason for reason in folder.examine(channels=["blue"])[1].frame()["reason"])
    for image in folder.images:  # a dim channel with objects is no noise
        image[..., 0] = image[..., 2] // 25
    assert folder.examine()[1].frame().set_index("reason")["example"].filter(like="without signal").item() == "green"
