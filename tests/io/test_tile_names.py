"""Names reveal which images are pieces of one whole, and splits that ignore this are reported."""

import numpy as np
import pytest
from PIL import Image

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.images import Images
from biocnn.data.leakage import account, identify
from biocnn.io.tile_names import wholes


@pytest.mark.parametrize(
    ("names", "of"),
    [
        ("slide3_tile2 slide3_tile3 slide4_tile1 slide4_tile9", "slide3 slide3 slide4 slide4"),
        ("S1-patch-3-4 S1-patch-3-5 S2-patch-0-1 S2-patch-7-7", "S1 S1 S2 S2"),
        ("a.slice01 a.slice02 b.slice01 b.slice02", "a a b b"),
        ("case1_tile_x10_y20 case1_tile_x30_y20 case2_tile_x0_y0", "case1 case1 case2"),
        ("TCGA-38-4631_1024_2048 TCGA-38-4631_0_2048 TCGA-99-1_0_0 TCGA-99-1_0_512",
         "TCGA-38-4631 TCGA-38-4631 TCGA-99-1 TCGA-99-1"),
        ("k_r1c2 k_r1c3 l_r0c0 l_r0c1", "k k l l"),
        ("patient3_1 patient3_2 patient14_1 patient14_2", "patient3 patient3 patient14 patient14"),
        ("mouse 7 FOV(2) mouse 7 FOV(3)", None),  # one whole is not informative
        ("img_001 img_002 img_003", None),
        ("train_1 train_2 test_1 test_2", None),
        ("21_training 22_training", None),
        ("a7f3 b2e1 c9d0", None),
        ("slide1_tile1 slide2_tile1 slide3_tile1", None),  # one piece each
        ("slide1_tile1 slide1_tile2 overview", None),
    ],
)  # fmt: skip
def test_names(names, of):
    names = names.replace("mouse 7 ", "mouse_7_").split()
    found = wholes(names)
    assert (None if found is None else found.names) == (None if of is None else of.split())


@pytest.fixture
def tiles(tmp_path):
    """Return twelve tiles of three slides in two folders."""
    rng = np.random.default_rng(1)
    for kind in ("x", "y"):
        (tmp_path / kind).mkdir()
    for i in range(12):
        name = f"slide{i // 4}_tile{i % 4}.png"
        Image.fromarray(rng.integers(0, 255, (30, 30), dtype=np.uint8)).save(tmp_path / "x" / name)
        Image.fromarray((255 * (rng.random((30, 30)) < 0.2)).astype(np.uint8)).save(tmp_path / "y" / name)
    return tmp_path


def read(**settings):
    checks = Checks()
    return Images(**settings).read(1, checks), checks


FINDING = "images that are pieces of 3 wholes by their names, but each is its own group"


def test_a_group_is_proposed_and_works(tiles):
    both = {"images": tiles / "x", "masks": tiles / "y"}
    raw, checks = read(**both)
    row = checks.frame().set_index("reason").loc[FINDING]
    assert (row["count"], row["outcome"]) == (12, "note")
    assert (
        row["example"]
        == "slide0_tile0 and slide0_tile1 are from slide0: set data.group: '(.+)_tile', or add a column group"
    )
    assert checks.findings_frame().query("finding == @FINDING")["severity"].tolist() == ["look"]
    assert raw.examples["group"].is_unique
    for pattern in ("(.+)_tile", r"slide\d+"):
        raw, checks = read(**both, group=pattern)
        assert raw.examples["group"].tolist() == [f"slide{i // 4}" for i in range(12)]
        assert not checks.findings
    with pytest.raises(InputError, match=r"data\.group: 'plate' does not match 12 of 12 names"):
        read(**both, group="plate")
    with pytest.raises(InputError, match=r"data\.group: '\(' is not a regular expression"):
        read(**both, group="(")


@pytest.mark.parametrize(("split", "cut"), [(lambda i: ("train", "val", "test")[i // 4], False),
                                            (lambda i: ("train", "val", "test")[i % 3], True)])  # fmt: skip
def test_tiles_of_a_slide_in_different_splits_are_a_leak(tiles, split, cut):
    rows = ["image,mask,split"]
    rows += [f"x/slide{i // 4}_tile{i % 4}.png,y/slide{i // 4}_tile{i % 4}.png,{split(i)}" for i in range(12)]
    (tiles / "t.csv").write_text("\n".join(rows))
    raw, checks = read(table=tiles / "t.csv")
    found = checks.findings_frame().query("finding == @FINDING")
    assert found["severity"].tolist() == (["leak"] if cut else [])
    checks = Checks()
    split, leaks = account(identify(raw), raw.examples["split"], True, raw.examples["id"], checks)
    assert [leak.named for leak in leaks] == ([4, 4, 4] if cut else [0, 0, 0])
    assert [leak.any for leak in leaks] == [leak.named for leak in leaks]
    assert split.tolist() == raw.examples["split"].tolist(), "names are reported, not acted on"
    assert checks.frame()["outcome"].tolist() == (["note"] * 3 if cut else [])
