"""Objects -> tables: where each is, how large, what shape, how bright; and of each image in a row."""

from biocnn.measure.images import summarise, with_neighbours
from biocnn.measure.table import background_levels, measure

__all__ = ["background_levels", "measure", "summarise", "with_neighbours"]
