"""Explain what a network learned: motifs and their matches, attributions, class activation maps."""

from biocnn.explain.attributions import base_contributions, input_x_gradient, integrated_gradients
from biocnn.explain.cam import grad_cam
from biocnn.explain.deeplift import DeepLift, deep_lift, shuffled_references
from biocnn.explain.images import ImageExplanation, explain_images, write_images
from biocnn.explain.matches import match_motifs
from biocnn.explain.motifs import KernelMotifs, kernel_motifs
from biocnn.explain.mutagenesis import saturation_mutagenesis
from biocnn.explain.pointing import Pointing, pointing_game
from biocnn.explain.sequences import SequenceExplanation, explain_sequences, write_sequences

__all__ = [
    "DeepLift",
    "ImageExplanation",
    "KernelMotifs",
    "Pointing",
    "SequenceExplanation",
    "base_contributions",
    "deep_lift",
    "explain_images",
    "explain_sequences",
    "grad_cam",
    "input_x_gradient",
    "integrated_gradients",
    "kernel_motifs",
    "match_motifs",
    "pointing_game",
    "saturation_mutagenesis",
    "shuffled_references",
    "write_images",
    "write_sequences",
]
