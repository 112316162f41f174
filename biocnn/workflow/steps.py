"""The steps of the workflow: rule = sub-command = function of paths. Each writes complete files or none.

The main path: check, dataset, train, predict, baselines, evaluate, curve, negatives, explain, features, uncertainty,
variants, scan, report, summary.
"""

import json
import logging
from functools import partial
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.core.files import atomic, read_json
from biocnn.workflow.model_steps import explain, features, predict, scan, variants
from biocnn.workflow.step_inputs import load_experiment, numbers

log = logging.getLogger("biocnn")


def simulate(kind: str, out: Path, *, seed: int = 1) -> None:
    """Simulate the data of the demonstrations: KIND is sequences, coverage, nuclei, cells, leukocytes or biopsies."""
    from biocnn.workflow.demonstrations import MAKERS

    if kind not in MAKERS:
        raise InputError(f"no simulation named {kind!r}", "allowed: " + ", ".join(MAKERS))
    with atomic(out) as folder:
        MAKERS[kind](folder, seed)


def genome(fasta: Path, out: Path) -> None:
    """Encode a FASTA file once, for all experiments that read it."""
    from biocnn.io.genome import write_genome

    with atomic(out) as folder:
        write_genome(fasta, folder)


def check(
    config: Path, raw: Path, out: Path,
    *, doctor: Path | None = None, data_root: Path = Path(), genome: Path | None = None,
) -> None:  # fmt: skip
    """Read all raw data and store them in RAW; report counts of what was read, repaired and dropped.

    DOCTOR receives findings on individual images.
    """
    from biocnn.core.checks import Checks
    from biocnn.data.doctor import write_checks
    from biocnn.data.facts import read_data
    from biocnn.data.stored_raw import open_raw, write_raw

    experiment, checks = load_experiment(config, data_root), Checks()
    found = read_data(experiment.settings, checks, genome)
    checks.add("examples", "read", f"{found.facts.task}: {', '.join(found.facts.outputs)}", len(found.examples))
    files = {key: path for key, path in experiment.files.items() if key.startswith("data.")}
    with atomic(raw) as folder:
        write_raw(found, files, folder)
    write_checks(open_raw(raw), checks, out, doctor)
    for line in checks.lines():
        log.info(line)


def dataset(config: Path, raw: Path, out: Path, *, data_root: Path = Path()) -> None:
    """Split and measure the examples of RAW, and store them as arrays."""
    from biocnn.data.decisions import resolve
    from biocnn.data.stored_raw import open_raw
    from biocnn.data.storing import store

    experiment = load_experiment(config, data_root)
    with atomic(out) as folder:
        facts = store(open_raw(raw), experiment.settings, folder)
    for i, fold in enumerate(facts.folds or [facts]):
        name = f"fold {i}" if facts.folds else "examples"
        log.info("%s: %s", name, ", ".join(f"{n} {split}" for split, n in fold.n or ()))
        for leak in fold.leakage:
            if leak.any:
                what = "removed" if leak.removed else "kept; see split.remove_leaks"
                log.info("%s: %d of %s match one of %s (%s)", name, leak.any, *reversed(leak.pair), what)
    for key, decision in resolve(experiment.settings, facts)[1].items():
        value = "as many as needed" if decision.value is None else decision.value
        log.info("%s = %s: %s", key, value, decision.reason)


def trial(
    config: Path, data: Path, name: str, out: Path, *, data_root: Path = Path(), state: Path | None = None
) -> None:
    """Train with random settings and validate: NAME is e.g. fold0-trial3-part1, numbered from 0."""
    from biocnn.data.dataset import Dataset
    from biocnn.training.calibrate import run_trial
    from biocnn.training.state import clear

    settings, (fold, number, part) = load_experiment(config, data_root).settings, numbers(name, "fold", "trial", "part")
    record = run_trial(settings, Dataset(data, fold), number, part, partial(log.info, "%s  %s", name), state)
    with atomic(out) as path:
        path.write_text(json.dumps(record, indent=1))
    if state:
        clear(state, unfinished=True)  # also of trainings that diverged


def calibrate(
    config: Path, data: Path, fold: str, table: Path, best: Path, *trials: Path,
    data_root: Path = Path(), state: Path | None = None,
) -> None:  # fmt: skip
    """Rank all TRIALS of FOLD, e.g. fold0, in a table; write the best settings to BEST, for `biocnn train --settings`.

    If the best two candidates are close, they train for longer; STATE as in `biocnn train`.
    """
    from biocnn.data.dataset import Dataset
    from biocnn.training.calibrate import choose_trial
    from biocnn.training.state import clear

    settings, (number,) = load_experiment(config, data_root).settings, numbers(fold, "fold")
    ranked, chosen = choose_trial(settings, Dataset(data, number), trials, partial(log.info, "%s  %s", fold), state)
    with atomic(table) as path:
        ranked.to_csv(path, sep="\t", index=False, float_format="%.6g")
    with atomic(best) as path:
        path.write_text(json.dumps(chosen, indent=1))
    log.info("trial %d is the best of %d: %s", ranked["trial"].iloc[0], len(ranked), chosen)
    if state:
        clear(state, unfinished=True)


def train(
    config: Path, data: Path, run: str, model: Path, history: Path,
    *, data_root: Path = Path(), settings: Path | None = None, state: Path | None = None,
) -> None:  # fmt: skip
    """Train RUN, e.g. fold0-seed1, and keep its best epoch. If interrupted, the same command resumes from STATE.

    SETTINGS, from `biocnn calibrate`, replace those in CONFIG; fold0-seed1-share0.25 uses a quarter of the examples.
    """
    from biocnn.config.search_space import chosen
    from biocnn.core.parallel import started_processes
    from biocnn.data.dataset import Dataset
    from biocnn.training.runs import train_run

    name, _, share = run.partition("-share")
    experiment, (fold, seed) = load_experiment(config, data_root).settings, numbers(name, "fold", "seed")
    if share and share not in map("{:g}".format, experiment.train.learning_curve):
        raise InputError(f"{run}: {share} is not one of train.learning_curve in {config}", f"for example {name}")
    if settings:
        experiment = chosen(experiment, read_json(settings), settings)
    elif experiment.calibrate.candidates:
        remedy = "run `biocnn trial` for each and `biocnn calibrate`, as the workflow does; or name a network in model"
        raise InputError(f"--settings: is missing, but {config} has several candidates", remedy)
    with started_processes() as processes:
        note = partial(log.info, "%s  %s", run) if processes.rank == 0 else lambda line: None
        stored = Dataset(data, fold)
        stored = stored.with_share(float(share), experiment.split.group, experiment.seed) if share else stored
        train_run(experiment, stored, seed, log=note, state=state, processes=processes, files=(model, history))


def baselines(config: Path, data: Path, out: Path, *, data_root: Path = Path()) -> None:
    """Fit simple models to the same examples: of composition or intensities; there are none for masks."""
    from biocnn.evaluation.baselines import write_baselines

    experiment = load_experiment(config, data_root)
    with atomic(out) as folder:
        folder.mkdir()
        for line in write_baselines(data, experiment.settings, folder):
            log.info("%s", line)


def evaluate(
    config: Path, data: Path, simple: Path, out: Path, per_example: Path, audit: Path, matches: Path, decided: Path,
    errors: Path, *runs: Path, data_root: Path = Path(),
) -> None:  # fmt: skip
    """Evaluate predictions and compare them with SIMPLE, the baselines; RUNS have model.safetensors and predictions.

    DECIDED receives the masks or labels from the ensemble of all runs, ERRORS the examples that it predicts worst.
    """
    from biocnn.data.dataset import Dataset
    from biocnn.evaluation.audit import audit_stored
    from biocnn.evaluation.evaluate import describe, evaluate_stored
    from biocnn.evaluation.mistakes import worst_examples
    from biocnn.io.archive import array_archive

    settings, stored = load_experiment(config, data_root).settings, Dataset(data)
    with atomic(decided) as path, array_archive(path) as keep:
        found = evaluate_stored(stored, runs, settings.metrics, settings.seed, settings.split.group, keep)
    compared = audit_stored(stored, runs, simple, settings.metrics.resamples, settings.seed, settings.split.group)
    tables = (*found, compared, worst_examples(stored, runs, found.per_example))
    for frame, target in zip(tables, (out, per_example, matches, audit, errors), strict=True):
        with atomic(target) as path:
            frame.to_csv(path, sep="\t", index=False, float_format="%.6g")
    for line in describe(found.metrics, compared):
        log.info("%s", line)


def curve(config: Path, data: Path, metrics: Path, out: Path, *runs: Path, data_root: Path = Path()) -> None:
    """Evaluate RUNS on shares of the training split, for a learning curve; METRICS is from `biocnn evaluate`."""
    from biocnn.data.dataset import Dataset
    from biocnn.evaluation.learning_curve import learning_curve

    table = learning_curve(Dataset(data), metrics, runs, load_experiment(config, data_root).settings)
    with atomic(out) as path:
        table.to_csv(path, sep="\t", index=False, float_format="%.6g")


def negatives(
    config: Path, data: Path, simple: Path, out: Path, *runs: Path, data_root: Path = Path(), genome: Path | None = None
) -> None:
    """Test the networks on other kinds of negatives than those of DATA; SIMPLE and RUNS as in `biocnn evaluate`."""
    from biocnn.evaluation.negatives import write_negatives

    with atomic(out) as path:
        log.info(
            "%s",
            "\n".join(write_negatives(data, simple, runs, load_experiment(config, data_root).settings, path, genome)),
        )


def uncertainty(config: Path, data: Path, decided: Path, out: Path, *runs: Path, data_root: Path = Path()) -> None:
    """Estimate the uncertainty of pixels, objects and images; DECIDED is from `biocnn evaluate` on the same RUNS."""
    import torch

    from biocnn.data.dataset import Dataset
    from biocnn.evaluation.uncertainty.step import write_uncertainty

    settings, stored = load_experiment(config, data_root).settings, Dataset(data)
    if not stored.task.uncertainty:
        raise InputError(f"uncertainty.methods: not available for task {stored.task.name}", "set it to []")
    torch.set_num_threads(settings.train.threads)
    with atomic(out) as folder:
        folder.mkdir()
        for line in write_uncertainty(stored, runs, decided, settings, folder):
            log.info("%s", line)


def report(config: Path, out: Path, figures: Path, *, data_root: Path = Path(), manifest: Path | None = None) -> None:
    """Write a self-contained HTML page about the experiment in the folder of OUT, and its figures as files."""
    with needs("workflow", "the report"):
        from biocnn.report import write_report
    from biocnn.workflow.crate import write_crate
    from biocnn.workflow.manifest import read_manifest, write_manifest

    experiment = load_experiment(config, data_root)
    write_report(out.parent, experiment.settings, out, figures)
    if manifest:
        write_manifest(experiment, out.parent, manifest)
        write_crate(read_manifest(manifest), out.parent)


def summary(tsv: Path, html: Path, trainings: Path, *pages: Path) -> None:
    """Write tables of all experiments and of all trainings, and a page; PAGES are the reports of experiments."""
    with needs("workflow", "the summary"):
        from biocnn.report import write_summary

    write_summary([page.parent for page in pages], tsv, html, trainings)


def fetch(*names: str, to: Path = Path("data")) -> None:
    """Download public data sets from their original addresses and check them; without NAMES, list them."""
    from biocnn.workflow import fetch as fetching

    sources = fetching.read_sources()
    if not names:
        print(fetching.catalogue(sources), flush=True)
    for name in names:
        for path, outcome in fetching.fetch(name, to, sources):
            log.info("%s: %s", path, outcome)


STEPS = (
    fetch, simulate, genome, check, dataset, trial, calibrate, train, predict, features, baselines,
    evaluate, curve, negatives, explain, uncertainty, variants, scan, report, summary,
)  # fmt: skip
