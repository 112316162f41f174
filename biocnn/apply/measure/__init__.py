"""Objects -> tables: where each is, how large, what shape, how bright; and of each image in a row."""

from biocnn.apply.measure.images import summarise, with_neighbours
from biocnn.apply.measure.table import background_levels, measure

__all__ = ["background_levels", "measure", "summarise", "with_neighbours"]
