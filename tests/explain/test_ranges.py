"""Ranges, compared with checking every position one by one."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from biocnn.explain.ranges import Kernel, Span, cut


@st.composite
def kernels(draw) -> Kernel:
    size = draw(st.integers(1, 9))
    return Kernel(size, draw(st.integers(1, size)), draw(st.integers(0, size)))


def sees(kernel: Kernel, output: int) -> set[int]:
    first = output * kernel.stride - kernel.before
    return set(range(first, first + kernel.size))


@given(kernels(), st.integers(-20, 20), st.integers(1, 12))
def test_touched_outputs_are_exactly_those_that_see_an_input(kernel, start, width):
    found = kernel.touched(Span(start, width, kernel.stride))
    inputs = set(range(start, start + width))
    assert list(range(found.start, found.stop)) == [o for o in range(-60, 60) if sees(kernel, o) & inputs]


@given(kernels(), st.integers(-20, 20), st.integers(1, 12))
def test_seen_is_the_inverse_of_touched(kernel, start, width):
    outputs, inputs = Span(start, width), Span(start, width, kernel.stride)
    found = kernel.seen(outputs)
    assert set(range(found.start, found.stop)) == set.union(*(sees(kernel, o) for o in range(start, start + width)))
    back = kernel.seen(kernel.touched(inputs))
    assert back.start <= inputs.start
    assert back.stop >= inputs.stop


@given(st.lists(kernels(), max_size=4), st.integers(0, 50), st.integers(1, 5))
def test_edits_a_multiple_of_the_stride_apart_touch_segments_of_equal_width_in_every_layer(stack, start, number):
    stride = 1
    for kernel in stack:
        stride *= kernel.stride
    together, apart = Span(start, 1, stride), Span(start + number * stride, 1, stride)
    for kernel in stack:
        together, apart = kernel.touched(together), kernel.touched(apart)
        assert apart == Span(together.start + number * together.step, together.width, together.step)


def test_ends_of_segments():
    span = Span(-2, 5, 3)
    assert (span.stop, span.end(1), span.end(4)) == (3, 3, 12)
    assert not span.inside(20, 1)
    assert Span(0, 5, 3).inside(14, 4)
    assert not Span(0, 5, 3).inside(13, 4)


@given(st.integers(0, 7), st.integers(1, 60), st.integers(1, 80), st.integers(1, 200))
def test_blocks_contain_every_position_of_every_example_once_and_respect_the_limit(examples, length, stride, most):
    found, groups = [], list(cut(examples, length, stride, most))
    for blocks in groups:
        for block in blocks:
            assert (block.last - block.first) * block.count <= most
            places = [block.span.start + i * block.span.step for i in range(block.count)]
            assert block.span.width == 1
            assert all(b - a == stride for a, b in pairwise(places))
            found += [(example, place) for example in range(block.first, block.last) for place in places]
    assert sorted(found) == [(example, place) for example in range(examples) for place in range(length)]
    assert all(len({(block.first, block.last) for block in blocks}) == 1 for blocks in groups)
