"""Settings that all readers of images share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from biocnn.core.errors import InputError
from biocnn.core.ranges import Positive, check_fields


@dataclass(kw_only=True)
class ImageReader:
    """Settings of a reader of images.

    Parameters
    ----------
    group
        Column of the table that a split never cuts: patient, slide, plate. By default the column ``group``, else each
        image. For folders, a regular expression, e.g. "(.+)_tile": its match in a file's name, or the first group of
        the match.
    channels
        Channels to use, by name; or, if none of these names is in the files, new names for their channels.
    axes
        Order of the axes of files without metadata, e.g. CYX (channels), ZYX (a volume), ZCYX.
    spacing
        (Depth,) height and width of a pixel, instead of that in the files; in um, or for NIfTI and DICOM in mm.
    normalise
        Intensities that map to 0 and 1 for the network: the 1st and 99.8th percentile of all training images
        ("dataset") or of each image ("image"); "auto" uses the latter if some images span twice the range of others.
    constant
        What to do with an image of a single value.

    Raises
    ------
    InputError
        If no image can have these axes or this pixel size.
    """

    group: str | None = None
    channels: list[str] | None = None
    axes: str | None = None
    spacing: list[Positive] | None = None
    normalise: Literal["auto", "dataset", "image"] = "auto"
    constant: Literal["error", "keep", "drop"] = "error"

    def __post_init__(self) -> None:
        check_fields(self, "data")
        axes, spacing = self.axes, self.spacing
        if axes is not None and not ({"Y", "X"} < set(axes) <= set("CZYX") and len(set(axes)) == len(axes)):
            raise InputError(
                f"data.axes: {axes!r}",
                "allowed: the letters C, Z, Y and X in the order of the file, for example CYX, ZYX or ZCYX",
            )
        if spacing is not None and (len(spacing) not in (2, 3)):
            raise InputError(f"data.spacing: {spacing}", "allowed: (depth,) height and width of a pixel in um or mm")


def refuse_repeated_classes(names: Sequence[str] | None) -> None:
    """Refuse names of classes that are not unique; None: no names."""
    if twice := [name for name in names or () if list(names or ()).count(name) > 1]:
        raise InputError(f"data.classes: duplicate name {twice[0]!r}", "give each class its own name")
