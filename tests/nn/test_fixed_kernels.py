import numpy as np
import pytest
import torch
from scipy import ndimage

from biocnn.core.errors import InputError
from biocnn.nn.fixed_kernels import filter_kernel, fixed_conv, image_filter, log_odds, pwm_scan

IMAGE = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
PFM = [[8, 0, 1, 3], [1, 0, 1, 2], [1, 9, 1, 2], [0, 1, 7, 3]]


def one_hot(sequence: str) -> torch.Tensor:
    rows = {**dict(zip("ACGT", np.eye(4), strict=True)), "N": np.full(4, 0.25)}
    return torch.tensor(np.array([rows[base] for base in sequence]).T[None], dtype=torch.float32)


def test_the_five_by_five_image():
    conv = fixed_conv([[[[1, 0, 1], [0, 1, 0], [1, 0, 1]]]], padding="valid")
    assert conv(torch.tensor([[IMAGE]], dtype=torch.float32)).tolist() == [[[[4, 3, 4], [2, 4, 3], [2, 3, 4]]]]


def test_fixed_weights_are_not_trained_but_stored():
    conv = fixed_conv(np.ones((2, 3, 4)))
    assert not any(p.requires_grad for p in conv.parameters())
    assert conv.state_dict()["conv.weight"].shape == (2, 3, 4)
    with pytest.raises(InputError, match="out_channels, in_channels"):
        fixed_conv(np.ones((3, 3)))


@pytest.mark.parametrize("background", [(0.25, 0.25, 0.25, 0.25), (0.3, 0.2, 0.2, 0.3)])
def test_a_scan_is_the_sum_of_log_odds_in_each_window(background):
    sequence = "ACGTGATTACAGGTCATGTANGT"
    counts, expected = np.array(PFM, float), np.array(background)[:, None]
    pwm = np.log2((counts + 0.5 * expected) / (counts.sum(0) + 0.5) / expected)
    pwm = dict(zip("ACGT", pwm, strict=True)) | {"N": pwm.mean(0)}
    brute = [sum(pwm[base][j] for j, base in enumerate(sequence[i : i + 4])) for i in range(len(sequence) - 3)]
    scores = pwm_scan(PFM, background=background, pseudocount=0.5)(one_hot(sequence))
    np.testing.assert_allclose(scores[0, 0], brute, rtol=1e-5, atol=1e-5)


def test_the_second_strand_is_the_scan_of_the_reverse_complement():
    x = one_hot("ACGTGATTACAGGTCATGTANGT")
    scan = pwm_scan(PFM, strands="both")
    torch.testing.assert_close(scan(x)[:, 1], scan(x.flip(1, 2))[:, 0].flip(-1))


def test_log_odds_of_the_background_is_zero():
    np.testing.assert_allclose(log_odds(np.full((4, 3), 5), [0.25] * 4, 1.0), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("pfm", "settings", "message"),
    [
        (np.ones((3, 4)), {}, "4 rows"),
        (-np.ones((4, 4)), {}, "negative"),
        (np.zeros((4, 4)), {}, "pfm"),
        (PFM, {"pseudocount": 0}, "pseudocount above 0"),
        (PFM, {"background": [0.5, 0.5]}, "sum to 1"),
        (PFM, {"background": [1, 0, 0, 0]}, "above 0"),
        (PFM, {"strands": "bth"}, "did you mean 'both'"),
    ],
)
def test_matrices_without_log_odds_are_refused(pfm, settings, message):
    with pytest.raises(InputError, match=message):
        pwm_scan(pfm, **settings)


def test_filters_of_known_values():
    x = torch.tensor([[IMAGE]], dtype=torch.float32)
    torch.testing.assert_close(image_filter(filter_kernel("identity"))(x), x)
    assert image_filter(filter_kernel("box"))(x)[0, 0, 1, 1].item() == pytest.approx(6 / 9)
    assert image_filter(filter_kernel("edge"))(torch.ones(1, 1, 5, 5))[0, 0, 2, 2] == 0
    assert image_filter(filter_kernel("sharpen"))(torch.ones(1, 1, 5, 5))[0, 0, 2, 2] == 1
    for name in ("box", "gaussian", "binomial"):
        assert filter_kernel(name, size=7, sigma=2).sum().item() == pytest.approx(1)
    assert (16 * filter_kernel("binomial")).tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    with pytest.raises(InputError, match="did you mean 'gaussian'"):
        filter_kernel("gausian")


def test_edges_are_zero_in_constant_images_and_known_around_a_point():
    point = torch.zeros(1, 1, 3, 3)
    point[0, 0, 1, 1] = 1
    for name in ("edge", "edge_four", "edge_diagonal"):
        assert filter_kernel(name).sum() == 0
        # Each kernel is symmetric about its centre, so the response to a point is the kernel.
        assert torch.equal(image_filter(filter_kernel(name))(point)[0, 0], filter_kernel(name))
    assert filter_kernel("edge_four").tolist() == [[0, -1, 0], [-1, 4, -1], [0, -1, 0]]
    assert filter_kernel("edge").tolist() == [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]
    assert filter_kernel("edge_diagonal").tolist() == [[1, 0, -1], [0, 0, 0], [-1, 0, 1]]


def test_each_line_is_found_by_its_own_detector():
    lines = {
        "line_horizontal": torch.tensor([[0.0, 0, 0], [1, 1, 1], [0, 0, 0]]),
        "line_vertical": torch.tensor([[0.0, 1, 0], [0, 1, 0], [0, 1, 0]]),
        "line_rising": torch.tensor([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]]),
        "line_falling": torch.eye(3),
    }
    for name, line in lines.items():
        found = {other: (filter_kernel(other) * line).sum().item() for other in lines}
        assert found == {other: 6 if other == name else 0 for other in lines}


def test_scipy_agrees():
    x = np.random.default_rng(0).normal(size=(3, 12, 15)).astype(np.float32)
    box = image_filter(filter_kernel("box", size=5), 3)(torch.from_numpy(x)[None])[0]
    bell = image_filter(filter_kernel("gaussian", size=9, sigma=1.0), 3)(torch.from_numpy(x)[None])[0]
    for channel in range(3):
        np.testing.assert_allclose(box[channel], ndimage.uniform_filter(x[channel], 5, mode="constant"), atol=1e-5)
        expected = ndimage.gaussian_filter(x[channel], 1.0, mode="constant", truncate=4.0)
        np.testing.assert_allclose(bell[channel], expected, atol=1e-5)
