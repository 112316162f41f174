"""Which probabilities the positives of the validation split reach in a scan, for the thresholds of scans."""

import numpy as np
import torch
from torch import nn

from biocnn.data.dataset import Dataset
from biocnn.training.batches import BATCH, SequenceBatches
from biocnn.training.forward import logits_of

SHIFT = 5  # bp between the windows around a positive


@torch.inference_mode()
def recall_levels(
    network: nn.Module, val: SequenceBatches, temperatures: list[float], precision: str
) -> list[list[float]]:
    """Return the probabilities that 100%, 99%, ..., 0% of the positives of the validation split reach in a scan.

    A scan sees a positive in many windows; it reaches the maximum over windows shifted by 5 bp, up to its flanks.

    Returns
    -------
    levels
        101 ascending probabilities for each output; an empty list if it has no positives.
    """
    network.eval()
    divisor = torch.tensor(temperatures, device=val.codes.device)
    maxima = []
    for stored in zip(val.codes.split(BATCH), val.signal.split(BATCH), strict=True):
        logits = [logits_of(network, val.see(*stored, shift), precision) for shift in shifts(val.flank)]
        maxima.append((torch.stack(logits).amax(0) / divisor).sigmoid().cpu().double().numpy())
    p, y = np.concatenate(maxima), val.y.cpu().numpy()
    positives = [p[y[:, k] == 1, k] for k in range(y.shape[1])]
    return [np.quantile(one, np.linspace(0, 1, 101)).round(6).tolist() if len(one) else [] for one in positives]


def recalls(dataset: Dataset) -> bool:
    """Return whether the levels of ``recall_levels`` are defined."""
    return bool(dataset.task.positives) and dataset.input.scanned


def shifts(flank: int) -> range:
    """Return by how many bp the windows around a positive are shifted."""
    return range(flank % SHIFT - flank, flank + 1, SHIFT)
