"""Plain loops in torch: data resident on the device, without augmentation, in the precision that biocnn chose."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.gpu.measure import DEVICE, timed


def training(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    batch: int,
    steps: int,
    precision: str,
) -> Callable[[], float]:
    """Return a function that trains for some steps on random batches and returns examples per second."""  # fmt: skip
    network, x, y = network.to(DEVICE).train(), x.to(DEVICE), y.to(DEVICE)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

    def run(number: int) -> None:
        order = torch.randint(len(x), (number, batch), device=DEVICE)
        for index in order:
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bfloat16"):
                logits = network(x[index])
            value = loss(logits.float(), y[index])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

    run(3)  # warm-up
    return lambda: steps * batch / timed(lambda: run(steps))[0]


def basic_unet(dims: int, channels: list[int]) -> nn.Module:
    """Return MONAI's BasicUNet with batch norm and biocnn's channels: the last upsampling also halves them."""
    from monai.networks.nets.basic_unet import BasicUNet, UpCat

    block = {"act": ("relu", {"inplace": True}), "norm": "batch", "bias": False}
    network = BasicUNet(dims, 1, 1, features=(*channels, channels[0]), **block)
    network.upcat_1 = UpCat(dims, channels[1], channels[0], channels[0], **block)
    return network
