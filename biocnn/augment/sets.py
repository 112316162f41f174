"""Named sets of augmentations, whose content depends on the data.

Sequences of one length are shifted; their strand is a matter of the network. For images, strengths lie between those of
proven tools: StarDist (exact moves, strong changes of intensity), Cellpose (any rotation, scaling by up to half) and
nnU-Net (scaling from .7 to 1.4; blur, noise, low resolution and gamma, each for some of the examples). Each resampling
blurs, and mirrors what lies beyond a patch, so half of the examples are only rotated by quarters and mirrored, which
changes no value.

References
----------
Isensee et al., Nature Methods 18, 203-211 (2021), doi:10.1038/s41592-020-01008-z; Schmidt et al., MICCAI 2018,
doi:10.1007/978-3-030-00934-2_30; Stringer et al., Nature Methods 18, 100-106 (2021), doi:10.1038/s41592-020-01018-x.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from biocnn.config.registry import find
from biocnn.config.schema import Chosen, choose
from biocnn.core.errors import InputError

ALIKE = 1.5  # ratio of pixel sizes up to which axes count as equivalent
UPRIGHT = 15.0  # largest rotation of images with a defined top, in degrees
TILT = 30.0  # degrees out of the plane, as in nnU-Net
BEND = {"scale": 1.3, "stretch": 1.1, "elastic": 4.0}
GENTLE = {"scale": 1.1, "elastic": 1.0}  # where sizes and thicknesses may distinguish classes
SHIFT = 5  # bp, of sequences


class About(Protocol):
    """The facts of a data set that a set of augmentations depends on."""

    @property
    def kind(self) -> str: ...
    @property
    def spatial_dims(self) -> int: ...
    @property
    def in_channels(self) -> int: ...
    @property
    def window(self) -> int | None: ...
    @property
    def flank(self) -> int: ...
    @property
    def spacing(self) -> Sequence[float] | None: ...


def resolve_augment(
    wanted: str | Sequence[Chosen],
    facts: About,
    patch: Sequence[int] | None,
    *,
    whole: bool = False,
    exact: bool = False,
) -> list[Chosen]:
    """Return the augmentations of a named set, with all their settings; a list is returned unchanged.

    Parameters
    ----------
    wanted
        The experiment's section: a list, or one of

        - ``default``: sequences of one length are shifted; images are mirrored and rotated in any way, scaled,
          stretched, deformed; intensities, blur, resolution, noise;
        - ``upright``: up and down differ: mirrored left to right only, rotated by at most 15 degrees;
        - ``chiral``: left and right differ: rotated in any way, never mirrored;
        - ``anisotropic``: axes differ in kind (depth, time): in 2D not rotated, volumes rotated and changed within
          their planes only;
        - ``none``.
    facts
        If pixels are longer along one axis, or a volume has unknown spacing, every set is restricted to what
        ``anisotropic`` allows.
    patch
        Length of each side of a patch; only square ones are rotated by quarters; others are rotated by any angle
        anyway.
    whole
        Whether each image has one target. If its pixel size is known as well, sizes in it are comparable and may
        determine the target, so that they are changed less.
    exact
        Whether targets are numbers for each image, which may depend on sizes, brightness, or all that is in view:
        ``default`` then only mirrors images and rotates them by quarters, and so it does for bags, whose few labels
        are not enough to learn more invariances. For intensities of pixels, no set does more.

    Raises
    ------
    InputError
        If a set for images is given for sequences.
    """
    if not isinstance(wanted, str):
        return list(wanted)
    given = find("inputs", facts.kind)
    if wanted not in given.augment:
        raise InputError(
            f"augment: {wanted!r} is not for {given.examples}",
            f"give a list, e.g. augment: {given.augment_list}",
        )
    if facts.spatial_dims == 1:
        shift = {"name": "shift", "max": min(SHIFT, facts.flank or SHIFT)}
        return [choose("augment", shift, "augment")] if facts.window else []
    volumes, alike = facts.spatial_dims == 3, wanted != "anisotropic" and _alike(facts)
    turned = wanted != "upright" and (volumes or alike)  # whether to rotate in the plane of rows and columns
    in_plane = {"in_plane": True} if volumes and not alike else {}
    tilt = {"tilt": UPRIGHT if wanted == "upright" else TILT} if volumes and alike else {}
    angle = 180.0 if turned else UPRIGHT if wanted == "upright" else 0.0
    found: list[dict[str, Any]] = []
    if wanted != "chiral":
        found.append({"name": "flip", "axes": [-1] if wanted == "upright" else None})
    if turned and patch and patch[-1] == patch[-2]:
        found.append({"name": "rotate90", "over": volumes and wanted == "chiral"})
    if (exact or given.exact) and (wanted == "default" or not whole):
        return [choose("augment", section, "augment") for section in found]
    bend = GENTLE if whole and facts.spacing else BEND
    found += [
        {"name": "affine", "rotate": angle, **bend, **tilt, **in_plane, "share": 0.5},
        {"name": "blur", "sigma": 1.5, **in_plane, "share": 0.1},
        {"name": "low_resolution", "factor": 2.0, **in_plane, "share": 0.1},
        {"name": "intensity", "contrast": 1.4, "brightness": 0.1, "share": 0.5},
        {"name": "gamma", "power": 1.5, "share": 0.3},
        {"name": "noise", "sd": 0.1, "share": 0.2},
    ]
    if facts.in_channels > 1:
        colours = {"name": "intensity", "contrast": 1.15, "brightness": 0.05, "per_channel": True, "share": 0.5}
        found.insert(-2, colours)
    return [choose("augment", section, "augment") for section in found]


def _alike(facts: About) -> bool:
    """Check that pixels have similar lengths along all axes; volumes of unknown spacing count as stacks."""
    spacing = facts.spacing
    return max(spacing) <= ALIKE * min(spacing) if spacing else facts.spatial_dims == 2
