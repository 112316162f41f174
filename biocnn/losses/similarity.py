"""Loss of structural similarity."""

from torch import Tensor
from torch.nn import functional as F

SIDE = 7  # of the windows, in pixels
C1, C2 = 0.01**2, 0.03**2


def ssim(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """1 minus the mean structural similarity, over windows of 7 pixels along each axis in which all values are known.

    Intensities as scaled for training count as having a range of 1; ``class_weights`` are ignored.

    References
    ----------
    Wang et al., IEEE Transactions on Image Processing 13, 600-612 (2004), doi:10.1109/TIP.2003.819861.
    """
    dims = logits.ndim - 2
    side = min(SIDE, *logits.shape[2:])
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[dims]
    known = ~target.isnan()
    x, y = logits.float() * known, target.float().nan_to_num()
    mean_x, mean_y, xx, yy, xy = (pool(one, side, 1) for one in (x, y, x * x, y * y, x * y))
    unbiased = side**dims / max(1, side**dims - 1)  # sample variances
    variances = unbiased * (xx + yy - mean_x**2 - mean_y**2)
    covariance = unbiased * (xy - mean_x * mean_y)
    similarity = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    similarity = similarity / ((mean_x**2 + mean_y**2 + C1) * (variances + C2))
    complete = pool(known.float(), side, 1) > 1 - 0.5 / side**dims
    return 1 - (similarity * complete).sum() / complete.sum().clamp(min=1)
