"""Named sets of augmentations: what each may do, and never does, to an image of any shape."""

from pathlib import Path

import pytest
import torch
from pictures import blobs, moved, uniform
from tiny import experiment, image_facts, images, sequence_facts, stored

from biocnn.augment.sets import resolve_augment
from biocnn.config.experiment import load
from biocnn.config.registry import AUGMENT_SETS, REGISTRY
from biocnn.config.schema import Chosen, choose
from biocnn.config.settings import Train
from biocnn.core.errors import InputError
from biocnn.tasks.facts import Facts
from biocnn.training.batches import augmentations, draws
from biocnn.training.runs import train_run

WORDS = [word for word in AUGMENT_SETS if word != "none"]
SPACING = {"cube": [1.0, 1.0, 1.0], "stack": [5.0, 1.0, 1.0], "unknown": None}


def facts(dims: int = 2, spacing: list[float] | None = None, channels: int = 1) -> Facts:
    return image_facts(spatial_dims=dims, in_channels=channels, spacing=spacing)


def chosen(word: str, *about, patch: list[int] | None = None) -> dict[str, dict]:
    found = resolve_augment(word, facts(*about), patch)
    return {section.name: section for section in reversed(found)}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("patch", [[16, 16], [16, 24], [8, 16, 16], [8, 16, 24]])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_set_suits_every_patch_and_has_valid_settings(word: str, patch: list[int], channels: int) -> None:
    for spacing in (None, [1.0] * len(patch), [4.0, *[1.0] * (len(patch) - 1)]):
        sections = resolve_augment(word, facts(len(patch), spacing, channels), patch)
        again = [choose("augment", section.model_dump(mode="json"), "augment") for section in sections]
        assert sections == again
        assert {section.name for section in sections} <= set(REGISTRY["augment"])
        x, y = blobs(3, *patch, channels=channels)
        for name, function in augmentations(sections):
            x, y = moved(function, x, y, draws(1, 0, name, (3, 8)))
        assert torch.isfinite(x).all()
        assert x.shape == (3, channels, *patch)
        assert set(y.unique().tolist()) <= {0, 7, 255}


def test_a_list_is_not_changed() -> None:
    flip = choose("augment", "flip", "augment")
    assert resolve_augment([flip], facts(), [8, 8]) == [flip]
    assert resolve_augment([], sequence_facts(), None) == []


def test_sets_for_sequences() -> None:
    """Those of one length are shifted, at most by their flanks."""

    def shifts(**facts: int | None) -> list[int]:
        found = resolve_augment("default", sequence_facts().model_copy(update=facts), None)
        assert {section.name for section in found} <= {"shift"}
        return [section.max for section in found]

    assert shifts(window=101, flank=0) == shifts(window=101, flank=16) == [5]
    assert shifts(window=101, flank=3) == [3]
    assert shifts(window=None, flank=0) == []
    with pytest.raises(InputError, match="'upright' is not for sequences"):
        resolve_augment("upright", sequence_facts(), None)


IMAGES = "data: {name: Images, table: table.csv}\nmodel: {name: UNet}\n"
SEQUENCES = "data: {name: Sequences, table: table.csv}\nmodel: {name: DeepBind}\n"


def settings(folder: Path, text: str) -> list | str:
    (folder / "table.csv").touch()
    (folder / "one.yaml").write_text(text)
    return load(folder / "one.yaml", folder).settings.augment


def test_the_default_is_a_set(tmp_path: Path) -> None:
    assert settings(tmp_path, IMAGES) == settings(tmp_path, IMAGES + "augment:\n") == "default"
    assert settings(tmp_path, SEQUENCES) == settings(tmp_path, SEQUENCES + "augment:\n") == "default"
    for text in (IMAGES, SEQUENCES):
        assert settings(tmp_path, text + "augment: none") == settings(tmp_path, text + "augment: []") == []
    assert settings(tmp_path, IMAGES + "augment: chiral") == "chiral"
    with pytest.raises(
        InputError, match=r"augment: must be a list or the name of a set \(given: 'defualt'\)"
    ) as caught:
        settings(tmp_path, IMAGES + "augment: defualt")
    assert "did you mean 'default'?" in caught.value.remedy
    with pytest.raises(InputError, match="augment: must be a list or the name of a set") as caught:
        settings(tmp_path, SEQUENCES + "augment: upright")
    assert caught.value.remedy == "allowed: default, none; for example augment: [reverse_complement]"


def test_the_model_records_the_augmentations_of_a_named_set(tmp_path: Path) -> None:
    dataset = stored(images(8), tmp_path)
    train = Train(epochs=1, batch_size=2, steps_per_epoch=1, threads=1)
    given = experiment({"name": "UNet", "channels": [4, 8]}, data="Images", augment="upright", train=train)
    _, _, meta = train_run(given, dataset, 1)
    wanted = resolve_augment("upright", dataset.facts, [32, 32])
    assert meta.experiment.augment == [section.model_dump(mode="json") for section in wanted]
    assert given.augment == "upright"


def arrows(n: int, size: int = 33) -> torch.Tensor:
    """Return a long stroke up from the middle and a shorter one to the right, with different brightness."""
    x = torch.zeros(n, 1, size, size)
    middle = size // 2
    x[:, :, middle - 12 : middle, middle - 1 : middle + 2] = 1.0
    x[:, :, middle - 1 : middle + 2, middle + 2 : middle + 12] = 2.0
    return x


def directions(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the directions of the two strokes, in degrees clockwise from up."""
    size = x.shape[-1]
    rows, columns = torch.meshgrid(*[torch.arange(float(size)) - (size - 1) / 2] * 2, indexing="ij")
    found = []
    for low, high in ((0.8, 1.2), (1.8, 2.2)):
        weight = ((x > low) & (x < high)).float()
        found.append(torch.rad2deg(torch.atan2((weight * columns).sum((1, 2, 3)), -(weight * rows).sum((1, 2, 3)))))
    return found[0], found[1]


def arrows_moved(word: str, n: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """Return directions after only the moves of a set, without elastic deformation, which would move the ends."""
    x = arrows(n)
    y = x.to(torch.uint8)
    for i, (_, function) in enumerate(augmentations(exact(word))):
        x, move = function(x, uniform(n, seed=i))
        y = move.maps(y, "nearest")
    return directions(y.float())


def exact(word: str) -> list[Chosen]:
    sections = [s for s in resolve_augment(word, facts(), [33, 33]) if s.name in ("flip", "rotate90", "affine")]
    plain = {"elastic": 0.0, "stretch": 1.0, "scale": 1.0}
    return [s.model_copy(update=plain) if s.name == "affine" else s for s in sections]


def test_sets_rotate_and_mirror_only_as_allowed() -> None:
    up, side = arrows_moved("default")
    turn = (side - up) % 360
    assert 60 < (abs(turn - 90) < 15).sum() < 140  # half of them are mirrored
    assert 60 < (abs(turn - 270) < 15).sum() < 140
    assert up.std() > 80
    up, side = arrows_moved("chiral")
    assert (abs((side - up) % 360 - 90) < 15).all()  # none is
    assert up.std() > 80
    up, side = arrows_moved("upright")
    assert up.abs().max() < 18
    assert 60 < (side < 0).sum() < 140
    up, side = arrows_moved("anisotropic")
    assert ((up.abs() < 3) | (up.abs() > 177)).all()
    assert 60 < (up.abs() < 3).sum() < 140


def test_distant_planes_are_not_mixed() -> None:
    for kind, mixed in (("cube", True), ("stack", False), ("unknown", False)):
        found = chosen("default", 3, SPACING[kind], patch=[16, 16, 16])
        assert (found["affine"].tilt > 0) == mixed
        assert all(found[name].in_plane != mixed for name in ("affine", "blur", "low_resolution"))
    assert chosen("anisotropic", 3, SPACING["cube"])["affine"].in_plane
    assert chosen("default", 2, [3.0, 1.0], patch=[16, 16])["affine"].rotate == 0


def test_sizes_that_may_distinguish_whole_images_change_little() -> None:
    for spacing, whole, most in ((None, True, 1.3), ([1.0, 1.0], False, 1.3), ([1.0, 1.0], True, 1.1)):
        found = {s.name: s for s in resolve_augment("default", facts(2, spacing), [16, 16], whole=whole)}
        affine = found["affine"]
        assert (affine.scale, affine.rotate) == (most, 180.0)
        assert (affine.stretch > 1, affine.elastic > 1) == (most == 1.3, most == 1.3)


def test_only_square_patches_are_rotated_by_90_degrees() -> None:
    assert "rotate90" in chosen("default", patch=[16, 16])
    assert "rotate90" not in chosen("default", patch=[16, 24])
    assert chosen("default", patch=[16, 24])["affine"].rotate == 180


def test_volumes_that_must_not_be_mirrored_are_turned_over() -> None:
    assert chosen("chiral", 3, SPACING["stack"], patch=[8, 16, 16])["rotate90"].over
    assert "flip" not in chosen("chiral", 3, SPACING["stack"], patch=[8, 16, 16])


def test_several_channels_are_changed_independently() -> None:
    for channels in (1, 3):
        found = resolve_augment("default", facts(2, None, channels), [16, 16])
        assert sum(getattr(section, "per_channel", False) for section in found) == (channels > 1)


def test_numbers_of_images_and_bags_are_only_mirrored_and_turned_by_quarters_unless_asked() -> None:
    facts = image_facts(task="regression", outputs=["age"])
    for about, exact in ((facts, True), (facts.model_copy(update={"kind": "bag"}), False)):
        names = [section.name for section in resolve_augment("default", about, [8, 8], whole=True, exact=exact)]
        assert names == ["flip", "rotate90"]
    assert "intensity" in [
        section.name for section in resolve_augment("upright", facts, [8, 8], whole=True, exact=True)
    ]
