"""Similarity of images: of a prediction and the truth, each of shape (C, *spatial), of which all channels count alike.

Truth that is unknown (nan) is left out of errors; structural similarity needs all of it, and is nan otherwise.
"""

import numpy as np
from scipy.ndimage import uniform_filter

SIDE = 7  # of the windows of structural similarity, in pixels
K1, K2 = 0.01, 0.03


def mae(image: np.ndarray, target: np.ndarray) -> float:
    """Mean absolute error; nan without known pixels."""
    return _mean(np.abs(_difference(image, target)))


def psnr(image: np.ndarray, target: np.ndarray, *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB: 10 log10(data_range ** 2 / mean squared error); infinite for equal images."""
    error = _mean(_difference(image, target) ** 2)
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(data_range) - 10 * np.log10(error))


def psnr_fitted(image: np.ndarray, target: np.ndarray, *, data_range: float) -> float:
    """`psnr` of the scaled and shifted image that is closest to the target, one scale and shift per channel.

    It does not depend on brightness and contrast of the prediction, which matters if each image was stretched to its
    own range before it was saved.

    References
    ----------
    Weigert et al., Nature Methods 15, 1090-1097 (2018), doi:10.1038/s41592-018-0216-7.
    """
    return psnr(fitted(image, target), target, data_range=data_range)


def fitted(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the least-squares fit a * image + b to the known pixels of a target, channel by channel."""
    return np.stack([_fitted(one, true) for one, true in zip(image, target, strict=True)])


def _fitted(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    known = ~np.isnan(target)
    x, y = image[known].astype(np.float64), target[known].astype(np.float64)
    if not x.size:
        return image
    spread = ((x - x.mean()) ** 2).sum()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / spread if spread > 0 else 0.0
    return slope * (image.astype(np.float64) - x.mean()) + y.mean()


def ssim(image: np.ndarray, target: np.ndarray, *, data_range: float) -> float:
    """Mean structural similarity, 1 for equal images, over windows of 7 pixels along each axis, and channels.

    The mean is over all windows inside the image. Images smaller than a window along an axis have no value (nan).

    References
    ----------
    Wang et al., IEEE Transactions on Image Processing 13, 600-612 (2004), doi:10.1109/TIP.2003.819861.
    """
    if min(image.shape[1:]) < SIDE or np.isnan(target).any():
        return float("nan")
    return float(np.mean([_ssim(one, true, data_range) for one, true in zip(image, target, strict=True)]))


def residual_correlation(image: np.ndarray, given: np.ndarray) -> float:
    """Correlation of neighbouring pixels in what was removed, ``given - image``: the largest over axes and channels.

    Independent noise of any strength leaves 0; removed structures, or noise that neighbours share, leave more. It needs
    no truth, and does not show how much noise remains. nan if nothing was removed.
    """
    found = []
    for removed in _difference(given, image):
        for axis in range(removed.ndim):
            along = np.moveaxis(removed, axis, 0)
            one, other = along[:-1].ravel(), along[1:].ravel()
            if one.size and one.std() > 0 and other.std() > 0:
                found.append(abs(float(np.corrcoef(one, other)[0, 1])))
    return max(found, default=float("nan"))


def _ssim(image: np.ndarray, target: np.ndarray, data_range: float) -> float:
    x, y = image.astype(np.float64), target.astype(np.float64)
    n = SIDE**x.ndim
    inside = (slice(SIDE // 2, -(SIDE // 2)),) * x.ndim
    mean_x, mean_y, xx, yy, xy = (uniform_filter(one, SIDE)[inside] for one in (x, y, x * x, y * y, x * y))
    unbiased = n / (n - 1)  # sample variances
    var_x, var_y = unbiased * (xx - mean_x**2), unbiased * (yy - mean_y**2)
    covariance = unbiased * (xy - mean_x * mean_y)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float(np.mean(similarity / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))))


def _difference(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    return image.astype(np.float64) - target.astype(np.float64)


def _mean(values: np.ndarray) -> float:
    known = ~np.isnan(values)
    return float(values[known].mean()) if known.any() else float("nan")
