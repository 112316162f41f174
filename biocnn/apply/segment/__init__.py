"""Segmentation of new images of any size: masks or labels, and a table of objects."""

from biocnn.apply.segment.step import segment_files, segment_images

__all__ = ["segment_files", "segment_images"]
