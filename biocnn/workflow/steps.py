"""The steps of the workflow: rule = sub-command = function of paths. Each writes whole files or none.

The main path: check, dataset, train, predict, baselines, evaluate, explain, uncertainty, segment, variants, scan,
report, summary.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError
from biocnn.core.extras import needs
from biocnn.core.files import atomic, read_json
from biocnn.workflow.image_steps import uncertainty
from biocnn.workflow.trials import calibrate, numbers, trial

log = logging.getLogger("biocnn")


def simulate(kind: str, out: Path, *, seed: int = 1) -> None:
    """Make the data of the demonstrations: KIND is sequences or nuclei."""
    from biocnn.workflow import simulate as simulation

    makers = {"sequences": simulation.simulate_sequences, "nuclei": simulation.simulate_nuclei}
    if kind not in makers:
        raise InputError(f"no simulation named {kind!r}", "allowed: sequences, nuclei")
    with atomic(out) as folder:
        makers[kind](folder, seed)


def genome(fasta: Path, out: Path) -> None:
    """Encode a FASTA file once, for all experiments that read it."""
    from biocnn.io.genome import write_genome

    with atomic(out) as folder:
        write_genome(fasta, folder)


def check(
    config: Path, out: Path, *, doctor: Path | None = None, data_root: Path = Path(), genome: Path | None = None
) -> None:
    """Read all raw data; count what was found, repaired and dropped. DOCTOR gets findings on single images."""
    from biocnn.core.checks import Checks
    from biocnn.data.doctor import write_checks

    experiment, checks = _load(config, data_root), Checks()
    raw = _read(experiment, checks, genome)
    checks.add("examples", "read", f"{raw.facts.task}: {', '.join(raw.facts.outputs)}", len(raw.examples))
    write_checks(raw, checks, out, doctor)
    for row in checks.rows:
        log.info("%s: %s %d %s %s", *(row[i] for i in (0, 1, 3, 2, 4)))


def dataset(config: Path, out: Path, *, data_root: Path = Path(), genome: Path | None = None) -> None:
    """Split the examples and store them as arrays."""
    from biocnn.core.checks import Checks
    from biocnn.data import dataset as store

    experiment, checks = _load(config, data_root), Checks()
    raw = _read(experiment, checks, genome)
    files = {key: path for key, path in experiment.files.items() if key.startswith("data.")}
    with atomic(out) as folder:
        facts = store.write(raw, experiment.settings.split, experiment.settings.seed, files, folder)
    for i, fold in enumerate(facts.folds or [facts]):
        name = f"fold {i}" if facts.folds else "examples"
        log.info("%s: %s", name, ", ".join(f"{n} {part}" for part, n in fold.n))
        for leak in fold.leakage:
            if leak.any:
                what = "removed" if leak.removed else "kept; see split.remove_leaks"
                log.info("%s: %d of %s match one of %s (%s)", name, leak.any, *reversed(leak.pair), what)
    for key, decision in facts.decisions.items():
        log.info("%s = %s: %s", key, decision.value, decision.reason)


def train(
    config: Path,
    data: Path,
    run: str,
    model: Path,
    history: Path,
    *,
    data_root: Path = Path(),
    settings: Path | None = None,
    state: Path | None = None,
) -> None:
    """Train RUN, fold0-seed1 say, and keep its best epoch. Stopped, it goes on from STATE when it is run again.

    SETTINGS, from `biocnn calibrate`, take the place of those in CONFIG.
    """
    from biocnn.config.search_space import chosen
    from biocnn.core.parallel import started_processes
    from biocnn.data.dataset import Dataset
    from biocnn.training.runs import train_run

    experiment, (fold, seed) = _load(config, data_root).settings, numbers(run, "fold", "seed")
    if settings:
        experiment = chosen(experiment, read_json(settings), settings)
    with started_processes() as processes:
        tell = partial(log.info, "%s  %s", run) if processes.rank == 0 else lambda line: None
        train_run(
            experiment, Dataset(data, fold), seed, log=tell, state=state, processes=processes, files=(model, history)
        )


def predict(
    model: Path, data: Path, out: Path, *,
    tta: str = "none", blend: str = "exact", overlap: float = 0.5, memory_gb: float = 2.0, trust: str = "",
) -> None:  # fmt: skip
    """Predict the validation and the test part.

    TRUST is modules, with commas between them, that hold networks of your own; a model of one of them makes it run.
    """
    import torch

    from biocnn.data.dataset import Dataset
    from biocnn.io.ragged import Ragged
    from biocnn.prediction.model import Model

    loaded = Model(model, memory_gb=memory_gb, tta=tta, blend=blend, overlap=overlap, trust=trust.split(","))
    stored = Dataset(data, loaded.meta.get("fold", 0))
    torch.set_num_threads(loaded.meta["experiment"]["train"]["threads"])
    rows = stored.rows("val", "test")
    with atomic(out) as folder:
        folder.mkdir()
        Ragged.write(folder / "probability.npy", loaded.predict_stored(stored, rows), stored.input.stored)
        table = stored.examples.iloc[rows]
        table[["id", "split"]].to_csv(folder / "examples.tsv", sep="\t", index=False)


def baselines(config: Path, data: Path, out: Path, *, data_root: Path = Path()) -> None:
    """Fit simple models of the same sequences (GC content, dinucleotides, 6-mers); of images there are none."""
    from biocnn.evaluation.baselines import write_baselines

    experiment = _load(config, data_root)
    with atomic(out) as folder:
        folder.mkdir()
        for line in write_baselines(data, experiment.settings, folder):
            log.info("%s", line)


def evaluate(
    config: Path,
    data: Path,
    simple: Path,
    out: Path,
    per_example: Path,
    audit: Path,
    matches: Path,
    *runs: Path,
    data_root: Path = Path(),
) -> None:
    """Judge predictions, and compare them with SIMPLE, the baselines; RUNS have model.safetensors and predictions."""
    from biocnn.data.dataset import Dataset
    from biocnn.evaluation.audit import audit_stored
    from biocnn.evaluation.evaluate import describe, evaluate_stored

    settings, stored = _load(config, data_root).settings, Dataset(data)
    found = evaluate_stored(stored, runs, settings.metrics, settings.seed, settings.split.group)
    compared = audit_stored(stored, runs, simple, settings.metrics.resamples, settings.seed)
    for frame, target in zip((*found, compared), (out, per_example, matches, audit), strict=True):
        with atomic(target) as path:
            frame.to_csv(path, sep="\t", index=False, float_format="%.6g")
    for line in describe(found.metrics, compared):
        log.info("%s", line)


def explain(config: Path, data: Path, model: Path, out: Path, *, data_root: Path = Path()) -> None:
    """Motifs and attributions of a sequence model, activation maps of an image model."""
    from biocnn.config.registry import own_module
    from biocnn.data.dataset import Dataset
    from biocnn.explain.step import explain_test_part
    from biocnn.prediction.model import Model

    settings = _load(config, data_root).settings
    loaded = Model(model, trust=[own_module(settings.model.name)])
    stored = Dataset(data, loaded.meta.get("fold", 0))
    with atomic(out) as folder:
        folder.mkdir()
        for line in explain_test_part(loaded, stored, settings.explain, folder):
            log.info("%s", line)


def segment(
    images: Path, out: Path, *models: Path,
    tta: str = "none", blend: str = "exact", overlap: float = 0.5, memory_gb: float = 2.0, trust: str = "",
    spacing: str = "as_trained", intensity: str = "as_trained", channels: str | None = None, on_error: str = "skip",
) -> None:  # fmt: skip
    """Segment new images with one or more models: masks or labels, objects.csv and images.csv.

    SPACING is as_trained (resample to the pixel size of training) or as_is; INTENSITY is as_trained, as_is or image
    (each scaled by its own range); CHANNELS are names with commas between them; ON_ERROR is skip or stop. TRUST as in
    `biocnn predict`.
    """
    from biocnn.apply.segment import segment_files

    with atomic(out) as folder:
        settings = {"tta": tta, "blend": blend, "overlap": overlap, "memory_gb": memory_gb, "trust": trust.split(",")}
        fit = {"spacing": spacing, "intensity": intensity, "channels": channels.split(",") if channels else None}
        count = segment_files(images, models, folder, on_error=on_error, **settings, **fit)
    log.info("%d objects in %s", count, out / "objects.csv")


def variants(
    vcf: Path,
    out: Path,
    *models: Path,
    genome: Path,
    window: int | None = None,
    offsets: str = "0",
    strands: str = "single",
    ref_mismatch: str = "error",
    unknown_contigs: str = "error",
    background: int = 0,
    maps: str = "4",
    prefix: str = "BIOCNN",
    seed: int = 1,
    trust: str = "",
) -> None:
    """Score the variants of a VCF or BCF with one or more models: annotated and indexed VCF, and a table.

    GENOME is a FASTA file or a folder that `biocnn genome` made. OFFSETS are numbers with commas between them
    (--offsets=-10,0,10); MAPS is a number or IDs. TRUST as in `biocnn predict`.
    """
    import torch

    from biocnn.apply.variants.step import Settings, annotate, parse
    from biocnn.io.genome import either_genome
    from biocnn.prediction.model import Model

    settings = Settings(
        window, parse(offsets, "offsets"), strands, ref_mismatch, unknown_contigs, background, seed, prefix,
        parse(maps, "maps"),
    )  # fmt: skip
    loaded = [Model(model, trust=trust.split(",")) for model in models]
    torch.set_num_threads(loaded[0].meta["experiment"]["train"]["threads"] if loaded else 1)
    where = either_genome(genome)
    with atomic(out) as folder:
        folder.mkdir()
        checks = annotate(vcf, loaded, where, folder, settings)
    for row in checks.rows:
        log.info("%s: %s %d %s %s", *(row[i] for i in (0, 1, 3, 2, 4)))


def scan(
    genome: Path, out: Path, *models: Path,
    contigs: str | None = None, stride: int = 10,
    threshold: float | None = None, density: float | None = None, trust: str = "",
) -> None:  # fmt: skip
    """Scan a genome, FASTA or as `biocnn genome` made it, with one or more models: probability as bigWig, and peaks.

    CONTIGS are names with commas between them; without, all are scanned. Windows of THRESHOLD or more make peaks;
    without, as many as DENSITY leads to expect: sites per Mb, else those of the training data. TRUST as in
    `biocnn predict`.
    """
    from biocnn.apply.scan.step import scan_files

    with atomic(out) as folder:
        folder.mkdir()
        chosen = contigs.replace(" ", "").split(",") if contigs else None
        scan_files(genome, models, folder, chosen, stride, threshold, density, trust=trust.split(","))


def report(config: Path, out: Path, figures: Path, *, data_root: Path = Path()) -> None:
    """One self-contained HTML page about the experiment whose folder OUT lies in, and its figures as files."""
    with needs("workflow", "the report"):
        from biocnn.report import write_report

    write_report(out.parent, _load(config, data_root).settings, out, figures)


def summary(tsv: Path, html: Path, *pages: Path) -> None:
    """A table and a page over all experiments; PAGES are their reports."""
    with needs("workflow", "the summary"):
        from biocnn.report import write_summary

    write_summary([page.parent for page in pages], tsv, html)


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
    fetch, simulate, genome, check, dataset, trial, calibrate, train, predict, baselines,
    evaluate, explain, uncertainty, segment, variants, scan, report, summary,
)  # fmt: skip


def _load(config: Path, data_root: Path) -> Any:
    from biocnn.config.experiment import load  # pydantic takes longer than `biocnn --help` should

    return load(config, data_root)


def _read(experiment: Any, checks: Any, genome: Path | None) -> Any:
    from biocnn.config.schema import build
    from biocnn.config.strands import check_strands
    from biocnn.data.facts import read

    source, seed = build("data", experiment.settings.data), experiment.settings.seed
    raw = read(source, seed, checks, *([genome] if genome else []))
    check_strands(experiment.settings, raw.facts.alphabet)
    return raw
