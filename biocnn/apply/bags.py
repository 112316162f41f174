"""Predictions of new bags of images, from a table or a folder, and the attention that each image gets."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.apply.covariates import NewCovariates
from biocnn.apply.images import APPLY, TABLES, Applied, New, apply_each
from biocnn.apply.overlay import write_thumbnail
from biocnn.apply.vectors import unseen
from biocnn.core.errors import InputError
from biocnn.data.bagged_images import refuse_repeated
from biocnn.data.image_pairs import check_columns, read_table
from biocnn.data.labels import shown
from biocnn.io.image_paths import PASSED_OVER, SUFFIXES, image_paths, passed_over
from biocnn.io.kinds import is_zarr
from biocnn.prediction.bags import predict_bag
from biocnn.prediction.compatibility import Note, agree
from biocnn.prediction.model import Model


def apply_bags(
    images: str | Path,
    models: Sequence[Model],
    folder: Path,
    *,
    covariates: Path | None = None,
    on_error: str = APPLY.on_error,
) -> dict[str, int]:
    """Apply models to bags, as ``biocnn.apply.images.apply_images`` does to images.

    Parameters
    ----------
    images
        Table with the columns image (paths relative to its folder) and that of the bags in training; or a folder with
        one subfolder of images per bag; or the folder of one bag.
    models, covariates, on_error
        As for images. The attention of several models is averaged.
    folder
        Receives predictions.csv, a row for each bag; attention.csv, a row for each image; counts.tsv; and thumbnails/,
        for the report a small picture of the image of each bag that gets most attention.
    """
    agree(models, "bag")
    NewCovariates(covariates, models)  # refuses any: bags have none
    source = Path(images)
    unread: list[str] = []
    if source.is_file():
        table, column = source, str(models[0].meta.experiment.data.bag)
        if source.suffix.lower() not in TABLES:
            raise InputError(f"{source}: not a table of bags", f"allowed: {' '.join(TABLES)}, or a folder of bags")
        rows = read_table(table, ["image"])
        check_columns(rows, table, [column])
        refuse_repeated(rows, column, table)
        bags = {
            name: [source.parent / path for path in part["image"]] for name, part in rows.groupby(column, sort=False)
        }
    else:
        entries = [path for path in sorted(source.iterdir()) if not path.name.startswith(".")]
        folders = [path for path in entries if path.is_dir() and not is_zarr(path)]
        if folders and (loose := [path.name for path in entries if path not in {*folders, *passed_over(source)}]):
            raise InputError(
                f"{source}: images beside the subfolders of bags: {shown(loose)}",
                "move each into the subfolder of its bag",
            )
        unread = [path.name for path in passed_over(source) if path not in folders]
        unread += [f"{folder.name}/{path.name}" for folder in folders for path in passed_over(folder)]
        bags = {path.name: _images(path) for path in folders or [source]}
    base = source.parent if source.is_file() else source
    found = [
        New({"bag": name, "images": len(paths)}, partial(_apply_bag, name, paths, base, models, folder))
        for name, paths in bags.items()
    ]
    return apply_each(found, "bags", {PASSED_OVER: unread}, folder, on_error)


def _images(folder: Path) -> list[Path]:
    """Return the images of a folder; none if it holds only other files."""
    return image_paths(folder) if len(passed_over(folder)) < len(list(folder.glob("[!.]*"))) else []


def _apply_bag(name: str, paths: Sequence[Path], base: Path, models: Sequence[Model], folder: Path) -> Applied:
    """Predict one bag: a row of predictions.csv, see ``VectorTask.describe``, and rows of attention.csv."""
    if not paths:
        raise InputError(f"bag {name!r} of {base}: no image", f"allowed: {' '.join(SUFFIXES)}")
    p, weights = zip(*(predict_bag(model, list(paths)) for model in models), strict=True)
    mean, notes = np.mean(weights, axis=0), []
    for i, path in enumerate(paths):
        with models[0].open_image(path) as image:
            notes += [Note("repaired", repair) for repair in image.repairs]
            one = models[0].adapt(image, str(path))
            assert models[0].frame
            notes += [*one.notes, *unseen(models[0].frame, one.shape[1:])]
            if i == int(np.argmax(mean)):  # also if all are unknown
                write_thumbnail(image, folder, str(name))
    names = [str(path.relative_to(base)) if path.is_relative_to(base) else str(path) for path in paths]
    attention = pd.DataFrame({"path": names, "attention": mean})
    attention["relative"] = attention["attention"] * len(names)
    others = {} if attention["attention"].isna().all() else {"attention.csv": attention}
    return Applied("predictions.csv", [models[0].task.describe(np.stack(p))], list(dict.fromkeys(notes)), others)
