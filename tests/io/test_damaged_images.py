"""Damaged, empty and foreign files are refused with their name and no other output."""

import io
import logging

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from biocnn.core.errors import InputError
from biocnn.io.image_files import read_image

rng = np.random.default_rng(1)
RGB = rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        read_image(path)
    for word in (path.name, *words):
        assert word in str(caught.value)
    assert caught.value.remedy


def test_missing_empty_and_foreign_files(tmp_path):
    refused(tmp_path / "a.png", "no such file")
    refused(tmp_path, "a folder")
    (tmp_path / "b.png").write_bytes(b"")
    refused(tmp_path / "b.png", "an empty file", "allowed: PNG")
    (tmp_path / "c.tif").write_text("version https://git-lfs.github.com/spec/v1")
    refused(tmp_path / "c.tif", "not a supported image file", "allowed: PNG")


def damaged(path):
    """Yield the file truncated at various lengths, and with its middle overwritten."""
    data = path.read_bytes()
    for keep in (9, 30, len(data) // 2, len(data) - 20):
        yield f"cut at {keep}", data[:keep]
    middle = len(data) // 2
    yield "overwritten", data[:middle] + b"\xff" * 40 + data[middle + 40 :]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_damaged_png_is_refused_without_noise(tmp_path, capfd, bits, channels):
    array = rng.integers(0, 2**bits, (40, 40, channels), dtype=f"uint{bits}")
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(array.squeeze()))
    for _, data in list(damaged(path)):
        path.write_bytes(data)
        refused(path, "PNG")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "jpeg"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_a_truncated_tiff_is_refused_without_noise(tmp_path, capfd, compression, tile):
    array = rng.integers(0, 256, (64, 64), dtype=np.uint8)
    path = tmp_path / "a.tif"
    rows = None if tile else 16
    tifffile.imwrite(path, array, compression=compression, tile=tile, rowsperstrip=rows)
    for how, data in list(damaged(path)):
        # Overwritten pixels go unnoticed in uncompressed files, and with JPEG and Zstandard, which have no checksum.
        if how == "overwritten" and compression in (None, "jpeg", "zstd"):
            continue
        path.write_bytes(data)
        refused(path, "TIFF")
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger("tifffile").propagate or logging.getLogger("tifffile").handlers


def test_a_truncated_jpeg_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[:-60])
    refused(path, "JPEG")


def test_large_images_cause_no_warning_of_bombs(tmp_path):
    buffer = io.BytesIO()
    Image.new("1", (10000, 9500)).save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    assert read_image(tmp_path / "a.png").pixels.shape == (1, 9500, 10000)
