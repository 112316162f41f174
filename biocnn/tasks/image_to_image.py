"""An image from an image: without noise, at another resolution, or in another stain."""

from typing import TYPE_CHECKING, ClassVar

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
    losses = ("l1", "mse", "ssim")
    metrics = ("psnr_fitted", "psnr", "ssim", "mae")
    headline = ("psnr_fitted", "ssim")
    label = "an image for each {one}"
    family = "restoration"
    figures = "biocnn.report.restoration:figures"
    floors = "biocnn.evaluation.restoration_floors:floors"
    applied = "biocnn.apply.restore:restore_image"
    units: ClassVar = {"psnr": "dB", "psnr_fitted": "dB"}
    about_loss = "Intensities are scaled for training, so that the loss has no unit."

    def __init__(self, facts: "Facts") -> None:
        super().__init__(facts)
        self.like_input = facts.out_channels == facts.in_channels
        self.standardised = not self.like_input

    def complete(self, network: "nn.Module") -> "nn.Module":
        """Add the input, with mean and standard deviation of the targets, to an output in units of the latter."""
        from biocnn.nn.residual import add_input

        if not self.like_input:
            return network
        x, y = self.facts.intensity, self.facts.values
        assert x
        assert y
        factor, shift, scale = [], [], []
        for low, high, mean_x, sd_x, mean_y, sd_y in zip(x.low, x.high, x.mean, x.std, y.mean, y.sd, strict=True):
            span = max(high - low, 1e-12)
            factor.append(sd_y / max(sd_x, 1e-12))
            shift.append((mean_y - low - factor[-1] * (mean_x - low)) / span)
            scale.append(sd_y / span)
        add_input(network, factor, shift, scale)
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
