"""Foreground or background for each pixel."""

from typing import TYPE_CHECKING, Any

from biocnn.tasks.maps import OF_MAPS, PixelClasses

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor


class Mask(PixelClasses):
    """One output: the probability of foreground."""

    name = "mask"
    losses = ("dice_bce", "bce", *OF_MAPS)
    metrics = ("dice", "iou", "hausdorff95", "sensitivity", "specificity", "pixel_error", "auroc", "auprc")
    label = "foreground or background for each pixel"

    def probability(self, logits: "Tensor") -> "Tensor":
        return logits.sigmoid()

    def class_weights(self) -> "Tensor":
        """Pixels of the background for each of the foreground."""
        import torch

        shares = torch.tensor(self.facts.class_shares).clamp(min=1e-3)
        return shares[:1] / shares[1:2]

    def likeliest(self, p: Any) -> Any:
        return p[0] > 0.5

    def fit_temperature(self, logits: "np.ndarray", target: "np.ndarray", worth: float) -> list[float]:
        from biocnn.tasks.temperature import fit_temperature

        return fit_temperature(logits, target[:, None], worth)

    def classes(self) -> dict[str, int]:
        return {self.outputs[0]: 1}

    def class_probability(self, p: "np.ndarray", members: "Sequence[int]") -> "np.ndarray":
        return p[0]

    def entropy(self, p: "np.ndarray") -> "np.ndarray":
        """Of foreground and background."""
        import numpy as np
        from scipy.special import entr

        p = np.asarray(p, np.float32)
        return ((entr(p) + entr(1 - p)).sum(axis=0) / np.float32(np.log(2))).astype(np.float32)
