"""One of several classes for each example."""

from typing import TYPE_CHECKING

from biocnn.core.errors import InputError
from biocnn.tasks.inputs import make_input
from biocnn.tasks.vectors import Classification, Judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from torch import Tensor

    from biocnn.config.schema import Chosen
    from biocnn.losses import Loss

OF_VECTORS = ("nt_xent", "triplet")  # losses that compare the vectors before the last layer, too
ALL = "all"  # all classes together, as an output
FROM = 4  # classes from which on the two likeliest are judged; of three, they are nearly always right


class Multiclass(Classification):
    """One of K classes; each target is a row with 1 for its class and 0 for all others, or unknown (nan)."""

    name = "multiclass"
    given_as = "class"
    losses: tuple[str, ...] = ("cross_entropy", *OF_VECTORS)
    monitor = "auroc"
    metrics: tuple[str, ...] = (
        "accuracy", "balanced_accuracy", "auroc", "auprc", "sensitivity_at_specificity90", "cohens_kappa", "ece",
    )  # fmt: skip
    headline = ("accuracy", "auroc")
    label = "one class for each {one}"
    figures = "biocnn.report.multiclass:multiclass"
    value = "class"
    exclusive = True

    def check_loss(self, section: "Chosen | None", class_weights: str) -> "Iterator[InputError]":
        yield from super().check_loss(section, class_weights)
        if section and section.name in OF_VECTORS and not make_input(self.facts).vectors:
            yield InputError(f"loss: {section.name} is for networks of whole images", "use cross_entropy")

    def extend_loss(self, name: str, loss: "Loss") -> "Loss":
        return loss if name in OF_VECTORS else super().extend_loss(name, loss)

    def check_facts(self) -> "Iterator[str]":
        yield from super().check_facts()
        if len(self.outputs) < 2:
            yield "task is multiclass, but there is only one class"
        if ALL in self.outputs:
            yield f"a class is named {ALL!r}, which stands for all classes together"

    def check_truth(self, y: "np.ndarray") -> "Iterator[str]":
        import numpy as np

        known = y[~np.isnan(y).any(axis=1)]
        if not (np.isin(known, (0, 1)).all() and (known.sum(axis=1) == 1).all()):
            yield "a row does not have exactly one 1, for its class, and 0 for all others"

    def check_split(self, found: "dict[str, list[np.ndarray]]") -> "Iterator[tuple[str, str]]":
        """Refuse a class without training examples, and splits with a single class; note classes missing elsewhere."""
        import numpy as np

        for split, rows in found.items():
            counts = np.nansum(np.stack(rows), axis=0)
            missing = [name for name, count in zip(self.titles, counts, strict=True) if not count]
            if missing and (split == "train" or len(missing) >= len(self.outputs) - 1):
                raise InputError(
                    f"split: the {split} split has no example of " + ", ".join(map(repr, missing)),
                    "choose other groups or larger fractions in split, or leave the class out",
                )
            for name in missing:
                yield f"the {split} split has no example of a class: excluded from its metrics", name

    def words(self, y: "np.ndarray") -> str:
        """Return the name of the class; nothing if it is unknown."""
        return "" if (y != y).any() else self.outputs[int(y.argmax())]

    def judged(self) -> list[Judged]:
        """Return what is judged: all classes together, with means over classes, and each against all others."""
        from biocnn import metrics

        together = {
            "accuracy": metrics.class_accuracy,
            "balanced_accuracy": metrics.balanced_accuracy,
            "auroc": metrics.macro_auroc,
            "auprc": metrics.macro_auprc,
            "cohens_kappa": metrics.cohens_kappa,
            "ece": metrics.class_ece,
        }
        if len(self.outputs) >= FROM:
            together["top2_accuracy"] = metrics.top2_accuracy
        each = {name: getattr(metrics, name) for name in ("auroc", "auprc", "sensitivity_at_specificity90")}
        return [Judged(ALL, slice(None), together), *(Judged(name, k, each) for k, name in enumerate(self.outputs))]

    def chance(self, y: "np.ndarray") -> list[float]:
        return [0.5] * y.shape[1]

    def probability(self, logits: "Tensor") -> "Tensor":
        return logits.softmax(-1)

    def chosen(self, p: "np.ndarray") -> "np.ndarray":
        """Return the number of the class that is decided for each example, (N,), from probabilities (N, K)."""
        return p.argmax(axis=1)

    def decide(self, p: "np.ndarray") -> dict[str, str]:
        """Return the likeliest class."""
        return {f"class{self.suffix}": self.outputs[p.argmax()]}

    def cases(self, p: "np.ndarray", y: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        import numpy as np

        predicted = np.eye(len(self.outputs), dtype=bool)[self.chosen(p)]
        return y == 1, predicted, np.broadcast_to(p.max(axis=1, keepdims=True), p.shape)

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        """Return the predicted class, and the true one if it is another."""
        true = [] if y.isnan().any() else [int(y.argmax())]
        return list(dict.fromkeys([int(p.argmax()), *true]))

    def entropy(self, p: "np.ndarray") -> float:
        import numpy as np
        from scipy.special import entr

        return float(entr(np.asarray(p, np.float64)).sum() / np.log(len(p)))

    def class_weights(self) -> "Tensor":
        """1 / share of each class, with mean 1."""
        import torch

        weights = torch.tensor(self.facts.positives).clamp(min=1e-3).reciprocal()
        return weights / weights.mean()

    def temperature(self, batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> list[float]:
        """Fit one temperature for all classes."""
        import numpy as np

        from biocnn.tasks.temperature import fit_classes

        z, y = (np.concatenate(parts) for parts in zip(*((z.cpu(), y.cpu()) for z, y in batches), strict=True))
        known = ~np.isnan(y).any(axis=1)
        return fit_classes(z[known], y[known].argmax(axis=1))

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the examples of each class."""
        import numpy as np

        return {name: f"{int(np.nansum(column)):,}" for name, column in zip(self.outputs, y.T, strict=True)}
