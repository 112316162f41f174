"""Small images with masks, in two folders and in a table, for tests of their reader."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.images import Images

rng = np.random.default_rng(3)


def picture(height=20, width=24, channels=None, dtype=np.uint8):
    shape = (height, width) if channels is None else (height, width, channels)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".tif", ".tiff"):
        tifffile.imwrite(path, array)
    else:
        Image.fromarray(array).save(path)


def binary(height=20, width=24):
    return (rng.random((height, width)) < 0.4).astype(np.uint8) * 255


def write_images(tmp_path):
    """Return three grey images with binary masks, in two folders and in a table."""
    rows = ["image,mask,split,group,stain"]
    for i, split in enumerate(("train", "val", "test")):
        save(tmp_path / "images" / f"a{i}.png", picture())
        save(tmp_path / "masks" / f"a{i}.png", binary())
        rows.append(f"images/a{i}.png,masks/a{i}.png,{split},plate{i // 2},dapi")
    (tmp_path / "index.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def read(**settings):
    checks = Checks()
    return Images(**settings).read(1, checks), checks.frame()


def refused(*words, **settings):
    with pytest.raises(InputError) as caught:
        read(**settings)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy


def rewrite(folder, *pairs):
    path = folder / "index.csv"
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path
