"""What a network sees and costs: receptive field, output size, and a table of its layers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.nn.layers import Size, per_axis

CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# These mix all positions by their statistics, which is not what a receptive field is about.
STATISTICS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)
PHASES = 32  # neighbouring outputs compared: with pooling, they see differently far
NARROW = 32  # input size along the axes that are not measured
WIDEST = 2**14


@dataclass(frozen=True)
class Row:
    """One layer: shapes with the batch axis, number of weights, multiply-adds for one example."""

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """The layers of a model in the order in which they run; ``str`` gives a table."""

    rows: list[Row]
    shape: tuple[int, ...]
    weights: int

    @property
    def multiply_adds(self) -> int:
        """Of one example, convolutions and linear layers."""
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
    """List each layer with its output's shape, its weights and its multiply-adds.

    A layer that runs twice has two rows, its weights in the first. Normalisation, activations and pooling, which cost
    little, count as no multiply-adds.

    Parameters
    ----------
    model
        A network whose first layer of weights is a convolution, which tells the channels and dimensions of its input.
    size
        Size of the input along its axes, or one number for all.
    """
    rows: list[Row] = []
    seen: set[str] = set()

    def record(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            weights = 0 if name in seen else sum(p.numel() for p in module.parameters())
            seen.add(name)
            # What a model stacks in the batch (two strands, say) is work for the one example that came in.
            cost = _multiply_adds(module, inputs[0], output)
            rows.append(Row(name, type(module).__name__, tuple(output.shape), weights, cost))

        return hook

    with _copy_for_looking(model) as copy:
        for name, module in copy.named_modules():
            if not any(module.children()):
                module.register_forward_hook(record(name))
        output = copy(_zeros(copy, size))
    return Summary(rows, tuple(output.shape), sum(p.numel() for p in model.parameters()))


def _multiply_adds(module: nn.Module, x: Tensor, output: Tensor) -> int:
    if isinstance(module, CONV):
        return output.numel() * module.in_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, TRANSPOSED):
        return x.numel() * module.out_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    return 0


def output_size(model: nn.Module, size: Size) -> tuple[int, ...]:
    """The size of a model's output along its axes, for an input of ``size``; ``()`` where it has none.

    The model is run once on an input of zeros; ``size`` is one number for all axes, or one per axis.
    """
    with _copy_for_looking(model) as copy:
        return tuple(copy(_zeros(copy, size)).shape[2:])


def receptive_field(model: nn.Module) -> tuple[int | None, ...]:
    """How many positions along each axis of the input one position of the output can see.

    Measured, not derived, so it holds for whatever the network is made of: a part of the input is set to NaN, and the
    outputs that stay numbers do not see it. With pooling, neighbouring outputs see differently far: this is the most.
    Normalisation by an image's own statistics (instance, group) is left out of account.

    Returns
    -------
    sizes
        One per axis; None where an output sees all of the input, as after a global pooling.

    Raises
    ------
    InputError
        Where the model has no convolution, or takes no input of the size tried.
    """
    with _copy_for_looking(model, without=STATISTICS) as copy:
        _, spatial_dims = _input_of(copy)
        return tuple(_along(copy, axis, spatial_dims) for axis in range(spatial_dims))


def _along(model: nn.Module, axis: int, spatial_dims: int) -> int | None:
    width, outputs = 4 * PHASES, 0
    while width <= WIDEST:
        size = [NARROW] * spatial_dims
        size[axis] = width
        blind = _Blinded(model, size, axis)
        if blind.outputs == outputs:  # pooled to none, or to a fixed number
            return None
        first = blind.outputs // 2
        spans = [blind.span(o) for o in range(first, min(first + PHASES, blind.outputs))]
        if min(a for a, _ in spans) > 0 and max(b for _, b in spans) < width:
            return max(b - a for a, b in spans)
        width, outputs = 2 * width, blind.outputs
    return None


class _Blinded:
    """A model on inputs of which the near or the far part is NaN along one axis."""

    def __init__(self, model: nn.Module, size: list[int], axis: int) -> None:
        self.model, self.size, self.axis = model, size, axis
        self.known: dict[tuple[int, int], Tensor] = {}
        output = model(_zeros(model, size))
        self.outputs = output.shape[2 + axis] if output.ndim == 2 + len(size) else 0

    def span(self, o: int) -> tuple[int, int]:
        """The half-open interval of the input that output ``o`` sees."""
        width = self.size[self.axis]
        start = self._last(lambda n: not self._seen(0, n)[o], width)
        return start, width - self._last(lambda n: not self._seen(width - n, width)[o], width)

    def _last(self, fine: Callable[[int], bool], width: int) -> int:
        """The largest n for which ``fine`` holds, where it holds for all below."""
        low, high = 0, width
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fine(middle) else (low, middle - 1)
        return low

    def _seen(self, start: int, end: int) -> Tensor:
        """Which outputs are NaN when the input is so from ``start`` to ``end``."""
        if (start, end) not in self.known:
            x = _zeros(self.model, self.size)
            x.narrow(2 + self.axis, start, end - start).fill_(torch.nan)
            output = self.model(x).isnan().transpose(1, 2 + self.axis).transpose(0, 1)
            self.known[start, end] = output.flatten(1).any(1)
        return self.known[start, end]


@contextmanager
def _copy_for_looking(model: nn.Module, without: tuple[type[nn.Module], ...] = ()) -> Iterator[nn.Module]:
    """A copy on the CPU, in evaluation mode, to hook and feed without a trace; some layers passed through."""
    copy = deepcopy(model).cpu().float().eval()
    for parent in list(copy.modules()):
        for name, child in parent.named_children():
            if isinstance(child, without):
                setattr(parent, name, nn.Identity())
    with torch.no_grad():
        yield copy


def _input_of(model: nn.Module) -> tuple[int, int]:
    """Channels and dimensions of the input, read off the first convolution."""
    for module in model.modules():
        if isinstance(module, CONV):
            return module.in_channels, len(module.kernel_size)
    raise InputError(f"{type(model).__name__} has no convolution", "its input's shape cannot be told")


def _zeros(model: nn.Module, size: Sequence[int] | int) -> Tensor:
    channels, spatial_dims = _input_of(model)
    return torch.zeros(1, channels, *per_axis("size", size, spatial_dims))
