"""Predict a large image with biocnn, from raw pixels to a mask."""

import numpy as np
import torch

from benchmarks.sides.common import clock, read_task, report
from biocnn.prediction.model import Model

WARM = 512  # side of the corner predicted for warm-up


def main() -> None:
    """Predict, save the mask, report the time."""
    task = read_task()
    image = np.load(f"{task['data']}/large.npy")
    model = Model(task["model"])
    model.predict(image[:WARM, :WARM])
    started = clock()
    mask = model.predict(image)[0] > 0.5
    seconds = clock() - started
    np.save(task["mask"], mask)
    report({"image": seconds}, threads=torch.get_num_threads(), precision=model.precision)


main()
