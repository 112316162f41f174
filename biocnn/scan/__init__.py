"""Windows along a chromosome: predicted in order, all at once where the network allows it, and written as tracks."""

from biocnn.scan.windows import Scanner

__all__ = ["Scanner"]
