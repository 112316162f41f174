"""The apply step: every image of a folder, with the mean prediction of several models."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from biocnn.apply.covariates import NewCovariates
from biocnn.config.registry import resolve
from biocnn.config.schema import options
from biocnn.config.settings import Apply, Predict
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.image_pairs import read_table
from biocnn.io.image_paths import PASSED_OVER, named_images, passed_over
from biocnn.prediction.compatibility import Note, agree
from biocnn.prediction.model import Model

APPLY = Apply()
TABLES = (".csv", ".tsv", ".txt")

log = logging.getLogger("biocnn")


@dataclass
class Applied:
    """What models make of one image.

    Parameters
    ----------
    table
        Name of the table of images, a CSV file.
    rows
        Rows of this table, without name and path of the image.
    notes
        Repairs of the image, and doubts about it.
    others
        Further tables by file name, to which each image adds rows.
    finish
        Receives the output folder, the table of images and the further tables of all images, before they are written;
        may change the tables, and write more files.
    """

    table: str
    rows: list[dict[str, Any]]
    notes: list[Note]
    others: dict[str, pd.DataFrame] = field(default_factory=dict)
    finish: Callable[[Path, pd.DataFrame, dict[str, pd.DataFrame]], None] | None = None


# Path and name of an image, models, output folder, and the covariates, if the models take any.
ApplyOne = Callable[..., Applied]


def apply_files(
    images: Path,
    models: Sequence[Path],
    folder: Path,
    *,
    covariates: Path | None = None,
    genome: Path | None = None,
    signal: Mapping[str, Path] | None = None,
    trust: Sequence[str] = (),
    **settings: Any,
) -> dict[str, int]:
    """Apply model files to new examples, into a new folder; settings are those of ``Model``, and on_error.

    The defaults are those of ``Predict`` and ``Apply`` in ``biocnn.config.settings``.
    """
    predict, section = options(settings, Predict, Apply)
    loaded = [Model(model, trust=trust, **dict(predict), **section.fit) for model in models]
    if not loaded:
        raise InputError("no model given", "give one or more files model.safetensors")
    torch.set_num_threads(loaded[0].meta.experiment.train.threads)
    folder.mkdir()
    for name, given in (("genome", genome), ("signal", signal)):
        if given and not loaded[0].input.scanned:
            raise InputError(f"--{name}: {loaded[0].path} is a model for {loaded[0].input.examples}", "leave it out")
    apply = resolve(loaded[0].input.applied)
    check_exports(loaded[0], section.exports)
    more: dict[str, Any] = {"exports": section.exports} if section.exports else {}
    more |= {name: value for name, value in (("genome", genome), ("signal", signal)) if value}
    return apply(images, loaded, folder, covariates=covariates, on_error=section.on_error, **more)


def check_exports(model: Model, exports: Sequence[str]) -> None:
    """Refuse formats that the results of a model do not have."""
    if wrong := [kind for kind in exports if kind not in model.task.exports]:
        remedy = f"allowed: {', '.join(model.task.exports)}" if model.task.exports else "leave it out"
        raise InputError(f"apply.exports: {model.path} has no results for {', '.join(wrong)}", remedy)


def apply_images(
    images: str | Path,
    models: Sequence[Model],
    folder: Path,
    *,
    covariates: Path | None = None,
    on_error: str = APPLY.on_error,
    exports: Sequence[str] = (),
) -> dict[str, int]:
    """Apply models to every image of a folder.

    The task of the models determines the files, by its attribute ``applied``: see ``biocnn.apply.segment.step``,
    ``biocnn.apply.boxes`` and ``biocnn.apply.vectors``.

    Parameters
    ----------
    images
        Folder of images, one image, an .npz file of images, or a table with the column image (paths relative to its
        folder), and those of the covariates.
    models
        One or more models with the same task, outputs and channels. The first one determines the settings that turn
        maps into objects, and the memory to use.
    folder
        Receives the files of the task; its table of images, with all repairs of an image, or why it was skipped; and
        counts.tsv with the number of each.
    covariates
        Table with the covariates of the images, for models that were trained with some: see `NewCovariates`.
    on_error
        What to do with an image that cannot be read or does not fit the model: ``skip`` it, or ``stop``.
    exports
        Further formats, of those in the attribute ``exports`` of the task: see ``biocnn.config.settings.Apply``.

    Returns
    -------
    counts
        Number of rows of each table, by file name.

    Raises
    ------
    InputError
        If models differ, an image cannot be used and ``on_error`` is ``stop``, no image can be used, or results cannot
        be exported in a format.
    """
    agree(models, "image")
    options({"exports": list(exports)}, Apply)
    check_exports(models[0], exports)
    apply_one: ApplyOne = resolve(models[0].task.applied)
    if exports:
        apply_one = partial(apply_one, exports=exports)

    def apply(path: Path, name: str, *row: pd.DataFrame) -> Applied:
        return apply_one(path, name, models, folder, *row)

    return apply_each(*new_images(Path(images), models, covariates, apply), folder, on_error)


@dataclass
class New:
    """A new example.

    Parameters
    ----------
    place
        First columns of its rows in all tables; the first one has its name.
    apply
        Applies the models to it.
    """

    place: dict[str, Any]
    apply: Callable[[], Applied]


def new_images(
    images: Path, models: Sequence[Model], covariates: Path | None, apply: Callable[..., Applied]
) -> tuple[list[New], str, dict[str, list[str]]]:
    """List new images, for ``apply_each``; ``images`` and ``covariates`` as for ``apply_images``.

    ``apply`` gets the path of an image, its unique name, and a row with its covariates, if the models take any.
    """
    listed = images.suffix.lower() in TABLES
    known = NewCovariates(covariates or (images if listed and models[0].facts.coded else None), models)
    found, named = [], set[str]()

    def one(path: Path, names: Sequence[str]) -> Applied:
        row = known.of(*names)
        return apply(path, names[-1], *([] if row is None else [row]))

    base = images.parent if listed else images
    for name, path in named_images(
        [base / name for name in read_table(images, ["image"])["image"]] if listed else images
    ):
        place = str(path.relative_to(base) if path != base else path.name)
        names = (place, path.name, name)
        named.update(names)
        found.append(New({"image": name, "path": place}, partial(one, path, names)))
    unused = {
        PASSED_OVER: [path.name for path in passed_over(images)],
        "rows of covariates without an image": known.others(named),
    }
    return found, "images", unused


def apply_each(
    found: Sequence[New],
    what: str,
    unused: dict[str, list[str]],
    folder: Path,
    on_error: str,
    checks: Checks | None = None,
) -> dict[str, int]:
    """Apply models to new examples, as ``apply_images`` does.

    ``unused`` names, by reason, what was not considered; ``checks`` hold earlier counts.
    """
    options({"on_error": on_error}, Apply)
    rows, checks, skipped = [], checks or Checks(), []
    others: dict[str, list[pd.DataFrame]] = {}
    finish = None
    for one in found:
        place, name = one.place, next(iter(one.place.values()))
        try:
            applied = one.apply()
        except InputError as error:
            if on_error == "stop":
                raise
            log.warning("skipped: %s", error)
            skipped.append(error)
            rows.append({**place, "skipped": " ".join(f"{error.message}: {error.remedy}".split())})
            continue
        for note in applied.notes:
            checks.add("apply", note.outcome, note.reason, 1, f"{name}: {note.detail}" if note.detail else name)
        message = "; ".join(f"{note.reason} ({note.detail})" if note.detail else note.reason for note in applied.notes)
        finish = applied.finish
        rows += [{**place, **row, "notes": message} for row in applied.rows]
        for file, table in applied.others.items():
            others.setdefault(file, []).append(pd.DataFrame(place, index=table.index).join(table))
    if len(skipped) == len(found):
        first = skipped[0]
        raise InputError(f"{first.message} (none of {len(found)} {what} can be used)", first.remedy)
    checks.add("apply", "read", f"new {what}", len(found) - len(skipped))
    for reason, names in unused.items():
        checks.add("apply", "note", reason, len(names), *names[:1])
    if skipped:
        log.warning("skipped %d of %d %s; %s gives the reasons", len(skipped), len(found), what, applied.table)
        checks.add("apply", "dropped", f"{what} that cannot be used", len(skipped), skipped[0].message)
    table = pd.DataFrame(rows)
    last = ["notes", "skipped"]
    table = table.reindex(columns=[*(name for name in table if name not in last), *last])
    tables = {file: pd.concat([one for one in each if len(one)] or each) for file, each in others.items()}
    if finish:
        finish(folder, table, tables)
    for file, rows_of in ({applied.table: table} | tables).items():
        rows_of.to_csv(folder / file, index=False, float_format="%.6g")
    checks.counted().to_csv(folder / "counts.tsv", sep="\t", index=False)
    return {applied.table: len(table)} | {file: len(rows_of) for file, rows_of in tables.items()}
