"""Uncertainty of image networks: for pixels, objects and images, and the choice of images to annotate next."""

from biocnn.evaluation.uncertainty.calibration import Reliability
from biocnn.evaluation.uncertainty.maps import Uncertainty, maps, of_probability
from biocnn.evaluation.uncertainty.objects import best_iou, object_uncertainty
from biocnn.evaluation.uncertainty.ranking import annotate_next, area, risk_coverage
from biocnn.evaluation.uncertainty.sampling import samples, thinned

__all__ = [
    "Reliability",
    "Uncertainty",
    "annotate_next",
    "area",
    "best_iou",
    "maps",
    "object_uncertainty",
    "of_probability",
    "risk_coverage",
    "samples",
    "thinned",
]
