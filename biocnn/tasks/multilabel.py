"""Yes or no for each example and output."""

from biocnn.tasks.vectors import YesOrNo


class Multilabel(YesOrNo):
    """Several outputs, each 0, 1 or unknown (nan)."""

    name = "multilabel"
    given_as = "label"
    label = "yes or no for each {one} and output"
