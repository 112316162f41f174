"""Segmentation of new images of any size: masks or labels, and a table of objects."""
