"""Small valid files of images and masks, and the function that reads each."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.target import Target

PLANE = np.random.default_rng(3).integers(0, 4000, (24, 20), dtype=np.uint16)
VOLUME = np.random.default_rng(4).integers(0, 4000, (4, 12, 10), dtype=np.int16)


def saved(name: str, write: Callable[[Path], Any]) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        write(folder / name)
        return folder / name

    return made


def png(path: Path) -> None:
    from PIL import Image

    Image.fromarray((PLANE >> 4).astype(np.uint8)).save(path)


def palette(path: Path) -> None:
    from PIL import Image

    Image.fromarray((PLANE >> 4).astype(np.uint8)).quantize(16).save(path)


def jpeg(path: Path) -> None:
    from PIL import Image

    Image.fromarray((PLANE >> 4).astype(np.uint8)).save(path)


def tiff(path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, PLANE, compression="zlib", rowsperstrip=7, predictor=True)


def tiled(path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, np.tile(PLANE, (4, 4)), tile=(32, 32), compression="lzw", bigtiff=True)


def ome(path: Path) -> None:
    import tifffile

    metadata = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(path, np.stack([PLANE, PLANE[::-1]]), ome=True, metadata=metadata, photometric="minisblack")


def imagej(path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, VOLUME.astype(np.uint16), imagej=True, resolution=(2, 2), metadata={"axes": "ZYX"})


def dicom(path: Path) -> None:
    from tests.dicom_files import write_dicom

    write_dicom(path, PLANE, [0.0, 0.0, 0.0])


def series(folder: Path) -> Path:
    from tests.dicom_files import write_series

    write_series(folder / "series", VOLUME)
    return folder / "series" / "IM2"


def nifti(path: Path) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(VOLUME.T, np.diag([-0.5, -0.5, 2.0, 1.0])), path)


def npy(path: Path) -> None:
    np.save(path, PLANE)


def zarr(folder: Path) -> Path:
    import zarr

    group = zarr.open_group(str(folder / "image.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=PLANE, chunks=(10, 10))
    scales = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}]
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": scales}]
    return folder / "image.zarr" / ".zattrs"


def zarr_array(folder: Path) -> Path:
    return zarr(folder).parent / "0" / ".zarray"


def zarr_chunk(folder: Path) -> Path:
    return zarr(folder).parent / "0" / "0.0"


def read_picture(path: Path) -> None:
    from biocnn.core.errors import InputError
    from biocnn.io.image_files import decode, read_image
    from biocnn.io.lazy import open_image

    found = read_image(path)
    with open_image(path) as image:
        image.read(tuple(slice(0, min(3, n)) for n in image.shape[1:]))
    assert found.pixels.ndim == 1 + len(image.shape[1:])
    with suppress(InputError):  # not every image can be a mask
        decode(path, indices=True)


def read_folder(path: Path) -> None:
    """Read a series or a zarr with one damaged file."""
    root = next(part for part in (path, *path.parents) if part.name in ("series", "image.zarr"))
    read_picture(root)


def pictures(folder: Path) -> Path:
    from PIL import Image

    rng = np.random.default_rng(5)
    for i in range(4):
        Image.fromarray(rng.integers(0, 255, (16, 12), dtype=np.uint8)).save(folder / f"i{i}.png")
        Image.fromarray((rng.random((16, 12)) > 0.5).astype(np.uint8) * 255).save(folder / f"m{i}.png")
    path = folder / "table.csv"
    path.write_text("image,mask,split,group\n" + "".join(f"i{i}.png,m{i}.png,train,g{i}\n" for i in range(4)))
    return path


def read_pictures(path: Path) -> None:
    from biocnn.core.checks import Checks
    from biocnn.data.images import Images

    raw = Images(table=path).read(1, Checks())
    raw.x(0), raw.y(0)


def labelled_table(folder: Path) -> Path:
    pictures(folder)
    path = folder / "labels.csv"
    path.write_text("image,label,split,group\n" + "".join(f"i{i}.png,{'ab'[i % 2]},train,g{i}\n" for i in range(4)))
    return path


def read_labelled_table(path: Path) -> None:
    from biocnn.core.checks import Checks
    from biocnn.data.labelled_images import LabelledImages

    LabelledImages(table=path).read(1, Checks()).x(0)


def bag_table(folder: Path) -> Path:
    pictures(folder)
    path = folder / "bags.csv"
    path.write_text(
        "image,bag,label,cell\n" + "".join(f"i{i}.png,b{i // 2},{'ab'[i // 2]},{i % 2}\n" for i in range(4))
    )
    return path


def read_bag_table(path: Path) -> None:
    from biocnn.core.checks import Checks
    from biocnn.data.bagged_images import BaggedImages

    BaggedImages(table=path, instance_label="cell").read(1, Checks()).x(0)


def pair_table(folder: Path) -> Path:
    pictures(folder)
    path = folder / "pairs.csv"
    path.write_text("image,target,split,group\n" + "".join(f"i{i}.png,m{i}.png,train,g{i}\n" for i in range(4)))
    return path


def read_pair_table(path: Path) -> None:
    from biocnn.core.checks import Checks
    from biocnn.data.paired_images import PairedImages

    raw = PairedImages(table=path).read(1, Checks())
    raw.x(0), raw.y(0)


def labelled_npz(folder: Path) -> Path:
    """Arrays of an .npz file, one of which is damaged: damage to the file itself is found by its checksums."""
    for split, n in (("train", 6), ("test", 3)):
        images = np.random.default_rng(n).integers(0, 255, (n, 8, 6, 3), dtype=np.uint8)
        np.save(folder / f"{split}_images.npy", images)
        np.save(folder / f"{split}_labels.npy", np.arange(n)[:, None] % 3)
    return folder / "train_images.npy"


def read_labelled_npz(path: Path) -> None:
    import zipfile

    from biocnn.core.checks import Checks
    from biocnn.data.labelled_images import LabelledImages

    packed = path.parent / "set.npz"
    with zipfile.ZipFile(packed, "w") as archive:
        for member in path.parent.glob("*.npy"):
            archive.write(member, member.name)
    LabelledImages(npz=packed).read(1, Checks()).x(0)


def box_table(folder: Path) -> Path:
    pictures(folder)
    rows = (f"i{i}.png,{i},2,{i + 5},9,{'ab'[i % 2]},train,0\n" for i in range(4))
    (folder / "boxes.csv").write_text("image,x0,y0,x1,y1,label,split,difficult\n" + "".join(rows))
    return folder / "boxes.csv"


def coco(folder: Path) -> Path:
    pictures(folder)
    content = {
        "images": [{"id": i, "file_name": f"i{i}.png", "height": 16, "width": 12} for i in range(4)],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": [i, 2, 5, 7]} for i in range(4)],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder / "boxes.json"


def voc(folder: Path) -> Path:
    pictures(folder)
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>7</xmax><ymax>9</ymax></bndbox>"
    size = "<size><width>12</width><height>16</height></size>"
    (folder / "i0.xml").write_text(f"<annotation>{size}<object><name>a</name>{box}</object></annotation>")
    return folder / "i0.xml"


def yolo(folder: Path) -> Path:
    pictures(folder)
    (folder / "i0.txt").write_text("0 0.5 0.5 0.25 0.5\n1 0.3 0.4 0.2 0.2\n")
    return folder / "i0.txt"


def read_boxes(path: Path) -> None:
    """Read boxes by the suffix of their file; those of VOC and YOLO are in a folder."""
    from biocnn.core.checks import Checks
    from biocnn.data.boxed_images import BoxedImages

    key = {".csv": "table", ".json": "coco", ".xml": "voc", ".txt": "yolo"}[path.suffix]
    raw = BoxedImages(**{key: path.parent if key in ("voc", "yolo") else path}).read(1, Checks())
    raw.x(0), raw.truth(0)


def mask(folder: Path) -> Path:
    pictures(folder)
    return folder / "m1.png"


def read_mask(path: Path) -> None:
    read_pictures(path.parent / "table.csv")


IMAGE_FORMATS: dict[str, Target] = {
    "png": Target(saved("a.png", png), read_picture, "png", 5),
    "palette png": Target(saved("a.png", palette), read_picture, "png", 3),
    "jpeg": Target(saved("a.jpg", jpeg), read_picture, weight=3),
    "tiff": Target(saved("a.tif", tiff), read_picture, weight=8),
    "tiled tiff": Target(saved("a.tif", tiled), read_picture, weight=6),
    "ome-tiff": Target(saved("a.ome.tif", ome), read_picture, weight=8),
    "imagej tiff": Target(saved("a.tif", imagej), read_picture, weight=5),
    "dicom": Target(saved("a.dcm", dicom), read_picture, weight=10),
    "dicom series": Target(series, read_folder, weight=5),
    "nifti": Target(saved("a.nii", nifti), read_picture, weight=8),
    "nifti.gz": Target(saved("a.nii.gz", nifti), read_picture, weight=3),
    "npy": Target(saved("a.npy", npy), read_picture, weight=5),
    "zarr attributes": Target(zarr, read_folder, "json", 5),
    "zarr array": Target(zarr_array, read_folder, "json", 5),
    "zarr chunk": Target(zarr_chunk, read_folder, weight=2),
    "image table": Target(pictures, read_pictures, "text", 6),
    "mask": Target(mask, read_mask, weight=3),
    "labelled table": Target(labelled_table, read_labelled_table, "text", 4),
    "bag table": Target(bag_table, read_bag_table, "text", 4),
    "pair table": Target(pair_table, read_pair_table, "text", 4),
    "labelled npz": Target(labelled_npz, read_labelled_npz, weight=6),
    "box table": Target(box_table, read_boxes, "text", 4),
    "coco": Target(coco, read_boxes, "json", 4),
    "voc": Target(voc, read_boxes, "text", 4),
    "yolo": Target(yolo, read_boxes, "text", 3),
}
