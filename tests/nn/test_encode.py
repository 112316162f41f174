"""Codes to one-hot, reverse complements, and normalisation of pixels to about 0..1."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from biocnn.io import fasta
from biocnn.io.fasta import encode
from biocnn.nn.encode import complement, normalise, one_hot, reverse_complement, to_tensor

codes = st.lists(st.integers(0, 15), min_size=1, max_size=30).map(lambda c: torch.tensor([c], dtype=torch.uint8))


def test_known_columns() -> None:
    x = one_hot(torch.tensor([[0, 1, 2, 3, 4, 5]], dtype=torch.uint8))
    assert x.dtype == torch.float32
    assert x[0, :, :4].equal(torch.eye(4))
    assert x[0, :, 4].tolist() == [0.25] * 4
    assert x[0, :, 5].tolist() == [0.0] * 4


@pytest.mark.parametrize(("letter", "shares"), [("R", [0.5, 0, 0.5, 0]), ("Y", [0, 0.5, 0, 0.5]), ("B", [0, 1, 1, 1])])
def test_ambiguous_letters_are_fractions_of_their_bases(letter: str, shares: list[float]) -> None:
    found = one_hot(torch.from_numpy(encode(letter, "mixed").copy())[None])[0, :, 0]
    torch.testing.assert_close(found, torch.tensor(shares) / sum(shares))


def test_both_tables_of_complements_agree() -> None:
    codes = np.arange(16, dtype=np.uint8)
    np.testing.assert_array_equal(complement(torch.from_numpy(codes)), fasta.COMPLEMENT)


def test_a_known_reverse_complement() -> None:
    given_, wanted = [[0, 0, 1, 4, 5], [3, 2, 1, 0, 0]], [[5, 4, 2, 3, 3], [3, 3, 2, 1, 0]]
    found = reverse_complement(torch.tensor(given_, dtype=torch.uint8))
    assert found.tolist() == wanted
    assert found.dtype == torch.uint8


@given(codes)
def test_reverse_complement_twice_is_the_identity(x: torch.Tensor) -> None:
    assert reverse_complement(reverse_complement(x)).equal(x)


@given(codes)
def test_the_reverse_complement_flips_both_axes_of_one_hot(x: torch.Tensor) -> None:
    assert one_hot(reverse_complement(x)).equal(one_hot(x).flip(1, 2))


@pytest.mark.parametrize("size", [(5,), (4, 5), (3, 4, 5)])
def test_normalise_maps_low_to_0_and_high_to_1_in_every_dimension(size: tuple[int, ...]) -> None:
    low, high = torch.tensor([10.0, -1.0]), torch.tensor([20.0, 3.0])
    for value, wanted in ((low, 0.0), (high, 1.0), ((low + high) / 2, 0.5), (2 * high - low, 2.0)):
        image = value.view(1, 2, *[1] * len(size)).expand(1, 2, *size)
        assert normalise(image, low, high).equal(torch.full((1, 2, *size), wanted))


def test_a_constant_channel_becomes_zero() -> None:
    image = torch.full((1, 1, 2, 2), 7, dtype=torch.uint8)
    assert normalise(image, torch.tensor([7.0]), torch.tensor([7.0])).equal(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32", "float32", "float64"])
def test_to_tensor_keeps_values_and_copies(dtype: str) -> None:
    array = np.array([[0, 1], [2, 200]], dtype=dtype)
    tensor = to_tensor(array.T)
    assert tensor.tolist() == array.T.tolist()
    tensor[0, 0] = 9
    assert array[0, 0] == 0
    assert (tensor.float() * 2).dtype == torch.float32


def test_each_image_of_a_batch_can_have_its_own_range():
    image = torch.tensor([[10.0, 20.0], [100.0, 300.0]]).view(2, 1, 1, 2)
    low, high = torch.tensor([[10.0], [100.0]]), torch.tensor([[20.0], [300.0]])
    assert normalise(image, low, high).flatten().tolist() == [0, 1, 0, 1]
