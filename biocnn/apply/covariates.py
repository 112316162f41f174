"""Covariates of new images, from a table."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from biocnn.core.errors import InputError, nearest
from biocnn.data.covariates import PREFIX, doubts, given
from biocnn.data.image_pairs import read_rows
from biocnn.prediction.compatibility import Note
from biocnn.prediction.model import Model
from biocnn.tasks.facts import Covariate


class NewCovariates:
    """Covariates of new images, by the name of their files.

    Parameters
    ----------
    path
        Table, CSV or TSV, with the column image and one for each covariate; None if the models take none.
    models
        Models that are applied.

    Raises
    ------
    InputError
        If models need a table and there is none, or the other way round, or as in ``biocnn.data.covariates.given``.
    """

    def __init__(self, path: Path | None, models: Sequence[Model]) -> None:
        coded, self.path = models[0].facts.coded, path
        names = ", ".join(one.name for one in coded)
        if path is None:
            if coded:
                raise InputError(
                    f"{models[0].path}: the model also needs {names} of each image",
                    "give a table with the columns image and these: apply.covariates, or --covariates FILE",
                )
            self.rows: pd.DataFrame | None = None
            return
        if not coded:
            raise InputError(f"apply.covariates: {models[0].path} was trained without covariates", "leave it out")
        table = read_rows(path)
        if "image" not in table:
            raise InputError(f"{path}: no column 'image' in its first line", nearest("image", table.columns))
        for line, name in table["image"][table["image"].duplicated()].items():
            raise InputError(f"{path} line {line}: {name} is listed again", "give each image one row")
        self.rows = given(coded, table, lambda line: f"{path} line {line}").set_index(table["image"])

    def of(self, *names: str) -> pd.DataFrame | None:
        """Return the row of an image, which has any of these names in the table; None if the models take none."""
        if self.rows is None:
            return None
        for name in names:
            if name in self.rows.index:
                return self.rows.loc[[name]]
        raise InputError(f"{self.path}: no row for the image {names[0]}", nearest(names[0], self.rows.index))

    def others(self, names: set[str]) -> list[str]:
        """Return the names of the rows for none of these images."""
        return [] if self.rows is None else [name for name in self.rows.index if name not in names]


def notes(coded: Sequence[Covariate], row: pd.DataFrame) -> Iterator[Note]:
    """Note what differs from the training split in the covariates of an image."""
    for reason, which in doubts(coded, row):
        if which.any():
            name = reason.split(" is ")[0]
            yield Note("note", f"covariate {reason}", str(row[PREFIX + name].iloc[0]))
