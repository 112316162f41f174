"""Interval arithmetic: which positions of each layer a change can reach."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Segments of equal width at ``start``, ``start + step``, ``start + 2 * step`` and so on.

    Each is what one of several edits can change in a layer. Segments may extend beyond the ends of the layer.
    """

    start: int
    width: int
    step: int = 1

    @property
    def stop(self) -> int:
        """End of the first segment (exclusive)."""
        return self.start + self.width

    def end(self, count: int) -> int:
        """Return the end of the last of ``count`` segments (exclusive)."""
        return self.stop + (count - 1) * self.step

    def inside(self, length: int, count: int) -> bool:
        """Return whether ``count`` segments lie within positions 0 to ``length``."""
        return self.start >= 0 and self.end(count) <= length


@dataclass(frozen=True)
class Kernel:
    """Output o depends on ``size`` inputs from ``o * stride - before`` on; no input is skipped."""

    size: int
    stride: int
    before: int

    def touched(self, span: Span) -> Span:
        """Return the outputs that depend on any of the inputs."""
        start = -((self.size - 1 - self.before - span.start) // self.stride)
        stop = (span.stop - 1 + self.before) // self.stride + 1
        return Span(start, stop - start, span.step // self.stride)

    def seen(self, span: Span) -> Span:
        """Return the inputs that the outputs depend on."""
        width = (span.width - 1) * self.stride + self.size
        return Span(span.start * self.stride - self.before, width, span.step * self.stride)


@dataclass(frozen=True)
class Block:
    """Edits evaluated together: examples ``first`` to ``last``, and ``count`` positions."""

    first: int
    last: int
    span: Span
    count: int


def cut(examples: int, length: int, stride: int, most: int) -> Iterator[list[Block]]:
    """Divide all positions of all examples into blocks of at most ``most``; yield a list per group of examples.

    Positions of a block lie ``stride`` apart, the shift of the input that shifts each layer by whole positions. So the
    edits of a block reach segments of equal width in each layer, with equal offsets.

    Parameters
    ----------
    examples, length
        Number of sequences, and number of positions in each.
    stride
        Product of the strides of all layers.
    most
        Maximum number of positions in a block, over all its examples.
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
