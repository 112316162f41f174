"""Features that work without extras, and errors that name a missing extra."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import nibabel
import numpy as np
import zarr
from dicom_files import write_dicom

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

HIDE = """
from importlib.machinery import PathFinder

found = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in {hidden} else found(name, *more)
"""

TRAIN = """
import sys
from pathlib import Path

import numpy as np
import tifffile
import yaml
from PIL import Image

import biocnn
from biocnn.workflow.cli import main
from tiny import images, sequences, stored

root = Path(sys.argv[1])
(root / "none").touch()


def trained(name, raw, model):
    folder = root / name
    stored(raw, folder)
    train = {"epochs": 1, "steps_per_epoch": 2, "threads": 1}
    settings = {"data": {"name": name, "table": "none"}, "model": model, "train": train}
    (folder / "mine.yaml").write_text(yaml.safe_dump(settings))
    paths = [folder / "mine.yaml", folder / "dataset", "fold0-seed1", folder / "m.safetensors", folder / "history.tsv"]
    assert main(["train", *map(str, paths), "--data-root", str(root)]) == 0
    return folder / "m.safetensors"


model = trained("Sequences", sequences(), {"name": "DeepBind", "channels": 4, "kernel_size": 9})
assert biocnn.load(model, "cpu").predict(["ACGTACGTACGTACGTACGTACGT"]).shape == (1, 1)

model = trained("Images", images(), {"name": "UNet", "channels": [4, 8]})
pixels = np.random.default_rng(1).integers(0, 1000, (40, 50), np.uint16)
assert biocnn.load(model, "cpu").predict([pixels[None]])[0].shape == (1, 40, 50)
(root / "new").mkdir()
Image.fromarray(pixels).save(root / "new/a.png")
tifffile.imwrite(root / "new/b.tif", pixels)
assert main(["predict", str(model), str(root / "new"), str(root / "applied")]) == 0
"""

NAMED = """
import json
import sys
from pathlib import Path

from biocnn.apply.variants.reading import _bcf
from biocnn.core.errors import InputError
from biocnn.io.bigwig import _open
from biocnn.io.image_files import read_image
from biocnn.io.tracks import write_bigwig
from biocnn.workflow.steps import report

root, remedies = Path(sys.argv[1]), {}
for what, work in {
    "NIfTI": lambda: read_image(root / "a.nii"),
    "DICOM": lambda: read_image(root / "a.dcm"),
    "Zarr": lambda: read_image(root / "a.zarr"),
    "bigWig": lambda: _open(root / "a.bw"),
    "track": lambda: write_bigwig(root / "b.bw", {"c": 9}).__enter__(),
    "BCF": lambda: next(_bcf(root / "a.bcf")),
    "report": lambda: report(root, root, root),
}.items():
    try:
        work()
    except InputError as error:
        remedies[what] = error.remedy
print(json.dumps(remedies))
"""


def run(code: str, folder: Path) -> str:
    """Run Python in a process that cannot import packages of extras, and return what it prints."""
    lines = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    extras = {line.partition(">")[0] for line in lines}
    hidden = {
        package
        for package, names in packages_distributions().items()
        if extras & {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    }
    assert {"pysam", "pyBigWig", "nibabel", "pydicom", "snakemake", "matplotlib", "jinja2", "sklearn", "zarr"} <= hidden
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-c", HIDE.format(hidden=hidden) + code, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_base_trains_and_predicts_and_names_a_missing_extra_with_its_command(tmp_path: Path) -> None:
    nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.eye(4)).to_filename(tmp_path / "a.nii")
    write_dicom(tmp_path / "a.dcm", np.zeros((4, 5), np.uint16))
    zarr.save_array(tmp_path / "a.zarr", np.zeros((4, 5), np.uint8))
    remedies = json.loads(run(TRAIN + NAMED, tmp_path).splitlines()[-1])
    assert len(list((tmp_path / "applied/masks").iterdir())) == 2
    extras = {"NIfTI": "medical", "DICOM": "medical", "Zarr": "zarr", "bigWig": "genomics", "track": "genomics"}
    extras |= {"BCF": "genomics", "report": "workflow"}
    assert remedies == {what: f"pip install 'biocnn[{extra}]'" for what, extra in extras.items()}
