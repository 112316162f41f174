"""An image from an image: without noise, at another resolution, or in another stain."""

from typing import TYPE_CHECKING, ClassVar

from biocnn.core.errors import InputError
from biocnn.tasks.value_maps import ValueMapTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from torch import nn

    from biocnn.tasks.facts import Facts


class ImageToImage(ValueMapTask):
    """The channels of an image, corrected.

    If input and target have equally many channels, the network corrects its input, and targets are scaled like it;
    otherwise targets are standardised.
    """

    name = "image_to_image"
    exact = True
    losses = ("l1", "mse", "ssim")
    metrics = ("psnr_fitted", "psnr", "ssim", "mae")
    headline = ("psnr_fitted", "ssim")
    label = "an image for each {one}"
    family = "restoration"
    figures = "biocnn.report.restoration:figures"
    baselines = "biocnn.evaluation.restoration_baselines:baselines"
    applied = "biocnn.apply.restore:restore_image"
    units: ClassVar = {"psnr": "dB", "psnr_fitted": "dB"}
    about_loss = "Intensities are scaled for training, so that the loss has no unit."

    def __init__(self, facts: "Facts") -> None:
        super().__init__(facts)
        self.like_input = facts.out_channels == facts.in_channels
        self.standardised = not self.like_input

    def complete(self, network: "nn.Module") -> "nn.Module":
        """Let the network predict what is missing from a linear fit of the targets to the input, pixel by pixel.

        With little noise this is nearly the input itself, of which much noise leaves less.
        """
        import numpy as np

        from biocnn.nn.residual import add_input

        if not self.like_input:
            return network
        x, fit = self.facts.intensity, self.facts.pixel_fit
        if not (x and fit):
            raise InputError("facts: pixel_fit is missing", "store the data set again, and train again")
        low, span = np.array(x.low), np.maximum(np.subtract(x.high, x.low), 1e-12)
        factor = np.array(fit.factor)
        add_input(network, factor, (factor * low + fit.shift - low) / span, fit.rest / span)
        return network

    @property
    def data_range(self) -> float:
        """Range of intensities for PSNR and SSIM: 255 for 8-bit targets, else that of the training targets."""
        values = self.facts.values
        assert values
        return 255.0 if self.facts.target_dtype == "uint8" else max(values.most) - min(values.least)

    def judged(self, p: "np.ndarray", y: "np.ndarray") -> "Iterator[tuple[str, str, float]]":
        """Judge all channels together."""
        from biocnn.metrics import similarity

        for metric in (similarity.psnr_fitted, similarity.psnr, similarity.ssim):
            yield "image", metric.__name__, metric(p, y, data_range=self.data_range)
        yield "image", "mae", similarity.mae(p, y)
