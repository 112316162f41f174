"""What sections of an experiment must agree on; imports nothing heavy, so that a dry run says it."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from biocnn.config.registry import OF_IMAGES, OF_SEQUENCES, REGISTRY
from biocnn.core.errors import InputError, nearest

UNSEEN = {"upright": "upside down", "chiral": "mirrored"}  # what these sets of augmentations leave out
# Settings for the one kind of examples alone, and what they are where they ask for nothing.
FOR_IMAGES = {
    "train.patch": None, "train.foreground": None, "metrics.also": [], "metrics.tolerance": None,
    "metrics.regions": {}, "predict.tta": "none", "segment.images": None,
}  # fmt: skip
FOR_SEQUENCES = {"variants.vcf": None, "scan.contigs": None, "explain.motifs.database": None}


def disagreements(settings: dict[str, Any]) -> list[InputError]:
    """All faults that only several settings together have.

    Parameters
    ----------
    settings
        Of an experiment; each section is valid by itself.
    """
    split = _split(settings["split"], settings["data"])
    found = chain(_kinds(settings), split, _metrics(settings), _missing(settings), _twice(settings), _unseen(settings))
    return list(found)


def _kinds(settings: dict[str, Any]) -> Iterator[InputError]:
    """Whether sections are for such examples as the data are; of data of a user's own that is not known."""
    data = settings["data"]["name"]
    if data not in REGISTRY["data"]:
        return
    images = data == "Images"
    examples, others = ("images", FOR_SEQUENCES) if images else ("sequences", FOR_IMAGES)
    for key, nothing in others.items():
        if _value(settings, key) != nothing:
            yield InputError(
                f"{key}: is for {'sequences' if images else 'images'}, and data: {data} are {examples}", "leave it out"
            )
    if not images and settings["uncertainty"]["methods"]:
        yield InputError(f"uncertainty.methods: are for images, and data: {data} are sequences", "leave them out")
    if not images:
        for key in ("epochs", "batch_size"):
            if settings["train"][key] is None:
                yield InputError(f"train.{key}: is null, and follows from the data for images only", "give a number")
    augment = settings["augment"] if isinstance(settings["augment"], list) else []
    chosen = [("models", "model", settings["model"]), ("losses", "loss", settings["loss"])]
    chosen += [("augment", f"augment.{i}", section) for i, section in enumerate(augment)]
    for kind, key, section in chosen:
        name = (section or {}).get("name")
        suited = (OF_IMAGES if images else OF_SEQUENCES)[kind]
        if name in REGISTRY[kind] and name not in suited:
            yield InputError(f"{key}: {name} is not for {examples}", "allowed: " + ", ".join(suited))


def _split(split: dict[str, Any], data: dict[str, Any]) -> Iterator[InputError]:
    for part in ("val", "test"):
        share = split[part]
        if isinstance(share, int | float) and not 0 < share < 1:
            yield InputError(
                f"split.{part}: {share:g} is not a fraction",
                f"allowed: a number above 0 and below 1, such as {part}: 0.1; or names of groups: {part}: [{share:g}]",
            )
    lists = [list(map(str, split[part])) if isinstance(split[part], list) else [] for part in ("val", "test")]
    for part, names in zip(("val", "test"), lists, strict=True):
        if isinstance(split[part], list) and not names:
            yield InputError(f"split.{part}: names no group", f"for example {part}: [chr2]; or leave it out")
    if both := sorted(set(lists[0]) & set(lists[1])):
        yield InputError(f"split.val and split.test: {both[0]!r} is in both", "name each group once")
    if split["folds"] is None:
        return
    if split["val"] is not None:
        yield InputError("split.val: is given, and so is split.folds", "leave out one: each fold is val once")
    if split["folds"] < 3 and split["test"] is None and split["column"] is None and data["name"] == "Intervals":
        yield InputError("split.folds: 2 folds leave none to train", "one is test, one val: allowed: 3 or more")


def _metrics(settings: dict[str, Any]) -> Iterator[InputError]:
    if settings["data"]["name"] == "Images" and (also := settings["metrics"]["also"]):
        from biocnn.metrics.catalogue import METRICS  # takes half a second, and is seldom asked for

        known = list(dict.fromkeys(name for task in METRICS.values() for name in task))
        for name in also:
            if name not in known:
                yield InputError(f"metrics.also: there is no metric {name!r}", nearest(name, known))


def _missing(settings: dict[str, Any]) -> Iterator[InputError]:
    if settings["train"]["freeze_epochs"] and not settings["train"]["start_from"]:
        yield InputError("train.start_from: is missing", "name the model whose encoder train.freeze_epochs holds still")
    if settings["data"]["name"] == "Images":
        return
    genome = settings["data"].get("genome")
    if settings["variants"]["vcf"] and not settings["variants"]["genome"] and not genome:
        yield InputError("variants.genome: is missing", "name the FASTA file that the variants refer to")
    if settings["scan"]["contigs"] and not settings["scan"]["genome"] and not genome:
        yield InputError("scan.genome: is missing", "name the FASTA file to scan")


def _twice(settings: dict[str, Any]) -> Iterator[InputError]:
    """Of what makes a run or a result each, nothing counts double."""
    for key in ("train.seeds", "scan.contigs", "variants.offsets", "uncertainty.methods"):
        values = _value(settings, key)
        if isinstance(values, list) and len(set(values)) < len(values):
            again = next(value for i, value in enumerate(values) if value in values[:i])
            yield InputError(f"{key}: {again!r} stands twice", "name each once")


def _unseen(settings: dict[str, Any]) -> Iterator[InputError]:
    tta, augment = settings["predict"]["tta"], str(settings["augment"])
    if tta != "none" and augment in UNSEEN:
        said = f"predict.tta: {tta!r} shows images {UNSEEN[augment]}, which augment: {augment} keeps from the network"
        yield InputError(said, "allowed: none; or train with augment: default")


def _value(settings: dict[str, Any], key: str) -> Any:
    found: Any = settings
    for part in key.split("."):
        found = found[part]
    return found
