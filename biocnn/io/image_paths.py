"""Find image files and folders, and give each a short name."""

from collections import Counter
from itertools import count
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.core.files import exists
from biocnn.core.plurals import plural
from biocnn.io.kinds import SUFFIXES, is_dicom, is_zarr

PASSED_OVER = "ignored: folders, and files without an image suffix"


def image_paths(folder: Path) -> list[Path]:
    """List the images of a folder by name: files with an image suffix or DICOM mark, DICOM series, OME-Zarr.

    If the folder itself holds the slices of one series, the folder is the only image.

    Raises
    ------
    InputError
        If there is none, or only some of the slices belong to one series.
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
        f"{folder}: {plural(len(slices), 'DICOM file')} of {len(series)} series"
        + " and other images" * (len(found) > len(slices)),
        "put each series into a folder of its own",
    )


def named_images(paths: Path | str | list[Path | str]) -> list[tuple[str, Path]]:
    """Return the name and path of each image of a folder, a file, or a list of these, in order.

    A folder with the slices of one DICOM series is one image. An .npz file with arrays of images, as
    ``biocnn.io.labelled_npz`` reads them, has several: file.npz/test_images[0]. Names are file stems, made unique.

    Raises
    ------
    InputError
        If a folder holds no image.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    found = [image for path in given for image in _images_of(path)]
    return list(zip(unique_ids([str(path) for path in found]), found, strict=True))


def _images_of(path: Path) -> list[Path]:
    if exists(path) and path.is_dir():
        return image_paths(path)
    if path.suffix.lower() == ".npz" and exists(path):
        from biocnn.io.labelled_npz import images_in

        return [path / name for name in images_in(path).names] or [path]
    return [path]


def members(folder: Path) -> list[Path]:
    """List the files and folders in a folder that are images by their suffix or DICOM mark.

    Raises
    ------
    InputError
        If there are none.
    """
    found = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and _is_image(path)]
    if not found:
        raise InputError(f"{folder}: no image file in this folder", f"allowed: {' '.join(SUFFIXES)}")
    return found


def passed_over(folder: Path) -> list[Path]:
    """List what else a folder holds besides images, without hidden files; empty for anything but a folder."""
    if not folder.is_dir() or is_zarr(folder):
        return []
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and not _is_image(path)]


def stem(path: Path) -> str:
    """Return the name without image suffixes; the name of a DICOM series is that of its folder."""
    name = path.name
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), "")
    name = name[: len(name) - len(suffix)]
    return name[:-4] if suffix and name.lower().endswith(".ome") else name


def unique_ids(paths: list[str]) -> list[str]:
    """Return a unique short name per file: its stem, extended if needed by folders, suffix, then a number."""
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
