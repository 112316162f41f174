"""The sections on data, training and reproduction."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from biocnn.config.registry import own_module, resolve
from biocnn.config.settings import Settings
from biocnn.core.files import sha256
from biocnn.core.plurals import plural
from biocnn.data.splits import SPLITS, TRAIN_DEV
from biocnn.report import curves, splits
from biocnn.report.blocks import Code, Files, Section, Table, Text, counted, short, table
from biocnn.report.figures import Gallery
from biocnn.report.findings import findings
from biocnn.report.headline import metric_name, number
from biocnn.report.results import Results
from biocnn.tasks import make_task
from biocnn.tasks.facts import Source

_MOST = 200  # files that are listed of a folder


def data(results: Results, settings: Settings, gallery: Gallery) -> Section:
    """Show what was read, repaired and dropped, examples by split, settings derived from the data, and images."""
    section = Section("data", "Data")
    if results.input and results.task:
        section.blocks.append(Text(_described(results)))
    if len(results.examples):
        section.blocks.append(_splits(results))
    section.blocks.extend([*splits.folds(results), *splits.leakage(results), *_signal(results)])
    checks = pd.concat([results.table("checks.tsv"), results.table("dataset/checks.tsv")], ignore_index=True)
    if len(checks):
        columns = [name for name in ("source", "outcome", "reason", "count", "example") if name in checks]
        columns = [name for name in columns if checks[name].notna().any()]
        checks = checks.assign(
            source=checks["source"].map(lambda path: Path(str(path)).name), count=checks["count"].map("{:,}".format)
        )
        if "example" in checks:
            checks["example"] = [short(one, 24) if isinstance(one, str) else one for one in checks["example"]]
        header = [name.capitalize() for name in columns]
        caption = "Data that were read, repaired, created or dropped; nothing else was changed."
        section.blocks.append(table(caption, header, checks[columns].to_numpy().tolist(), "Count", "checks.tsv"))
    section.blocks.extend(findings(results, gallery))
    # A run knows which settings the experiment gave; without a run, all derived settings are listed.
    trained = results.metadata(results.runs[0]) if results.runs else None
    decisions = (trained and trained.decisions) or results.facts.decisions
    rows = [[key, _plain(item.value), item.reason] for key, item in decisions.items()]
    if rows:
        section.blocks.append(table("Settings chosen for these data.", ["Setting", "Value", "Reason"], rows))
    if results.input and results.input.shown:
        section.blocks.extend(resolve(results.input.shown)(results, settings, gallery))
    return section


def _described(results: Results) -> str:
    kind, task = results.input, results.task
    number = f"{len(results.examples):,} {kind.examples}" if len(results.examples) else kind.examples.capitalize()
    outputs = task.object_classes if task.objects else results.outputs
    named = f" ({', '.join(outputs[:8])}{', …' if len(outputs) > 8 else ''})" if outputs else ""
    return f"{number} {kind.describe(results.facts)}. Predicted: {task.label.format(one=kind.name)}{named}."


def _splits(results: Results) -> object:
    examples, columns = results.examples, ["Split", "Examples"]
    counted_targets = splits.counts(results, examples)
    objects = results.dataset.labels if results.dataset and results.task and results.task.objects else None
    columns += [*counted_targets] + ["Objects"] * (objects is not None) + ["Groups"] * ("group" in examples)
    rows = []
    for split in (*SPLITS, *({TRAIN_DEV} & {*examples["split"]})):
        part = examples[examples["split"] == split]
        row = [split.replace("_", "-"), f"{len(part):,}", *splits.counts(results, part).values()]
        if objects is not None:
            row.append(f"{sum(len(np.unique(objects[i][objects[i] > 0])) for i in part.index):,}")
        if "group" in examples:
            alone = len(part) > 8 and part["group"].nunique() == len(part)
            row.append("one per example" if alone else counted(part["group"]))
        rows.append(row)
    shares = results.facts.class_shares
    where = " in the runs of fold 0" if results.facts.folds else ""
    joined = examples["split"].replace(TRAIN_DEV, "train")
    cut = "group" in examples and joined.groupby(examples["group"]).nunique().gt(1).any()
    caption = f"Examples by split{where}{'' if cut else '; each group is in one split only'}."
    if shares and results.task and results.input and results.task.target.spatial:
        named = zip(results.task.pixel_classes, shares, strict=False)
        caption += (
            (" Bases: " if results.input.at_loci else " Pixels: ")
            + ", ".join(f"{name} {share:.1%}" for name, share in named)
            + "."
        )
    return table(caption, columns, rows, ", ".join(["Examples", *counted_targets, "Objects"]))


def _signal(results: Results) -> Iterator[Table]:
    """List the tracks beside the bases."""
    rows = [[one.name, number(one.mean), number(one.sd), f"{one.covered:.1%}"] for one in results.facts.signal_tracks]
    if rows:
        fold = ", in fold 0" if results.facts.folds else ""
        caption = (
            f"Tracks that the network receives beside the bases, in the windows of the training split{fold}, which "
            "determine how they are standardised; bases without a value count as the mean."
            + " Mean and standard deviation are of log(1 + value)."
            * (results.facts.signal_scale == "log1p")
        )
        header = ["Track", "Mean", "Standard deviation", "Bases with a value"]
        yield table(caption, header, rows, ", ".join(header[1:]))


def training(results: Results, gallery: Gallery) -> Section:
    """Show loss, validation metrics and learning rate, and a table with one row per run."""
    section = Section("training", "Training")
    if not results.histories:
        return section
    rows = []
    metrics = curves.history_metrics(results.histories)
    for run, history in results.histories.items():
        row = history.loc[history["best"].idxmax()]
        rows.append([run, len(history), f"{row['epoch']:.0f}", number(row["train_loss"]), number(row["val_loss"])])
        rows[-1] += [number(row[name]) for name in metrics] + [f"{number(history['seconds'].sum(), 1)} s"]
    caption = "Loss, validation metrics and learning rate by epoch. Dots: the epoch whose weights were kept."
    if results.task and results.task.about_loss:
        caption += f" {results.task.about_loss}"
    alt = f"Learning curves of {plural(len(rows), 'run')}"
    section.blocks.append(gallery.add("training", curves.training(results.histories), alt, caption))
    names = [f"Val. {metric_name(name.removeprefix('val_'))}" for name in metrics]
    header = ["Run", "Epochs", "Best epoch", "Train loss", "Val. loss", *names, "Time"]
    section.blocks.append(table("Runs at their best epoch.", header, rows, ",".join(header[1:])))
    section.blocks.extend(_words(results))
    section.blocks.extend(Text(line) for line in _remarks(results))
    return section


def _words(results: Results) -> list[Table]:
    """List the outputs whose network is mixed with a linear model of words."""
    rows, several, metric = [], len(results.outputs) > 1, ""
    for run in results.histories:
        meta = results.metadata(run)
        mixed = meta.words if meta else None
        if mixed is None:
            continue
        metric = metric_name(mixed.metric.removeprefix("val_"))
        for name, share, before, after in zip(results.outputs, mixed.share, mixed.network, mixed.mixture, strict=True):
            if share < 1:
                rows.append([run, *[name] * several, f"{1 - share:.0%}", number(before), number(after)])
    if not rows:
        return []
    header = ["Run", *["Output"] * several, "Share of words", f"Val. {metric} (network)", f"Val. {metric} (mixture)"]
    caption = "Mixtures of the network with a linear model of words (1- to 6-mers): the weighted mean of their outputs."
    return [table(caption, header, rows, ",".join(header[-3:]))]


def _remarks(results: Results) -> Iterator[str]:
    """Yield remarks on runs that were stopped, and on unusual precision, temperature or thresholds."""
    from biocnn.tasks.temperature import remarks

    for run in results.histories:
        meta = results.metadata(run)
        if meta is None:
            continue
        if meta.stopped:
            yield f"{run} was {meta.stopped}."
        numbers, found = meta.precision, meta.temperature
        if numbers.reason:
            yield f"{run} was trained in {numbers.train}, not in {numbers.asked} (train.precision): {numbers.reason}."
        names = make_task(meta.facts).logit_names if found[1:] else [""] * len(found)
        for name, value, why in zip(names, found, remarks(found), strict=True):
            if why and (not found[1:] or (results.task and name in results.task.tempered)):
                yield f"Temperature of {run}{f', {name}' if name else ''}: {number(value, 2)}, {why}."
        if results.task:
            yield from (f"{run}: {remark}." for remark in results.task.remarks(meta.postprocess.given()))


def _name(source: Source) -> str:
    return source.path if source.key == "stored" else Path(source.path).name


def reproduce(results: Results, settings: Settings) -> Section:
    """Show commands, settings, versions, hashes and files."""
    section = Section("reproduce", "Reproduce")
    versions = results.versions
    command = results.frozen.command if results.frozen else "biocnn run FILE.yaml --cores all"
    models = [(run, path) for run in results.runs if (path := results.model(run))]
    name = results.network(settings).name
    section.blocks.append(Code("Commands", "\n".join([command, *_python(results, name, models)])))
    plain = settings.model_dump(mode="json")
    shown = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=False)
    digest = f" (digest {results.frozen.digest})" if results.frozen else ""
    section.blocks.append(Code(f"Settings, including defaults{digest}", shown.strip(), folded=True))
    if versions:
        section.blocks.append(table("Software.", ["Package", "Version"], [[k, _plain(v)] for k, v in versions.items()]))
    sources = [[_name(source), _size(source), source.sha256 or ""] for source in results.facts.sources]
    sources += [[f"{run}/{path.name}", _bytes(path.stat().st_size), sha256(path)] for run, path in models]
    if sources:
        section.blocks.append(table("Inputs and models.", ["File", "Size", "SHA-256"], sources, "Size"))
    release = f" {versions['biocnn']}" if "biocnn" in versions else ""
    cite = f"Please cite the biocnn developers, biocnn{release} (see CITATION.cff), and the methods used"
    section.blocks.append(Text(f"{cite} (see Methods)."))
    section.blocks.extend(_files(results))
    return section


def _files(results: Results) -> list[Files]:
    """List the results by folder.

    Figures have links of their own, logs differ each time, only trainings read states, and few tasks have matches.
    """
    folder, runs = results.folder, results.runs
    left_out = ["figures", "logs", "benchmarks", "report.html"] + ["matches.tsv"] * results.table("matches.tsv").empty
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(folder.rglob("*")):
        top, *rest = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in (top, *rest)) or (
            top == "runs" and rest and (rest[0] not in runs or "state" in rest)
        )
        if path.is_file() and not hidden and top not in left_out:
            place = path.relative_to(folder).as_posix()
            found.setdefault(top if rest else "", []).append((place, _bytes(path.stat().st_size)))
    blocks = []
    for top, files in sorted(found.items()):
        more = f", the first {_MOST}" * (len(files) > _MOST)
        blocks.append(Files(f"{top or 'Tables and settings'}: {plural(len(files), 'file')}{more}", files[:_MOST]))
    return blocks


def _python(results: Results, network: str, models: list[tuple[str, Path]]) -> list[str]:
    if not models:
        return []
    path = f"results/{results.name}/runs/{models[0][0]}/model.safetensors"
    module = own_module(network)
    trust = f', trust=["{module}"]' if module else ""
    beside = {"covariates": results.facts.covariates, "signal": results.facts.signal}
    call = f"predict({', '.join(['...', *(f'{name}=...' for name, given in beside.items() if given)])})"
    call = "detect(...)" if results.task and results.task.detects else call
    return [
        "",
        "# use the model in Python",
        "import biocnn",
        f'model = biocnn.load("{path}"{trust})',
        f"model.{call}",
    ]


def _size(source: Source) -> str:
    return plural(source.files or 0, "file") if source.bytes is None else _bytes(source.bytes)


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.3g}\N{NO-BREAK SPACE}{unit}"
        size /= 1000
    return ""


def _plain(value: object) -> str:
    if value is None:
        return "as many as needed"
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)
