"""Rules that span several sections of an experiment; imports nothing heavy, so that a dry run checks them."""

from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from biocnn.config.registry import REGISTRY, find, input_of, suited, tasks_for, tasks_of
from biocnn.config.schema import Chosen
from biocnn.config.strands import check_strands
from biocnn.core.errors import Collector, InputError, nearest

if TYPE_CHECKING:
    from biocnn.config.settings import Settings, Split

TARGETS = {
    "vector": "one target per example",
    "map": "one class per {element}",
    "values": "numbers per {element}",
    "boxes": "boxes around objects",
}
UNSEEN = {"upright": "upside down", "chiral": "mirrored"}  # views that these sets of augmentations exclude
NOTHING: tuple[Any, ...] = (None, [], {}, "none")  # values of settings that request nothing


def disagreements(settings: "Settings") -> list[InputError]:
    """Return all faults that arise from a combination of settings.

    Parameters
    ----------
    settings
        Settings of an experiment; each section is valid on its own.
    """
    data = REGISTRY["data"].get(settings.data.name)  # None for a user's own format: unknown until it is read
    found = _misplaced(settings, data.input, data.target) if data else ()
    split = _split(settings.split, settings.data)
    others = (_metrics, _missing, _covariates, _twice, _unseen)
    return list(chain(found, split, *(rule(settings) for rule in others)))


def check_read(settings: "Settings", task: Any) -> None:
    """Check settings against the task of the data, which may be known only once they are read.

    Raises
    ------
    InputError
        If settings are for another input, kind of target or task, or read the other strand of RNA.
    """
    collector = Collector()
    misplaced = [*_misplaced(settings, task.facts.kind, task.target.kind)]
    collector.faults += misplaced or task.check_loss(settings.loss, settings.train.class_weights)
    computed = dict.fromkeys([*task.headline, *task.metrics, *settings.metrics.also])
    for name in settings.metrics.human.keys() - computed.keys():
        collector.faults.append(InputError(f"metrics.human.{name}: is not computed", nearest(name, computed)))
    with collector:
        check_strands(settings, task.facts.alphabet)
    collector.finish()


@cache
def unsuited(input: str, target: str) -> list[tuple[str, str, str]]:
    """Return the settings that are for another input or kind of target: dotted key, what it is for, what is given."""
    own = find("inputs", input)
    others = [find("inputs", name) for name in REGISTRY["inputs"] if name != input]
    elsewhere = {key: other.examples for other in reversed(others) for key in other.settings if key not in own.settings}
    found = [(key, examples, own.examples) for key, examples in elsewhere.items()]
    known = {key for task in tasks_of(input, target) for key in task.target.settings} if target else set()
    known |= elsewhere.keys()  # these are named already
    for kind in (kind for kind in TARGETS if target not in ("", kind)):
        given, wanted = (f"{own.examples} with {_targets(own, one)}" for one in (target, kind))
        keys = dict.fromkeys(key for task in tasks_of(input, kind) for key in task.target.settings)
        found += [(key, wanted, given) for key in keys if key not in known]
        known |= set(keys)
    return found


def _misplaced(settings: "Settings", input: str, target: str) -> Iterator[InputError]:
    """Find settings and sections for another input or kind of target than those of the data."""
    data, own = settings.data.name, find("inputs", input)
    defaults = type(settings).model_construct(data=settings.data, model=settings.model)
    for key, wanted, given in unsuited(input, target):
        if _value(settings, key) not in (*NOTHING, _value(defaults, key)):
            always = dict.fromkeys(name for task in tasks_of(own.name, target) for name in task.metrics)
            remedy = f"; always computed: {', '.join(always)}" if key == "metrics.also" and always else ""
            yield InputError(f"{key}: is for {wanted}, but data: {data} are {given}", f"leave it out{remedy}")
    augment = settings.augment if isinstance(settings.augment, list) else []
    chosen = [("models", "model", settings.model), ("losses", "loss", settings.loss)]
    chosen += [("augment", f"augment.{i}", section) for i, section in enumerate(augment)]
    for kind, key, section in chosen:
        name, allowed = section.name if section else "", suited(kind, own.name, target)
        if name in REGISTRY[kind] and name not in allowed:
            what = f" with {_targets(own, target)}" if name in suited(kind, own.name) else ""
            remedy = "allowed: " + ", ".join(allowed) if allowed else "leave it out: the network has its own"
            yield InputError(f"{key}: {name} is not for {own.examples}{what}", remedy)


def _targets(given: Any, kind: str) -> str:
    return TARGETS[kind].format(element=given.element)


def _split(split: "Split", data: Chosen) -> Iterator[InputError]:
    for name, share in (("val", split.val), ("test", split.test)):
        if isinstance(share, int | float) and not 0 < share < 1:
            yield InputError(
                f"split.{name}: {share:g} is not a fraction",
                f"allowed: a number above 0 and below 1, such as {name}: 0.1; or names of groups: {name}: [{share:g}]",
            )
        if share == []:
            yield InputError(f"split.{name}: names no group", f"for example {name}: [chr2]; or leave it out")
    lists = [list(map(str, names)) if isinstance(names, list) else [] for names in (split.val, split.test)]
    if both := sorted(set(lists[0]) & set(lists[1])):
        yield InputError(f"split.val and split.test: {both[0]!r} is in both", "list each group once")
    if split.folds is None:
        return
    if split.val is not None:
        yield InputError("split.val and split.folds: cannot be combined", "leave out one: each fold is val once")
    # A table, an npz file or a user's own data may have splits, which are known once they are read.
    unknown = split.column or not input_of(data.name) or any(getattr(data, key, None) for key in ("table", "npz"))
    if split.folds < 3 and split.test is None and not unknown:
        yield InputError("split.folds: 2 folds leave none to train on", "one is test, one is val: give 3 or more")


def _metrics(settings: "Settings") -> Iterator[InputError]:
    tasks = [task for task in tasks_for(settings.data.name) if "metrics.also" in task.target.settings]
    known = list(dict.fromkeys(name for task in tasks for name in task.catalogue()))
    for name in settings.metrics.also if known else ():
        if name not in known:
            yield InputError(f"metrics.also: there is no metric {name!r}", nearest(name, known))
    every = tasks_for(settings.data.name)
    known = list(dict.fromkeys([name for task in every for name in (*task.metrics, *task.headline)] + known))
    for name, value in settings.metrics.human.items():
        from biocnn.metrics import ERRORS, error_of  # imports numpy

        if every and name not in known:
            yield InputError(f"metrics.human.{name}: there is no such metric", nearest(name, known))
        elif not error_of(name, value) >= 0:
            allowed = "a number from 0" if name in ERRORS else f"up to 1, such as {name}: 0.95"
            yield InputError(f"metrics.human.{name}: {value:g} is not possible", f"allowed: {allowed}")


def _missing(settings: "Settings") -> Iterator[InputError]:
    train = settings.train
    for key, given in (("freeze_epochs", train.freeze_epochs > 0), ("body_lr", train.body_lr is not None)):
        if given and not train.start_from:
            yield InputError("train.start_from: is missing", f"name the model whose body train.{key} is for")
    if settings.train.momentum is not None and settings.train.optimizer != "sgd":
        yield InputError("train.momentum: is for train.optimizer: sgd", "set it to sgd, or leave momentum out")
    own = input_of(settings.data.name)
    if own and not own.scanned:
        return
    genome = getattr(settings.data, "genome", None)
    if settings.variants.vcf and not settings.variants.genome and not genome:
        yield InputError("variants.genome: is missing", "name the FASTA file that the variants refer to")
    if settings.scan.contigs and not settings.scan.genome and not genome:
        yield InputError("scan.genome: is missing", "name the FASTA file to scan")


def _covariates(settings: "Settings") -> Iterator[InputError]:
    apply, names = settings.apply, getattr(settings.data, "covariates", None)
    if apply.images and names and not apply.covariates:
        message = "apply.covariates: is missing, but data.covariates is given"
        yield InputError(message, f"name a table with the columns image, {', '.join(names)}")
    if apply.covariates and not names and settings.data.name in REGISTRY["data"]:
        yield InputError("apply.covariates: is for models with data.covariates", "leave it out, or give these")
    for key in ("variants.vcf", "scan.contigs") if names else ():
        if _value(settings, key):
            yield InputError(f"{key}: places in a genome have no covariates", "leave it or data.covariates out")


def _twice(settings: "Settings") -> Iterator[InputError]:
    """Report duplicate values in lists where each value makes one run or one result."""
    for key in ("train.seeds", "train.learning_curve", "scan.contigs", "variants.offsets", "uncertainty.methods"):
        values = _value(settings, key)
        if isinstance(values, list) and len(set(values)) < len(values):
            again = next(value for i, value in enumerate(values) if value in values[:i])
            yield InputError(f"{key}: duplicate value {again!r}", "list each value once")


def _unseen(settings: "Settings") -> Iterator[InputError]:
    tta, augment = settings.predict.tta, str(settings.augment)
    if tta != "none" and augment in UNSEEN:
        message = (
            f"predict.tta: {tta!r} shows images {UNSEEN[augment]}, which training with augment: {augment} excludes"
        )
        yield InputError(message, "allowed: none; or train with augment: default")


def _value(settings: "Settings", key: str) -> Any:
    found: Any = settings
    for part in key.split("."):
        found = getattr(found, part)
    return found
