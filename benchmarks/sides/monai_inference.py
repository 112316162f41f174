"""Predict a large image with MONAI's sliding window and the same weights in float32, from scaled pixels."""

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor

from benchmarks.sides.common import DEVICE, clock, read_task, report
from biocnn.training.checkpoint import load_model

WARM = 512  # side of the corner predicted for warm-up


@torch.no_grad()
def main() -> None:
    """Predict, save the mask, report the time."""
    task = read_task()
    arrays = np.load(f"{task['data']}/peers.npz")
    pixels = (np.load(f"{task['data']}/large.npy").astype(np.float32) - arrays["low"]) / (
        arrays["high"] - arrays["low"]
    )
    image = torch.from_numpy(pixels)[None]
    network, _ = load_model(task["model"])
    network = network.to(DEVICE, memory_format=torch.contiguous_format)

    def predict(x: Tensor) -> Tensor:
        return sliding_window_inference(x.to(DEVICE), task["patch"], task["batch_size"], network, overlap=0.25)

    predict(image[..., :WARM, :WARM])
    started = clock()
    mask = (predict(image).sigmoid() > 0.5).cpu().numpy()
    seconds = clock() - started
    np.save(task["mask"], mask[0, 0])
    report({"image": seconds})


main()
