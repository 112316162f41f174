"""Predictions do not depend on the form of the input; unsuitable input is refused."""

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image
from tiny import image_facts, images, metadata, sequences, stored, task_of

import biocnn
from biocnn.config.schema import choose
from biocnn.core.errors import InputError
from biocnn.core.memory import PeakBytes
from biocnn.data.dataset import Dataset
from biocnn.io.fasta import decode, encode, reverse_complement
from biocnn.nn.precision import fast_bfloat16
from biocnn.prediction.inputs import images_in
from biocnn.prediction.model import Model
from biocnn.training.batches import make
from biocnn.training.checkpoint import build_model, save_model
from biocnn.training.forward import predict_batches

NETWORKS = {
    "sequence": {"name": "DeepBind", "channels": 4, "kernel_size": 7, "strands": "both"},
    "image": {"name": "UNet", "channels": [4, 8]},
}


def model_of(dataset: Dataset, folder: Path, **meta) -> Model:
    """Return an untrained network, saved and loaded."""
    section = choose("models", NETWORKS[dataset.facts.kind], "model")
    torch.manual_seed(1)
    network = build_model(section, dataset.facts)
    save_model(folder / "model.safetensors", network, metadata(section, dataset.facts, **meta))
    return biocnn.load(folder / "model.safetensors", "cpu")


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(sequences(60, outputs=("a", "b"), task="regression"), tmp_path_factory.mktemp("bound"))


@pytest.fixture(scope="module")
def binder(bound: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Model:
    bound.facts = bound.facts.model_copy(update={"task": "multilabel"})
    return model_of(bound, tmp_path_factory.mktemp("binder"))


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stored(images(8, size=(20, 30)), tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="module")
def segmenter(cells: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_of(cells, tmp_path_factory.mktemp("segmenter"))


def test_strings_fasta_and_codes_have_the_same_predictions(tmp_path: Path, bound: Dataset, binder: Model) -> None:
    codes = bound.windows(bound.rows("val"))
    texts = [decode(row) for row in codes]
    fasta = tmp_path / "some.fa"
    fasta.write_text("".join(f">{i}\n{text[:10].lower()}\n{text[10:]}\n" for i, text in enumerate(texts)))
    wanted = binder.predict(codes)
    assert wanted.shape == (len(codes), 2)
    for other in (texts, tuple(texts), fasta, str(fasta), [text.replace("T", "U") for text in texts]):
        np.testing.assert_array_equal(binder.predict(other), wanted)
    np.testing.assert_allclose(binder.predict(texts[3]), wanted[3:4], rtol=1e-5)
    np.testing.assert_allclose(binder.predict(codes[3]), wanted[3:4], rtol=1e-5)


def test_ambiguous_letters_are_read_as_in_training(tmp_path: Path, bound: Dataset, binder: Model) -> None:
    mixed = model_of(bound, tmp_path)
    mixed.facts = mixed.facts.model_copy(update={"iupac": "mixed"})
    text = "ACGTRYSWKMBDHVNACGTACGTA"
    codes = encode(text, "mixed")
    np.testing.assert_allclose(mixed.predict(text), mixed.predict(reverse_complement(codes)), rtol=1e-5)
    np.testing.assert_array_equal(mixed.predict(text)[0], mixed.predict(codes[None])[0])
    np.testing.assert_array_equal(binder.predict(text), binder.predict(encode(text)[None]))
    assert not np.allclose(mixed.predict(encode(text)[None]), mixed.predict(text))


def test_batches_equal_the_model(bound: Dataset, binder: Model) -> None:
    batches = make(bound, bound.rows("val", "test"), torch.device("cpu"))
    found = np.stack(list(predict_batches(binder.network, batches, binder.task)))
    np.testing.assert_array_equal(found, binder.predict(bound.windows(bound.rows("val", "test"))))
    (x, _), *_ = batches.plain()
    with torch.no_grad():
        np.testing.assert_array_equal(found, binder.network(x).sigmoid())


def test_the_batch_size_does_not_matter(bound: Dataset, binder: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = bound.windows(np.arange(60))
    whole = binder.predict(codes)
    for size in (1, 7):
        monkeypatch.setattr("biocnn.prediction.sequence_model.BATCH", size)
        np.testing.assert_allclose(binder.predict(codes), whole, rtol=1e-5)


def test_sequences_of_different_lengths_are_independent(tmp_path: Path) -> None:
    dataset = stored(sequences(lengths=range(20, 50)), tmp_path)
    model = model_of(dataset, tmp_path)
    texts = [decode(dataset.x[i]) for i in range(30)] + ["A", "ACG"]
    together = model.predict(texts)
    alone = np.concatenate([model.predict(text) for text in texts])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_an_empty_list_has_no_predictions(binder: Model) -> None:
    assert binder.predict([]).shape == (0, 2)


@pytest.mark.parametrize("option", [{"tta": "flips"}, {"overlap": 0.25}, {"spacing": "as_is"}, {"channels": ["a"]}])
def test_options_of_images_are_refused_for_sequences(binder: Model, option: dict) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))}: is for images, but the model is for sequences"):
        Model(binder.path, **option)
    assert Model(binder.path, tta="none", overlap=0.5).outputs == binder.outputs


@pytest.mark.parametrize("device", ["cda", "cuda:99"])
def test_a_device_that_cannot_be_used_is_refused(binder: Model, device: str) -> None:
    with pytest.raises(InputError, match=f"device: '{device}' cannot be used"):
        Model(binder.path, device)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["A" * 24, "A" * 23], "sequence 2 has 23 letters, but the model was trained on windows of 24 bp"),
        ("A" * 25, "sequence 1 has 25 letters"),
        ("", "sequence 1 is empty"),
        ("ACGJ", "sequence 1: 'J' at position 4 is not a base"),
        (np.full((2, 24), 16, np.uint8), "is not a sequence"),
        (np.full((2, 24), -1), "is not a sequence"),
        (np.zeros((2, 24), np.float32), "type float32 is not a sequence"),
        (np.zeros((2, 5, 24), np.uint8), "is not a sequence"),
        ("gone.fa", "gone.fa"),
        (Path("gone.fa"), "gone.fa"),
    ],
)
def test_unsuitable_sequences_are_refused(binder: Model, inputs, message: str) -> None:
    with pytest.raises(InputError) as caught:
        binder.predict(inputs)
    assert message in caught.value.message
    assert caught.value.remedy


def write_images(folder: Path, dataset: Dataset) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i}.tif" for i in range(3)]
    for i, path in enumerate(paths):
        tifffile.imwrite(path, dataset.x[i][0])
    return paths


def test_image_files_and_arrays_have_the_same_predictions(tmp_path: Path, cells: Dataset, segmenter: Model) -> None:
    paths = write_images(tmp_path / "new", cells)
    wanted = [segmenter.predict(cells.x[i]) for i in range(3)]
    assert wanted[0].shape == (1, 20, 30)
    for inputs in (paths, [str(path) for path in paths], tmp_path / "new", str(tmp_path / "new")):
        for one, other in zip(segmenter.predict(inputs), wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(segmenter.predict(paths[1]), wanted[1])
    np.testing.assert_array_equal(segmenter.predict(str(paths[1])), wanted[1])
    np.testing.assert_array_equal(segmenter.predict(np.array(cells.x[1][0])), wanted[1])
    stack = np.stack([cells.x[i] for i in (0, 1, 2, 0, 1, 2)])
    for inputs in (stack, stack[:, 0], torch.from_numpy(stack), stack[:3]):
        for one, other in zip(segmenter.predict(inputs), wanted, strict=False):
            np.testing.assert_array_equal(one, other)
        assert len(segmenter.segment(inputs)) == len(inputs)


@pytest.mark.parametrize(
    ("channels", "shape", "number"),
    [
        (1, (20, 30), 0), (1, (1, 20, 30), 0), (1, (5, 20, 30), 5), (1, (4, 20, 30), 0), (1, (20, 30, 3), 0),
        (1, (1, 1, 20, 30), 1), (3, (3, 20, 30), 0), (3, (9, 20, 30), 0), (3, (2, 3, 20, 30), 2),
        (1, (2, 3), 0), (1, (0, 1, 20, 30), 0), (2, (0, 2, 20, 30), 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("depth", [(), (8,)])
def test_an_array_is_one_image_or_several(channels: int, shape: tuple, number: int, depth: tuple) -> None:
    """Of planes or volumes; as one image if it could be one, also of other channels."""
    facts = image_facts(spatial_dims=2 + len(depth), channels=list("abc")[:channels])
    images = np.zeros((*shape[:-2], *depth, *shape[-2:]))
    found = images_in(SimpleNamespace(facts=facts), images)
    assert isinstance(found, list) == (len(shape) == 4 or number > 0)
    assert len(found) == (number if isinstance(found, list) else len(images))


def test_stored_and_new_images_have_the_same_predictions(cells: Dataset, segmenter: Model) -> None:
    rows = cells.rows("val", "test")
    found = list(segmenter.predict_stored(cells, rows))
    unfolded = predict_batches(segmenter.network, make(cells, rows, torch.device("cpu")), segmenter.task)
    for i, p, q in zip(rows, found, unfolded, strict=True):
        np.testing.assert_array_equal(p, segmenter.predict(cells.x[i]))
        np.testing.assert_allclose(p, q, atol=1e-5)


def test_stored_and_new_sequences_have_the_same_predictions(bound: Dataset, binder: Model) -> None:
    rows = bound.rows("val", "test")
    windows = bound.windows(rows)
    np.testing.assert_array_equal(list(binder.predict_stored(bound, rows)), binder.predict(windows))


def with_budget(model: Model, bytes_: float) -> Model:
    """Return the same model with another memory budget."""
    other = copy.copy(model)
    other.memory_gb = bytes_ / 1e9
    return other


def test_predictions_do_not_depend_on_the_memory_budget(bound: Dataset, binder: Model, segmenter: Model) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 1000, (1, 301, 222), np.uint16)
    small = with_budget(segmenter, 2e6)
    with PeakBytes() as measured:
        found = small.predict(image)
    assert measured.peak < 2e6
    with PeakBytes() as measured:
        wanted = segmenter.predict(image)
    assert measured.peak > 6e6
    np.testing.assert_allclose(found, wanted, atol=1e-5)

    windows = bound.windows(np.arange(60))
    small = with_budget(binder, 5e4)
    with PeakBytes() as measured:
        found = small.predict(windows)
    assert measured.peak < 5e4
    np.testing.assert_allclose(found, binder.predict(windows), rtol=1e-5)


def test_a_memory_budget_that_is_too_small_is_reported(
    tmp_path: Path, cells: Dataset, segmenter: Model, caplog: pytest.LogCaptureFixture
) -> None:
    image = np.random.default_rng(1).integers(0, 1000, (1, 301, 222), np.uint16)
    with_budget(segmenter, 1e4).predict(image)
    assert "array: the network needs 0.0 GB" in caplog.text
    assert "all margin" in caplog.text
    caplog.clear()
    facts = cells.facts
    section = choose("models", {"name": "UNet", "channels": [4, 8], "norm": "instance"}, "model")
    save_model(tmp_path / "m.safetensors", build_model(section, facts), metadata(section, facts))
    whole = biocnn.load(tmp_path / "m.safetensors", "cpu")
    np.testing.assert_array_equal(with_budget(whole, 1e4).predict(image), whole.predict(image))
    assert "sees the whole image at once" in caplog.text


def test_bfloat16_is_used_if_it_was_checked_and_is_fast(tmp_path: Path, cells: Dataset, segmenter: Model) -> None:
    model = model_of(cells, tmp_path, precision={"train": "float32", "predict": "bfloat16"})
    assert segmenter.precision == "float32"
    assert model.precision == ("bfloat16" if fast_bfloat16(torch.device("cpu")) else "float32")
    model.precision = "bfloat16"
    p, q = model.predict(cells.x[0]), segmenter.predict(cells.x[0])
    assert 0 < np.abs(p - q).max() < 0.02


def test_the_network_equals_the_trained_one(cells: Dataset, segmenter: Model) -> None:
    segmenter.predict(cells.x[0])
    names = [name for name, _ in segmenter.network.named_modules()]
    assert any(name.endswith("norm") for name in names)
    x = torch.zeros(1, 1, 8, 8, requires_grad=True)
    segmenter.network(x).sum().backward()
    assert x.grad is not None


def test_segment_decides_from_the_probabilities_of_predict(tmp_path: Path, cells: Dataset, segmenter: Model) -> None:
    paths = write_images(tmp_path / "new", cells)
    masks = segmenter.segment(paths)
    for path, mask in zip(paths, masks, strict=True):
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, segmenter.predict(path)[0] > 0.5)
        np.testing.assert_array_equal(segmenter.segment(path), mask)
    np.testing.assert_array_equal(segmenter.segment(pd.DataFrame({"image": paths}))[0], masks[0])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 20, 30), np.uint16), "array: shape (2, 20, 30), but the model was trained on planes"),
        (np.zeros((20, 30, 3), np.uint16), "array: shape (20, 30, 3)"),
        (np.zeros((6, 2, 20, 30), np.uint16), "images[0]: shape (2, 20, 30)"),
        (np.zeros(30, np.uint16), "array: shape"),
        (np.full((20, 30), np.nan, np.float32), "array: NaN or infinite pixels"),
    ],
)
def test_unsuitable_images_are_refused(segmenter: Model, image: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as caught:
        segmenter.predict(image)
    assert message in caught.value.message
    assert caught.value.remedy


def test_an_image_file_with_other_channels_is_refused(tmp_path: Path, segmenter: Model) -> None:
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8)).save(tmp_path / "color.png")
    with pytest.raises(InputError, match=r"color\.png"):
        segmenter.predict(tmp_path / "color.png")


def test_decide() -> None:
    p = np.array([[[0.2, 0.5, 0.9]]])
    assert task_of("mask").decide(p, {}).tolist() == [[0, 0, 1]]
    p = np.array([[[0.6, 0.1]], [[0.3, 0.2]], [[0.1, 0.7]]])
    assert task_of("classes").decide(p, {}).tolist() == [[0, 2]]
    p = np.zeros((4, 20, 20))
    p[0] = 1
    for box in ((slice(2, 8), slice(2, 8)), (slice(12, 18), slice(4, 16))):
        p[(slice(None), *box)] = np.array([0, 1, 0, 1])[:, None, None]
    task = task_of("instances")
    labels = task.decide(p, {"min_size": 40})
    assert labels.dtype == np.int32
    assert np.bincount(labels.ravel()).tolist() == [400 - 72, 72]
    assert task.decide(p, {"min_size": 10}).max() == 2


def test_a_model_describes_itself(binder: Model) -> None:
    assert repr(binder).startswith("Model(DeepBind; yes or no for each sequence and output (multilabel); a, b; ")
    assert binder.outputs == ["a", "b"]
