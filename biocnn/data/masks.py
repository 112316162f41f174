"""Interpretation of mask values: one class, several classes, or objects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.survey import MOST_CLASSES, Survey
from biocnn.metrics.masks import IGNORE

MaskType = Literal["auto", "binary", "classes", "instances"]

_ONE_PIECE = 0.9  # share of pieces with an id of their own from which ids may be objects
_TORN = 0.5  # the same share, for objects in several pieces
_FEW = 8  # largest number of ids in a mask that may also be classes
_ALONE = 0.5  # largest share of ids touching another for objects that lie apart


@dataclass(frozen=True)
class MaskCode:
    """Map values to targets.

    Parameters
    ----------
    task
        "mask", "classes" or "instances".
    outputs
        Name of each output of the model.
    reason
        Reason for the interpretation.
    table
        Class of each value; None for instances, whose values are kept.
    blurred
        Whether values between background and foreground were assigned to the nearer one.
    """

    task: str
    outputs: list[str]
    reason: str
    table: dict[int, int] | None = None
    blurred: bool = False

    @property
    def objects(self) -> bool:
        """Whether values are ids of objects."""
        return self.table is None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return a class mask, uint8 with 255 = ignore; or labels, int32 with 0 = background."""
        if self.objects:
            return values.astype(np.int32)
        keys = np.array(sorted(self.table))
        classes = np.array([self.table[k] for k in keys.tolist()], dtype=np.uint8)
        return classes[np.searchsorted(keys, values)]


def understand_masks(
    survey: Survey,
    *,
    mask_type: MaskType = "auto",
    classes: list[str] | None = None,
    colors: dict[str, list[int]] | None = None,
    ignore: int | None = None,
) -> MaskCode:
    """Decide what the values of all masks mean, or report why they cannot be used.

    Parameters
    ----------
    survey
        Values of all masks.
    mask_type
        What the masks contain; "auto" decides by their values, never by the bit depth. Two values are one class. Whole
        numbers 0 to K-1 that form many pieces are classes. Ids that each form one connected piece are objects if their
        number differs between masks, or if neither their sizes nor their positions depend on the id; and classes if
        these do, as for organs. Ambiguous masks are refused.
    classes
        Names of all classes from value 0, background included, if each value has a name; or the one name of a binary
        mask.
    colors
        Red, green, blue (0-255) of each class, background first. A class called ``ignore`` marks pixels to exclude from
        training.
    ignore
        Value of pixels to exclude from training.

    Raises
    ------
    InputError
        If the type does not allow a value (names a file with it); if values may be classes or objects, or if masks are
        displayed with inverted values, and no setting decides.
    """
    if colors is not None:
        return _colored(survey, mask_type, classes, colors, ignore)
    values = sorted(v for v in survey.counts if v != ignore)
    if not [v for v in values if v]:
        raise InputError(
            f"no pixel other than background (0) in {plural(survey.masks, 'mask')}",
            "check that these are the masks",
        )
    negative, values = [v for v in values if v < 0], [v for v in values if v >= 0]
    if mask_type in ("auto", "binary") and ignore is None and survey.blurred:
        return _blurred(values, classes)
    build, reason = BUILD.get(mask_type), f"data.mask_type is {mask_type}"
    if build is None and any(values):
        named = values[-1] < len(classes or ()) > 2
        build, reason = (_classes, f"{len(classes)} names in data.classes") if named else _decide(survey, values)
    if negative:
        unknown = "object models cannot ignore pixels: make them background (0), or crop the images"
        raise _unexpected(
            survey,
            negative,
            "0 and above",
            unknown if build is _instances else f"set data.ignore: {negative[-1]} if it marks unknown pixels",
        )
    code = build(survey, values, classes, ignore, reason)
    if build is _binary and mask_type == "auto" and survey.opposed:
        shown = sorted({grey for greys in survey.opposed.values() for grey in greys})
        as_shown = "save them as greyscale PNG with 0 for background"
        if len(shown) == 2 and shown[1] < 256 and len(survey.opposed) == survey.masks:
            colors = (f"{name}: {[grey] * 3}" for name, grey in zip(("background", *code.outputs), shown, strict=True))
            as_shown = f"colors: {{{', '.join(colors)}}}"
        raise InputError(
            f"{next(iter(survey.opposed))}: a mask whose higher value is foreground as stored, but background as "
            f"displayed (MINISWHITE, or a palette of white to black) in {len(survey.opposed)} of {survey.masks} masks",
            f"choose one under data, as stored or as displayed:\n    mask_type: binary\n    {as_shown}",
        )
    return code


def _decide(survey: Survey, values: list[int]) -> tuple[Callable[..., MaskCode], str]:
    """Choose the function that builds the code by the values of the masks; return it and the reason."""
    shown, top = _shown(values), values[-1]
    foreground = [v for v in values if v]
    if len(foreground) == 1:
        return _binary, f"only {shown} occur"
    whole = survey.ids / max(survey.pieces, 1)
    pieces = f"{whole:.0%} of the connected pieces have a unique value"
    countable = top <= MOST_CLASSES and values == list(range(top + 1))
    most = [max(seen.values, default=0) for seen in survey.seen if seen.ids]
    varied = len(set(most)) > min(2, survey.masks - 1)
    few = max(seen.ids for seen in survey.seen) <= _FEW
    if whole < _TORN or (whole < _ONE_PIECE and (few or not varied)):
        if countable:
            return _classes, f"values 0 to {top} without a gap; {pieces}"
        raise _neither(survey, values)
    if whole < _ONE_PIECE:
        raise _open(survey, values, pieces)
    by_id = survey.explained()
    classlike = any(by_id[:1]) or sum(by_id[1:]) > 1  # objects are often numbered along one axis only
    alike = bool(by_id) and not classlike and survey.ids >= 4 * len(survey.several)
    may_be_classes = classlike or survey.touching > _ALONE or survey.masks < 3
    if (varied or alike) and not (few and countable and may_be_classes):
        why = "their number varies" if varied else "neither sizes nor positions depend on the value"
        return _instances, f"values {shown}; {pieces}; {why}"
    if countable and classlike and not varied:
        return _classes, f"values 0 to {top} without a gap; {pieces}; sizes or positions depend on the value"
    if countable and few and survey.masks == 1:
        return _classes, f"values 0 to {top} without a gap; a single mask gives no further evidence"
    if not varied and not countable and few and not alike:
        raise _neither(survey, values)
    raise _open(survey, values, pieces)


def _open(survey: Survey, values: list[int], pieces: str) -> InputError:
    """Return the error for values that may be classes or objects."""
    classes = "mask_type: classes"
    if values != list(range(values[-1] + 1)):
        classes += f", with classes: [background, ...], names of all values from 0 to {values[-1]}"
    return InputError(
        f"{survey.first[values[-1]]}: the masks contain the values {_shown(values)}, and {pieces}: they may be classes "
        "or objects",
        f"choose one under data:\n    {classes}\n    mask_type: instances",
    )


def _neither(survey: Survey, values: list[int]) -> InputError:
    """Return the error for values that are neither classes nor objects."""
    run = next((i for i, v in enumerate(values) if v != i), len(values))
    return _unexpected(
        survey,
        values[run:] or _odd(survey, [v for v in values if v]),
        "0/1, 0/255, classes 0 to K-1, or one id per object",
        "saving a mask as JPEG or scaling it with interpolation creates intermediate values: save it as PNG without; "
        "for 255 as unknown pixels set data.ignore: 255; for grey levels as classes data.colors: {background: [0, 0, "
        "0], ...}; or set data.mask_type: binary, classes or instances",
    )


def _blurred(values: list[int], classes: list[str] | None) -> MaskCode:
    """Build the code of masks of 0 and full, blurred along edges by scaling or JPEG: the edge is at half of full."""
    top = values[-1]
    between = plural(len(values) - 2, "intermediate value")
    reason = f"0 and {top}, and {between} along edges only: above {top // 2} is foreground"
    return MaskCode("mask", _one_name(classes, reason), reason, {v: int(v > top / 2) for v in values}, blurred=True)


def _one_name(classes: list[str] | None, reason: str) -> list[str]:
    if classes is not None and len(classes) != 1:
        raise InputError(
            f"data.classes: {len(classes)} names for masks of one class ({reason})",
            "give the one name of the foreground",
        )
    return list(classes or ["foreground"])


def _binary(survey: Survey, values: list[int], classes: list[str] | None, ignore: int | None, reason: str) -> MaskCode:
    foreground = [v for v in values if v]
    if len(foreground) > 1:
        odd = _odd(survey, foreground)
        allowed = f"0 and {next(v for v in foreground if v not in odd)}"
        raise _unexpected(survey, odd, allowed, "threshold the masks, or set data.mask_type: classes or instances")
    if 0 not in values:
        raise InputError(
            f"all pixels of {plural(survey.masks, 'mask')} have the value {foreground[0]}: there is no background",
            "allowed: 0 for background; check that these are the masks",
        )
    names = _one_name(classes, reason)
    table = {0: 0, foreground[0]: 1} | ({} if ignore is None else {ignore: IGNORE})
    return MaskCode("mask", names, reason, table)


def _classes(survey: Survey, values: list[int], classes: list[str] | None, ignore: int | None, reason: str) -> MaskCode:
    n = len(classes) if classes else values[-1] + 1
    known = range(min(n, IGNORE))
    odd = [v for v in values if v not in known]
    if odd:
        raise _unexpected(
            survey,
            odd,
            f"0 to {len(known) - 1}" + (f" ({n} names in data.classes)" if classes else ""),
            "name every class in data.classes, or set data.ignore to the value of unknown pixels",
        )
    if not classes and values != list(known):
        raise InputError(
            f"the masks contain the values {_shown(values)}, with a gap",
            "name all classes, including absent ones, in data.classes: [background, ...]",
        )
    table = {v: v for v in known} | ({} if ignore is None else {ignore: IGNORE})
    return MaskCode("classes", list(classes or ["background", *(f"class{v}" for v in known[1:])]), reason, table)


def _instances(
    survey: Survey, values: list[int], classes: list[str] | None, ignore: int | None, reason: str
) -> MaskCode:
    if ignore is not None or classes is not None:
        key = "ignore" if ignore is not None else "classes"
        raise InputError(
            f"data.{key} is set, but the masks contain objects ({reason})",
            f"remove data.{key}, or set data.mask_type: classes",
        )
    return MaskCode("instances", ["background", "inside", "boundary", "distance"], reason)


BUILD = dict(zip(get_args(MaskType)[1:], (_binary, _classes, _instances), strict=True))


def _colored(
    survey: Survey, mask_type: str, classes: list[str] | None, colors: dict[str, list[int]], ignore: int | None
) -> MaskCode:
    if mask_type not in ("auto", "classes") or classes is not None or ignore is not None:
        raise InputError(
            "data.colors: cannot be combined with mask_type, classes or ignore, because it names the classes",
            "remove them; a class called ignore in data.colors marks pixels to exclude from training",
        )
    table = color_codes(colors)
    names = [name for name in colors if name != "ignore"]
    odd = [v for v in survey.counts if v not in table]
    if odd:
        raise InputError(
            f"{survey.first[odd[0]]}: colour {_unpack(odd[0])} is not in data.colors "
            f"({plural(len(odd), 'such colour')}, {plural(sum(survey.counts[v] for v in odd), 'pixel')} in all masks)",
            f"allowed: {', '.join(f'{n} {c}' for n, c in colors.items())}; add it, or save the masks without smoothing",
        )
    return MaskCode("classes", names, f"colours of data.colors: {', '.join(names)}", table)


def color_codes(colors: dict[str, list[int]]) -> dict[int, int]:
    """Map colours, as from ``read_mask``, to classes: from 0 in the order of ``colors``, 255 for ``ignore``.

    Raises
    ------
    InputError
        If a colour is invalid or used for two classes, or there are too few or too many classes.
    """
    table: dict[int, int] = {}
    names = [name for name in colors if name != "ignore"]
    for name, color in colors.items():
        if len(color) != 3 or not all(0 <= c <= 255 for c in color):
            raise InputError(f"data.colors.{name}: {color}", "allowed: three numbers from 0 to 255, red, green, blue")
        code = color[0] << 16 | color[1] << 8 | color[2]
        if code in table:
            raise InputError(f"data.colors.{name}: {color} is also the colour of another class", "give each its own")
        table[code] = IGNORE if name == "ignore" else names.index(name)
    if not 2 <= len(names) < IGNORE:
        raise InputError(f"data.colors: {plural(len(names), 'class')}", "allowed: 2 to 254, background first")
    return table


def _unpack(code: int) -> list[int]:
    return [code >> 16, code >> 8 & 255, code & 255]


def _odd(survey: Survey, foreground: list[int]) -> list[int]:
    """Return the values other than background and the most frequent one."""
    usual = max(foreground, key=lambda v: survey.counts[v])
    return [v for v in foreground if v != usual]


def _unexpected(survey: Survey, odd: list[int], allowed: str, remedy: str) -> InputError:
    pixels, masks = sum(survey.counts[v] for v in odd), sum(bool(seen.values & set(odd)) for seen in survey.seen)
    return InputError(
        f"{survey.first[odd[0]]}: mask with unexpected value{'s' * (len(odd) > 1)} {_shown(odd)} "
        f"({plural(pixels, 'pixel')} in {plural(masks, 'mask')})",
        f"allowed: {allowed}. {remedy}",
    )


def _shown(values: list[int]) -> str:
    if len(values) > 8:
        return f"{', '.join(map(str, values[:4]))}, ... {values[-1]} ({len(values)} values)"
    return ", ".join(map(str, values))
