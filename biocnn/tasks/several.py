"""Several outputs of different kinds for each example: parts, each with a task of its own."""

import math
from collections.abc import Sequence
from functools import cached_property, partial
from itertools import accumulate, chain, pairwise, zip_longest
from typing import TYPE_CHECKING, Any

from biocnn.config.registry import REGISTRY, task_class
from biocnn.core.errors import InputError
from biocnn.tasks.inputs import make_input
from biocnn.tasks.multiclass import OF_VECTORS, Multiclass
from biocnn.tasks.ordinal import Ordinal
from biocnn.tasks.regression import FORMS, Regression
from biocnn.tasks.task import PartTask, Score
from biocnn.tasks.vectors import Classification, VectorTask, YesOrNo, known_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import torch
    from torch import Tensor

    from biocnn.config.schema import Chosen
    from biocnn.losses import Loss
    from biocnn.tasks.facts import Facts


class Several(VectorTask):
    """Outputs of different kinds: classes, yes or no, grades, numbers; each kind is a part, which may be unknown (nan).

    A network computes the logits of all parts in its last layer. Its loss is the mean of the losses of the parts, each
    divided by that of the best constant prediction, so that no part outweighs the others. Predictions are the K values
    or probabilities of all parts, followed by what parts add to these, such as the ends of intervals.
    """

    name = "several"
    losses = (*Multiclass.losses, *YesOrNo.losses, *Ordinal.losses, *Regression.losses)
    monitor = "skill"
    metrics = headline = ()
    label = "several outputs of different kinds for each {one}"
    family = "several outputs"
    scale, predicted = "logit or value", "probability or value"
    stored = "float32"
    judge = "biocnn.evaluation.several_judge:SeveralJudge"
    figures = "biocnn.report.performance:of_parts"
    about_loss = (
        "The loss is a mean over outputs of each kind, divided by that of the best constant prediction. Skill: mean of "
        "what these monitor, scaled to 0 for a constant and 1 for a perfect prediction."
    )

    @cached_property
    def parts(self) -> list[PartTask]:
        """The parts, in their order."""
        found, target, logit = [], 0, 0
        for part, own in zip_longest(self.facts.parts, self.facts.of_parts):
            update = {"task": part.task, "outputs": part.outputs, "form": part.form, "parts": [], "of_parts": []}
            facts = self.facts.model_copy(update=update | (own.given() if own else {}))
            make = task_class(part.task, facts.kind)
            channels = make(facts).channels
            task = make(facts.model_copy(update={"out_channels": channels}))
            columns = slice(target, target + len(part.outputs))
            task.titles, task.suffix = self.outputs[columns], f"_{part.name}"
            found.append(PartTask(part.name, task, columns, slice(logit, logit + channels)))
            target, logit = columns.stop, logit + channels
        return found

    @property
    def standardised(self) -> bool:  # type: ignore[override]
        return any(part.task.standardised for part in self.parts)

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return any(part.task.exact for part in self.parts)

    @property
    def channels(self) -> int:
        return sum(part.task.channels for part in self.parts)

    @property
    def logit_names(self) -> list[str]:
        """Return a name for each logit whose temperature is its own: of classes, the first, which is named by part."""
        names: list[str] = []
        for part in self.parts:
            number = part.logits.stop - part.logits.start
            names += [part.name, *[""] * (number - 1)] if part.task.exclusive else part.task.outputs[:number]
        return names

    @property
    def tempered(self) -> list[str]:
        parts = [part for part in self.parts if part.task.tempered]
        return list(chain(*([part.name] if part.task.exclusive else part.task.tempered for part in parts)))

    def check_facts(self) -> "Iterator[str]":
        """Yield what is wrong with the facts, also those of the parts."""
        names, given = [part.name for part in self.facts.parts], [part.task for part in self.facts.parts]
        others = [name for name in given if not issubclass(task_class(name, self.facts.kind), VectorTask)]
        if len(names) < 2 or len(set(names)) < len(names):
            yield "several outputs need two parts or more, each with a name of its own"
        elif others or self.name in given:
            yield f"a part has the task {(others or [self.name])[0]}"
        elif len(self.facts.of_parts) not in (0, len(names)):
            yield "of_parts needs the facts of each part"
        elif sum(len(part.outputs) for part in self.facts.parts) != len(self.outputs):
            yield "the parts need as many outputs as there are"
        else:
            yield from super().check_facts()
            for part in self.parts:
                yield from (f"{part.name}: {fault}" for fault in part.task.check_facts())

    def check_truth(self, y: "np.ndarray") -> "Iterator[str]":
        for part in self.parts:
            yield from (f"{part.name}: {fault}" for fault in part.task.check_truth(y[:, part.targets]))

    @property
    def labelled_columns(self) -> dict[str, int]:
        found = {}
        for part in self.parts:
            for name, k in part.task.labelled_columns.items():
                found[part.name if part.task.exclusive else name] = part.targets.start + k
        return found

    def check_split(self, found: "dict[str, list[np.ndarray]]") -> "Iterator[tuple[str, str]]":
        for part in self.parts:
            yield from part.task.check_split(_of_part(found, part))

    def measure(self, found: "dict[str, list[np.ndarray]]") -> dict[str, Any]:
        """Measure all outputs, and each part."""
        return super().measure(found) | {"of_parts": [part.task.measure(_of_part(found, part)) for part in self.parts]}

    def counts(self, y: "np.ndarray") -> dict[str, str]:
        """Count the known targets of each part, and below them what the part counts."""
        found = {}
        for part in self.parts:
            own = y[:, part.targets]
            known = int((own == own).any(axis=1).sum())
            each = ", ".join(f"{name} {value}" for name, value in part.task.counts(own).items())
            found[f"{part.name} known"] = f"{known:,}\n{each}".strip()
        return found

    def facts_with(self, loss: "Chosen | None") -> "Facts":
        forms = [part.task.facts_with(self._loss_of(part, loss)).form for part in self.parts]
        given = zip(self.facts.parts, forms, strict=True)
        parts = [part.model_copy(update={"form": form}) for part, form in given]
        facts = self.facts.model_copy(update={"parts": parts})
        return facts.model_copy(update={"out_channels": Several(facts).channels})

    def check_loss(self, section: "Chosen | None", class_weights: str) -> "Iterator[InputError]":
        """Yield what is wrong with a loss, which is for the parts that it suits; others have their default."""
        name = section.name if section else ""
        if name and not any(name in part.task.losses for part in self.parts):
            own = "" if name in REGISTRY["losses"] else ", which are of several kinds"
            allowed = dict.fromkeys(loss for part in self.parts for loss in part.task.losses)
            yield InputError(f"loss: {name} suits none of the outputs{own}", "allowed: " + ", ".join(allowed))
        if name in OF_VECTORS:
            yield InputError(f"loss: {name} is for classes alone", "allowed: cross_entropy")
        if name in FORMS and make_input(self.facts).scanned:
            yield InputError(f"loss: {name} is for numbers alone, or for images", "allowed: mse, l1, huber")
        if class_weights == "balanced" and not any(map(_has_classes, self.parts)):
            yield InputError("train.class_weights: balanced, but no output has classes", "set it to none")
        for part in self.parts:
            weights = class_weights if _has_classes(part) else "none"
            yield from part.task.check_loss(self._loss_of(part, section), weights)

    @staticmethod
    def _loss_of(part: PartTask, section: "Chosen | None") -> "Chosen | None":
        return section if section and section.name in part.task.losses else None

    def make_loss(self, section: "Chosen | None", class_weights: str, device: "torch.device") -> "Loss":
        from biocnn.losses.parts import PartLoss, mean_of_parts

        for fault in self.check_loss(section, class_weights):
            raise fault
        losses = []
        for part in self.parts:
            weights = class_weights if _has_classes(part) else "none"
            own = part.task.make_loss(self._loss_of(part, section), weights, device)
            losses.append(PartLoss(own, part.logits, part.targets))
        if self.learned is not None:
            losses = [loss.divided_by_constant(self.learned.to(device)) for loss in losses]
        return partial(self._checked_loss, self.name, partial(mean_of_parts, losses))

    def class_weights(self) -> "Tensor":
        raise NotImplementedError("each part has its own")

    def set_unit(self, unit: dict[str, list[float]]) -> None:
        super().set_unit(unit)
        for part in self.parts:
            if part.task.standardised:
                part.task.set_unit({key: values[part.targets] for key, values in unit.items()})

    def from_unit(self, unit: dict[str, list[float]]) -> tuple[list[float], list[float]]:
        factor, shift = [1.0] * self.channels, [0.0] * self.channels
        for part in self.parts:
            if part.task.standardised:
                own = {key: values[part.targets] for key, values in unit.items()}
                factor[part.logits], shift[part.logits] = part.task.from_unit(own)
        return factor, shift

    def probability(self, logits: "Tensor") -> "Tensor":
        """Return probabilities or values of all outputs, (N, K), followed by what parts add to these."""
        import torch

        return torch.cat(self._joined([part.task.probability(logits[..., part.logits]) for part in self.parts]), -1)

    @cached_property
    def widths(self) -> tuple[int, int, int]:
        all_outputs, predicted, settled = (sum(each) for each in zip(*(p.task.widths for p in self.parts), strict=True))
        return all_outputs, predicted, settled

    def of_part(self, p: Any, part: PartTask) -> Any:
        """Return the predictions of a part, given those of all, in an array or tensor (..., columns)."""
        stage = self.widths.index(p.shape[-1])
        more = [one.task.widths[stage] - len(one.task.outputs) for one in self.parts]
        start, stop = list(pairwise(accumulate(more, initial=len(self.outputs))))[self.parts.index(part)]
        return p[..., [*range(part.targets.start, part.targets.stop), *range(start, stop)]]

    def _joined(self, each: Sequence[Any]) -> list[Any]:
        """Return what is to be concatenated, given the predictions of the parts."""
        pairs = list(zip(each, (len(part.task.outputs) for part in self.parts), strict=True))
        return [p[..., :n] for p, n in pairs] + [p[..., n:] for p, n in pairs]

    def settle(self, p: "np.ndarray", tuned: dict[str, Any]) -> "np.ndarray":
        import numpy as np

        each = []
        for part in self.parts:
            own = {key: values[part.targets] for key, values in tuned.items() if values}
            each.append(part.task.settle(self.of_part(p, part), own))
        return np.concatenate(self._joined(each), axis=-1)

    def combine(self, predictions: "Sequence[np.ndarray]") -> "np.ndarray":
        import numpy as np

        each = [part.task.combine([self.of_part(p, part) for p in predictions]) for part in self.parts]
        return np.concatenate(self._joined(each), axis=-1)

    def intervals(self, p: "np.ndarray") -> "np.ndarray":
        import numpy as np

        return np.concatenate([part.task.intervals(self.of_part(p, part)) for part in self.parts], axis=-2)

    def tune(self, probabilities: "Iterable[np.ndarray]", labels: "Iterable[np.ndarray]") -> dict[str, Any]:
        """Tune each part; lists have one entry per output, None where its part has none."""
        import numpy as np

        p, y = np.stack(list(probabilities)), np.stack(list(labels))
        found: dict[str, list[Any]] = {}
        for part in self.parts:
            for key, values in part.task.tune(self.of_part(p, part), y[:, part.targets]).items():
                found.setdefault(key, [None] * len(self.outputs))[part.targets] = values
        return found

    def temperature(self, batches: "Iterable[tuple[Tensor, Tensor]]", number: int) -> list[float]:
        """Fit the temperatures of each part; 1 for logits without one, an empty list if no part has any."""
        batches, found, fitted = list(batches), [1.0] * self.channels, False
        for part in self.parts:
            own = part.task.temperature([(z[:, part.logits], y[:, part.targets]) for z, y in batches], number)
            if own:
                logits = part.logits.stop - part.logits.start
                found[part.logits], fitted = own * (logits if len(own) == 1 else 1), True
        return found if fitted else []

    def score(self) -> Score:
        """Return the score: mean skill of the parts, and the metric of each."""
        return _Scores(self)

    def words(self, y: "np.ndarray") -> str:
        return self._words(part.task.words(y[part.targets]) for part in self.parts)

    def predicted_words(self, p: "np.ndarray") -> str:
        return self._words(part.task.predicted_words(self.of_part(p, part)) for part in self.parts)

    def _words(self, each: "Iterable[str]") -> str:
        named = zip(self.parts, each, strict=True)
        return ", ".join(f"{part.name} {text}" if part.task.exclusive else text for part, text in named if text)

    def losses_of(self, p: "np.ndarray", y: "np.ndarray") -> "np.ndarray":
        """Return the mean of the losses of the parts."""
        import numpy as np

        each = [part.task.losses_of(self.of_part(p, part), y[:, part.targets]) for part in self.parts]
        return known_mean(np.stack(each, axis=1))

    def describe(self, p: "np.ndarray") -> dict[str, Any]:
        """Return the columns of all parts."""
        found: dict[str, Any] = {}
        for part in self.parts:
            found |= part.task.describe(self.of_part(p, part))
        return found

    def instructive(self, p: "np.ndarray", y: "np.ndarray", number: int) -> list[int]:
        """Choose examples of each part in turn."""
        each = [part.task.instructive(self.of_part(p, part), y[:, part.targets], number) for part in self.parts]
        return list(dict.fromkeys(i for turn in zip_longest(*each) for i in turn if i is not None))[:number]

    def explained(self, p: "Tensor", y: "Tensor") -> list[int]:
        found = []
        for part in self.parts:
            own = part.task.explained(self.of_part(p, part), y[part.targets])
            found += [part.targets.start + output for output in own]
        return found

    def logit_of(self, output: int) -> int:
        part = next(part for part in self.parts if output < part.targets.stop)
        return part.logits.start + part.task.logit_of(output - part.targets.start)


class _Scores(Score):
    """Metric of each part, and their mean skill: 0 for a constant prediction, 1 for a perfect one."""

    def __init__(self, task: Several) -> None:
        self.task, self.each = task, [part.task.score() for part in task.parts]
        self.targets: list[Tensor] = []

    def add(self, p: "Tensor", y: "Tensor") -> None:
        for part, score in zip(self.task.parts, self.each, strict=True):
            score.add(self.task.of_part(p, part), y[:, part.targets])
        self.targets.append(y.cpu())

    def value(self) -> dict[str, float]:
        import numpy as np
        import torch

        y, found, skills = torch.cat(self.targets).numpy(), {}, []
        for part, score in zip(self.task.parts, self.each, strict=True):
            ((metric, value),) = score.value().items()
            found[f"{metric} of {part.name}"] = value
            chance = float(np.mean(part.task.chance(y[:, part.targets])))
            skills.append((value - chance) / (1 - chance) if chance < 1 else math.nan)
        known = [skill for skill in skills if not math.isnan(skill)]
        return {self.task.monitor: float(np.mean(known)) if known else math.nan} | found


def _has_classes(part: PartTask) -> bool:
    return isinstance(part.task, Classification)


def _of_part(found: "dict[str, list[np.ndarray]]", part: PartTask) -> "dict[str, list[np.ndarray]]":
    return {split: [y[part.targets] for y in rows] for split, rows in found.items()}
