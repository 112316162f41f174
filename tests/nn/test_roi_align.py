import pytest
import torch
from scipy.ndimage import map_coordinates

from biocnn.nn.roi_align import level_of, roi_align


def random_rois(number: int, dims: int = 2, side: float = 40, images: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    first = 0.6 * side * torch.rand(number, dims, generator=generator)
    image = torch.arange(number)[:, None] % images
    return torch.cat([image, first, first + 0.4 * side * torch.rand(number, dims, generator=generator)], 1)


@pytest.mark.parametrize("dims", [2, 3])
def test_bins_are_means_of_interpolated_samples(dims):
    stride, size, samples = 4, 3, 2
    features = torch.randn(2, 5, *[10, 12, 9][:dims], generator=torch.Generator().manual_seed(0))
    boxes = random_rois(6, dims)
    boxes[0, 1:] = torch.tensor(
        [0.0] * dims + [4 * n for n in features.shape[2:]]
    )  # whole image, samples at the border
    found = roi_align([features], [stride], boxes, size=size, samples=samples)
    for roi, box in zip(found, boxes, strict=True):
        start, end = box[1 : 1 + dims] / stride, box[1 + dims :] / stride
        share = (torch.arange(size * samples) + 0.5) / (size * samples)
        along = [s + share * (e - s) - 0.5 for s, e in zip(start, end, strict=True)]
        at = torch.stack(torch.meshgrid(along, indexing="ij")).numpy()
        for channel, values in enumerate(features[int(box[0])].numpy()):
            sampled = torch.from_numpy(map_coordinates(values, at, order=1, mode="nearest"))
            for axis in range(dims):
                sampled = sampled.unflatten(axis, (size, samples)).mean(axis + 1)
            torch.testing.assert_close(roi[channel], sampled, rtol=1e-4, atol=1e-5)


def test_a_ramp_is_read_at_the_centres_of_the_bins():
    rows, columns = torch.arange(32.0)[:, None] + 0.5, torch.arange(40.0) + 0.5
    ramp = (3 * rows + 7 * columns)[None, None]
    box = torch.tensor([[0, 4.0, 6, 18, 27]])
    found = roi_align([ramp], [1], box)
    wanted = 3 * (4 + 2 * (torch.arange(7) + 0.5))[:, None] + 7 * (6 + 3 * (torch.arange(7) + 0.5))
    torch.testing.assert_close(found[0, 0], wanted)
    strided = ramp[:, :, ::2, ::2] + 5  # means of cells of 2 x 2 pixels
    torch.testing.assert_close(roi_align([strided], [2], box)[0, 0], wanted)


def test_each_box_is_read_from_the_level_of_its_size():
    strides = [4, 8, 16, 32]
    sides = torch.tensor([1.0, 111, 113, 223, 224, 447, 449, 5000])
    boxes = torch.stack([sides * 0, sides * 0, sides / 2, sides * 2], 1)
    assert level_of(boxes, strides).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert level_of(boxes, [1, 2, 4, 8]).tolist() == [0, 2, 3, 3, 3, 3, 3, 3]
    assert level_of(torch.zeros(1, 4), strides).tolist() == [0]
    features = [torch.full((2, 1, 640 // stride, 640 // stride), float(stride)) for stride in strides]
    features[1][1] = -8
    rois = torch.cat([torch.tensor([0.0, 1, 1, 1, 0, 1, 0, 1])[:, None], boxes], 1)
    found = roi_align(features, strides, rois)
    assert found.amax((1, 2, 3)).tolist() == pytest.approx([4, 4, -8, -8, 16, 16, 32, 32])
    assert found.shape == (8, 1, 7, 7)


def test_no_box_has_no_features():
    found = roi_align([torch.zeros(1, 3, 8, 8, requires_grad=True)], [4], torch.zeros(0, 5))
    assert found.shape == (0, 3, 7, 7)
    found.sum().backward()


@pytest.mark.parametrize("dims", [2, 3])
def test_the_gradient_is_right_and_deterministic(dims):
    torch.set_deterministic_debug_mode("error")
    generator = torch.Generator().manual_seed(0)
    features = [
        torch.randn(2, 1, *[side] * dims, dtype=torch.float64, generator=generator).requires_grad_() for side in (4, 2)
    ]
    boxes = random_rois(3, dims, side=16)
    boxes[1] *= 8  # beyond the border
    boxes[1, 0] = 1

    def pooled(*levels: torch.Tensor) -> torch.Tensor:
        return roi_align(levels, [4, 8], boxes, size=2)

    assert torch.autograd.gradcheck(pooled, features)
