"""Demonstration data, reproducible byte for byte from a seed: a genome with peaks, images of nuclei and of cells."""

import csv
import shutil
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter

# Planted sites: CTCF, as IUPAC consensus. demo/motifs.meme has the same matrix, so that the learned motif is named.
CONSENSUS = "CCASYAGRKGGCRSY"
IUPAC = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "K": "GT"}

# Probability of the next base (columns ACGT) after each base (rows ACGT), as in human DNA: CpG is rare, and rarer in
# AT-rich than in GC-rich regions.
AT_RICH = np.array(
    [[0.36, 0.15, 0.22, 0.27], [0.38, 0.24, 0.04, 0.34], [0.31, 0.19, 0.23, 0.27], [0.25, 0.18, 0.22, 0.35]]
)
GC_RICH = np.array(
    [[0.24, 0.21, 0.36, 0.19], [0.28, 0.34, 0.10, 0.28], [0.24, 0.28, 0.32, 0.16], [0.14, 0.26, 0.35, 0.25]]
)

CONTIGS, CONTIG_LENGTH, STRETCH = 8, 240_000, 1_000
PEAKS_PER_CONTIG, SPACING, WITH_SITE = 190, 1_200, 0.98
TELOMERE, GAP = 2_000, 3_000

SIZE, PLATES, IMAGES_PER_PLATE, NEW_IMAGES = 256, 8, 5, 3
SMEAR, SLIDES, FIELDS = 128, 13, 3  # side of images of blood cells, slides, images of each; the last is not annotated
RED, PALE, NUCLEUS = (0.85, 0.45, 0.5), (0.75, 0.68, 0.88), (0.35, 0.22, 0.6)  # light that passes, in red, green, blue
REACH = 26  # half the side of the box in which a nucleus is drawn, in pixels


def consensus_pfm(consensus: str) -> np.ndarray:
    """Return base probabilities, shape (4, w), of an IUPAC consensus: .03 for each base that a letter excludes."""
    pfm = np.full((4, len(consensus)), 0.03)
    for position, letter in enumerate(consensus):
        named = ["ACGT".index(base) for base in IUPAC[letter]]
        pfm[named, position] = (1 - 0.03 * (4 - len(named))) / len(named)
    return pfm


def simulate_sequences(folder: str | Path, seed: int) -> None:
    """Write a small genome with transcription factor binding sites, and peaks as called from a ChIP-seq experiment.

    ``genome.fa`` has 8 contigs of 240 kb: a first-order Markov chain with human-like dinucleotides in AT-rich and
    GC-rich stretches, soft-masked copies of old repeats, and runs of N at the ends and in one assembly gap.
    ``peaks.narrowPeak`` has 1,520 peaks whose summits lie near sites drawn from a CTCF matrix, on either strand; 2%
    of the peaks have no site. ``sites.bed`` is the truth, ``motifs.meme`` a database of known motifs.

    Parameters
    ----------
    folder
        Output folder, created if missing.
    seed
        Determines every byte.
    """
    folder, rng = Path(folder), np.random.default_rng([seed, 1])
    folder.mkdir(parents=True, exist_ok=True)
    pfm = consensus_pfm(CONSENSUS)
    fasta: list[str] = []
    peaks: list[tuple[object, ...]] = []
    sites: list[tuple[object, ...]] = []
    for number in range(1, CONTIGS + 1):
        contig = f"chr{number}"
        codes, masked = _background(rng), np.zeros(CONTIG_LENGTH, dtype=bool)
        _add_repeats(codes, masked, rng)
        for site in _sites(rng, len(CONSENSUS)):
            _plant(contig, site, pfm, codes, masked, peaks, sites, rng)
        fasta.append(f">{contig}\n" + _wrap(_letters(codes, masked)))
    (folder / "genome.fa").write_text("".join(fasta))
    (folder / "peaks.narrowPeak").write_text("".join("\t".join(map(str, row)) + "\n" for row in peaks))
    (folder / "sites.bed").write_text("".join("\t".join(map(str, row)) + "\n" for row in sites))
    with as_file(files("biocnn") / "demo" / "motifs.meme") as database:
        shutil.copyfile(database, folder / "motifs.meme")


def _background(rng: np.random.Generator) -> np.ndarray:
    """Return the codes of one contig: 1 kb blocks, each AT-rich or GC-rich, simulated in parallel."""
    count = CONTIG_LENGTH // STRETCH
    cumulative = np.stack([AT_RICH, GC_RICH]).cumsum(axis=2)
    richness = (rng.random(count) < 0.35).astype(int)
    codes = np.empty((count, STRETCH), dtype=np.uint8)
    codes[:, 0] = rng.integers(0, 4, count)
    for step in range(1, STRETCH):
        bounds = cumulative[richness, codes[:, step - 1], :3]
        codes[:, step] = (rng.random((count, 1)) > bounds).sum(axis=1)
    return codes.reshape(-1)


def _add_repeats(codes: np.ndarray, masked: np.ndarray, rng: np.random.Generator) -> None:
    """Overwrite some intervals with mutated copies of one 300 bp repeat family, marked as soft-masked."""
    # A separate generator makes the family the same on all contigs and for all seeds.
    family = np.random.default_rng(0).integers(0, 4, 300, dtype=np.uint8)
    for start in rng.integers(TELOMERE, CONTIG_LENGTH - 300 - TELOMERE, 60):
        length = int(rng.integers(90, 301))
        copy = family[:length].copy()
        mutated = rng.random(length) < 0.12
        copy[mutated] = rng.integers(0, 4, int(mutated.sum()), dtype=np.uint8)
        codes[start : start + length] = copy
        masked[start : start + length] = True


def _sites(rng: np.random.Generator, width: int) -> np.ndarray:
    """Return the starts of the sites on one contig: about one per 1.2 kb, none in the runs of N."""
    first, middle = TELOMERE + 500, CONTIG_LENGTH // 2
    places = np.arange(first, CONTIG_LENGTH - first - width, SPACING)
    places = places[np.abs(places - middle) > GAP]
    chosen = np.sort(rng.permutation(places)[:PEAKS_PER_CONTIG])
    return chosen + rng.integers(-350, 351, len(chosen))


def _plant(
    contig: str,
    start: int,
    pfm: np.ndarray,
    codes: np.ndarray,
    masked: np.ndarray,
    peaks: list[tuple[object, ...]],
    sites: list[tuple[object, ...]],
    rng: np.random.Generator,
) -> None:
    """Write a site into ``codes``, except in 2% of cases, and append its peak."""
    width = pfm.shape[1]
    site = (rng.random(width) > pfm.cumsum(axis=0)[:3]).sum(axis=0).astype(np.uint8)
    strength = float(np.log2(pfm[site, np.arange(width)] / 0.25).sum())
    forward, bound = rng.random() < 0.5, rng.random() < WITH_SITE
    if bound:
        codes[start : start + width] = site if forward else 3 - site[::-1]
        masked[start : start + width] = False
        sites.append(
            (contig, start, start + width, "CTCF", round(min(1000, max(0, 40 * strength))), "+" if forward else "-")
        )
    summit = start + width // 2 + round(float(rng.normal(0, 8)))
    left, right = (int(v) for v in rng.integers(60, 140, 2))
    signal = max(1.0, 0.6 * (strength if bound else 4) + float(rng.normal(0, 2)))
    score = min(1000, round(60 * signal))
    name = f"peak{len(peaks) + 1}"
    peaks.append((contig, summit - left, summit + right, name, score, ".", f"{signal:.2f}", -1, -1, left))


def _letters(codes: np.ndarray, masked: np.ndarray) -> str:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[codes]
    letters[masked] |= 0x20  # lower case
    middle = CONTIG_LENGTH // 2
    for start, end in ((0, TELOMERE), (middle, middle + GAP), (CONTIG_LENGTH - TELOMERE, CONTIG_LENGTH)):
        letters[start:end] = ord("N")
    return letters.tobytes().decode()


def _wrap(text: str, width: int = 60) -> str:
    return "".join(text[start : start + width] + "\n" for start in range(0, len(text), width))


def simulate_nuclei(folder: str | Path, seed: int) -> None:
    """Write microscope-like images of fluorescent nuclei, and labels of all nuclei, as 16-bit TIFF.

    ``images/`` and ``labels/`` hold 40 pairs of 256 x 256 pixels from 8 plates that differ in density and brightness,
    listed in ``table.csv`` (image, mask, group = plate); ``new/`` holds 3 images without labels, to be segmented.
    Nuclei are irregular ellipses that often touch; illumination is uneven, optics blur, photons and camera add noise.

    Parameters
    ----------
    folder
        Output folder, created if missing.
    seed
        Determines every byte.
    """
    folder = Path(folder)
    for name in ("images", "labels", "new"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows: list[tuple[object, ...]] = []
    for plate in range(PLATES + 1):
        # The last "plate" has no annotation.
        rng = np.random.default_rng([seed, 2, plate])
        density, brightness = rng.uniform(18, 52), np.exp(rng.uniform(np.log(1500), np.log(9000)))
        for well in range(IMAGES_PER_PLATE if plate < PLATES else NEW_IMAGES):
            labels, emission = _nuclei(round(density * rng.uniform(0.7, 1.3)), rng)
            image, name = _photograph(emission * brightness, rng), f"plate{plate + 1}_well{well + 1}.tif"
            if plate == PLATES:
                tifffile.imwrite(folder / "new" / f"new{well + 1}.tif", image, compression="zlib")
                continue
            tifffile.imwrite(folder / "images" / name, image, compression="zlib")
            tifffile.imwrite(folder / "labels" / name, labels, compression="zlib")
            rows.append((f"images/{name}", f"labels/{name}", f"plate{plate + 1}"))
    write_rows(folder / "table.csv", [("image", "mask", "group"), *rows])


def _nuclei(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (uint16) and emitted light (float, about 1 inside a nucleus) of one field of view."""
    labels, emission = np.zeros((SIZE, SIZE), dtype=np.uint16), np.zeros((SIZE, SIZE))
    centres: list[tuple[float, float, float]] = []
    for _ in range(12 * count):
        radius = rng.uniform(8, 13)
        row, column = _place(centres, radius, rng)
        box = tuple(slice(max(0, round(v) - REACH), max(0, round(v) + REACH)) for v in (row, column))
        inside, height = _shape(row, column, radius, box, rng)
        free = inside & (labels[box] == 0)
        # A nucleus may lose a sliver to its neighbour, but no more: nuclei touch, they do not overlap.
        if inside.sum() < 40 or free.sum() < 0.93 * inside.sum():
            continue
        centres.append((row, column, radius))
        labels[box][free] = len(centres)
        emission[box] += np.where(free, height * np.exp(rng.normal(0, 0.25)), 0)
        if len(centres) == count:
            break
    return labels, emission


def _place(centres: list[tuple[float, float, float]], radius: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return a new centre: next to an existing nucleus in 55% of cases, otherwise anywhere."""
    if centres and rng.random() < 0.55:
        row, column, other = centres[int(rng.integers(len(centres)))]
        angle, distance = rng.uniform(0, 2 * np.pi), (radius + other) * rng.uniform(0.92, 1.08)
        return row + distance * np.sin(angle), column + distance * np.cos(angle)
    return rng.uniform(0, SIZE), rng.uniform(0, SIZE)


def _shape(
    row: float, column: float, radius: float, box: tuple[slice, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mask and brightness of an irregular ellipse in a box: bright centre, texture and nucleoli."""
    rows, columns = np.mgrid[:SIZE, :SIZE][(slice(None), *box)]
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.45)
    across = (rows - row) * np.cos(turn) - (columns - column) * np.sin(turn)
    along = (rows - row) * np.sin(turn) + (columns - column) * np.cos(turn)
    distance = np.hypot(across * np.sqrt(stretch), along / np.sqrt(stretch)) / radius
    angle = np.arctan2(across, along)
    border = 1 + sum(rng.normal(0, 0.05 / wave) * np.cos(wave * angle + rng.uniform(0, 6.3)) for wave in (2, 3, 4))
    depth = distance / border
    inside = depth < 1
    texture = 1 + 0.9 * gaussian_filter(rng.normal(0, 1, rows.shape), 1.5)
    height = np.sqrt(np.clip(1.15 - depth**2, 0, 1)) * np.clip(texture, 0.4, 1.6)
    for _ in range(int(rng.integers(0, 4))):
        spot = rng.uniform(-0.45, 0.45, 2) * radius
        height *= 1 - 0.5 * np.exp(-((across - spot[0]) ** 2 + (along - spot[1]) ** 2) / (2 * 1.6**2))
    return inside, height


def _photograph(emission: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the camera's 16-bit image: haze, blur, uneven illumination, background, shot noise and read noise."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    centre = rng.uniform(-0.3, 0.3, 2)
    light = 1.1 - rng.uniform(0.5, 1.1) * ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2)
    haze = 0.12 * gaussian_filter(emission, 18)
    slope = 1 + rng.uniform(-0.5, 0.5) * rows + rng.uniform(-0.5, 0.5) * columns
    arriving = (gaussian_filter(emission, rng.uniform(0.9, 1.6)) + haze) * light + 220 * slope
    gain = 12.0  # camera units per photon
    picture = rng.poisson(np.clip(arriving, 0, None) / gain) * gain + rng.normal(100, 18, emission.shape)
    return np.clip(np.round(picture), 0, 65535).astype(np.uint16)


def simulate_cells(folder: str | Path, seed: int) -> None:
    """Write photographs of stained blood cells, and a table of the boxes around them.

    ``images/`` holds 36 RGB images of 128 x 128 pixels from 12 slides that differ in staining and density. The rows of
    ``boxes.csv`` are boxes around cells (image, group = slide, label, x0, y0, x1, y1): red cells, round and pale in the
    middle, which overlap, and fewer, larger white cells with a lobed nucleus. ``new/`` holds 3 images of another slide.

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
    for slide in range(SLIDES):
        rng = np.random.default_rng([seed, 3, slide])
        stain, density, tint = rng.uniform(0.8, 1.2), rng.uniform(5, 12), rng.uniform(0.85, 0.97, 3)
        new = slide == SLIDES - 1
        for field in range(FIELDS):
            name = f"{'new' if new else 'images'}/slide{slide + 1}_field{field + 1}.tif"
            light, boxes = _smear(round(density * rng.uniform(0.8, 1.2)), int(rng.integers(0, 3)), stain, rng)
            photograph(folder / name, light * tint, 0.015, rng)
            if not new:
                rows += [(name, f"slide{slide + 1}", *box) for box in boxes]
    write_rows(folder / "boxes.csv", [("image", "group", "label", "x0", "y0", "x1", "y1"), *rows])


def _smear(
    reds: int, whites: int, stain: float, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[object, ...]]]:
    """Return the light that passes each pixel, (SMEAR, SMEAR, 3), and label and corners of the box of each cell."""
    light, centres = np.ones((SMEAR, SMEAR, 3)), np.zeros((0, 3))
    boxes: list[tuple[object, ...]] = []
    for label in ["white"] * whites + ["red"] * reds:
        radius = rng.uniform(14, 19) if label == "white" else rng.uniform(8, 11)
        for _ in range(50):
            place = rng.uniform(-0.3 * radius, SMEAR + 0.3 * radius, 2)
            apart = np.hypot(*(centres[:, :2] - place).T) - centres[:, 2]
            if (apart > 0.75 * radius).all():
                break
        else:
            continue
        centres = np.vstack([centres, [*place, radius]])
        inside, depth = cell(place, radius, rng)
        if label == "white":
            light *= stained(0.8 * stain * inside, PALE)
            light *= stained(stain * _lobes(place, radius, rng), NUCLEUS)
        else:
            light *= stained(stain * inside * (1 - 0.65 * np.exp(-((depth / 0.45) ** 2))), RED)
        rows, columns = (np.flatnonzero((inside > 0.5).any(axis=axis)) for axis in (1, 0))
        if len(rows) and len(columns):
            boxes.append((label, columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    return light, boxes


def cell(
    place: np.ndarray, radius: float, rng: np.random.Generator, side: int = SMEAR
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each pixel is covered by an ellipse, 0 to 1, and its distance from the centre, 1 at the edge."""
    (row, column), (rows, columns) = place, np.mgrid[:side, :side]
    turn, stretch = rng.uniform(0, np.pi), np.sqrt(rng.uniform(1.0, 1.2))
    across = (rows - row) * np.cos(turn) - (columns - column) * np.sin(turn)
    along = (rows - row) * np.sin(turn) + (columns - column) * np.cos(turn)
    depth = np.hypot(across * stretch, along / stretch) / radius
    return 1 / (1 + np.exp((depth - 1) * radius / 0.6)), depth


def _lobes(place: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Return how far each pixel is covered by the nucleus of a white cell: three discs that touch."""
    found = np.zeros((SMEAR, SMEAR))
    for angle in rng.uniform(0, 2 * np.pi) + np.array([0, 2, 4]):
        middle = place + 0.35 * radius * np.array([np.sin(angle), np.cos(angle)])
        found = np.maximum(found, cell(middle, 0.38 * radius, rng)[0])
    return found


def stained(amount: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    """Return the light that passes an amount of a dye in each pixel; an amount of 1 lets ``colour`` pass."""
    return np.array(colour) ** amount[..., None]


def photograph(path: Path, light: np.ndarray, noise: float, rng: np.random.Generator) -> None:
    """Write light of 0 to 1, (height, width, 3), as a slightly blurred and noisy RGB image."""
    picture = 255 * (gaussian_filter(light, (0.8, 0.8, 0)) + rng.normal(0, noise, light.shape))
    tifffile.imwrite(path, np.clip(np.round(picture), 0, 255).astype(np.uint8), photometric="rgb", compression="zlib")


def write_rows(path: Path, rows: list[tuple[object, ...]]) -> None:
    """Write a table, comma-separated."""
    with open(path, "w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(rows)
