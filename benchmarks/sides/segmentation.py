"""Segment a large image: objects, labels and measurements with biocnn, or only the network's maps with MONAI.

Peak memory is that of the process, including libraries.
"""

import resource
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.sides.common import read_task, report


def biocnn(task: dict[str, Any]) -> int:
    """Process the file to labels and the table of objects."""
    from biocnn.apply.images import apply_images
    from biocnn.prediction.model import Model

    out = Path(task["out"])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    return apply_images(task["image"], [Model(task["model"], memory_gb=1.0)], out)["objects.csv"]


def monai(task: dict[str, Any]) -> int:
    """Process the file to maps of all pixels."""
    import numpy as np
    import tifffile
    import torch
    from monai.inferers import sliding_window_inference

    from biocnn.io.intensity import image_ranges
    from biocnn.nn.encode import normalise, to_tensor
    from biocnn.training.checkpoint import load_model

    image = tifffile.imread(task["image"])[None]
    network, meta = load_model(task["model"])
    common = meta.facts.intensity
    limits = image_ranges([image])[0] if meta.facts.normalise == "image" else np.float32([common.low, common.high])
    x = normalise(to_tensor(image)[None], *torch.from_numpy(limits))
    with torch.no_grad():
        p = sliding_window_inference(x, (256, 256), 4, network.to(memory_format=torch.contiguous_format), overlap=0.25)
    return p.shape[1]


def main() -> None:
    """Report time and peak memory."""
    task = read_task()
    began = time.perf_counter()
    found = {"biocnn": biocnn, "MONAI": monai}[task["tool"]](task)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    report({"image": seconds}, found=found, peak_gb=peak)


main()
