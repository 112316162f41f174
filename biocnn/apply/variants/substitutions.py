"""Score substitutions at one position of many windows without a second scan, for DeepBind."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import relu

from biocnn.models.deepbind import DeepBind
from biocnn.nn.encode import one_hot
from biocnn.nn.words import WordMixture, network_of
from biocnn.prediction.model import Model

VALUES = 2**19  # values of a scan per batch: the size of CPU caches
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
        self.whole, network = model.network.eval(), network_of(model.network)
        self.network, self.conv, self.device = network, network.features[0].conv, model.device
        self.size = self.conv.conv.kernel_size[0]
        columns = self.conv.conv.weight.detach().flip(2).permute(1, 0, 2)  # by base: (4, C, size)
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
        rows = max(8, VALUES // (len(self.conv.conv.weight) * (codes.shape[1] + self.size - 1)))
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
        x, old = one_hot(codes), codes[:, place].long()[window]
        strands = [self._strand(x, window, old, new, place)]
        if self.network.strands == "both":
            strands.append(self._strand(x.flip(1, 2), window, 3 - old, 3 - new, x.shape[2] - 1 - place))
        combine = torch.amax if self.network.combine == "max" else torch.mean
        reference, alternative = (combine(torch.stack(pair), 0) for pair in zip(*strands, strict=True))
        if not isinstance(self.whole, WordMixture):
            return reference, alternative
        mutants = codes[window]
        mutants[:, place] = new.to(codes.dtype)
        mix, words = self.whole.mix, self.whole.words
        return mix(reference, words(x)), mix(alternative, words(one_hot(mutants)))

    def _strand(self, x: Tensor, window: Tensor, old: Tensor, new: Tensor, place: int) -> tuple[Tensor, Tensor]:
        scan = self.conv(x)  # padding "full": position i ends at base i
        seen = slice(place, place + self.size)
        near = scan[:, :, seen]
        mutated = near[window] + self.difference[4 * old + new]
        pooled: list[tuple[Tensor, Tensor]] = []
        if self.network.pool.kind != "average":
            beyond = torch.cat([scan[:, :, :place], scan[:, :, place + self.size :]], 2)
            largest = beyond.amax(2) if beyond.shape[2] else torch.full_like(near[:, :, 0], -torch.inf)
            pooled.append((relu(torch.maximum(largest, near.amax(2))),
                           relu(torch.maximum(largest[window], mutated.amax(2)))))  # fmt: skip
        if self.network.pool.kind != "max":
            mean = relu(scan).mean(2)
            change = (relu(mutated).sum(2) - relu(near).sum(2)[window]) / scan.shape[2]
            pooled.append((mean, mean[window] + change))
        return tuple(self.network.head(torch.cat(part, 1)) for part in zip(*pooled, strict=True))


def supports(model: Model) -> bool:
    """Return whether substitutions can be propagated through a model."""
    network = network_of(model.network)
    return type(network) is DeepBind and network.one_hot and model.precision == "float32"
