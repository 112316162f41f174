"""Measure objects: position, size, shape and intensity of each, and a summary per image."""

from biocnn.apply.measure.images import summarise, with_neighbours
from biocnn.apply.measure.table import background_levels, measure

__all__ = ["background_levels", "measure", "summarise", "with_neighbours"]
