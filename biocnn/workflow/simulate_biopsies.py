"""Simulated photographs of single nuclei with covariates, reproducible from a seed."""

from pathlib import Path

import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter

from biocnn.workflow.simulate import cell, write_rows

SIDE, PATIENTS, VIEWS = 32, 101, 10  # of images, patients, images of each; the last patient is not annotated


def simulate_biopsies(folder: str | Path, seed: int) -> None:
    """Write photographs of single nuclei at different magnifications, and a table with covariates of each.

    A nucleus is normal (about 7 um wide) or enlarged (10 um), but 20- to 60-fold magnification makes either look small
    or large: only image and magnification together show it. ``table.csv`` has 1,000 images of 32 x 32 pixels of 100
    patients (image, label, group = patient), with the magnification, and with two columns without information: the age,
    missing for some, and the stain, which changes how dark a nucleus is. ``new/`` and ``new.csv`` hold 10 images
    without label.

    Parameters
    ----------
    folder
        Output folder, created if missing.
    seed
        Determines every byte.
    """
    folder = Path(folder)
    for name in ("images", "new"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[tuple[object, ...]]] = {"images": [], "new": []}
    for patient in range(PATIENTS):
        rng = np.random.default_rng([seed, 4, patient])
        age = "" if rng.random() < 0.1 else int(rng.integers(25, 85))
        for view in range(VIEWS):
            kind = "new" if patient == PATIENTS - 1 else "images"
            label = ("normal", "enlarged")[int(rng.integers(2))]
            magnification = round(20 * 3 ** rng.random())
            stain = ("haematoxylin", "methylene blue")[int(rng.integers(2))]
            radius = rng.normal(3.5 if label == "normal" else 5.0, 0.2) * magnification / 24
            inside = cell(SIDE / 2 + rng.uniform(-5, 5, 2), radius, rng)[0][:SIDE, :SIDE]
            dust = np.zeros((SIDE, SIDE))
            dust[*rng.integers(0, SIDE, (2, int(rng.integers(0, 40))))] = rng.uniform(0.5, 3)
            dark = (rng.uniform(0.2, 0.5) + 0.15 * (stain == "haematoxylin")) * inside + gaussian_filter(dust, 0.8)
            slope = 1 + rng.uniform(-0.5, 0.5, (2, 1)) * (np.arange(SIDE) / SIDE - 0.5)
            light = gaussian_filter(np.exp(-dark), 0.6) * slope[0] * slope[1][:, None]
            picture = 170 * light + rng.normal(0, 5, light.shape)
            name = f"{kind}/patient{patient + 1}_view{view + 1}.tif"
            tifffile.imwrite(folder / name, np.clip(np.round(picture), 0, 255).astype(np.uint8), compression="zlib")
            rows[kind].append((name, label, f"patient{patient + 1}", magnification, age, stain))
    header = ("image", "label", "group", "magnification", "age", "stain")
    write_rows(folder / "table.csv", [header, *rows["images"]])
    write_rows(folder / "new.csv", [(Path(str(row[0])).name, *row[3:]) for row in (header, *rows["new"])])
