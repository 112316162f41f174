"""Masks by a second annotator: read beside the first, and judged against them as the human level."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from biocnn.config.settings import Metrics, Split
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.dataset import Dataset
from biocnn.data.images import Images
from biocnn.data.stored_raw import open_raw, write_raw
from biocnn.data.storing import write
from biocnn.evaluation.evaluate import evaluate
from biocnn.io.ragged import Ragged
from biocnn.metrics import dice

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


def test_the_human_level_is_the_agreement_of_two_annotators(tmp_path: Path) -> None:
    table = write_images(tmp_path)
    raw = Images(table=table, second="other").read(1, Checks())
    write_raw(raw, {}, tmp_path / "raw")
    write(open_raw(tmp_path / "raw"), Split(), 1, tmp_path / "dataset")
    dataset = Dataset(tmp_path / "dataset")
    assert [image.size > 0 for image in map(dataset.second.__getitem__, range(6))] == [False] * 3 + [True] * 3
    rows = dataset.rows("val", "test")
    Ragged.write(tmp_path / "p.npy", [np.ones((1, *SHAPE))] * len(rows), np.float32)
    predictions = {"fold0-seed1": (Ragged(tmp_path / "p.npy"), dataset.examples.iloc[rows][["id", "split"]])}
    found = evaluate(dataset, predictions, {}, Metrics(resamples=0), 1).metrics
    (human,) = found.query("split == 'human' and metric == 'dice' and over == 'per_image'").to_dict("records")
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
        ({"second": "other", "mask_type": "instances"}, "data.second: is for classes of pixels"),
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
