"""Explain a trained model on the test split of its data set."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from biocnn.config.registry import resolve
from biocnn.config.search_space import own_modules
from biocnn.config.settings import Settings
from biocnn.core.checks import Checks
from biocnn.core.plurals import plural
from biocnn.data.dataset import Dataset
from biocnn.explain.covariates import importance
from biocnn.explain.evolution import explain_evolution, write_evolution
from biocnn.explain.filters import explain_filters, write_filters
from biocnn.explain.genome_files import GenomeFiles
from biocnn.explain.images import explain_images, write_images
from biocnn.explain.request import Request
from biocnn.explain.seen_images import SeenImages
from biocnn.explain.sequences import explain_sequences, write_sequences
from biocnn.explain.units import explain_units, write_units
from biocnn.io.genome import either_genome
from biocnn.io.meme import read_meme
from biocnn.prediction.compatibility import same_data
from biocnn.prediction.model import Model
from biocnn.training import batches
from biocnn.training.word_counts import strands_of


def explain_runs(
    runs: Sequence[Path], data: Path, settings: Settings, folder: Path, genome: Path | None
) -> Iterator[str]:
    """Apply ``explain_test_part`` to folders of runs and of a data set, and a FASTA file or an encoded genome."""
    model = Model(runs[0] / "model.safetensors", trust=own_modules(settings))
    opened = either_genome(genome) if genome else None
    predictions = [run / "predictions" for run in runs]
    yield from explain_test_part(Request(model, Dataset(data, model.meta.fold), predictions, settings, folder, opened))


def explain_test_part(request: Request) -> Iterator[str]:
    """Write the files of the explain step; yield log lines.

    These are the files of ``write_sequences``, ``GenomeFiles``, ``write_evolution`` and counts.tsv (motifs and seqlets,
    found and omitted), or those of ``write_images``, ``write_filters`` and ``write_units``, or those of
    ``explain_bags``; and covariates.tsv, if there are any.
    """
    same_data(request.model, request.dataset)
    yield from resolve(request.dataset.input.explain)(request)
    if request.dataset.facts.covariates:
        found = importance(request.model, request.dataset, request.settings.seed)
        found.to_csv(request.folder / "covariates.tsv", sep="\t", index=False, float_format="%.6g")
        for row in found.itertuples():
            yield f"{row.covariate} shuffled: {row.metric} of {row.output} {row.value:.4f} -> {row.shuffled:.4f}"


def images(request: Request) -> Iterator[str]:
    """Write activation maps of test images, the first or those the task chooses; kernels, and what excites units."""
    model, dataset, settings, folder = request.model, request.dataset, request.settings, request.folder
    rows, names = dataset.rows("test"), dataset.examples["id"]
    seen = SeenImages(dataset, rows, model.device, model.frame)
    if model.frame:
        every = np.stack(request.predicted(names.iloc[rows].tolist()))
        rows = rows[model.task.instructive(every, dataset.y.stacked(rows), settings.explain.examples)]
    rows = rows[: 0 if model.task.detects else settings.explain.examples]
    plain = batches.make(dataset, rows, model.device, frame=model.frame).plain()
    x, y = zip(*(pair for batch in plain for pair in zip(*batch, strict=True)), strict=True) if len(rows) else ((), ())
    ids = names.iloc[rows].tolist()
    p = [torch.from_numpy(one) for one in request.predicted(ids)]
    stored = [model.frame.apply(dataset.x[row]) if model.frame else dataset.x[row] for row in rows]
    write_images(folder, explain_images(model.network, x, p, y, ids, model.task, stored))
    none = "no activation maps: boxes themselves show what was found"
    yield none if model.task.detects else f"activation maps of {plural(len(rows), 'image')}"
    if settings.explain.units:
        write_filters(folder, explain_filters(model.network, seen.x(0)), seen.ids[0], seen.patch(0, [], None))
        found = explain_units(model.network, seen, model.task, settings.explain.units, settings.seed)
        write_units(folder, found)
        yield from found.lines


def sequences(request: Request) -> Iterator[str]:
    """Write motifs, attributions and mutations of test sequences; nothing if bases have classes or values."""
    model, dataset, settings, folder = request.model, request.dataset, request.settings, request.folder
    if dataset.task.target.spatial:
        yield "no motifs and attributions: these are for numbers of whole sequences"
        return
    rows, checks = dataset.rows("test"), Checks()
    ids = dataset.examples["id"].iloc[rows].tolist()
    database = settings.explain.motifs.database
    explanation = explain_sequences(
        model.network,
        dataset.windows(rows),
        np.stack([dataset.y[i] for i in rows]),
        np.stack(request.predicted(ids))[:, : len(model.outputs)],
        ids,
        read_meme(database, dataset.facts.alphabet) if database else None,
        checks,
        n_examples=settings.explain.examples,
        n_regions=settings.explain.regions,
        method=settings.explain.attributions,
        outputs=model.outputs,
        alphabet=dataset.facts.alphabet,
        both_strands=strands_of(settings, dataset.facts) == "both",
        signal=dataset.signal_of(rows) if dataset.signal else None,
    )
    write_sequences(folder, explanation)
    files = GenomeFiles(folder, dataset, request.genome, getattr(settings.data, "signal", None))
    yield from files.write(explanation, model, request.predictions)
    checks.frame().to_csv(folder / "counts.tsv", sep="\t", index=False)
    if wanted := model.outputs[: settings.explain.units]:
        logits = [model.task.logit_of(k) for k in range(len(wanted))]
        about = (logits, model.task.probability, settings.seed, dataset.facts.alphabet)
        tracks = dataset.signal_of(rows) if dataset.signal else None
        evolved = explain_evolution(model.network, dataset.windows(rows), ids, wanted, *about, tracks)
        write_evolution(folder, *evolved)
        yield f"{plural(len(evolved[0]), 'sequence')} made to excite outputs" + (
            "" if len(evolved[0]) else ": the network is too slow"
        )
    yield from checks.lines()
    delta, method = explanation.attributions["delta"], explanation.attributions["method"]
    off = (
        f", maximum deviation from the sum {np.abs(delta).max():.1e}" if len(delta) and np.isfinite(delta).all() else ""
    )
    yield f"attributions of {plural(len(delta), 'example')} by {method}{off}"
    for table in (explanation.matches, explanation.seqlet_matches):
        for row in table.head(3).itertuples():
            name = f", matches {row.target_name}, p = {row.p_value:.1e}" if database else ""
            yield f"{row.motif}: {row.n_sites:.0f} sites{name}"
