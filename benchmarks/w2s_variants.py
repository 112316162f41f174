"""Image sets for Noise2Noise and super-resolution, made from the denoising pairs of W2S.

Run: python -m benchmarks.w2s_variants DIR (the data folder of experiments). Reads DIR/images/denoising_w2s, and writes

- DIR/images/w2s_noise2noise: the targets of the training and the validation split are second exposures, those of the
  test split the clean images. Second exposures are simulated, because the set has one exposure of each place: normally
  distributed around the clean image, with a variance that depends on brightness as in the first.
- DIR/images/w2s_x4: clean images, reduced by averaging 4 x 4 pixels; their targets are the clean images.
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from PIL import Image

from biocnn.data.image_pairs import read_rows

FACTOR = 4


def main() -> None:
    """Write images and tables of both sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    folder = parser.parse_args().data / "images"
    source, pairs, finer = (folder / name for name in ("denoising_w2s", "w2s_noise2noise", "w2s_x4"))
    for target in (pairs / "second", finer / "low"):
        target.mkdir(parents=True, exist_ok=True)
    tables: dict[Path, list[tuple[str, ...]]] = {
        target: [("image", "target", "split", "group")] for target in (pairs, finer)
    }
    for number, row in read_rows(source / "index.csv").iterrows():
        noisy, clean = (np.asarray(Image.open(source / row[name]), np.float64) for name in ("image", "target"))
        name, rest = Path(row["image"]).name, (row["split"], row["group"])
        given, wanted = (os.path.relpath(source / row[column], pairs) for column in ("image", "target"))
        if row["split"] != "test":
            wanted = f"second/{name}"
            _save(second_exposure(noisy, clean, np.random.default_rng(number)), pairs / wanted)
        tables[pairs].append((given, wanted, *rest))
        rows, columns = (n // FACTOR for n in clean.shape)
        _save(clean.reshape(rows, FACTOR, columns, FACTOR).mean(axis=(1, 3)), finer / "low" / name)
        tables[finer].append((f"low/{name}", os.path.relpath(source / row["target"], finer), *rest))
    for target, lines in tables.items():
        with open(target / "index.csv", "w", newline="") as handle:
            csv.writer(handle, lineterminator="\n").writerows(lines)


def second_exposure(noisy: np.ndarray, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Simulate another exposure of the place of a clean image, (H, W), with brightness and noise as in a first one."""
    mean = np.polyval(np.polyfit(clean.ravel(), noisy.ravel(), 1), clean)
    variance = np.polyval(np.polyfit(mean.ravel(), (noisy - mean).ravel() ** 2, 1), mean)  # of photons and the camera
    return mean + rng.normal(size=mean.shape) * np.sqrt(np.maximum(variance, 0))


def _save(image: np.ndarray, path: Path) -> None:
    Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8)).save(path)


if __name__ == "__main__":
    main()
