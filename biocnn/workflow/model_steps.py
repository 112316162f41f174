"""The steps that apply trained models: to the data set of an experiment, or to new data."""

import logging
from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.workflow.options import of_stored, options_of, signal_files
from biocnn.workflow.step_inputs import load_experiment

log = logging.getLogger("biocnn")


def predict(
    models: list[Path], data: Path, out: Path,
    *, genome: Path | None = None, covariates: Path | None = None, signal: str | None = None,
    config: Path | None = None, data_root: Path = Path(), trust: str = "", **options: Any,
) -> None:  # fmt: skip
    """Predict new data with one or more models: masks, labels, boxes or tables of predictions, as suits the models.

    DATA are sequences (FASTA; BED or narrowPeak with GENOME; a table with the column sequence), images (a folder, a
    file, an .npz file; a table with the column image) or bags of images. Or it is the folder of a stored data set,
    from `biocnn dataset`: then one model predicts its validation and test splits, and a sample of the training split.

    COVARIATES is a table of those of the images; default: that of CONFIG. SIGNAL are bigWig files of the tracks of
    data.signal: NAME=FILE, separated by commas; default: those of CONFIG. Options replace the settings of CONFIG, an
    experiment. TRUST lists modules, separated by commas, that define your own networks; loading a model of such a
    module runs its code.
    """
    given = options_of("predict", config, data_root, trust, options)
    if (data / "facts.json").is_file():
        _predict_stored(models, data, out, given)
        return
    from biocnn.apply.images import apply_files

    table = covariates or (load_experiment(config, data_root).settings.apply.covariates if config else None)
    with atomic(out) as folder:
        counts = apply_files(
            data,
            models,
            folder,
            covariates=table,
            genome=genome,
            signal=signal_files(signal, config, data_root),
            **given,
        )
    log.info("%s", ", ".join(f"{plural(count, 'row')} in {out / name}" for name, count in counts.items()))


def _predict_stored(models: list[Path], data: Path, out: Path, given: dict[str, Any]) -> None:
    import torch

    from biocnn.data.dataset import Dataset
    from biocnn.prediction.model import Model
    from biocnn.prediction.stored_predictions import write_predictions

    if len(models) > 1:
        raise InputError(f"{data}: a stored data set, but {len(models)} models", "predict it with one model at a time")
    loaded = Model(models[0], **of_stored(given))
    stored, share = Dataset(data, loaded.meta.fold), loaded.meta.share
    stored = stored.with_share(**share.plain()) if share else stored
    torch.set_num_threads(loaded.meta.experiment.train.threads)
    with atomic(out) as folder:
        folder.mkdir()
        write_predictions(folder, loaded, stored)


def features(
    model: Path, data: Path, out: Path, *, config: Path | None = None, data_root: Path = Path(), trust: str = ""
) -> None:
    """Write the vectors of all examples of DATA before the last layer of MODEL, and metrics of likeness.

    MODEL may have been trained on other data; CONFIG and TRUST as in `biocnn predict`.
    """
    from biocnn.evaluation.likeness import write_features
    from biocnn.prediction.model import Model

    loaded = Model(model, **of_stored(options_of("predict", config, data_root, trust, {})))
    with atomic(out) as folder:
        folder.mkdir()
        for line in write_features(loaded, data, folder):
            log.info("%s", line)


def explain(
    models: list[Path], data: Path, out: Path,
    *, genome: Path | None = None, covariates: Path | None = None, signal: str | None = None,
    spacing: str = "as_trained", intensity: str = "as_trained", channels: str | None = None,
    config: Path | None = None, data_root: Path = Path(), trust: str = "",
) -> None:  # fmt: skip
    """Explain predictions: attributions of sequences, or activation maps of images, as arrays and pictures.

    DATA are new sequences (FASTA; BED or narrowPeak with GENOME; a table with the column sequence) or images (a folder,
    a file, an .npz file; a table with the column image), with COVARIATES, a table of those of the images, or SIGNAL,
    the tracks of sequences, if the model takes any. Or it is the folder of a stored data set, from `biocnn dataset`:
    then the first model, with predictions beside it and beside the others, is explained by its test split, with motifs,
    as CONFIG, an experiment, determines.

    SIGNAL and TRUST as in `biocnn predict`.
    """
    from biocnn.config.registry import resolve
    from biocnn.explain.step import explain_runs

    stored = (data / "facts.json").is_file()
    if stored and (covariates or signal or channels or {spacing, intensity} != {"as_trained"}):
        options = "--covariates, --signal, --spacing, --intensity and --channels"
        raise InputError(f"{options}: are for new examples, but {data} is a stored data set", "leave them out")
    with atomic(out) as folder:
        folder.mkdir()
        if not stored:
            with needs("workflow", "pictures of explanations"):  # code that the rule does not run
                explain_files = resolve("biocnn.report.new_explanations:explain_files")
            fit = {"spacing": spacing, "intensity": intensity, "channels": channels.split(",") if channels else None}
            tracks = signal_files(signal, config, data_root)
            explain_files(models, data, folder, genome, covariates, trust.split(","), tracks, **fit)
        elif config is None:
            raise InputError("--config: is missing", "name the experiment of the stored data set")
        else:
            settings, runs = load_experiment(config, data_root).settings, [model.parent for model in models]
            for line in explain_runs(runs, data, settings, folder, genome):
                log.info("%s", line)


def variants(
    vcf: Path, out: Path, *models: Path, genome: Path, signal: str | None = None,
    config: Path | None = None, data_root: Path = Path(), prefix: str | None = None, seed: int | None = None,
    trust: str = "", **options: Any,
) -> None:  # fmt: skip
    """Score the variants of a VCF or BCF with one or more models: annotated and indexed VCF, and a table.

    GENOME is a FASTA file or a folder from `biocnn genome`. PREFIX starts the names of INFO fields; default: BIOCNN.
    SEED draws the random variants; default: that of CONFIG, or 1. SIGNAL, for models trained with data.signal, CONFIG
    and TRUST as in `biocnn predict`.
    """
    import torch

    from biocnn.apply.variants.step import annotate
    from biocnn.io.genome import either_genome
    from biocnn.prediction.model import Model

    settings = options_of("variants", config, data_root, trust, options)
    seed = load_experiment(config, data_root).settings.seed if config and seed is None else seed
    settings |= {key: value for key, value in (("prefix", prefix), ("seed", seed)) if value is not None}
    trusted = settings.pop("trust")
    loaded = [Model(model, trust=trusted) for model in models]
    torch.set_num_threads(loaded[0].meta.experiment.train.threads if loaded else 1)
    where = either_genome(genome)
    with atomic(out) as folder:
        folder.mkdir()
        checks = annotate(vcf, loaded, where, folder, signal=signal_files(signal, config, data_root), **settings)
    for line in checks.lines():
        log.info(line)


def scan(
    genome: Path, out: Path, *models: Path, signal: str | None = None,
    config: Path | None = None, data_root: Path = Path(), trust: str = "", **options: Any,
) -> None:  # fmt: skip
    """Scan a genome, a FASTA file or a folder from `biocnn genome`: probability as bigWig, and peaks.

    SIGNAL as in `biocnn predict`, for models trained with data.signal. CONFIG and TRUST as in `biocnn predict`.
    """
    from biocnn.apply.scan.step import scan_files

    with atomic(out) as folder:
        folder.mkdir()
        tracks = signal_files(signal, config, data_root)
        scan_files(genome, models, folder, signal=tracks, **options_of("scan", config, data_root, trust, options))
