"""Score substitutions at one position of many windows without a second scan, for DeepBind."""

from functools import reduce

import numpy as np
import torch
from torch import Tensor

from biocnn.models.deepbind import DeepBind
from biocnn.nn.encode import one_hot
from biocnn.nn.words import WordMixture, network_of
from biocnn.prediction.model import Model
from biocnn.prediction.sliding import POOLS, kernels_of, scan, tabulate, weigh

VALUES = 2**20  # values of a scan per batch: the size of CPU caches
CLOSE = 1e-4  # tolerated difference of logits, relative to the largest


class Substitutions:
    """Logits of windows, and of the same windows with another base at one position, from one scan of each.

    Each kernel of a DeepBind overlaps a base at as many positions as it is long. There the scan of the mutant is that
    of the window plus the difference of two columns of the kernel; elsewhere both are the same. Words that are mixed
    with the network are counted in each window.

    Parameters
    ----------
    model
        Model that ``supports`` accepts.
    """

    def __init__(self, model: Model) -> None:
        self.whole, self.device = model.network.eval(), model.device
        self.network = network_of(model.network)
        weight, self.bias = kernels_of(self.network)
        (self.table, self.places), self.size = tabulate(weight), weight.shape[2]
        columns = weight.flip(2).permute(1, 2, 0)  # by base: (4, size, C)
        self.difference = (columns[None] - columns[:, None]).flatten(0, 1)  # by 4 * old base + new base

    @torch.inference_mode()
    def logits(self, codes: np.ndarray, window: np.ndarray, new: np.ndarray, place: int) -> tuple[Tensor, Tensor]:
        """Compute the logits of windows and of mutants.

        Parameters
        ----------
        codes
            Windows, shape (N, L), uint8; with a known base in column ``place``.
        window, new
            Shape (M,): rows of ``codes`` in ascending order, and the new base of each mutant, 0-3.
        place
            Column of all mutations.

        Returns
        -------
        reference, alternative
            Shapes (N, K) and (M, K), float32.
        """
        rows = max(8, VALUES // (len(self.bias) * (codes.shape[1] + self.size - 1)))
        found = []
        for start in range(0, len(codes), rows):
            first, last = np.searchsorted(window, [start, start + rows])
            here = torch.from_numpy(codes[start : start + rows]).to(self.device)
            found.append(
                self._batch(
                    here,
                    torch.from_numpy(window[first:last] - start).to(self.device),
                    torch.from_numpy(new[first:last]).to(self.device).long(),
                    place,
                )
            )
        reference, alternative = (torch.cat(part).cpu().numpy() for part in zip(*found, strict=True))
        return reference, alternative

    def _batch(self, codes: Tensor, window: Tensor, new: Tensor, place: int) -> tuple[Tensor, Tensor]:
        whole, old = scan(codes, self.table, self.places, self.size), codes[:, place].long()[window]
        before, near, behind = whole.split([place, self.size, codes.shape[1] - 1 - place], dim=1)
        mutated = near[window] + self.difference[4 * old + new]
        reference, alternative = [], []
        for pool in POOLS[self.network.pool.kind]:
            beyond = [pool.over(part, self.bias) for part in (before, behind) if part.shape[1]]
            reference.append(reduce(pool.join, [*beyond, pool.over(near, self.bias)]))
            beyond = [part[window] for part in beyond]
            alternative.append(reduce(pool.join, [*beyond, pool.over(mutated, self.bias)]))
        found = [weigh(self.network, pooled, self.bias, whole.shape[1]) for pooled in (reference, alternative)]
        if not isinstance(self.whole, WordMixture):
            return found[0], found[1]
        mutants = codes[window]
        mutants[:, place] = new.to(codes.dtype)
        mix, words = self.whole.mix, self.whole.words
        return mix(found[0], words(one_hot(codes))), mix(found[1], words(one_hot(mutants)))


def supports(model: Model) -> bool:
    """Return whether substitutions can be propagated through a model."""
    network = network_of(model.network)
    return type(network) is DeepBind and network.bases_only and model.precision == "float32"
