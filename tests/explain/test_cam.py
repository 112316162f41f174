"""Class activation maps: they highlight the object, in every dimension and every network of biocnn."""

from typing import Any

import numpy as np
import pytest
import torch
from tiny import task_of
from torch import Tensor, nn
from torch.nn import functional as F

from biocnn.core.errors import InputError
from biocnn.explain import explain_images, grad_cam, write_images
from biocnn.explain.cam import default_layer
from biocnn.explain.images import ImageExplanation, picture
from biocnn.io.display import display
from biocnn.tasks import Task


def made(task: str, *outputs: str, **told: Any) -> Task:
    return task_of(task, outputs=list(outputs), **told)


def answers(model: nn.Module, images: list[Tensor]) -> list[Tensor]:
    """Return predictions up to scale, which does not matter here."""
    with torch.no_grad():
        return [model(image[None])[0] for image in images]


def explained(
    model: nn.Module, images: list[Tensor], ids: list[str], task: Task, targets: list[Tensor] | None = None
) -> ImageExplanation:
    """Explain images by predictions of the model; without targets for a task that does not ask for them."""
    targets = [torch.zeros(len(task.outputs))] * len(images) if targets is None else targets
    return explain_images(model, images, answers(model, images), targets, ids, task)


class Bright(nn.Module):
    """Two classes, bright and dark; features are the image and its negative."""

    def __init__(self, spatial_dims: int = 2, dense: bool = False) -> None:
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[spatial_dims - 1]
        self.features, self.head = conv(1, 4, 1, bias=False), nn.Linear(4, 2)
        self.dense = dense
        with torch.no_grad():
            self.features.weight.copy_(torch.tensor([1.0, 1, -1, -1]).view(4, 1, *[1] * spatial_dims))
            self.head.weight.copy_(torch.tensor([[-1.0, -1, 1, 1], [1, 1, -1, -1]]))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x).relu().movedim(1, -1)
        logits = self.head(features if self.dense else features.flatten(1, -2).mean(dim=1))
        return logits.movedim(-1, 1) if self.dense else logits


def spots(spatial_dims: int) -> Tensor:
    x = torch.zeros(2, 1, *[16] * spatial_dims)
    x[(0, 0, *[slice(2, 5)] * spatial_dims)] = 3.0
    x[(1, 0, *[slice(9, 14)] * spatial_dims)] = 5.0
    return x


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize("dense", [False, True])
def test_the_map_equals_the_object(spatial_dims: int, dense: bool) -> None:
    x = spots(spatial_dims)
    cam = grad_cam(Bright(spatial_dims, dense), x, output=1)
    torch.testing.assert_close(cam, (x[:, 0] > 0).float())


def test_the_scale_of_an_image_does_not_matter_and_images_are_independent() -> None:
    model, x = Bright(), spots(2)
    both = grad_cam(model, x, output=1)
    for i in range(2):
        torch.testing.assert_close(grad_cam(model, 7 * x[i : i + 1], output=1)[0], both[i])


def test_an_absent_class_has_a_map_of_zeros() -> None:
    class Never(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).relu().sum(dim=1, keepdim=True) - 1e6

    assert (grad_cam(Never(), spots(2)) == 0).all()


def test_only_classes_of_the_task_compete() -> None:
    class Three(Bright):
        """A third output that is larger than the classes everywhere, but is not a class."""

        def forward(self, x: Tensor) -> Tensor:
            return F.pad(super().forward(x), (0, 0, 0, 0, 0, 1), value=1e3)

    x = spots(2)
    model = Three(dense=True)
    assert (grad_cam(model, x, output=1) == 0).all()
    torch.testing.assert_close(grad_cam(model, x, output=1, rivals=2), (x[:, 0] > 0).float())


def test_the_layer_can_be_named_and_is_checked() -> None:
    torch.testing.assert_close(grad_cam(Bright(), spots(2), 1, layer="features"), grad_cam(Bright(), spots(2), 1))
    with pytest.raises(InputError, match="no layer 'feature'") as caught:
        grad_cam(Bright(), spots(2), 1, layer="feature")
    assert "features" in caught.value.remedy
    with pytest.raises(InputError, match="no hidden convolution"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(256, 2)), spots(2))


def test_features_before_the_head_are_the_default_in_our_networks() -> None:
    from biocnn.models import FCN, UNet

    torch.manual_seed(0)
    for model, size in [(UNet(2, 1, 3, channels=[4, 8, 12]), 4), (FCN(2, 1, 3, channels=[4, 4, 6, 8, 10]), 10)]:
        x = torch.rand(2, 1, 70, 52)
        layer = dict(model.named_modules())[default_layer(model, x[:1])]
        assert isinstance(layer, nn.ReLU)
        shapes: list[tuple[int, ...]] = []
        layer.register_forward_hook(lambda _, __, out, shapes=shapes: shapes.append(out.shape))
        cam = grad_cam(model, x, output=1)
        assert shapes[-1][1] == size
        assert cam.shape == (2, 70, 52)
        assert 0 <= cam.min() <= cam.max() <= 1


def test_pooling_and_the_layers_after_it_are_not_features() -> None:
    block = [nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    model = nn.Sequential(*block, nn.MaxPool2d(2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
    assert default_layer(model, torch.rand(1, 1, 9, 9)) == "3"
    assert grad_cam(model, torch.rand(3, 1, 9, 9)).shape == (3, 9, 9)


def test_training_mode_and_gradients_are_not_changed() -> None:
    model = Bright().train()
    grad_cam(model, spots(2))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.features._forward_hooks


def test_monai_gives_the_same_map() -> None:
    from monai.visualize import GradCAM

    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.Tanh()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)).eval()
    x = torch.rand(2, 1, 32, 32)
    theirs = GradCAM(nn_module=model, target_layers="3", postprocessing=lambda cam: cam)(x, class_idx=2)[:, 0]
    theirs = theirs / theirs.amax(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(grad_cam(model, x, output=2, layer="3"), theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("outputs", [1, 3])
def test_monai_gives_the_same_map_for_the_pixels_of_a_class(spatial_dims: int, outputs: int) -> None:
    """MONAI explains one number per image: here, the mean logit over the pixels predicted as the class."""
    from monai.visualize import GradCAM

    from biocnn.models import UNet

    class Mean(nn.Module):
        def __init__(self, network: nn.Module, pixels: Tensor) -> None:
            super().__init__()
            self.network, self.pixels = network, pixels

        def forward(self, x: Tensor) -> Tensor:
            return (self.network(x) * self.pixels[:, None]).flatten(2).sum(2) / self.pixels.sum()

    torch.manual_seed(0)
    network = UNet(spatial_dims, 1, outputs, channels=[4, 8]).eval()
    x = torch.rand(1, 1, *[12] * spatial_dims)
    with torch.no_grad():  # the class has evidence, and half of the pixels
        network.head.conv.weight.abs_()
        network.head.conv.bias -= network(x).flatten(2).median(dim=2).values[0]
    logits = network(x)
    pixels = logits[:, 0] > 0 if outputs == 1 else logits.argmax(1) == outputs - 1
    layer = default_layer(network, x)
    for where, region in ((pixels, None), (x[:, 0] > 0.5, x[:, 0] > 0.5)):
        explained = GradCAM(
            nn_module=Mean(network, where), target_layers=f"network.{layer}", postprocessing=lambda c: c
        )
        theirs = explained(x, class_idx=outputs - 1)[:, 0]
        assert where.any()
        assert theirs.max() > 0
        found = grad_cam(network, x, outputs - 1, region=region)
        torch.testing.assert_close(found, theirs / theirs.max(), atol=1e-5, rtol=1e-4)


def test_after_average_pooling_the_map_is_that_of_zhou() -> None:
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())
    head = nn.Linear(8, 3)
    model = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()
    x = torch.rand(2, 1, 10, 12)
    for k in range(3):
        cam = torch.einsum("c,nchw->nhw", head.weight[k], features(x)).detach().relu()
        torch.testing.assert_close(grad_cam(model, x, k), cam / cam.amax((1, 2), keepdim=True))


def test_a_region_singles_out_an_object() -> None:
    class Halves(nn.Module):
        """Two features: the bright pixels of the upper and of the lower half."""

        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Conv2d(1, 2, 1, bias=False)
            self.places = nn.Identity()
            nn.init.ones_(self.features.weight)

        def forward(self, x: Tensor) -> Tensor:
            features = self.features(x)
            halves = torch.zeros_like(features)
            halves[:, 0, :8], halves[:, 1, 8:] = 1, 1
            return (self.places(features * halves) * halves).sum(dim=1, keepdim=True)

    x = spots(2).sum(0, keepdim=True)
    for rows in (slice(0, 8), slice(8, 16)):
        region = torch.zeros(1, 16, 16, dtype=torch.bool)
        region[:, rows] = True
        cam = grad_cam(Halves(), x, layer="places", region=region)
        torch.testing.assert_close(cam, ((x[:, 0] > 0) & region).float())
        assert (grad_cam(Halves(), x, layer="places", region=~region & region) == 0).all()


def test_every_class_in_an_image_has_a_map_the_most_frequent_first() -> None:
    class Thirds(nn.Module):
        """Background if dark, and one class for each level of brightness."""

        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.ones_(self.features.weight)

        def forward(self, x: Tensor) -> Tensor:
            levels = torch.arange(4.0).view(1, 4, 1, 1)
            return -((self.features(x) - levels) ** 2)

    image = torch.zeros(1, 8, 8)
    image[0, :2], image[0, 2, :3] = 3, 1
    model, pictures = Thirds(), [image, 0 * image]
    task = made("classes", "none", "one", "two", "three")
    found = explained(model, pictures, ["a", "b"], task)
    assert found.id.tolist() == ["a", "a", "b"]
    assert found.output.tolist() == ["three", "one", "one"]


def test_images_of_all_sizes_are_explained_and_stored(tmp_path) -> None:
    images = [torch.rand(1, 40, 30), torch.rand(1, 20, 600), spots(2)[0]]
    model = Bright(dense=True)
    found = explained(model, images, ["a", "b", "c"], made("classes", "dark", "bright"))
    assert found.image.shape == found.cam.shape == (3, 40, 512)
    assert found.output.tolist() == ["bright"] * 3
    assert found.image[2, 2:5, 2:5].min() == 255
    assert (found.cam[2, :16, :16] == (images[2][0] > 0).numpy()).all()
    write_images(tmp_path, found)
    with np.load(tmp_path / "cam.npz") as stored:
        assert stored["image"].dtype == np.uint8
        assert stored["cam"].dtype == np.float32
        assert stored["id"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(("channels", "shape"), [(2, (1, 16, 16, 3)), (3, (1, 16, 16, 3)), (5, (1, 16, 16, 3))])
def test_several_channels_become_colours(channels: int, shape: tuple[int, ...]) -> None:
    model = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
    images = [torch.rand(channels, 16, 16)]
    found = explained(model, images, ["a"], made("mask", "vessel", in_channels=channels))
    assert found.image.shape == shape


def test_the_slice_of_a_volume_with_the_hottest_point_is_shown() -> None:
    x = spots(3)[1]
    x[0, 12, 3, 3] = 9
    found = explained(Bright(3), [x, 0 * x], ["a", "b"], made("multilabel", "dark", "bright"))
    assert found.image.shape == (2, 16, 16)
    assert found.output.tolist() == ["bright", "dark"]
    assert np.unravel_index(found.cam[0].argmax(), (16, 16)) == (3, 3)
    assert found.image[0, 3, 3] == 255
    assert not found.cam[1].any()


def test_a_misclassified_image_is_explained_for_its_predicted_and_its_true_class() -> None:
    one, other = torch.eye(2)
    found = explained(Bright(), list(spots(2)), ["a", "b"], made("multiclass", "dark", "bright"), [one, other])
    assert found.id.tolist() == ["a", "a", "b"]
    assert found.output.tolist() == ["bright", "dark", "bright"]
    assert found.true.tolist() == [False, True, True]


def test_large_whole_images_are_explained_in_full_size() -> None:
    x = torch.zeros(1, 4, 600)
    x[0, :, :3] = 1
    found = explained(Bright(), [x], ["a"], made("multiclass", "dark", "bright"), [torch.tensor([0.0, 1])])
    assert found.cam.shape == (1, 4, 600)
    assert (found.cam[0, :, :3] == 1).all()


def test_no_images_give_an_empty_file(tmp_path) -> None:
    write_images(tmp_path, explained(Bright(), [], [], made("classes", "dark", "bright")))
    with np.load(tmp_path / "cam.npz") as stored:
        assert len(stored["id"]) == 0


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_explained_images_have_the_colours_of_all_others(channels: int, dtype: type) -> None:
    plane = np.random.default_rng(0).integers(0, 250, (channels, 20, 30)).astype(dtype)
    found, wanted = picture(plane), np.rint(255 * display(plane)).astype(np.uint8)
    np.testing.assert_array_equal(found if channels > 1 else found[..., None].repeat(3, axis=2), wanted)
