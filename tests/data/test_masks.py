"""The meaning of masks follows from their values, and impossible meanings are refused with the file name."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from biocnn.core.errors import InputError
from biocnn.data.mask_values import read_mask
from biocnn.data.masks import understand_masks
from biocnn.data.survey import Survey


def survey(*masks, ignore=None):
    found = Survey()
    for i, mask in enumerate(masks):
        found.add(np.asarray(mask), f"m{i}.png", ignore)
    return found


def discs(n, dtype=np.uint8, size=12, offset=1):
    """Return a mask of ``n`` objects in a row, with ids from ``offset``."""
    labels = np.zeros((size, size * n), dtype)
    for i in range(n):
        labels[3:9, size * i + 3 : size * i + 9] = i + offset
    return labels


def refused(*words, **settings):
    found = settings.pop("survey")
    with pytest.raises(InputError) as caught:
        understand_masks(found, **settings)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("foreground", [1, 255, 7, 65535])
@pytest.mark.parametrize("mask_type", ["auto", "binary"])
def test_two_values_are_one_class(foreground, mask_type):
    mask = np.array([[0, foreground], [foreground, 0]])
    code = understand_masks(survey(mask, np.zeros((2, 2), int)), mask_type=mask_type)
    assert (code.task, code.outputs) == ("mask", ["foreground"])
    assert code.reason
    np.testing.assert_array_equal(code(mask), [[0, 1], [1, 0]])
    assert code(mask).dtype == np.uint8


def test_a_binary_mask_takes_one_name_and_an_ignored_value():
    mask = np.array([[0, 255, 100]])
    code = understand_masks(survey(mask, ignore=100), classes=["vessel"], ignore=100)
    assert code.outputs == ["vessel"]
    np.testing.assert_array_equal(code(mask), [[0, 1, 255]])
    refused("2 names", "foreground", survey=survey([[0, 1]]), classes=["background", "vessel"])


@given(st.integers(3, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_scattered_values_without_a_gap_are_classes(k, seed):
    masks = [np.random.default_rng(seed + i).integers(0, k, (30, 30)).astype(np.uint8) for i in range(3)]
    code = understand_masks(survey(*masks))
    assert code.task == "classes"
    assert len(code.outputs) == k
    np.testing.assert_array_equal(code(masks[0]), masks[0])


def test_one_cell_per_image_with_cytoplasm_and_nucleus_is_classes_not_objects():
    masks = []
    for shift in range(5):
        mask = np.zeros((20, 20), np.uint8)
        mask[2:15, 2 + shift : 15] = 1
        mask[5:9, 8:12] = 2
        masks.append(mask)
    assert understand_masks(survey(*masks)).task == "classes"


@given(st.lists(st.integers(1, 60), min_size=2, max_size=5, unique=True), st.sampled_from(["uint8", "uint16", "int32"]))
@settings(max_examples=25)
def test_one_piece_per_id_in_varying_numbers_is_objects(numbers, dtype):
    numbers = [*numbers, max(numbers) + 3]
    masks = [discs(n, dtype) for n in numbers]
    code = understand_masks(survey(*masks))
    assert code.task == "instances"
    assert code.outputs == ["background", "inside", "boundary", "distance"]
    assert "%" in code.reason
    np.testing.assert_array_equal(code(masks[0]), masks[0])
    assert code(masks[0]).dtype == np.int32


def test_ids_of_16_bits_may_start_above_one_and_have_gaps():
    code = understand_masks(survey(discs(4, np.uint16, offset=1000), discs(3, np.uint16, offset=7)))
    assert code.task == "instances"


def test_objects_have_neither_names_nor_an_ignored_value():
    masks = survey(discs(40))
    refused("data.classes", "objects", survey=masks, classes=["a", "b"])
    refused("data.ignore", "objects", survey=masks, ignore=3)


def test_masks_with_many_intermediate_values_are_refused_with_a_remedy():
    from scipy.ndimage import gaussian_filter

    mask = np.zeros((40, 40))
    mask[8:30, 8:30] = 255
    smooth = gaussian_filter(mask, 4).astype(np.uint8)
    for mask_type in ("auto", "binary"):
        refused("m0.png", "unexpected values", "allowed", "threshold" if mask_type == "binary" else "JPEG",
                survey=survey(smooth), mask_type=mask_type)  # fmt: skip


def test_values_outside_the_given_type_are_reported_with_file_and_count():
    masks = survey([[0, 1, 2]], [[0, 1, 9], [9, 1, 0]])
    refused("m1.png", "value 9 ", "2 pixels", "0 to 2 (3 names", survey=masks, mask_type="classes", classes=list("abc"))
    refused("m0.png", "2, 9", "0 and 1", "threshold", survey=masks, mask_type="binary")
    refused("0, 1, 2, 9", "gap", "data.classes", survey=masks, mask_type="classes")
    refused("m0.png", "-1", "data.ignore: -1", survey=survey([[0, 1, -1]]))
    refused("unexpected value 255", "data.ignore: 255", survey=survey(*np.random.default_rng(1).choice(
        [0, 1, 2, 255], (3, 20, 20)).astype(np.uint8)))  # fmt: skip


def test_masks_without_foreground_or_background_are_refused():
    refused("in 2 masks", survey=survey(np.zeros((2, 2), int), np.zeros((2, 2), int)))
    refused("255", "no background", survey=survey(np.full((2, 2), 255)))


def test_classes_with_an_ignored_value_and_a_name_that_does_not_occur():
    mask = np.array([[0, 1, 3, 200]], np.uint8)
    code = understand_masks(survey(mask, ignore=200), mask_type="classes", classes=list("abcd"), ignore=200)
    np.testing.assert_array_equal(code(mask), [[0, 1, 3, 255]])
    assert code.outputs == list("abcd")


COLORS = {"background": [0, 0, 0], "nucleus": [255, 0, 0], "ignore": [9, 9, 9], "wall": [0, 128, 255]}


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colours_become_classes(tmp_path, suffix):
    classes = np.random.default_rng(1).integers(0, 4, (9, 11))
    rgb = np.array([COLORS[n] for n in ("background", "nucleus", "wall", "ignore")], np.uint8)[classes]
    path = tmp_path / f"m.{suffix}"
    Image.fromarray(rgb).save(path)
    found = survey(values := read_mask(path, colors=True))
    code = understand_masks(found, colors=COLORS)
    assert (code.task, code.outputs) == ("classes", ["background", "nucleus", "wall"])
    np.testing.assert_array_equal(code(values), np.where(classes == 3, 255, classes))
    few = {k: v for k, v in COLORS.items() if k != "wall"}
    refused(
        "m0.png", "[0, 128, 255]", f"{(classes == 2).sum()} pixels", "nucleus [255, 0, 0]", survey=found, colors=few
    )
    with pytest.raises(InputError, match=f"{path.name}.*3 channels.*\n.*data.colors"):
        read_mask(path)


def test_a_palette_is_read_as_classes_or_as_colours(tmp_path):
    classes = np.random.default_rng(1).integers(0, 3, (9, 11)).astype(np.uint8)
    image = Image.fromarray(classes)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 128, 255])
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), classes)
    values = read_mask(tmp_path / "m.png", colors=True)
    np.testing.assert_array_equal(understand_masks(survey(values), colors=COLORS)(values), classes)


def test_grey_levels_can_be_given_as_colours(tmp_path):
    classes = np.random.default_rng(1).integers(0, 3, (9, 11)).astype(np.uint8)
    Image.fromarray(np.array([0, 128, 255], np.uint8)[classes]).save(tmp_path / "m.png")
    values = read_mask(tmp_path / "m.png", colors=True)
    colors = {"background": [0, 0, 0], "cytoplasm": [128, 128, 128], "nucleus": [255, 255, 255]}
    np.testing.assert_array_equal(understand_masks(survey(values), colors=colors)(values), classes)
    refused("unexpected values", "data.colors", survey=survey(read_mask(tmp_path / "m.png")))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_of_few_bits_keeps_its_values(tmp_path, bits):
    values = np.random.default_rng(1).integers(0, 2**bits, (9, 16)).astype(np.uint8)
    (tmp_path / "m.png").write_bytes(few_bits_png(values, bits))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), values)


def few_bits_png(values, bits):
    """Write a grey PNG of 1, 2 or 4 bits by hand, since no installed library does."""
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape
    unpacked = np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :].reshape(height, width * bits)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(unpacked, axis=1))
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_masks_stored_as_rgb_grey_alpha_float_or_64_bits_are_read(tmp_path):
    mask = np.random.default_rng(1).integers(0, 3, (9, 11)).astype(np.uint8)
    Image.fromarray(np.dstack([mask] * 3)).save(tmp_path / "rgb.png")
    Image.fromarray(np.dstack([mask] * 3 + [mask * 0 + 255])).save(tmp_path / "rgba.png")
    tifffile.imwrite(tmp_path / "float.tif", mask.astype(np.float32))
    tifffile.imwrite(tmp_path / "long.tif", mask.astype(np.int64))
    for name in ("rgb.png", "rgba.png", "float.tif", "long.tif"):
        np.testing.assert_array_equal(read_mask(tmp_path / name), mask)


def test_fractions_nan_and_too_large_ids_are_refused(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, np.array([[0, 0.5], [np.inf, 1]], np.float32))
    with pytest.raises(
        InputError, match=r"m.tif: a mask with 2 values other than whole numbers, such as 0.5\n.*whole numbers"
    ):
        read_mask(path)
    tifffile.imwrite(path, np.array([[0, 1], [np.nan, 1]], np.float32))
    with pytest.raises(InputError, match=r"m.tif: a mask with 1 NaN value\n.*data.ignore"):
        read_mask(path)
    tifffile.imwrite(path, np.array([[0, 2**31]], np.uint32))
    with pytest.raises(InputError, match=r"m.tif: mask values up to 2147483648\n.*relabel"):
        read_mask(path)


@pytest.mark.parametrize(
    ("colors", "words"),
    [
        ({"a": [0, 0, 0]}, ("1 class", "2 to 254")),
        ({"a": [0, 0, 0], "b": [0, 0]}, ("data.colors.b", "three numbers")),
        ({"a": [0, 0, 0], "b": [0, 0, 256]}, ("data.colors.b", "0 to 255")),
        ({"a": [0, 0, 0], "b": [0, 0, 0]}, ("data.colors.b", "another class")),
    ],
)
def test_an_invalid_table_of_colours_is_refused(colors, words):
    refused(*words, survey=survey([[0, 1]]), colors=colors)
    refused("data.colors", "remove them", survey=survey([[0, 1]]), colors=COLORS, mask_type="instances")


def test_objects_in_several_pieces_are_counted():
    labels = discs(4, np.uint16)
    labels[:, 24:36][labels[:, 24:36] == 3] = 1
    assert survey(labels).torn == 1
    assert (survey(labels).ids, survey(labels).pieces) == (3, 4)
