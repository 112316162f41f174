"""Image files are read as they were written, or refused with a reason."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from biocnn.core.errors import InputError
from biocnn.data.mask_values import read_mask
from biocnn.io.image_files import read_image

rng = np.random.default_rng(1)
PLANE = rng.integers(0, 256, (13, 17), dtype=np.uint8)
RGB = rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)


def refused(path, *words, axes=None):
    with pytest.raises(InputError) as caught:
        read_image(path, axes)
    for word in (path.name, *words):
        assert word in str(caught.value)
    assert caught.value.remedy


@settings(max_examples=25)
@given(
    st.sampled_from(["uint8", "uint16", "uint32", "int8", "int16", "int32", "float32"]).flatmap(
        lambda dtype: npst.arrays(
            dtype,
            npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
            elements=st.floats(-1e6, 1e6, width=32) if dtype == "float32" else None,
        )
    ),
    st.sampled_from([None, "lzw", "zlib", "zstd"]),
    st.sampled_from("<>"),
    st.booleans(),
)
def test_round_trip_of_tiff_of_any_type_compression_and_byte_order(tmp_path_factory, array, compression, order, big):
    path = tmp_path_factory.mktemp("t") / "a.tif"
    tifffile.imwrite(path, array, compression=compression, byteorder=order, bigtiff=big)
    found = read_image(path)
    np.testing.assert_array_equal(found.pixels, array[None])
    assert found.pixels.dtype == array.dtype
    assert found.pixels.dtype.isnative


@settings(max_examples=20)
@given(
    st.sampled_from(["uint8", "uint16"]).flatmap(
        lambda dtype: npst.arrays(dtype, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])))
    )
)
def test_round_trip_of_png_with_8_and_16_bits(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("p") / "a.png"
    path.write_bytes(imagecodecs.png_encode(array.squeeze(-1) if array.shape[-1] == 1 else array))
    found = read_image(path)
    np.testing.assert_array_equal(found.pixels, np.moveaxis(array, -1, 0))
    assert found.channels == (["grey"] if array.shape[-1] == 1 else ["red", "green", "blue"])


@pytest.mark.parametrize("suffix", ["png", "bmp"])
@pytest.mark.parametrize("array", [PLANE, RGB], ids=["grey", "rgb"])
def test_round_trip_of_lossless_formats_with_8_bits(tmp_path, suffix, array):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(array).save(path)
    np.testing.assert_array_equal(np.moveaxis(read_image(path).pixels, 0, -1).squeeze(), array)


def test_jpeg_is_close(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    found = read_image(tmp_path / "a.jpg").pixels
    assert found.shape == (1, 64, 80)
    assert np.abs(found[0].astype(int) - smooth).max() < 6


def test_a_palette_becomes_its_colours_and_one_bit_becomes_0_and_1(tmp_path):
    image = Image.fromarray((PLANE > 127).astype(np.uint8), mode=None)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "p.png")
    found = read_image(tmp_path / "p.png")
    assert found.channels == ["red", "green", "blue"]
    np.testing.assert_array_equal(found.pixels[2], np.where(PLANE > 127, 60, 30))
    Image.fromarray(PLANE > 127).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").pixels[0], PLANE > 127)
    tifffile.imwrite(tmp_path / "b.tif", PLANE > 127, photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels[0], PLANE > 127)


def test_a_palette_in_tiff_becomes_its_colours(tmp_path):
    colormap = np.zeros((3, 256), np.uint16)
    colormap[1] = np.arange(256) * 257
    tifffile.imwrite(tmp_path / "p.tif", PLANE, photometric="palette", colormap=colormap, metadata=None)
    found = read_image(tmp_path / "p.tif").pixels
    np.testing.assert_array_equal(found, [np.zeros_like(PLANE), PLANE, np.zeros_like(PLANE)])


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_constant_alpha_channel_is_dropped_and_reported(tmp_path, suffix, dtype):
    path = tmp_path / f"a.{suffix}"
    array = np.dstack([RGB, np.full((13, 17), 255)]).astype(dtype)
    write(path, array)
    found = read_image(path)
    np.testing.assert_array_equal(np.moveaxis(found.pixels, 0, -1), array[..., :3])
    assert found.repairs == ("constant alpha channel dropped",)
    array[0, 0, 3] = 0
    write(path, array)
    refused(path, "alpha channel varies", "0 to 255")


def write(path, array):
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(array))
    else:
        tifffile.imwrite(path, array, photometric="rgb", extrasamples=["unassalpha"])


@pytest.mark.parametrize(("axes", "shape"), [("YX", (11, 12)), ("CYX", (5, 11, 12)), ("YXS", (11, 12, 3))])
@pytest.mark.parametrize("order", "<>")
def test_ome_tiff_axes_names_and_pixel_size(tmp_path, axes, shape, order):
    array = rng.integers(0, 65536, shape, dtype=np.uint16)
    metadata = {"axes": axes, "PhysicalSizeX": 0.5, "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm"}
    names = [f"stain {i}" for i in range(5)] if axes == "CYX" else None
    if names:
        metadata["Channel"] = {"Name": names}
    photometric = "rgb" if "S" in axes else "minisblack"
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, array, photometric=photometric, metadata=metadata, byteorder=order, compression="lzw")
    found = read_image(path)
    expected = array[None] if axes == "YX" else np.moveaxis(array, -1, 0) if axes == "YXS" else array
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.spacing == [0.25, 0.5]
    assert found.channels == (names or (["red", "green", "blue"] if "S" in axes else ["grey"]))


def test_an_axis_of_one_z_plane_is_ignored(tmp_path):
    array = rng.integers(0, 256, (1, 2, 11, 12), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", array, photometric="minisblack", metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif").pixels, array[0])


def test_imagej_spacing_and_channels(tmp_path):
    array = rng.integers(0, 65536, (3, 11, 12), dtype=np.uint16)
    metadata = {"axes": "CYX", "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, resolution=(2.0, 4.0), metadata=metadata)
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.pixels, array)
    assert found.spacing == [0.25, 0.5]
    assert found.channels == ["channel1", "channel2", "channel3"]


@pytest.mark.parametrize("axes", ["TYX", "TCYX", "TZYX"])
def test_a_time_axis_is_refused(tmp_path, axes):
    array = np.zeros((2, 3, 11, 12)[4 - len(axes) :], np.uint8)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": axes})
    refused(path, f"axes {axes}", "the axis T (")


@pytest.mark.parametrize("axes", ["ZYX", "ZCYX", "CZYX"])
@pytest.mark.parametrize("imagej", [False, True])
def test_z_stacks_are_volumes(tmp_path, axes, imagej):
    if imagej and axes == "CZYX":
        pytest.skip("ImageJ stores Z before C")
    lengths = {"Z": 4, "C": 2, "Y": 11, "X": 12}
    array = rng.integers(0, 65536, [lengths[letter] for letter in axes], dtype=np.uint16)
    path = tmp_path / ("a.tif" if imagej else "a.ome.tif")
    if imagej:
        metadata = {"axes": axes, "unit": "um", "spacing": 1.5}
        tifffile.imwrite(path, array, imagej=True, resolution=(2.0, 4.0), metadata=metadata)
    else:
        metadata = {"axes": axes, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 1.5}
        tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata)
    found = read_image(path)
    expected = array[None] if axes == "ZYX" else np.moveaxis(array, axes.index("C"), 0)
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.spacing == [1.5, 0.25, 0.5]
    assert found.unit == "um"


def test_a_z_stack_without_its_step_has_no_spacing(tmp_path):
    array = rng.integers(0, 256, (3, 11, 12), dtype=np.uint8)
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", array, photometric="minisblack", metadata=metadata)
    found = read_image(tmp_path / "a.ome.tif")
    assert found.spacing is None
    assert found.repairs == ("pixel size without the z step: not used",)


@pytest.mark.parametrize("metadata", [None, {}])
def test_stacks_without_stated_axes(tmp_path, metadata):
    def file(shape):
        path = tmp_path / f"{shape}.tif"
        array = rng.integers(0, 256, shape, dtype=np.uint8)
        tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata)
        return path, array

    path, array = file((2, 9, 8))
    np.testing.assert_array_equal(read_image(path).pixels, array)
    assert read_image(path).repairs == ("axes not stated in the file: assumed CYX",)
    path, array = file((9, 8, 3))
    np.testing.assert_array_equal(read_image(path).pixels, np.moveaxis(array, -1, 0))
    path, array = file((7, 9, 8))
    refused(path, "7 x 9 x 8", "data.axes")
    np.testing.assert_array_equal(read_image(path, "CYX").pixels, array)
    np.testing.assert_array_equal(read_image(path, "YXC").pixels, np.moveaxis(array, -1, 0))
    np.testing.assert_array_equal(read_image(path, "ZYX").pixels, array[None])
    path, array = file((3, 9, 4))
    refused(path, "3 x 9 x 4", "data.axes")
    path, array = file((9, 8))
    np.testing.assert_array_equal(read_image(path, "CYX").pixels, array[None])


def test_pages_of_equal_size_that_are_separate_images_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(PLANE, metadata=None)
        tiff.write(PLANE.astype(np.uint16), metadata=None)
    refused(path, "holds 2 images")


def test_a_preview_page_is_ignored(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(PLANE, metadata=None)
        tiff.write(PLANE[::2, ::2], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_image(path).pixels, PLANE[None])


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(tmp_path, dtype):
    array = np.linspace(0, 1, 20, dtype=dtype).reshape(4, 5)
    tifffile.imwrite(tmp_path / "a.tif", array)
    found = read_image(tmp_path / "a.tif")
    assert found.pixels.dtype == np.float32
    np.testing.assert_allclose(found.pixels[0], array, rtol=1e-6)
    assert found.repairs == (f"{np.dtype(dtype).name} converted to float32",)


def test_64_bit_integers_that_fit_become_32_bit(tmp_path):
    array = np.arange(20, dtype=np.int64).reshape(4, 5)
    tifffile.imwrite(tmp_path / "a.tif", array)
    found = read_image(tmp_path / "a.tif")
    assert found.pixels.dtype == np.int32
    np.testing.assert_array_equal(found.pixels[0], array)
    assert found.repairs == ("int64 converted to int32",)


def test_unsupported_values_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    array = np.ones((4, 5), np.float32)
    array[0, :2] = np.nan
    array[1, 1] = np.inf
    tifffile.imwrite(path, array)
    refused(path, "3 of 20 pixel values are NaN or infinite", "finite")
    tifffile.imwrite(path, np.full((4, 5), 2**40))
    refused(path, "64-bit", "8-, 16- or 32-bit")
    tifffile.imwrite(path, np.full((4, 5), 1e300))
    refused(path, "range of 32-bit floats")
    tifffile.imwrite(path, np.ones((4, 5), np.complex64))
    refused(path, "complex64", "floats")
    Image.fromarray(np.zeros((4, 5, 4), np.uint8), "RGBA").convert("CMYK").save(tmp_path / "a.jpg")
    refused(tmp_path / "a.jpg", "CMYK", "RGB or grey")


def test_animations_are_refused(tmp_path):
    frames = [Image.fromarray(PLANE), Image.fromarray(PLANE.T.copy().reshape(PLANE.shape))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    refused(tmp_path / "a.gif", "2 frames")


def transparent_png(path, array, key):
    """Return a PNG with one transparent colour."""
    data = imagecodecs.png_encode(array)
    found = struct.pack(">" + "H" * len(key), *key)
    chunk = struct.pack(">I", len(found)) + b"tRNS" + found + struct.pack(">I", zlib.crc32(b"tRNS" + found))
    at = data.index(b"IDAT") - 4
    path.write_bytes(data[:at] + chunk + data[at:])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_is_an_alpha_channel(tmp_path, dtype, channels):
    plane = rng.integers(1, 250, (13, 17)).astype(dtype)
    array = plane if channels == 1 else np.dstack([plane] * 3)
    transparent_png(tmp_path / "a.png", array, [255] * channels)
    found = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(found.pixels, [plane] * channels)
    assert found.repairs == ("constant alpha channel dropped",)
    transparent_png(tmp_path / "a.png", array, [int(plane[0, 0])] * channels)
    refused(tmp_path / "a.png", "alpha channel varies")
    # In a mask, transparent pixels are background.
    transparent_png(tmp_path / "a.png", array * (array > 99), [0] * channels)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), plane * (plane > 99))
