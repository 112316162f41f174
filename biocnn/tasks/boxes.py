"""Boxes around objects."""

from typing import TYPE_CHECKING, Any

from biocnn.config.registry import suited
from biocnn.core.errors import InputError
from biocnn.tasks.target import PARTIAL, VISIBLE, Boxes
from biocnn.tasks.task import Score, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    import torch
    from torch import Tensor

    from biocnn.config.schema import Chosen
    from biocnn.losses import Loss
    from biocnn.tasks.facts import Facts


AT_BORDER = 2  # pixels from the border of an image within which boxes count as cut by it
ENOUGH, SHARES = 20, (VISIBLE, 0.75)  # least number of such boxes, and range of the visible share estimated from them
USELESS = 0.2  # F1 on the validation split below which a class is remarked on


class FindBoxes(Task):
    """Boxes with a class and a score; those of truth with label -1 are neither objects nor background."""

    name = "boxes"
    inputs = ("image",)
    target = Boxes()
    losses = ()
    detects = True
    stored = "float32"
    smoothed = True
    monitor = "ap50"
    metrics = (
        "ap50", "ap75", "ap50_95", "ar", "froc", "f1", "precision", "recall", "count_mae", "count_bias", "ece",
    )  # fmt: skip
    headline = ("ap50", "ap50_95")
    label = "a box around each object"
    judge = "biocnn.evaluation.box_judge:BoxJudge"
    figures = "biocnn.report.boxes:figures"
    panels = "biocnn.report.box_panels:BoxPanels"
    applied = "biocnn.apply.boxes:find_boxes"
    exports = ("rois", "geojson")
    uncertainty = "biocnn.evaluation.uncertainty.boxes:BoxJudge"
    left_out = ("ap75", "ar", "count_bias")
    family = "boxes"

    def __init__(self, facts: "Facts") -> None:
        super().__init__(facts)
        self.target = Boxes(facts.objects.visible or VISIBLE)

    def remember(self, truth: "np.ndarray", stored: "np.ndarray") -> "np.ndarray":
        """Return the boxes of a known class."""
        return truth[truth[:, 0] != PARTIAL]

    def check_split(self, found: "dict[str, list[np.ndarray]]") -> "Iterator[tuple[str, str]]":
        """Refuse classes that cannot be learned and splits without boxes; note classes that are not evaluated."""
        for split, number in self._numbers(found).items():
            missing = [name for name, n in zip(self.outputs, number, strict=True) if not n]
            if missing and (split == "train" or len(missing) == len(self.outputs)):
                raise InputError(
                    f"split: the {split} split has no box of " + ", ".join(map(repr, missing)),
                    f"choose other groups, or a larger {split} split",
                )
            for name in missing:
                yield f"the {split} split has no box of a class: excluded from its metrics", name

    def measure(self, found: "dict[str, list[np.ndarray]]") -> dict[str, Any]:
        """Count the boxes of each class, and measure those of the training split.

        The diameter of a box is the square root of height times width, in volumes the cube root.
        """
        import numpy as np

        from biocnn.tasks.objects import measure_objects

        dims = self.facts.spatial_dims
        sides = [boxes[:, 1 + dims :] - boxes[:, 1 : 1 + dims] for boxes in found["train"]]
        objects = measure_objects([one.prod(axis=1) ** (1 / dims) for one in sides])
        visible = least_visible(np.concatenate(found["train"]), dims) if objects.number else None
        return {"n_positive": self._numbers(found), "objects": objects.model_copy(update={"visible": visible})}

    def columns(self, found: "list[np.ndarray]") -> "dict[str, np.ndarray]":
        """Return the number of boxes of each class."""
        return {f"y_{k}": column for k, column in enumerate(self._counts(found).T)}

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the boxes of each class."""
        return {name: f"{int(column.sum()):,}" for name, column in zip(self.outputs, y.T, strict=True)}

    def _numbers(self, found: "dict[str, list[np.ndarray]]") -> dict[str, list[int]]:
        """Return the number of boxes of each class in each split."""
        return {split: self._counts(images).sum(axis=0).tolist() for split, images in found.items()}

    def _counts(self, found: "list[np.ndarray]") -> "np.ndarray":
        """Return the number of boxes of each class in each image, (N, K)."""
        import numpy as np

        classes = len(self.outputs)
        counts = [np.bincount(boxes[:, 0].astype(int), minlength=classes) for boxes in found]
        return np.array(counts, int).reshape(-1, classes)

    def make_loss(self, section: "Chosen | None", class_weights: str, device: "torch.device") -> "Loss":
        """Refuse a network without a loss of its own."""
        raise InputError(
            "model: the network has no method loss(x, y), so it cannot learn boxes",
            "networks for boxes: " + ", ".join(suited("models", "image", self.target.kind)),
        )

    def check_loss(self, section: "Chosen | None", class_weights: str) -> "Iterator[InputError]":
        """Refuse a loss and class weights, because networks own their loss."""
        if section:
            yield InputError(f"loss: {section.name}, but networks that find boxes have their own", "leave it out")
        if class_weights != "none":
            yield InputError(
                f"train.class_weights: {class_weights}, but {self.name} have no class weights", "leave it out"
            )

    def class_weights(self) -> "Tensor":
        raise NotImplementedError("networks that find boxes own their loss")

    def probability(self, logits: Any) -> Any:
        """Return the boxes unchanged: a list of tensors, (M, 2 + 2 spatial_dims)."""
        return logits

    def score(self) -> "Score":
        return _BoxScore(len(self.outputs))

    def combine(self, predictions: "Sequence[np.ndarray]") -> "np.ndarray":
        """Fuse the boxes of several runs."""
        from biocnn.metrics.fusion import fuse_boxes

        return predictions[0] if len(predictions) == 1 else fuse_boxes(predictions)[0]

    def tune(self, probabilities: "Iterable[np.ndarray]", labels: "Iterable[np.ndarray]") -> dict[str, Any]:
        """Choose the score of each class with the best F1, and calibrate the scores from there on."""
        from biocnn.tasks.box_scores import tune_scores

        return tune_scores(list(probabilities), list(labels), len(self.outputs))

    def remarks(self, postprocess: dict[str, Any]) -> "Iterator[str]":
        """Yield the classes for which no score separates true from false boxes."""
        for name, f1 in zip(self.outputs, postprocess["f1"], strict=True):
            if f1 < USELESS:
                yield (
                    f"no threshold of the score of {name} is useful: at the best one F1 is {f1:.2f} on the validation "
                    "split, so expect many false boxes; train longer, or check the boxes of this class"
                )

    def shared(self, postprocess: "Sequence[dict[str, Any]]") -> dict[str, Any]:
        """Return the means over the runs, as the score of a fused box is the mean of those in the runs."""
        import numpy as np

        return {name: np.mean([one[name] for one in postprocess], axis=0) for name in ("thresholds", "scale", "shift")}

    def decide(self, p: "np.ndarray", postprocess: dict[str, Any]) -> "np.ndarray":
        """Return the boxes whose score reaches the threshold of their class, with calibrated scores, highest first."""
        import numpy as np

        from biocnn.tasks.box_scores import calibrated

        kept = p[p[:, 1] >= np.array(postprocess["thresholds"], np.float32)[p[:, 0].astype(int)]]
        scale, shift = (np.array(postprocess[name])[kept[:, 0].astype(int)] for name in ("scale", "shift"))
        kept[:, 1] = calibrated(kept[:, 1], scale, shift)
        return kept[np.argsort(-kept[:, 1], kind="stable")]

    def certain(self, truth: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Return boxes with score 1, twice, without those that are neither object nor background."""
        import numpy as np

        found = np.insert(truth[truth[:, 0] != PARTIAL], 1, 1, axis=1)
        return found, found

    def outlined(self, y: "np.ndarray") -> "np.ndarray":
        return y

    def postprocess_at(self, postprocess: dict[str, Any], zoom: "Sequence[float]") -> dict[str, Any]:
        return postprocess


def least_visible(boxes: "np.ndarray", dims: int) -> float | None:
    """Estimate the share of an object within the image from which on annotators draw its box.

    It is the 5th percentile, over boxes at the first row or column, of their side across the border in multiples of
    the median side of whole boxes of their class, within ``SHARES``.

    Parameters
    ----------
    boxes
        Boxes of known classes of many images, in rows of the target (M, 1 + 2 dims).
    dims
        Number of spatial dimensions.

    Returns
    -------
    share
        None with fewer than ``ENOUGH`` boxes at the border.
    """
    import numpy as np

    shares = []
    for label in np.unique(boxes[:, 0]):
        start, stop = np.split(boxes[boxes[:, 0] == label, 1:], [dims], axis=1)
        cut = start < AT_BORDER
        if (whole := ~cut.any(axis=1)).any():
            once = cut & (cut.sum(axis=1) == 1)[:, None]
            shares.append(((stop - start) / np.median((stop - start)[whole], axis=0))[once])
    every = np.concatenate(shares) if shares else np.zeros(0)
    return round(float(np.percentile(every, 5).clip(*SHARES)), 2) if len(every) >= ENOUGH else None


class _BoxScore(Score):
    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.found: list[np.ndarray] = []
        self.truth: list[np.ndarray] = []

    def add(self, p: Any, y: "Tensor") -> None:
        """Add the boxes found in each image, a list of tensors, and the true ones of all images."""
        self.found += [boxes.cpu().numpy() for boxes in p]
        self.truth += [boxes.cpu().numpy() for boxes in FindBoxes.target.split(y, len(p))]

    def value(self) -> dict[str, float]:
        from biocnn.metrics.detections import mean_average_precision

        return {"ap50": float(mean_average_precision(self.found, self.truth, self.classes, (0.5,))[0])}
