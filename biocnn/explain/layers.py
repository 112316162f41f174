"""Units of a network: the values of a layer, which of them its outputs use, and which pixels they see."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from biocnn.core.errors import InputError
from biocnn.explain.attributions import evaluating
from biocnn.explain.cam import watched
from biocnn.nn.summary import STATISTICS

RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU)
POOLS = {nn.MaxPool1d: nn.AvgPool1d, nn.MaxPool2d: nn.AvgPool2d, nn.MaxPool3d: nn.AvgPool3d}
NARROW, WIDEST = 32, 2048  # input sizes for which fields are measured


class Reached(Exception):
    """Ends the computation of a network whose other layers are not needed."""


class Layer(nn.Module):
    """The units of a layer of a network: (N, C, *spatial) to what they compute before their activation.

    Parameters
    ----------
    network
        Network in evaluation mode.
    name
        Name of a module, as in ``network.named_modules()``; "": the outputs.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, stop=True)[0]

    def with_output(self, x: Tensor) -> tuple[Tensor, Tensor | list[Tensor]]:
        """Return the values of the layer and the output of the network."""
        return self._run(x, stop=False)

    def _run(self, x: Tensor, *, stop: bool) -> tuple[Tensor, Tensor | list[Tensor]]:
        module, found = self.network.get_submodule(self.name), []

        def note(values: Tensor) -> None:
            found.append(values.clone())  # an activation may overwrite them
            if stop:
                raise Reached

        if isinstance(module, RECTIFIERS):
            handle = module.register_forward_pre_hook(lambda _, inputs: note(inputs[0]))
        else:
            handle = module.register_forward_hook(lambda _, __, output: note(output))
        try:
            output = self.network(x)
        except Reached:
            output = x
        finally:
            handle.remove()
        return found[-1], output


def uses(network: nn.Module, layer: str, images: Sequence[Tensor], logits: Sequence[int]) -> Tensor:
    """Return how much outputs use each channel of a layer: shape (channels,); the sum is 1.

    The use by an output is the magnitude of the sum of gradient times activation over all positions, averaged over
    images, as a share of all channels; of a map, the mean logit counts. All outputs count equally. Of a network that
    finds boxes, the scores are the output.

    Parameters
    ----------
    network
        Network in evaluation mode.
    layer
        Name of a module.
    images
        Inputs, shape (1, C, *spatial) each.
    logits
        Indices of the outputs.
    """
    total: dict[int, Tensor] = {}
    module = network.get_submodule(layer)
    for x in images:
        seen: dict[str, Tensor] = {}
        with evaluating(network), torch.enable_grad():
            with watched({"": module}, seen.__setitem__):
                output = network(x.detach().requires_grad_(True))
            features = seen[""]
            for k, score in _scores(output, logits).items():
                gradient = torch.autograd.grad(score, features, retain_graph=True, allow_unused=True)[0]
                values = torch.zeros_like(features) if gradient is None else gradient * features.detach()
                total[k] = total.get(k, 0) + values.flatten(2).sum(2)[0].abs()
    shares = torch.stack([one / one.sum().clamp(min=torch.finfo(one.dtype).tiny) for one in total.values()])
    return shares.mean(0).detach()


def _scores(output: Tensor | list[Tensor], logits: Sequence[int]) -> dict[int, Tensor]:
    if isinstance(output, Tensor):
        return {k: output[:, k].mean() for k in logits}
    return {0: torch.stack([boxes[:, 1].sum() for boxes in output]).sum()}


class Field(NamedTuple):
    """The input pixels along one axis that can affect position o of a layer: ``size`` of them around
    ``centre + stride * o``.
    """

    size: int
    stride: float
    centre: float

    def middle(self, position: Any) -> Any:
        """Return the centre of the pixels that affect a position, or positions; pixel 0 has its centre at 0."""
        return self.centre + self.stride * position


def receptive_fields(layer: Layer, in_channels: int, spatial_dims: int) -> list[Field | None]:
    """Return the field along each axis; None if a position may depend on the whole image, or the network has one size.

    Gradients that are NaN at one position reach all pixels that can affect it through convolutions, norms, poolings and
    activations, whatever their weights. Norms by an image's own statistics (instance, group) are left out.
    """
    linear = Layer(_linear(layer.network), layer.name)
    try:
        with torch.enable_grad():
            return [_along(linear, in_channels, spatial_dims, axis) for axis in range(spatial_dims)]
    except (RuntimeError, InputError):  # the network does not accept images of this size
        return [None] * spatial_dims


def _linear(network: nn.Module) -> nn.Module:
    """Return a copy in which gradients reach all inputs of each layer, not only those of the largest value."""
    copy = deepcopy(network).cpu().float().eval()
    for parent in list(copy.modules()):
        for name, child in parent.named_children():
            if isinstance(child, (nn.ReLU, nn.ReLU6, *STATISTICS)):
                setattr(parent, name, nn.Identity())
            for largest, average in POOLS.items():
                if isinstance(child, largest):
                    sizes = (child.kernel_size, child.stride, child.padding, child.ceil_mode)
                    setattr(parent, name, average(*sizes))
    return copy


def _along(layer: Layer, in_channels: int, spatial_dims: int, axis: int) -> Field | None:
    width, before = 128, 0
    while width <= WIDEST:
        size = [NARROW] * spatial_dims
        size[axis] = width
        x = torch.randn(1, in_channels, *size, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
        values = layer(x)
        if values.ndim != x.ndim or values.shape[2 + axis] == before:  # pooled globally, or to a fixed number
            return None
        before = values.shape[2 + axis]
        # Fields of neighbours differ after upsampling, until the coarsest grid repeats.
        apart = max(1, NARROW * before // width)
        first = max(0, (before - apart) // 2)
        spans = [_span(values, x, axis, position) for position in (first, min(first + apart, before - 1))]
        if min(start for start, _ in spans) > 0 and max(end for _, end in spans) < width:
            (start, end), (last, _) = spans
            stride = (last - start) / apart
            return Field(end - start, stride, (start + end - 1) / 2 - stride * first)
        width *= 2
    return None


def _span(values: Tensor, x: Tensor, axis: int, position: int) -> tuple[int, int]:
    """Return the half-open interval of the input that affects a position along an axis."""
    marked = torch.zeros_like(values)
    marked.select(2 + axis, position).fill_(torch.nan)
    (gradient,) = torch.autograd.grad(values, x, marked, retain_graph=True)
    seen = gradient.isnan().movedim(2 + axis, 0).flatten(1).any(1).nonzero()[:, 0]
    return int(seen[0]), int(seen[-1]) + 1
