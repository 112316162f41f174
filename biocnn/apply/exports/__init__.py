"""Objects and boxes in the formats of other programs."""

from biocnn.apply.exports.shapes import Shape, box_shapes
from biocnn.apply.exports.write import write_shapes

__all__ = ["Shape", "box_shapes", "write_shapes"]
