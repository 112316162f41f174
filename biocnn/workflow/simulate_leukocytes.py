"""Simulated pictures of single white blood cells with several findings about each, reproducible from a seed."""

from pathlib import Path

import numpy as np

from biocnn.workflow.simulate import NUCLEUS, PALE, RED, cell, photograph, stained, write_rows

SIDE, DONORS, CELLS = 40, 37, 10  # of images, donors, cells of each; the last donor is not annotated
TYPES, GRADES = ("lymphocyte", "monocyte", "neutrophil"), ("none", "few", "many")  # of cells, of their granules
UNKNOWN = np.array([0.1, 0.1, 0.2, 0.3])  # shares of unknown types, vacuoles, granules, sizes of the nucleus


def simulate_leukocytes(folder: str | Path, seed: int) -> None:
    """Write pictures of single white blood cells, and a table with several findings about each, some unknown.

    ``images/`` holds 360 RGB images of 40 x 40 pixels from 36 donors that differ in staining. ``cells.csv`` has the
    columns image, group (donor), type (lymphocyte, monocyte, neutrophil), vacuoles (0, 1), granules (none, few, many)
    and nucleus (its share of the area of the cell); a tenth to a third of the cells of a column are empty. ``new/``
    holds 3 images of another donor.

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
    rows: list[tuple[object, ...]] = []
    for donor in range(DONORS):
        rng = np.random.default_rng([seed, 4, donor])
        stain, tint, new = rng.uniform(0.7, 1.1), rng.uniform(0.8, 0.92, 3), donor == DONORS - 1
        for number in range(3 if new else CELLS):
            name = f"{'new' if new else 'images'}/donor{donor + 1}_cell{number + 1}.tif"
            light, findings = _leukocyte(stain, rng)
            photograph(folder / name, light * tint, 0.02, rng)
            known = rng.random(len(UNKNOWN)) >= UNKNOWN
            if not new:
                rows.append(
                    (name, f"donor{donor + 1}", *(x if k else "" for x, k in zip(findings, known, strict=True)))
                )
    header = ("image", "group", "type", "vacuoles", "granules", "nucleus")
    write_rows(folder / "cells.csv", [header, *rows])


def _leukocyte(stain: float, rng: np.random.Generator) -> tuple[np.ndarray, tuple[object, ...]]:
    """Return the light that passes each pixel of a cell, (40, 40, 3), and its type, vacuoles, granules and nucleus."""
    middle = np.full(2, SIDE / 2) + rng.uniform(-2, 2, 2)
    kind, vacuoles, granules = int(rng.integers(3)), int(rng.random() < 0.4), int(rng.integers(3))
    radius = rng.uniform(11, 15)
    inside, _ = cell(middle, radius, rng, SIDE)
    nucleus, size = np.zeros((SIDE, SIDE)), rng.uniform(0.8, 1.2)
    for angle in rng.uniform(0, 2 * np.pi) + 2 * np.pi / (kind + 1) * np.arange(kind + 1):
        offset, lobe = ((0.1, 0.65), (0.3, 0.45), (0.42, 0.32))[kind]
        place = middle + offset * radius * np.array([np.sin(angle), np.cos(angle)])
        nucleus = np.maximum(nucleus, cell(place, lobe * size * radius, rng, SIDE)[0])
    nucleus *= inside
    light = np.ones((SIDE, SIDE, 3)) * stained(0.8 * stain * inside, PALE)
    for _ in range(6 * granules):
        light *= stained(1.2 * stain * _spot(middle, 0.85 * radius, 0.9, rng) * inside, RED)
    for _ in range(3 * vacuoles):
        hole = _spot(middle, 0.75 * radius, 1.7, rng)
        nucleus *= 1 - hole
        light += (1 - light) * 0.9 * hole[..., None]
    light *= stained(stain * nucleus, NUCLEUS)
    share = round(float(nucleus.sum() / inside.sum()), 3)
    return light, (TYPES[kind], vacuoles, GRADES[granules], share)


def _spot(middle: np.ndarray, reach: float, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Return how far each pixel is covered by a spot at a random place around the middle."""
    angle, far = rng.uniform(0, 2 * np.pi), reach * np.sqrt(rng.random())
    return cell(middle + far * np.array([np.sin(angle), np.cos(angle)]), radius, rng, SIDE)[0]
