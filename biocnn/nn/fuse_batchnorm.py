"""Fuse batch norm into convolutions: the same predictions with less time and memory."""

from copy import deepcopy

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from biocnn.nn.blocks import ConvBlock
from biocnn.nn.layers import to_channels_last


def fuse_batchnorm(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode with each batch norm fused into the convolution before it.

    Activations of blocks work in place, and weights of 2D and 3D layers are channels last; neither changes any value.
    Layers outside ``ConvBlock`` and the given network are unchanged.
    """
    fused = deepcopy(network).eval()
    for block in fused.modules():
        if isinstance(block, ConvBlock):
            _fuse(block)
    return to_channels_last(fused)


def _fuse(block: ConvBlock) -> None:
    norm, act = getattr(block, "norm", None), getattr(block, "act", None)
    if isinstance(norm, _BatchNorm) and norm.running_mean is not None:  # otherwise it uses batch statistics
        block.conv.conv = fuse_conv_bn_eval(block.conv.conv, norm)
        del block.norm
    if act is not None and hasattr(act, "inplace"):
        act.inplace = True  # nothing else reads the output of the convolution or norm
