"""Masks, objects and boxes by a second annotator: read beside the first, and judged as the human level."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from box_annotations import FORMATS, HEADER, as_tsv_counted_from_1, as_yolo, folder_of, read, refused, table
from PIL import Image
from test_mask_kinds import nuclei

from biocnn.config.settings import Metrics, Split
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.images import Images
from biocnn.data.raw import Raw
from biocnn.data.stored_raw import open_raw, write_raw
from biocnn.data.storing import write
from biocnn.evaluation.evaluate import evaluate
from biocnn.io.ragged import Ragged
from biocnn.metrics import annotator_agreement, dice, dice_of_counts, matching

SHAPE = (24, 32)


def write_images(folder: Path, second: str = "0,255", n: int = 6) -> Path:
    """Write images, masks of 0 and 255, and for the last three other masks with these values."""
    rng, low, high = np.random.default_rng(1), *map(int, second.split(","))
    rows = []
    for i in range(n):
        mask = np.zeros(SHAPE, bool)
        mask[4 + i : 12 + i, 5:20] = True
        other = np.roll(mask, 1 + i, axis=1)
        pixels = {"x": rng.integers(256, size=SHAPE), "y": 255 * mask, "z": np.where(other, high, low)}
        for name, values in pixels.items():
            Image.fromarray(values.astype(np.uint8)).save(folder / f"{name}{i}.png")
        split = ("train", "val", "test")[i // 2]
        rows.append({"image": f"x{i}.png", "mask": f"y{i}.png", "other": f"z{i}.png" if i > 2 else "", "split": split})
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def stored(raw: Raw, folder: Path) -> Dataset:
    write_raw(raw, {}, folder / "raw")
    write(open_raw(folder / "raw"), Split(), 1, folder / "dataset")
    return Dataset(folder / "dataset")


def level(dataset: Dataset, folder: Path, p: np.ndarray, postprocess: dict) -> pd.DataFrame:
    """Return the metrics of the second annotator, beside those of a run that predicts p for each image."""
    rows = dataset.rows("val", "test")
    Ragged.write(folder / "p.npy", [p] * len(rows), np.float32)
    predictions = {"run": (Ragged(folder / "p.npy"), dataset.examples.iloc[rows][["id", "split"]])}
    found = evaluate(dataset, predictions, {"run": postprocess}, Metrics(resamples=0), 1).metrics
    return found[found["split"] == "human"]


def test_the_human_level_is_the_agreement_of_two_annotators(tmp_path: Path) -> None:
    raw = Images(table=write_images(tmp_path), second="other").read(1, Checks())
    dataset = stored(raw, tmp_path)
    assert [image.size > 0 for image in map(dataset.second.__getitem__, range(6))] == [False] * 3 + [True] * 3
    found = level(dataset, tmp_path, np.ones((1, *SHAPE)), {})
    (human,) = found.query("metric == 'dice' and over == 'per_image'").to_dict("records")
    wanted = [dice(raw.second(i), raw.y(i)) for i in (3, 4, 5)]
    assert human["value"] == pytest.approx(np.mean(wanted))
    assert 0 < human["value"] < 1
    assert human["n"] == 3
    assert human["run"] == "second annotator"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"second": "othr"}, "data.second: no column 'othr'"),
        ({"second": "mask"}, "data.second: there are no second masks in the column 'mask'"),
        ({"second": "other", "mask_type": "instances", "objects": "table.csv"}, "data.second: is not for objects with"),
    ],
)
def test_faults(settings: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as found:
        Images(table=write_images(tmp_path), **settings).read(1, Checks())
    assert message in found.value.message


def test_second_masks_are_counted_and_may_be_missing_but_not_all(tmp_path: Path) -> None:
    path, checks = write_images(tmp_path), Checks()
    table = pd.read_csv(path).assign(none=".")
    table.to_csv(path, index=False, na_rep="NA")
    raw = Images(table=path, second="other").read(1, checks)
    assert [raw.second(i).size > 0 for i in range(6)] == [False] * 3 + [True] * 3
    counts = checks.frame().set_index("reason")["count"]
    assert counts["masks by a second annotator"] == 3
    with pytest.raises(InputError, match=r"the column 'none' of .* is empty"):
        Images(table=path, second="none").read(1, Checks())


def test_values_that_the_first_annotator_does_not_use_are_refused(tmp_path: Path) -> None:
    raw = Images(table=write_images(tmp_path, "0,1"), second="other").read(1, Checks())
    with pytest.raises(InputError, match=r"z3.png: the value 1 is in no mask of the first annotator"):
        raw.second(3)


def test_objects_of_two_annotators_are_matched_as_drawn(tmp_path: Path) -> None:
    """Touching objects stay apart, which a watershed of the second annotation would not promise."""
    rng, rows = np.random.default_rng(1), []
    for i in range(6):
        first = nuclei(5 + i)
        second = np.where(first == 1, 0, first)  # the first object is missed, and the second cut in two that touch
        second[(first == 2) & (np.indices(first.shape)[0] < np.argwhere(first == 2)[:, 0].mean())] = 99
        for name, values in {"x": rng.integers(256, size=first.shape), "y": first, "z": second}.items():
            Image.fromarray(values.astype(np.uint8)).save(tmp_path / f"{name}{i}.png")
        split = ("train", "val", "test")[i // 2]
        rows.append({"image": f"x{i}.png", "mask": f"y{i}.png", "other": f"z{i}.png" if i else "", "split": split})
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    raw = Images(table=tmp_path / "table.csv", second="other").read(1, Checks())
    dataset = stored(raw, tmp_path)
    assert dataset.task.name == "instances"
    found = level(dataset, tmp_path, np.ones((4, *first.shape)) / 2, {})
    (human,) = found.query("metric == 'f1_0.5' and over == 'per_image'").to_dict("records")
    pairs = [(raw.second(i), raw.y(i)) for i in range(1, 6)]
    assert human["value"] == pytest.approx(np.mean([dice_of_counts(*matching(*pair)[:3])[0] for pair in pairs]))
    assert human["n"] == 5
    assert 0 < human["value"] < 1


@pytest.mark.parametrize("made", FORMATS)
def test_boxes_by_a_second_annotator_are_read_in_every_format(tmp_path: Path, made) -> None:
    folder_of(tmp_path / "images", list("abcd"))
    options = made(tmp_path)
    (second,) = (options[name] for name in ("table", "coco", "voc", "yolo") if name in options)
    raw, _ = read(**options, second=second)
    for row in range(3):
        np.testing.assert_array_equal(raw.second(row), raw.truth(row))
    unseen = made in (as_tsv_counted_from_1, as_yolo)  # which have no row or file for an image without objects
    assert raw.second(3).shape == ((0, 0) if unseen else (0, 5))


def test_boxes_of_two_annotators_agree_as_computed_by_hand(tmp_path: Path) -> None:
    rows = ["a.png,0,0,10,10,x,train", "b.png,0,0,10,10,x,val", "c.png,0,0,10,10,x,test", "c.png,30,0,40,10,y,test"]
    first = table(tmp_path, *rows, "a.png,20,0,30,10,y,train", header=HEADER + ",split")
    second = tmp_path / "second.csv"
    # In b another place; in c one box moved by 3 pixels (IoU 7 / 13), one of another class, and one of a third class.
    others = ["b.png,30,20,40,30,x", "c.png,3,0,13,10,x", "c.png,30,0,40,10,x", "c.png,30,20,40,30,z"]
    second.write_text("\n".join([HEADER, *others]) + "\n")
    raw, checks = read(table=first, second=second)
    counts = checks.frame().set_index("reason")["count"]
    assert counts["boxes of classes that the first annotator does not use"] == 1
    assert counts["images with boxes by a second annotator"] == 2
    dataset = stored(raw, tmp_path)
    tuned = {"thresholds": [0.5] * 2, "scale": [1.0] * 2, "shift": [0.0] * 2}
    found = level(dataset, tmp_path, np.zeros((0, 6)), tuned).set_index(["metric", "output"])["value"]
    assert {"ap50", "ece", "froc"}.isdisjoint(found.index.levels[0])
    assert found["f1", "x"] == pytest.approx(2 * 1 / (2 + 3))
    assert found["f1", "y"] == 0
    assert found["precision", "x"] == pytest.approx(1 / 3)
    assert found["count_bias", "x"] == 0.5
    drawn = [[one(row) for row in (1, 2)] for one in (raw.truth, raw.second)]
    assert annotator_agreement(*drawn)[:3] == (3, 3, 2)  # whatever their classes


def test_faults_of_boxes_by_a_second_annotator(tmp_path: Path) -> None:
    first, second = table(tmp_path, "a.png,0,0,10,10,x"), tmp_path / "second.csv"
    for row, words in (("a.png,0,0,9,9,z", "no box has a class of the first"), ("b.png,0,0,9,9,x", "b.png")):
        second.write_text(f"{HEADER}\n{row}\n")
        refused(words, table=first, second=second)
    refused("data.second", masks=tmp_path, images=tmp_path, second=second)
