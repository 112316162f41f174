"""Receptive field, output size, and a table of the layers of a network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.nn.layers import Size, per_axis

CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# These mix all positions by their statistics, which the receptive field should not count.
STATISTICS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)
PHASES = 32  # number of neighbouring outputs compared; with pooling their fields differ
NARROW = 32  # input size along the other axes
WIDEST = 2**14


@dataclass(frozen=True)
class Row:
    """A layer: output shape with the batch axis, number of weights, multiply-adds per example, and the numbers of the
    layers whose outputs it receives, directly or through functions; 0 is the first layer.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    multiply_adds: int
    sources: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Summary:
    """The layers of a model in order of execution; ``str`` gives a table. Boxes have no shape."""

    rows: list[Row]
    shape: tuple[int, ...]
    weights: int

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions and linear layers per example."""
        return sum(row.multiply_adds for row in self.rows)

    def __str__(self) -> str:
        rows = [*self.rows, Row("total", "", self.shape, self.weights, self.multiply_adds)]
        cells = [("layer", "kind", "output", "weights", "multiply-adds")]
        cells += [
            (r.name, r.kind, " x ".join(map(str, r.shape[1:])), f"{r.weights:,}", f"{r.multiply_adds:,}") for r in rows
        ]
        name, kind, shape, weights, cost = (max(map(len, column)) for column in zip(*cells, strict=True))
        return "\n".join(
            f"{a:<{name}}  {b:<{kind}}  {c:>{shape}}  {d:>{weights}}  {e:>{cost}}".rstrip() for a, b, c, d, e in cells
        )


def summary(model: nn.Module, size: Size) -> Summary:
    """List each layer with its output shape, weights and multiply-adds.

    A layer that runs twice has two rows, with its weights in the first. Norms, activations and pooling cost little and
    do not count.

    Parameters
    ----------
    model
        Network whose first layer is a convolution, which determines the channels and dimensions of the input.
    size
        Size of the input along each axis, or one number for all axes.
    """
    rows: list[Row] = []
    seen: set[str] = set()
    made: dict[Any, int] = {}  # layer of each node of the graph that autograd records

    def record(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Any], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            while isinstance(output, tuple):  # of recurrent layers: values, maybe packed, and states
                output = output[0]
            weights = 0 if name in seen else sum(p.numel() for p in module.parameters())
            seen.add(name)
            # Anything stacked in the batch (e.g. two strands) counts for the single input example.
            cost = _multiply_adds(module, inputs[0], output)
            shape = tuple(output.shape)
            if isinstance(module, nn.RNNBase) and module.batch_first:
                shape = (shape[0], *shape[:0:-1])
            sources = _sources([x.grad_fn for x in inputs if isinstance(x, Tensor) and x.grad_fn], made)
            made[output.grad_fn] = len(rows)
            rows.append(Row(name, type(module).__name__, shape, weights, cost, sources))

        return hook

    with _inspection_copy(model) as copy:
        for name, module in copy.named_modules():
            if not any(module.children()):
                module.register_forward_hook(record(name))
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(lambda _: None, lambda kept: kept):
            x = _zeros(copy, size)
            x[:, 0] = 1  # known bases: without any, a sequence is padding, and masks take part
            output = copy(x.requires_grad_().clone())
    return Summary(rows, _shape(output), sum(p.numel() for p in model.parameters()))


def _sources(nodes: list[Any], made: dict[Any, int]) -> frozenset[int]:
    """Return the layers whose outputs the nodes were computed from, without passing through other layers."""
    found, waiting, seen = set(), list(nodes), set()
    while waiting:
        node = waiting.pop()
        if node in made:
            found.add(made[node])
        elif node not in seen:
            seen.add(node)
            waiting += [other for other, _ in node.next_functions if other]
    return frozenset(found)


def _multiply_adds(module: nn.Module, x: Tensor, output: Tensor) -> int:
    if isinstance(module, CONV):
        return output.numel() * module.in_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, TRANSPOSED):
        return x.numel() * module.out_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, nn.RNNBase):
        return output.numel() // output.shape[-1] * sum(p.numel() for p in module.parameters() if p.ndim > 1)
    return 0


def output_size(model: nn.Module, size: Size) -> tuple[int, ...]:
    """Return the output size of a model along each axis for an input of ``size``; ``()`` if it has no axes.

    Runs the model on zeros; ``size`` is one number for all axes, or one per axis.
    """
    with _inspection_copy(model) as copy:
        return _shape(copy(_zeros(copy, size)))[2:]


def _shape(output: Tensor | list[Tensor]) -> tuple[int, ...]:
    """Return the shape of logits; () for the boxes of each image."""
    return tuple(output.shape) if isinstance(output, Tensor) else ()


def receptive_field(model: nn.Module) -> tuple[int | None, ...]:
    """Measure how many input positions along each axis affect one output position.

    Works for any network: part of the input is set to NaN, and the outputs that remain finite do not depend on it. With
    pooling, the fields of neighbouring outputs differ, and the largest is returned. Norms by an image's own statistics
    (instance, group) are ignored.

    Returns
    -------
    sizes
        One per axis; None if an output depends on the entire input, as after global pooling.

    Raises
    ------
    InputError
        If the model has no convolution, or does not accept the input size tried.
    """
    with _inspection_copy(model, without=STATISTICS) as copy:
        _, spatial_dims = _input_of(copy)
        return tuple(_along(copy, axis, spatial_dims) for axis in range(spatial_dims))


def _along(model: nn.Module, axis: int, spatial_dims: int) -> int | None:
    width, outputs = 4 * PHASES, 0
    while width <= WIDEST:
        size = [NARROW] * spatial_dims
        size[axis] = width
        masked = _Masked(model, size, axis)
        if masked.outputs == outputs:  # pooled globally, or to a fixed number
            return None
        first = masked.outputs // 2
        spans = [masked.span(o) for o in range(first, min(first + PHASES, masked.outputs))]
        if min(a for a, _ in spans) > 0 and max(b for _, b in spans) < width:
            return max(b - a for a, b in spans)
        width, outputs = 2 * width, masked.outputs
    return None


class _Masked:
    """A model on inputs whose near or far part along one axis is NaN."""

    def __init__(self, model: nn.Module, size: list[int], axis: int) -> None:
        self.model, self.size, self.axis = model, size, axis
        self.known: dict[tuple[int, int], Tensor] = {}
        shape = _shape(model(_zeros(model, size)))
        self.outputs = shape[2 + axis] if len(shape) == 2 + len(size) else 0

    def span(self, o: int) -> tuple[int, int]:
        """Return the half-open interval of the input that affects output ``o``."""
        width = self.size[self.axis]
        start = self._last(lambda n: not self._seen(0, n)[o], width)
        return start, width - self._last(lambda n: not self._seen(width - n, width)[o], width)

    def _last(self, fine: Callable[[int], bool], width: int) -> int:
        """Return the largest n for which ``fine`` holds, given that it holds for all smaller n."""
        low, high = 0, width
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fine(middle) else (low, middle - 1)
        return low

    def _seen(self, start: int, end: int) -> Tensor:
        """Return which outputs are NaN if the input is NaN from ``start`` to ``end``."""
        if (start, end) not in self.known:
            x = _zeros(self.model, self.size)
            x.narrow(2 + self.axis, start, end - start).fill_(torch.nan)
            output = self.model(x).isnan().transpose(1, 2 + self.axis).transpose(0, 1)
            self.known[start, end] = output.flatten(1).any(1)
        return self.known[start, end]


@contextmanager
def _inspection_copy(model: nn.Module, without: tuple[type[nn.Module], ...] = ()) -> Iterator[nn.Module]:
    """Yield a copy on the CPU in evaluation mode, without gradients and without some layers."""
    copy = deepcopy(model).cpu().float().eval()
    for parent in list(copy.modules()):
        for name, child in parent.named_children():
            if isinstance(child, without):
                setattr(parent, name, nn.Identity())
    with torch.no_grad():
        yield copy


def _input_of(model: nn.Module) -> tuple[int, int]:
    """Return the channels and dimensions of the input, from the first convolution."""
    for module in model.modules():
        if isinstance(module, CONV):
            return module.in_channels, len(module.kernel_size)
    raise InputError(f"{type(model).__name__} has no convolution", "its input shape is unknown")


def _zeros(model: nn.Module, size: Sequence[int] | int) -> Tensor:
    channels, spatial_dims = _input_of(model)
    return torch.zeros(1, channels, *per_axis("size", size, spatial_dims))
