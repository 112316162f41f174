"""Base class of networks that find objects."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Detector(nn.Module, ABC):
    """Network that returns boxes around objects, and owns its loss.

    Boxes are rows of float32: label, score where they are found, first corner, opposite corner, in pixels along the
    axes, as in ``biocnn.tasks.target.Boxes``.
    """

    @abstractmethod
    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss of a batch, one differentiable float32 value.

        Parameters
        ----------
        x
            Images, shape (N, in_channels, *spatial).
        y
            True boxes of all images, shape (M, 2 + 2 spatial_dims): number of the image, label, corners. Boxes with
            label -1 are neither objects nor background.
        """

    @abstractmethod
    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the boxes found in each image, highest score first, shape (M, 2 + 2 spatial_dims) each."""
