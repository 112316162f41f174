"""No image of a file is dropped silently, and no file takes much more memory than its size justifies."""

import gzip
import struct
import subprocess
import sys
import zipfile
import zlib

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from biocnn.core.errors import InputError
from biocnn.io.image_files import decode, read_image
from biocnn.io.lazy import open_image

rng = np.random.default_rng(6)
PLANE = rng.integers(0, 256, (40, 50), dtype=np.uint8)
OTHER = rng.integers(0, 256, (40, 50), dtype=np.uint8)
RGB = np.dstack([PLANE, OTHER, PLANE])


def write(path, *pages, **more):
    with tifffile.TiffWriter(path, **more) as tiff:
        for array, keywords in pages:
            tiff.write(array, **({"metadata": None} | keywords))
    return path


def one_of_two(path):
    """Write an OME-TIFF whose description contains only the first of two pages."""
    tifffile.imwrite(path, PLANE, ome=True)
    with tifffile.TiffFile(path) as tiff:
        description = tiff.ome_metadata
    return write(path, (PLANE, {"description": description}), (OTHER, {}))


SECOND = {
    "another type": (OTHER.astype(np.uint16), {}),
    "one row fewer": (OTHER[1:], {}),
    "fewer channels": (OTHER, {}),
    "other compression": (OTHER, {"compression": "zlib"}),
    "more than half as large": (OTHER[:21, :26], {}),
    "a mask": (OTHER > 99, {"subfiletype": 4, "photometric": "mask"}),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_second_image_in_a_tiff_is_refused(tmp_path, name):
    path = write(tmp_path / "a.tif", (RGB if name == "fewer channels" else PLANE, {}), SECOND[name])
    for read in (read_image, decode):
        with pytest.raises(InputError, match=r"a\.tif: holds 2 images \(40 x 50.*\n.*a separate file"):
            read(path)


def test_a_page_missing_in_the_description_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds 2 images"):
        read_image(one_of_two(tmp_path / "a.ome.tif"))


@pytest.mark.parametrize("more", [{}, {"subfiletype": 1}])
def test_previews_are_ignored_and_counted(tmp_path, more):
    found = read_image(write(tmp_path / "a.tif", (PLANE, {}), (OTHER[:11, :17].copy(), more)))
    np.testing.assert_array_equal(found.pixels[0], PLANE)
    assert found.repairs == ("smaller images in the same file (previews) ignored",)


def test_a_second_photo_in_a_jpeg_is_refused_but_a_preview_is_not(tmp_path):
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    with pytest.raises(InputError, match=r"a\.jpg: JPEG file with 2 images"):
        read_image(tmp_path / "a.jpg")
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second.resize((20, 10))])
    assert read_image(tmp_path / "a.jpg").pixels.shape == (3, 40, 50)


def test_one_bit_palettes_have_colours_and_indices(tmp_path):
    picture = Image.fromarray(PLANE > 127).convert("P")
    picture.putpalette([200, 0, 0, 0, 90, 7])
    indices = np.asarray(picture) > 0
    packed = np.packbits(indices, axis=1).tobytes()
    entries = [(256, 4, 50), (257, 4, 40), (258, 3, 1), (259, 3, 1), (262, 3, 3), (277, 3, 1), (278, 4, 40),
               (279, 4, len(packed))]  # fmt: skip
    colours = struct.pack("<6H", 200 << 8, 0, 0, 90 << 8, 0, 7 << 8)
    at = 8 + 2 + 12 * (len(entries) + 2) + 4
    entries += [(273, 4, at + len(colours)), (320, 3, at)]
    ifd = b"".join(
        struct.pack("<HHI", tag, kind, 6 if tag == 320 else 1)
        + (struct.pack("<HH", value, 0) if kind == 3 and tag != 320 else struct.pack("<I", value))
        for tag, kind, value in sorted(entries)
    )
    header = b"II*\0" + struct.pack("<IH", 8, len(entries))
    (tmp_path / "a.tif").write_bytes(header + ifd + bytes(4) + colours + packed)
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.pixels, np.where(indices, [[[0]], [[90]], [[7]]], [[[200]], [[0]], [[0]]]))
    np.testing.assert_array_equal(decode(tmp_path / "a.tif", indices=True).pixels[0], indices)


def png(height, width, bits=8, rows=None):
    """Return a grey PNG of the stated size with the given number of rows of zeros."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(1)
    line = bytes(1 + width * bits // 8)
    data = b"".join(packer.compress(line) for _ in range(height if rows is None else rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def giant_tiff(path, rows_per_strip):
    """Write a compressed TIFF of 60,000 x 60,000 zeros whose strips all share the same bytes."""
    side = 60_000
    strip = zlib.compress(bytes(side * rows_per_strip), 9) if rows_per_strip < side else zlib.compress(bytes(2**24), 9)
    count = -(-side // rows_per_strip)
    tags = [(256, 4, [side]), (257, 4, [side]), (258, 3, [8]), (259, 3, [8]), (262, 3, [1]), (277, 3, [1]),
            (278, 4, [rows_per_strip]), (273, 4, [0] * count), (279, 4, [len(strip)] * count)]  # fmt: skip
    at = 8 + 2 + 12 * len(tags) + 4
    extra, entries = b"", b""
    for tag, kind, values in sorted(tags):
        values = [at + 8 * count] * count if tag == 273 else values
        packed = struct.pack(f"<{len(values)}{'I' if kind == 4 else 'H'}", *values)
        if len(packed) > 4:
            extra, packed = extra + packed, struct.pack("<I", at + len(extra))
        entries += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    path.write_bytes(header + entries + bytes(4) + extra.ljust(8 * count, b"\0") + strip)
    return path


def npz_bomb(path):
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as handle:
        np.lib.format.write_array_header_1_0(
            handle, {"descr": "|u1", "fortran_order": False, "shape": (1200, 1000, 1000)}
        )


def dicom_bomb(path):
    from dicom_files import write_dicom

    write_dicom(path, np.zeros((4, 4), np.uint16), Rows=65535, Columns=65535)


BOMBS = {
    "png": lambda path: path.write_bytes(png(40_000, 40_000, rows=100)),
    "16-bit png": lambda path: path.write_bytes(png(40_000, 20_000, 16, rows=100)),
    "png with a wrong size": lambda path: path.write_bytes(png(2**30, 2**30, rows=0)),
    "tiff of strips": lambda path: giant_tiff(path, 64),
    "tiff of one strip": lambda path: giant_tiff(path, 60_000),
    "nifti": lambda path: path.write_bytes(
        gzip.compress(nibabel.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4)).to_bytes().replace(
            struct.pack("<8h", 3, 1, 1, 1, 1, 1, 1, 1), struct.pack("<8h", 3, 20000, 20000, 20000, 1, 1, 1, 1)))),
    "npz": npz_bomb,
    "dicom": dicom_bomb,
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_files_that_would_fill_the_memory_are_refused_before_allocation(tmp_path, kind):
    path = tmp_path / "a.bin"
    BOMBS[kind](path)
    assert path.stat().st_size < 3e6
    code = f"""
import resource
from biocnn.io.image_files import decode, read_image
from biocnn.core.errors import InputError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (read_image, decode):
    try:
        read({str(path)!r} if read is read_image else __import__("pathlib").Path({str(path)!r}))
    except InputError as error:
        print(error.message)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *said, grown = done.stdout.splitlines()
    assert len(said) == 2
    assert all("a.bin: claims to hold" in line for line in said)
    assert int(grown) < 300, "MB"


def test_windows_of_a_giant_tiff_are_read_strip_by_strip(tmp_path):
    with open_image(giant_tiff(tmp_path / "a.tif", 64)) as image:
        assert image.shape == (1, 60_000, 60_000)
        assert not image.read((slice(59_000, 59_010), slice(0, 10))).any()
    with open_image(giant_tiff(tmp_path / "b.tif", 60_000)) as image, pytest.raises(InputError, match="claims to hold"):
        image.read((slice(0, 10), slice(0, 10)))


def test_an_image_of_14000_x_14000_is_read(tmp_path):
    (tmp_path / "a.png").write_bytes(png(14_000, 14_000))
    found = read_image(tmp_path / "a.png")
    assert found.pixels.shape == (1, 14_000, 14_000)
    assert not found.pixels.any()


def test_running_out_of_memory_is_reported(tmp_path, monkeypatch):
    """With limited memory, a valid file is reported as too large, not as damaged."""
    np.save(tmp_path / "a.npy", np.zeros((4000, 40_000), np.uint16))
    code = f"""
import resource
import imagecodecs, tifffile, PIL.Image
from biocnn.io.lazy import open_image
from biocnn.io.image_files import read_image
from biocnn.core.errors import InputError
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400 * 2**20,) * 2)
try:
    read_image({str(tmp_path / "a.npy")!r})
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "do not fit into memory" in done.stdout
