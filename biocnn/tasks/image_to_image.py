"""An image from an image: without noise, at a higher resolution, or in another stain."""

from typing import TYPE_CHECKING, Any, ClassVar

from biocnn.core.errors import InputError
from biocnn.tasks.value_maps import Moments, ValueMapTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from torch import nn

    from biocnn.tasks.facts import Facts


class ImageToImage(ValueMapTask):
    """The channels of an image, corrected, or with more pixels.

    If input and target have equally many channels, the network corrects its input, and targets are scaled like it;
    otherwise targets are standardised. Without targets it learns to predict hidden pixels of its input.
    """

    name = "image_to_image"
    given_as = "target"
    exact = True
    losses: tuple[str, ...] = ("l1", "mse", "ssim")
    metrics: tuple[str, ...] = ("psnr_fitted", "psnr", "ssim", "mae")
    headline: tuple[str, ...] = ("psnr_fitted", "ssim")
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
        self.blind = facts.blind
        if facts.upscale > 1:
            self.label += f", with {facts.upscale} times as many pixels along each axis"
        if self.blind:
            self.label += " without its noise, learned from the {one}s alone"
            self.losses = ("mse", "l1")  # mse first: noise with mean 0 leaves the mean, and a skewed one not the median
            self.metrics = (*self.metrics, "residual_correlation")
            self.headline = self.headline if facts.values else ("residual_correlation",)
            self.about_loss = f"Losses are of hidden pixels, which are as noisy as all others. {self.about_loss}"

    @property
    def computed(self) -> int:
        """Return the number of channels of a network before ``complete``."""
        return self.facts.out_channels * self.facts.upscale**self.facts.spatial_dims

    def check_split(self, found: dict[str, list[Moments]]) -> "Iterator[tuple[str, str]]":
        """Check the targets; if learning needs none, note whether there are some to evaluate by."""
        if not self.blind:
            yield from super().check_split(found)
        elif not self.measure(found):
            yield "the test split has no target to compare restored images with", ""

    def measure(self, found: dict[str, list[Moments]]) -> dict[str, Any]:
        """Measure the values of targets in the training split; if learning needs none, in the test split, if any."""
        if not self.blind:
            return super().measure(found)
        known = [moments for moments in found["test"] if moments.number.any()]
        return super().measure({"train": known}) if known else {}

    def fitted(self, x: "np.ndarray", y: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Return an image, interpolated to the pixels of its target, and the target; without the image if it is hidden.

        A network that saw its input through the fit would have to learn to subtract the noise of the pixel itself.
        """
        import numpy as np

        if self.blind:
            return np.zeros_like(x), x
        return self.enlarged(x), y

    def enlarged(self, x: "np.ndarray") -> "np.ndarray":
        """Interpolate an image (C, *spatial) to the pixels of its target."""
        if self.facts.upscale == 1:
            return x
        import numpy as np
        import torch

        from biocnn.nn.pixel_shuffle import enlarge

        return enlarge(torch.from_numpy(x.astype(np.float32))[None], self.facts.upscale)[0].numpy()

    def complete(self, network: "nn.Module") -> "nn.Module":
        """Let the network predict what is missing from a linear fit of the targets to the input, pixel by pixel.

        With little noise this is nearly the input itself, of which much noise leaves less. More pixels than in the
        input are channels of the network before.
        """
        import numpy as np

        from biocnn.nn.residual import add_input, refine_output

        if self.facts.upscale > 1:
            refine_output(network, self.facts.upscale)
        if not self.like_input:
            return network
        x, fit = self.facts.intensity, self.facts.pixel_fit
        if not (x and fit):
            raise InputError("facts: pixel_fit is missing", "store the data set again, and train again")
        low, span = np.array(x.low), np.maximum(np.subtract(x.high, x.low), 1e-12)
        factor = np.array(fit.factor)
        shift, scale = (factor * low + fit.shift - low) / span, fit.rest / span
        add_input(network, factor, shift, scale, self.facts.upscale)
        return network

    @property
    def data_range(self) -> float:
        """Range of intensities for PSNR and SSIM: 255 for 8-bit targets, else that of the measured targets."""
        values = self.facts.values
        assert values
        return 255.0 if self.facts.target_dtype == "uint8" else max(values.most) - min(values.least)

    def judged(self, p: "np.ndarray", y: "np.ndarray", x: "np.ndarray") -> "Iterator[tuple[str, str, float]]":
        """Judge all channels together."""
        import numpy as np

        from biocnn.metrics import similarity

        if self.facts.values and not np.isnan(y).all():
            for metric in (similarity.psnr_fitted, similarity.psnr, similarity.ssim):
                yield "image", metric.__name__, metric(p, y, data_range=self.data_range)
            yield "image", "mae", similarity.mae(p, y)
        if self.blind:
            yield "image", "residual_correlation", similarity.residual_correlation(p, x)
