"""Which files and folders are images, and a short name for each."""

from collections import Counter
from itertools import count
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.io.kinds import SUFFIXES, exists, is_dicom, is_zarr

PASSED_OVER = "passed over: folders, and files that are no images by their suffix"


def image_paths(folder: Path) -> list[Path]:
    """The images of a folder, in order of name: files by their suffix or DICOM mark, DICOM series and OME-Zarr folders.

    The slices of one series that lie in the folder itself are one image: the folder.

    Raises
    ------
    InputError
        Where there is none, or some slices belong together and others do not.
    """
    if is_zarr(folder):
        return [folder]
    found = members(folder)
    slices = [path for path in found if path.is_file() and is_dicom(path)]
    if len(slices) < 2:
        return found
    with needs("medical", f"{folder}: reading DICOM"):
        from biocnn.io.dicom import by_series

    series = by_series(folder)
    if len(series) == len(slices):
        return found
    if len(series) == 1 and len(found) == len(slices):
        return [folder]
    raise InputError(
        f"{folder}: {len(slices)} DICOM files of {len(series)} series" + " beside others" * (len(found) > len(slices)),
        "put each series into a folder of its own",
    )


def named_images(paths: Path | str | list[Path | str]) -> list[tuple[str, Path]]:
    """Name and path of each image of a folder, a file, or a list of these, in order.

    A folder with the slices of one DICOM series is one image. The name is the file's stem, made unique.

    Raises
    ------
    InputError
        Where a folder holds no image.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    found = [image for path in given for image in (image_paths(path) if exists(path) and path.is_dir() else [path])]
    return list(zip(unique_ids([str(path) for path in found]), found, strict=True))


def members(folder: Path) -> list[Path]:
    """The files and folders in a folder that are images by their suffix or their mark.

    Raises
    ------
    InputError
        Where there is none.
    """
    found = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and _is_image(path)]
    if not found:
        raise InputError(f"{folder}: no image file in this folder", f"allowed: {' '.join(SUFFIXES)}")
    return found


def passed_over(folder: Path) -> list[Path]:
    """What lies in a folder beside images, in order of name; nothing of hidden files, and of what is no such folder."""
    if not folder.is_dir() or is_zarr(folder):
        return []
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and not _is_image(path)]


def stem(path: Path) -> str:
    """Name without the suffixes of an image; the name of a DICOM series is that of its folder."""
    name = path.name
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), "")
    name = name[: len(name) - len(suffix)]
    return name[:-4] if suffix and name.lower().endswith(".ome") else name


def unique_ids(paths: list[str]) -> list[str]:
    """A short name for each file: its stem; where these repeat with its folders, with its suffix, at last a number."""
    stems = [stem(Path(p)) for p in paths]
    if len(set(stems)) < len(stems):
        parents = [Path(p).parent.parts for p in paths]
        shared = 0
        while all(len(p) > shared for p in parents) and len({p[shared] for p in parents}) == 1:
            shared += 1
        stems = ["_".join([*p[shared:], s]) for p, s in zip(parents, stems, strict=True)]
    suffixes = [Path(p).name.removeprefix(stem(Path(p))).replace(".", "_") for p in paths]
    kinds = Counter(one for one, _ in set(zip(stems, suffixes, strict=True)))
    stems = [one + suffix if kinds[one] > 1 else one for one, suffix in zip(stems, suffixes, strict=True)]
    ids: dict[str, None] = {}
    for one in stems:
        numbered = (f"{one}-{n}" for n in count(2))
        ids[one if one not in ids else next(name for name in numbered if name not in ids)] = None
    return list(ids)


def _is_image(path: Path) -> bool:
    if path.is_dir():
        return is_zarr(path) or any(is_dicom(p) for p in sorted(path.iterdir()) if p.is_file())
    return path.name.lower().endswith(SUFFIXES) or (path.is_file() and is_dicom(path))
