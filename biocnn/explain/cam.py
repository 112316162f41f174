"""Grad-CAM in one to three dimensions: locate what supports a class in an image."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from biocnn.core.errors import InputError, nearest
from biocnn.explain.attributions import evaluating
from biocnn.models.detector import Detector

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}


def grad_cam(
    model: nn.Module,
    x: Tensor,
    output: int = 0,
    layer: str | None = None,
    rivals: int | None = None,
    region: Tensor | None = None,
) -> Tensor:
    """Sum the channels of a layer, weighted by their influence on an output.

    If the model gives one logit per image, this is the output. If it gives one per pixel, the output is the mean logit
    over the pixels predicted as the class: those with a positive logit for a single output, else those whose logit is
    largest. An image without such pixels has a map of zeros. For a network that ends in average pooling and a linear
    layer, the map of the pooled layer is the positive part of its CAM (Zhou et al.).

    Parameters
    ----------
    model
        Network from (N, C, *spatial) to logits (N, K) or (N, K, *spatial).
    x
        Input of the model, shape (N, C, *spatial).
    output
        Index of the class.
    layer
        Name of a module, as in ``model.named_modules()``; None for ``default_layer``.
    rivals
        Number of leading outputs whose maximum is the predicted class; None for all.
    region
        Shape (N, *spatial), bool: average over these pixels instead, e.g. those of an object (``labels == 7``).

    Returns
    -------
    cam
        Shape (N, *spatial), 0 to 1; the maximum of each image is 1, or 0 if nothing supports the class.

    References
    ----------
    Selvaraju et al., ICCV 2017, doi:10.1109/ICCV.2017.74; for segmentation Vinogradova et al., AAAI 2020,
    doi:10.1609/aaai.v34i10.7244; CAM: Zhou et al., CVPR 2016, doi:10.1109/CVPR.2016.319.
    """
    modules = dict(model.named_modules())
    layer = default_layer(model, x[:1]) if layer is None else layer
    if layer not in modules:
        raise InputError(f"the model has no layer {layer!r}", nearest(layer, [name for name in modules if name]))
    features: list[Tensor] = []
    with evaluating(model), torch.enable_grad(), watched({"": modules[layer]}, lambda _, out: features.append(out)):
        logits = model(x.detach().requires_grad_(True))
        (gradient,) = torch.autograd.grad(_score(logits, output, rivals, region), features[-1])
    space = tuple(range(2, gradient.ndim))
    cam = (gradient.mean(dim=space, keepdim=True) * features[-1]).sum(dim=1, keepdim=True).relu().detach().float()
    cam = F.interpolate(cam, size=x.shape[2:], mode=INTERPOLATION[len(space)], align_corners=False)[:, 0]
    return cam / cam.flatten(1).amax(dim=1).clamp(min=torch.finfo(cam.dtype).tiny).view(-1, *[1] * len(space))


def default_layer(model: nn.Module, x: Tensor) -> str:
    """Return the layer with the most informative activation map: the last one with spatial features.

    This is the output of the last convolution that does not compute the logits, after norm, activation and joining with
    others if these are modules; of a network that finds boxes, of the last one that its other parts share. For
    segmentation networks the choice is arbitrary: features of the bottleneck and decoder of a U-Net often light up next
    to or around the objects, because skip connections carry the rest.

    Parameters
    ----------
    model
        See ``grad_cam``.
    x
        One image, shape (1, C, *spatial).

    Raises
    ------
    InputError
        If the model has no spatial convolution other than that for the logits.
    """
    seen: list[tuple[str, tuple[int, ...]]] = []
    leaves = leaves_of(model)
    with evaluating(model), torch.no_grad(), watched(leaves, lambda name, out: seen.append((name, tuple(out.shape)))):
        logits = model(x)
    outputs = logits.shape[1] if isinstance(logits, Tensor) else 0
    hidden = [
        place
        for place, (name, shape) in enumerate(seen)
        if isinstance(leaves[name], CONVOLUTIONS)
        and shape[1] != outputs
        and len(shape) == x.ndim
        and max(shape[2:]) > 1
    ]
    if not hidden:
        raise InputError(
            f"{type(model).__name__} has no hidden convolution with spatial output", "name the layer for Grad-CAM"
        )
    last, shape = seen[hidden[-1]]
    for name, following in seen[hidden[-1] + 1 :]:
        if following[2:] != shape[2:] or isinstance(leaves[name], CONVOLUTIONS):
            break
        last = name
    return last


def leaves_of(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of a network by name; of one that finds boxes, those that its other parts share."""
    shared = "features." if isinstance(model, Detector) else ""
    return {
        name: module for name, module in model.named_modules() if name.startswith(shared) and not any(module.children())
    }


def _score(logits: Tensor, output: int, rivals: int | None, region: Tensor | None) -> Tensor:
    """Sum the logit, or its mean over the region or the pixels predicted as the class, over images."""
    if logits.ndim == 2:
        return logits[:, output].sum()
    if region is None:
        among = logits[:, :rivals]
        region = among[:, output] > 0 if among.shape[1] == 1 else among.argmax(dim=1) == output
    pixels = region.flatten(1).to(logits)
    return ((logits[:, output].flatten(1) * pixels).sum(dim=1) / pixels.sum(dim=1).clamp(min=1)).sum()


@contextmanager
def watched(modules: dict[str, nn.Module], note: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Call ``note(name, output)`` whenever one of the modules runs."""
    handles = [
        module.register_forward_hook(lambda _, __, out, name=name: note(name, out)) for name, module in modules.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
