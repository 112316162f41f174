"""Layers of torch by name and number of dimensions.

Layers are specified by plain data, so that they can be written in YAML: ``"batch"``, ``None``, or a name with settings,
``{"name": "group", "num_groups": 4}``.
"""

from collections.abc import Collection, Sequence
from math import gcd
from typing import Any, Literal

from torch import Tensor, channels_last, channels_last_3d, nn
from torch.nn.functional import conv2d, pad

from biocnn.core.errors import InputError, nearest

Size = int | Sequence[int]
Named = str | dict[str, Any] | None

NORMS = ("batch", "instance", "group")
ACTS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


LAST = {4: channels_last, 5: channels_last_3d}  # by number of tensor axes


def to_channels_last(model: nn.Module) -> nn.Module:
    """Store the weights of 2D and 3D layers channels last, and so their outputs.

    No value changes. In 3D a training step takes a quarter less time, and a prediction a third.
    """
    for weight in model.parameters():
        if weight.ndim in LAST:
            weight.data = weight.data.contiguous(memory_format=LAST[weight.ndim])
    return model


def layer(kind: str, spatial_dims: int) -> type[nn.Module]:
    """Return the torch layer of a kind in a number of dimensions: ``layer("Conv", 1)`` is ``nn.Conv1d``.

    Raises
    ------
    InputError
        If ``spatial_dims`` is not 1, 2 or 3, or torch has no layer of that kind.
    """
    if spatial_dims not in (1, 2, 3):
        raise InputError(f"spatial_dims is {spatial_dims!r}", "allowed: 1 (sequences), 2 (images), 3 (volumes)")
    found = getattr(nn, f"{kind}{spatial_dims}d", None)
    if found is None:
        kinds = [name[:-2] for name in dir(nn) if name.endswith(f"{spatial_dims}d")]
        raise InputError(f"torch has no layer {kind!r} in {spatial_dims}D", nearest(kind, kinds))
    return found


def norm_layer(norm: Named, spatial_dims: int, channels: int) -> nn.Module | None:
    """Return a norm by name: batch, instance, group (8 groups, or fewer to divide the channels) or None."""
    if norm is None:
        return None
    name, settings = _named(norm, "norm", NORMS)
    if name == "group":
        settings = {"num_groups": gcd(8, channels), **settings}
        return _made("norm", name, nn.GroupNorm, num_channels=channels, **settings)
    if name == "instance":
        settings = {"affine": True, **settings}
    kind = BatchNorm1d if (name, spatial_dims) == ("batch", 1) else layer(f"{name.capitalize()}Norm", spatial_dims)
    return _made("norm", name, kind, num_features=channels, **settings)


def act_layer(act: Named) -> nn.Module | None:
    """Return an activation by name (see ``ACTS``), or None."""
    if act is None:
        return None
    name, settings = _named(act, "act", ACTS)
    return _made("act", name, ACTS[name], **settings)


def dropout_layer(kind: Literal["element", "spatial"], spatial_dims: int, probability: float) -> nn.Module:
    """Return dropout of single values (``element``) or of entire channels of an example (``spatial``)."""
    if kind not in ("element", "spatial"):
        raise InputError(f"dropout_kind is {kind!r}", nearest(str(kind), ["element", "spatial"]))
    return _made("dropout", kind, nn.Dropout if kind == "element" else layer("Dropout", spatial_dims), p=probability)


def per_axis(name: str, value: Size, spatial_dims: int) -> tuple[int, ...]:
    """Return a size per axis from one number or one per axis."""
    sizes = (value,) * spatial_dims if isinstance(value, int) else tuple(value)
    if len(sizes) != spatial_dims or any(size < 1 for size in sizes):
        raise InputError(
            f"{name} is {value!r}", f"give a whole number of at least 1, or {spatial_dims} of them, one per axis"
        )
    return sizes


def _named(value: Named, what: str, allowed: Collection[str]) -> tuple[str, dict[str, Any]]:
    settings: dict[str, Any] = dict(value) if isinstance(value, dict) else {"name": value}
    name = str(settings.pop("name", None))
    if name not in allowed:
        raise InputError(f"{what} is {value!r}", nearest(name, [*allowed, "None"]))
    return name, settings


def _made(what: str, name: str, kind: type[nn.Module], **settings: Any) -> nn.Module:
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} {name!r} cannot be made: {error}", f"see torch.nn.{kind.__name__}") from error


def as_image(x: Tensor) -> Tensor:
    """View (N, C, L) as (N, C, 1, L), channels last in memory."""
    return x.unsqueeze(2).contiguous(memory_format=channels_last)


class Conv1d(nn.Conv1d):
    """torch's layer as a convolution of images one pixel high, which is 2-3 times faster on CPUs."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, L); the output is channels last in memory."""
        sizes = [(1, *s) for s in (self.stride, self.dilation)]
        weight = self.weight.unsqueeze(2)
        return conv2d(as_image(x), weight, self.bias, sizes[0], (0, *self.padding), sizes[1], self.groups).squeeze(2)


class BatchNorm1d(nn.BatchNorm2d):
    """Batch norm of images one pixel high, which keeps channels last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, L)."""
        return super().forward(as_image(x)).squeeze(2)


class Conv(nn.Module):
    """A convolution with padding by name, for odd and even kernel sizes.

    Parameters
    ----------
    kernel_size, stride, dilation
        One number for all axes, or one per axis.
    padding
        How many zeros surround an input of length L, for a kernel that reaches r = dilation * (kernel_size - 1) beyond
        its first position: ``valid`` none (output L - r), ``same`` r in total (output L), ``full`` r on each side
        (output L + r: every window that overlaps the input). A stride s divides the output length, rounded up. If
        ``same`` has an odd number of zeros (even kernels), r // 2 go before and the rest after.
    groups
        Number of groups of channels that are convolved separately.
    bias
        Whether to add an offset to each output channel.

    Raises
    ------
    InputError
        If a size is below 1, the padding is unknown, or an input is smaller than a ``valid`` kernel.
    """

    conv: nn.Conv1d | nn.Conv2d | nn.Conv3d

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        *,
        stride: Size = 1,
        dilation: Size = 1,
        padding: Literal["valid", "same", "full"] = "same",
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        kind: Any = Conv1d if spatial_dims == 1 else layer("Conv", spatial_dims)
        kernel_size = per_axis("kernel_size", kernel_size, spatial_dims)
        dilation = per_axis("dilation", dilation, spatial_dims)
        stride = per_axis("stride", stride, spatial_dims)
        reach = tuple(d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True))
        if padding not in ("valid", "same", "full"):
            raise InputError(f"padding is {padding!r}", nearest(str(padding), ["valid", "same", "full"]))
        self.padding = padding
        both = {"valid": [0 for _ in reach], "same": [r // 2 for r in reach], "full": reach}[padding]
        # torch pads both ends equally at no cost; only an extra zero at the far end must be added beforehand.
        more = [r % 2 if padding == "same" else 0 for r in reach]
        self.extra = [n for after in reversed(more) for n in (0, after)] if any(more) else []
        self.zeros = [n for b, m in zip(reversed(both), reversed(more), strict=True) for n in (b, b + m)]
        self.least = tuple(r + 1 if padding == "valid" else 1 for r in reach)
        # With few channels, strided convolutions of size 1 in oneDNN write beyond their memory on some CPUs.
        apart = set(kernel_size) == {1} and set(stride) != {1}
        self.step = tuple(slice(None, None, s) for s in stride) if apart else None
        stride = (1,) * spatial_dims if apart else stride
        self.conv = kind(
            in_channels, out_channels, kernel_size, stride, tuple(both), dilation=dilation, groups=groups, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, in_channels, *spatial) to (N, out_channels, *spatial); ``padding`` determines the size."""
        if any(size < least for size, least in zip(x.shape[2:], self.least, strict=True)):
            raise InputError(
                f"the input of size {tuple(x.shape[2:])} is smaller than the kernel, {self.least}",
                "use padding: same or full, a smaller kernel, or larger input",
            )
        x = x[:, :, *self.step] if self.step else x
        return self.conv(pad(x, self.extra) if self.extra else x)
