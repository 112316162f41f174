"""Points and images as in their tables; every fault is named, nothing is guessed."""

from pathlib import Path

import numpy as np
import pytest
from labelled import counts, pictures
from PIL import Image

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.counted_images import CountedImages
from biocnn.data.facts import read as validated
from biocnn.data.raw import Raw

HEIGHT, WIDTH = 30, 40


def folder(
    path: Path, points: str, index: str = "", images: str = "abc", shape: tuple[int, int] = (HEIGHT, WIDTH)
) -> dict:
    """Write images and tables; return the settings that read them."""
    for name in images:
        Image.fromarray(pictures(*shape)).save(path / f"{name}.png")
    (path / "points.csv").write_text(points.replace(" ", "\n") + "\n")
    if index:
        (path / "index.csv").write_text(index.replace(" ", "\n") + "\n")
    return {"table": path / "points.csv"} | ({"index": path / "index.csv"} if index else {})


def read(**options) -> tuple[Raw, Checks]:
    checks = Checks()
    return validated(CountedImages(**options), 1, checks), checks


def refused(*words: str, **options) -> None:
    with pytest.raises(InputError) as caught:
        read(**options)
    for word in words:
        assert word in str(caught.value)


def test_points_of_several_labels_are_counted_in_maps_of_their_own(tmp_path: Path) -> None:
    points = "image,x,y,label a.png,3,0,b a.png,39.5,29.9,a a.png,3.2,0.7,b b.png,1,2,a c.png,,,"
    raw, checks = read(**folder(tmp_path, points))
    assert raw.facts.outputs == ["a", "b"]
    assert raw.facts.task == "density"
    assert raw.examples["n_points"].tolist() == [3, 1, 0]
    dots = raw.truth(0)
    assert dots.shape == (2, HEIGHT, WIDTH)
    assert np.argwhere(dots).tolist() == [[0, 29, 39], [1, 0, 3]]
    assert dots[1, 0, 3] == 2
    assert counts(checks)["points in the same pixel as another: two objects, or one that was marked twice?"] == 1
    assert counts(checks)["images without points: 0 objects"] == 1
    assert not raw.truth(2).any()


def test_images_without_points_exist_if_they_are_listed(tmp_path: Path) -> None:
    options = folder(tmp_path, "image,x,y a.png,3,5", "image,split,count a.png,train,1 b.png,test,2", images="abcd")
    raw, checks = read(**options)
    assert raw.examples[["id", "split", "n_points"]].to_numpy().tolist() == [["a", "train", 1], ["b", "test", 0]]
    assert raw.facts.outputs == ["object"]
    assert counts(checks)["images whose column count differs from the number of points, which is used"] == 1
    assert "count 2, but 0 points" in checks.findings_frame()["detail"].tolist()
    reason = "images of the folder that are not listed: left out; list those without objects in data.index"
    assert counts(checks)[reason] == 2


def test_repeated_and_difficult_points_are_dropped(tmp_path: Path) -> None:
    points = "image,x,y,difficult a.png,3,5,0 a.png,3,5,0 a.png,9,9,1 a.png,4,5,"
    raw, checks = read(**folder(tmp_path, points, images="a"))
    assert raw.truth(0).sum() == 2
    assert counts(checks)["points at the same place as another of the same class"] == 1
    assert counts(checks)["points marked as difficult: not counted"] == 1


def test_pixels_counted_from_1(tmp_path: Path) -> None:
    options = folder(tmp_path, "image,x,y a.png,1,1 a.png,40,30", images="a")
    refused("one pixel beyond", "data.origin: 1", **options)
    assert np.argwhere(read(**options, origin=1)[0].truth(0)).tolist() == [[0, 0, 0], [0, 29, 39]]


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("image,x,y a.png,41,3", "line 2 (x 41 to 42, y 3 to 4 in 40 x 30 pixels)"),
        ("image,x,y a.png,-1,3", "points are outside their images"),
        ("image,x,y a.png,20,35 a.png,3,3", "all would be inside if x and y were swapped"),
        ("image,x,y a.png,0.5,0.2", "shares of the image's width and height?"),
        ("image,x,y a.png,5,x", "line 2: y is 'x'"),
        ("image,x,z a.png,5,4", "no column 'y'"),
        ("image,x,y z.png,5,4", "z.png (line 2)"),
        ("image,x,y a.png,,", "no points"),
        ("image,x,y,split a.png,1,1,train a.png,2,2,test", "in more than one split"),
    ],
)
def test_faults_of_points_are_named_with_their_line(tmp_path: Path, points: str, words: str) -> None:
    refused(words, **folder(tmp_path, points, images="a"))


def test_points_of_an_image_that_the_index_lacks_are_refused(tmp_path: Path) -> None:
    options = folder(tmp_path, "image,x,y a.png,3,5 b.png,1,1", "image a.png", images="ab")
    refused("1 of 2 annotated images are not in", "b.png", **options)


def test_swapped_coordinates_of_square_images_are_noted(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = ["image,x,y"]
    for name in "abcd":
        image = rng.normal(60, 5, (32, 32))
        places = [(int(r), int(c)) for r, c in rng.integers(2, 30, (6, 2))]
        for r, c in places:
            image[r - 1 : r + 2, c - 1 : c + 2] = 200
        rows += [f"{name}.png,{c},{r}" for r, c in places]
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "points.csv").write_text("\n".join(rows) + "\n")
    reason = "points that stand out from their images only if x and y are swapped: x counts columns, y rows"
    assert reason not in counts(read(table=tmp_path / "points.csv")[1])
    swapped = ["image,x,y", *(",".join(np.array(row.split(","))[[0, 2, 1]]) for row in rows[1:])]
    (tmp_path / "points.csv").write_text("\n".join(swapped) + "\n")
    assert counts(read(table=tmp_path / "points.csv")[1])[reason] > 0


def test_the_width_follows_from_distances_between_points(tmp_path: Path) -> None:
    options = folder(tmp_path, "image,x,y a.png,0,0 a.png,10,0 a.png,20,0 b.png,5,5", images="ab")
    facts = read(**options)[0].facts
    assert facts.width == facts.decisions["width"].value == 3.0
    assert read(**options, width=1.5)[0].facts.width == 1.5
    for width in (0, 1e9, float("nan")):
        refused("data.width", **options, width=width)
