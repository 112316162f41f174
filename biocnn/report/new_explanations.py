"""Explanations of new sequences and images, as arrays, pictures, and tracks of a genome."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.apply.covariates import notes as covariate_notes
from biocnn.apply.images import Applied, New, apply_each, new_images
from biocnn.apply.sequences import PLACE, read_new
from biocnn.config.registry import resolve
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.data.covariates import encode_covariates
from biocnn.data.signal import standardised
from biocnn.explain.genome_files import averaged
from biocnn.explain.images import picture
from biocnn.explain.new_examples import check_explained, of_image, of_sequences
from biocnn.explain.seqlets import present
from biocnn.io.padded import pad
from biocnn.io.tracks import write_bigwig
from biocnn.prediction.inputs import check_length, coded
from biocnn.prediction.model import Model
from biocnn.report.figures import new_figure, style
from biocnn.report.images import heat_maps
from biocnn.report.logo import draw_attributions, draw_signal, position_label

PICTURES = 20  # most sequences with a picture
HEIGHT = 1.8  # of a picture of a sequence, in inches

log = logging.getLogger("biocnn")


def explain_files(
    models: Sequence[Path],
    data: Path,
    folder: Path,
    genome: Path | None,
    covariates: Path | None,
    trust: Sequence[str] = (),
    signal: Mapping[str, Path] | None = None,
    **fit: Any,
) -> None:
    """Explain the predictions of a model file for new sequences or images; ``fit`` as for ``Model``."""
    if len(models) != 1:
        raise InputError(f"{len(models)} models", "explain one model at a time")
    model = Model(models[0], trust=trust, **fit)
    check_explained(model)
    for name, given in (("genome", genome), ("signal", signal)):
        if given and not model.input.scanned:
            raise InputError(f"--{name}: {model.path} is a model for {model.input.examples}", "leave it out")
    if covariates and not model.facts.coded:
        raise InputError(f"--covariates: {model.path} was trained without covariates", "leave it out")
    own = (genome, signal) if model.input.scanned else (covariates,)
    for name, count in resolve(model.input.explained)(model, data, folder, *own).items():
        log.info("%s in %s", plural(count, "row"), name)


def explain_sequences(
    model: Model, path: Path, folder: Path, genome: Path | None, signal: Mapping[str, Path] | None = None
) -> dict[str, int]:
    """Explain new sequences.

    Parameters
    ----------
    model
        Model of numbers for whole sequences.
    path, genome, signal
        As for ``biocnn.apply.sequences.read_new``.
    folder
        Existing folder for explanations.csv (what was explained, or why not), attributions.npz (arrays as in the folder
        explain of the workflow: id, codes, attributions, output, probability, delta, method), pictures of the first 20
        sequences, and, for intervals, attributions.bw with the contribution of each base of the genome.
    """
    checks = Checks()
    new = read_new(path, model, genome, checks, signal=signal)
    names, faults = new.table["sequence"].astype(str), {}
    for row, codes in enumerate(new.codes):
        try:
            check_length(codes, f"sequence {names[row]!r}", model.facts.window)
        except InputError as error:
            faults[row] = error
    rows = [row for row in range(len(new.codes)) if row not in faults]
    if rows:
        codes = [new.codes[row] for row in rows]
        beside = [standardised(model.facts.signal_tracks, new.signal[row]) for row in rows] if len(new.signal) else []
        found = of_sequences(model, codes, coded(model, None, len(rows)), beside=beside)
        stacked = pad(codes)
        arrays = {"id": names[rows].to_numpy(str), "codes": stacked, "attributions": found.values}
        arrays |= {"output": found.output, "probability": found.probability, "delta": found.delta}
        np.savez_compressed(folder / "attributions.npz", **arrays, method=np.array(found.method))
        if set(PLACE) <= set(new.table):
            _bigwig(folder / "attributions.bw", stacked, found.values, new.table.loc[rows], checks)
        for place, row in enumerate(rows[:PICTURES]):
            title = f"{names[row]}: {model.outputs[found.output[place]]} {found.probability[place]:.3g}"
            _picture(
                folder / f"{row + 1:03}.png", codes[place], found.values[place], title, model, beside[place : place + 1]
            )

    def apply(row: int) -> Applied:
        if row in faults:
            raise faults[row]
        place = rows.index(row)
        result = {"output": model.outputs[found.output[place]], model.task.predicted: found.probability[place]}
        return Applied("explanations.csv", [result | {"method": found.method}], [])

    each = [New(place, partial(apply, row)) for row, place in enumerate(new.places)]
    return apply_each(each, "sequences", {}, folder, "skip", checks)


def explain_images(model: Model, path: Path, folder: Path, covariates: Path | None) -> dict[str, int]:
    """Explain new images.

    Parameters
    ----------
    model
        Model of images.
    path, covariates
        As for ``biocnn.apply.images.apply_images``.
    folder
        Existing folder for explanations.csv, and NAME.npz (cam, 0 to 1, and image, as the network saw it) and NAME.png
        for each image.
    """

    def apply(file: Path, name: str, *rows: pd.DataFrame) -> Applied:
        z = [encode_covariates(model.facts.coded, row)[0] for row in rows]
        notes = [note for row in rows for note in covariate_notes(model.facts.coded, row)]
        with model.open_image(file) as image:
            found = of_image(model, image, str(file), *z)
        np.savez_compressed(folder / f"{name}.npz", cam=found.cam, image=found.image)
        flat = found.cam.ndim == 2
        at = () if flat else (int(found.cam.max(axis=(1, 2)).argmax()),)  # slice of a volume
        title = f"{name}: {model.outputs[found.output]} {found.probability:.3g}"
        with style():
            figure = heat_maps(picture(found.image[:, *at])[None], found.cam[at][None].astype(np.float64), [title])
            figure.savefig(folder / f"{name}.png")
        row = {"output": model.outputs[found.output], model.task.predicted: found.probability}
        return Applied("explanations.csv", [row | ({} if flat else {"slice": at[0]})], notes)

    return apply_each(*new_images(path, [model], covariates, apply), folder, "skip")


def _picture(
    path: Path, codes: np.ndarray, values: np.ndarray, title: str, model: Model, signal: Sequence[np.ndarray]
) -> None:
    with style():
        heights = [*([0.5] * len(signal)), 1]
        figure = new_figure(HEIGHT * sum(heights))
        *above, axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        for top, tracks in zip(above, signal, strict=True):
            draw_signal(top, tracks, model.facts.signal)
            top.set_ylabel("Signal (sd)")
        draw_attributions(axes, codes, values[:, : len(codes)], model.facts.alphabet)
        (above or [axes])[0].set_title(title, parse_math=False)
        axes.set_xlabel(position_label(model.facts.alphabet))
        axes.set_ylabel("Contribution")
        figure.savefig(path)


def _bigwig(path: Path, codes: np.ndarray, values: np.ndarray, table: pd.DataFrame, checks: Checks) -> None:
    """Write the contributions of the bases of a genome; means where windows overlap."""
    contigs = table.groupby("chrom")["end"].max().to_dict()
    try:
        with atomic(path) as temporary, write_bigwig(temporary, contigs) as bigwig:
            for chrom, starts, mean, _ in averaged(codes, present(codes, values), table, contigs):
                bigwig.add(chrom, starts, mean, span=1, step=1)
    except InputError as error:  # the package is optional, and all other files do not need it
        checks.add("explain", "note", f"{path.name} not written: {error.message}: {error.remedy}", 1)
