"""Yes or no for each example."""

from biocnn.tasks.vectors import YesOrNo


class Binary(YesOrNo):
    """One output, 0 or 1."""

    name = "binary"
    label = "yes or no for each {one}"
