"""A window of an open image equals that region of the whole image, and only the tiles that it touches are decoded."""

import numpy as np
import pytest
import tifffile

from biocnn.core.errors import InputError
from biocnn.io.image_files import read_image
from biocnn.io.lazy import open_image
from biocnn.io.tiff_segments import SegmentedPixels

rng = np.random.default_rng(5)


def layouts():
    """Yield every TIFF layout that affects how a window is located."""
    for axes, shape in {"YX": (50, 70), "ZYX": (3, 50, 70), "ZCYX": (3, 2, 50, 70), "YXS": (50, 70, 3)}.items():
        for tile in (None, (16, 32)):
            for compression in (None, "zlib", "lzw", "jpeg"):
                for planar in ("contig", "separate") if axes == "YXS" else (None,):
                    yield axes, shape, tile, compression, planar


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, paths = tmp_path_factory.mktemp("lazy"), []
    for number, (axes, shape, tile, compression, planar) in enumerate(layouts()):
        array = rng.integers(0, 256, shape, dtype=np.uint8)
        if planar == "separate":
            array = np.moveaxis(array, -1, 0)
        rgb = "S" in axes
        path = folder / f"{number}.ome.tif"
        tifffile.imwrite(
            path,
            array,
            tile=tile,
            rowsperstrip=None if tile else 7,
            compression=compression,
            planarconfig=planar,
            photometric="rgb" if rgb else "minisblack",
            byteorder="<>"[number % 2],
            metadata={"axes": "SYX" if planar == "separate" else axes},
        )
        paths.append(path)
    with tifffile.TiffWriter(folder / "pyramid.ome.tif", bigtiff=True) as tiff:
        array = rng.integers(0, 65536, (2, 64, 96), dtype=np.uint16)
        tiff.write(array, tile=(16, 16), subifds=1, metadata={"axes": "CYX"}, compression="zlib")
        tiff.write(array[:, ::2, ::2], tile=(16, 16), subfiletype=1, compression="zlib")
    tifffile.imwrite(folder / "bits.tif", rng.random((50, 70)) < 0.5, photometric="minisblack")
    tifffile.imwrite(folder / "floats.tif", rng.random((50, 70)), compression="zlib", predictor=True)
    np.save(folder / "plane.npy", rng.integers(0, 99, (50, 70)))
    np.save(folder / "fortran.npy", np.asfortranarray(rng.random((3, 50, 70))))
    np.savez(folder / "only.npz", a=rng.random((50, 70)))
    return [(path, read_image(path)) for path in [*paths, *(p for p in sorted(folder.iterdir()) if p not in paths)]]


def test_a_window_equals_that_region_of_the_whole(files):
    for path, expected in files:
        with open_image(path) as image:
            assert image.shape == expected.pixels.shape, path
            assert image.dtype == expected.pixels.dtype
            assert image.channels == expected.channels
            assert image.spacing == expected.spacing
            for _ in range(8):
                starts = [int(rng.integers(0, n)) for n in image.shape[1:]]
                stops = [int(rng.integers(a + 1, n + 1)) for a, n in zip(starts, image.shape[1:], strict=True)]
                window = tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
                found = image.read(window)
                np.testing.assert_array_equal(found, expected.pixels[:, *window], err_msg=f"{path} {window}")
                assert found.dtype == image.dtype
                assert found.flags.c_contiguous


def test_only_touched_tiles_are_decoded_and_none_twice(tmp_path, monkeypatch):
    array = rng.integers(0, 256, (128, 128), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, tile=(32, 32), compression="zlib")
    decoded = []
    segment = SegmentedPixels._segment

    def noted(self, number, index):
        if (number, index) not in self.cache:
            decoded.append(index)
        return segment(self, number, index)

    monkeypatch.setattr(SegmentedPixels, "_segment", noted)
    with open_image(tmp_path / "a.tif") as image:
        image.read((slice(33, 60), slice(30, 70)))
        assert decoded == [4, 5, 6]
        image.read((slice(33, 70), slice(30, 60)))
        assert decoded == [4, 5, 6, 8, 9]


def test_memory_is_bounded_by_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("biocnn.io.tiff_segments._CACHE", 5000)
    array = rng.integers(0, 256, (256, 256), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, tile=(32, 32), compression="zlib")
    with open_image(tmp_path / "a.tif") as image:
        for y in range(0, 256, 32):
            np.testing.assert_array_equal(image.read((slice(y, y + 32), slice(0, 256)))[0], array[y : y + 32])
            assert image._stored.array.cached <= 5000


def test_a_damaged_or_transparent_window_is_refused_on_reading(tmp_path):
    array = np.ones((64, 64), np.float32)
    array[40, 40] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", array, tile=(16, 16))
    with open_image(tmp_path / "a.tif") as image:
        assert image.read((slice(0, 32), slice(0, 32))).shape == (1, 32, 32)
        with pytest.raises(InputError, match="NaN"):
            image.read((slice(32, 64), slice(32, 64)))
    colours = np.full((64, 64, 4), 255, np.uint8)
    colours[32:, :, 3] = 0
    tifffile.imwrite(tmp_path / "b.tif", colours, photometric="rgb", extrasamples=["unassalpha"])
    with open_image(tmp_path / "b.tif") as image:
        assert image.shape == (3, 64, 64)
        image.read((slice(0, 32), slice(0, 64)))
        with pytest.raises(InputError, match="alpha channel varies"):
            image.read((slice(32, 64), slice(0, 64)))
