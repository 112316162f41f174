"""Which positions of each layer a change can reach: arithmetic of intervals, without a network."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Stretches of one width, from ``start``, ``start + step``, ``start + 2 * step`` and so on.

    Each is what one of several edits can change in a layer. They may reach beyond the layer's ends.
    """

    start: int
    width: int
    step: int = 1

    @property
    def stop(self) -> int:
        """Behind the first stretch."""
        return self.start + self.width

    def end(self, count: int) -> int:
        """Behind the last of so many stretches."""
        return self.stop + (count - 1) * self.step

    def inside(self, length: int, count: int) -> bool:
        """Whether so many stretches lie within positions 0 to ``length``."""
        return self.start >= 0 and self.end(count) <= length


@dataclass(frozen=True)
class Kernel:
    """Output o sees ``size`` inputs from ``o * stride - before`` on; no input is left out."""

    size: int
    stride: int
    before: int

    def touched(self, span: Span) -> Span:
        """The outputs that see any of the inputs."""
        start = -((self.size - 1 - self.before - span.start) // self.stride)
        stop = (span.stop - 1 + self.before) // self.stride + 1
        return Span(start, stop - start, span.step // self.stride)

    def seen(self, span: Span) -> Span:
        """The inputs that the outputs see."""
        width = (span.width - 1) * self.stride + self.size
        return Span(span.start * self.stride - self.before, width, span.step * self.stride)


@dataclass(frozen=True)
class Block:
    """Edits made together: examples ``first`` to ``last``, and ``count`` positions."""

    first: int
    last: int
    span: Span
    count: int


def cut(examples: int, length: int, stride: int, most: int) -> Iterator[list[Block]]:
    """Cut all positions of all examples into blocks of at most so many; a list for each group of examples.

    Positions of a block lie ``stride`` apart, as far as an input must move to move every layer by whole positions: so
    the edits of a block reach stretches of one width in each layer, and lie at one place in them.

    Parameters
    ----------
    examples, length
        Number of sequences, and of positions in each.
    stride
        Product of the strides of all layers.
    most
        Positions in a block, counted in every example of it.
    """
    longest = -(-length // stride)
    group, pieces = max(1, most // longest), -(-longest // most)
    count = -(-longest // pieces)
    for first in range(0, examples, group):
        yield [
            Block(
                first, min(first + group, examples), Span(start, 1, stride), min(count, -(-(length - start) // stride))
            )
            for phase in range(min(stride, length))
            for start in range(phase, length, count * stride)
        ]
