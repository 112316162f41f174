"""The section on what limits the network: its errors from training to test examples, and the reasons of the worst."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from biocnn.config.settings import Settings
from biocnn.core.palette import BLUE, VERMILION
from biocnn.core.plurals import plural
from biocnn.evaluation.diagnosis import LEAST, LEVELS, SPLITS, Level, Step, steps
from biocnn.evaluation.mistakes import read_reasons, shares
from biocnn.metrics import ERRORS, error_of
from biocnn.report.blocks import Section, Table, Text, table
from biocnn.report.figures import FAINT, MUTED, Gallery, new_figure
from biocnn.report.headline import interval, metric_name, number, representative
from biocnn.report.learning_curve import learning_curve
from biocnn.report.results import Results
from biocnn.report.sample_size import EXAMPLES, IMAGES, positives

NAMES = {
    "zero": "no error",
    "human": "a person",
    "train": "training examples",
    "train_dev": "train-dev examples",
    "val": "validation examples",
    "test": "test examples",
}
ABOUT = {
    "human": "given as metrics.human",
    "train": "random sample, without augmentation",
    "train_dev": "drawn from the training split, not trained on",
    "val": "epoch and settings were chosen on them",
    "test": "nothing was chosen on them",
}
REMEDIES = {
    "bias": "Bias: the network does not fit what it was trained on. Try a larger network, longer training, less weight "
    "decay, dropout or augmentation, or more informative inputs; and look for wrong labels in the training split.",
    "variance": "Variance: the network does not generalise to further examples of the same kind. Try more training "
    "examples, more augmentation, more weight decay or dropout, or a smaller network.",
    "mismatch": "Mismatch: validation examples differ from those trained on. Train on more groups (donors, plates, "
    "chromosomes), choose groups that resemble those of the application, or augment with what sets groups apart.",
    "overfitting": "Overfitting to the validation split: what was chosen on it suits it by chance. Make it larger, or "
    "choose fewer settings on it.",
}
TOGETHER = (
    "Variance or mismatch: they cannot be separated without a train-dev split. Set split: {train_dev: 0.1} and train "
    "again: a step from training to train-dev examples is variance, one from train-dev to validation is mismatch."
)


def diagnosis(results: Results, settings: Settings, gallery: Gallery) -> Section:
    """Show the error of each split as a table and a figure, state what limits the network, and summarise reasons."""
    section = Section("diagnosis", "Diagnosis")
    metric, rows = _levels(results, settings.metrics.human)
    if "train" not in rows:
        section.blocks.extend(learning_curve(results, metric, gallery))
        return section
    found = steps([level for level, _ in rows.values()], 0 if metric in ERRORS else LEAST)
    lines = [*_verdict(found, metric), *_cautions(results, rows, settings)]
    section.blocks.extend(map(Text, lines))
    name = metric_name(metric) if metric in ERRORS else f"1 − {metric_name(metric)}"
    caption = (
        f"Error ({name}) on each split. Thin: 95% confidence intervals; thick: steps, orange if they call for a remedy."
    )
    alt = "Error of " + ", ".join(NAMES[step.end.name] for step in found)
    section.blocks.append(gallery.add("diagnosis", errors(found, name), alt, caption))
    section.blocks.append(_table(found, rows, name))
    section.blocks.extend(learning_curve(results, metric, gallery))
    section.blocks.extend(_reasons(results, settings, rows))
    return section


def _levels(results: Results, human: dict[str, float]) -> tuple[str, dict[str, tuple[Level, int]]]:
    """Return the diagnosed metric, and its level and number of examples on each split."""
    table_, levels = results.all_metrics, {}
    if not len(table_):
        return "", {}
    names = dict.fromkeys([*results.headline, *human, *table_["metric"]])
    usable = [name for name in names if np.isfinite(error_of(name, 0)) and name in set(table_["metric"])]
    of_people = {*human, *table_.loc[table_["split"] == "human", "metric"]}
    metric = next((name for name in usable if name in of_people), next(iter(usable), ""))
    for split in LEVELS:
        part = table_[(table_["split"] == split) & (table_["metric"] == metric)]
        for _, group in representative(part):
            # The mean half-width of several outputs bounds that of their mean, whether they are independent or not.
            value, *bounds = (error_of(metric, float(group[column].mean())) for column in ("value", "low", "high"))
            levels[split] = Level(split, value, *sorted(bounds)), int(group["n"].iloc[0])
    if metric in human:
        levels["human"] = Level("human", error_of(metric, human[metric])), 0
    return metric, levels


def _verdict(found: list[Step], metric: str) -> Iterator[str]:
    """Yield the steps that call for a remedy, with remedies; and those within noise."""
    if not any(step.found for step in found):
        yield "No step from one split to the next is both large and larger than its noise."
    for step in found:
        if step.found:
            yield f"{_moved(step).capitalize()}. {_remedy(step)}"
    noisy = [step for step in found if step.large and not step.clear]
    if noisy:
        moved = "; ".join(map(_moved, noisy))
        yield f"Within noise, or too few groups to decide: {moved}. More groups in these splits would show it."
    for step in found:
        if step.size < 0 and step.clear and step.start.name in SPLITS:
            yield f"{_moved(step).capitalize()}: {NAMES[step.end.name]} are easier."
    if found[0].start.name == "zero" and found[0].found:
        yield (
            "No human level is given, so bias is measured from an error of 0. If people or repeated measurements also "
            f"make errors, set metrics: {{human: {{{metric}: VALUE}}}} to their {metric_name(metric)}."
        )


def _remedy(step: Step) -> str:
    return TOGETHER if len(step.causes) > 1 else " ".join(REMEDIES[cause] for cause in step.causes)


def _moved(step: Step) -> str:
    verb = "rises" if step.size >= 0 else "falls"
    start, end = (f"{number(level.error)} ({NAMES[level.name]})" for level in (step.start, step.end))
    noise = f" ± {number(step.noise)}" if np.isfinite(step.noise) else " (no interval)"
    return f"the error {verb} by {number(abs(step.size))}{noise}, from {start} to {end}"


def _cautions(results: Results, rows: dict[str, tuple[Level, int]], settings: Settings) -> Iterator[str]:
    """Yield a sentence about small samples, and about what is compared with different ensembles."""
    names = NAMES | {"train": f"sampled {NAMES['train']}"}
    small = [f"{n} {names[split]}" for split, (_, n) in rows.items() if split != "human" and n < IMAGES]
    for split, number_ in positives(results).items():
        if split in rows and number_ < EXAMPLES:
            small.append(f"{plural(number_, 'positive')} among {NAMES[split]}")
    if small:
        yield f"Small samples: {', '.join(small)}. Other examples may give another verdict."
    if (settings.split.folds or 1) > 1 and (results.examples.get("fold", pd.Series()) == -1).any():
        yield (
            "Test examples are predicted by the runs of all folds together, others by those of one fold: this makes "
            "test errors smaller."
        )


def errors(found: list[Step], name: str) -> Figure:
    """Draw the error of each level with its confidence interval, and the steps between them."""
    levels = [found[0].start, *(step.end for step in found)]
    figure = new_figure(0.5 + 0.3 * len(levels), 4.6)
    axes = figure.subplots()
    for place, level in enumerate(levels):
        axes.plot([level.low, level.high], [place, place], color=MUTED, linewidth=1.5)
        axes.plot(level.error, place, "o", color=BLUE, markersize=5)
    for place, step in enumerate(found):
        axes.plot([step.start.error] * 2, [place, place + 1], color=FAINT, linewidth=0.8, linestyle=":")
        colour = VERMILION if step.found else FAINT
        axes.plot([step.start.error, step.end.error], [place + 1] * 2, color=colour, linewidth=4, zorder=0.5)
    axes.set_yticks(range(len(levels)), [NAMES[level.name] for level in levels])
    axes.set_ylim(len(levels) - 0.5, -0.5)
    axes.set_xlabel(f"Error ({name})")
    axes.set_xlim(left=0)
    return figure


def _table(found: list[Step], rows: dict[str, tuple[Level, int]], name: str) -> Table:
    cells = []
    for step in found:
        level, n = rows[step.end.name]
        noise = f"\n± {number(step.noise)}" if np.isfinite(step.noise) else ""
        causes_ = " or ".join(step.causes).replace("overfitting", "overfitting to validation")
        size = f"{'+' if step.size > 0 else ''}{number(step.size)}{noise}"
        cells.append(
            [
                level.name.replace("_", "-"), ABOUT[level.name], f"{n:,}", f"{number(level.error)}\n"
                f"{interval(level.low, level.high)}".strip(), size, causes_ if step.found else "",
            ]
        )  # fmt: skip
    if "human" in rows:
        level, n = rows["human"]
        bounds = f"{number(level.error)}\n{interval(level.low, level.high)}".strip()
        about = "drawn by a second annotator" if n else ABOUT["human"]
        cells.insert(0, ["human", about, f"{n or ''}", bounds, "", ""])
    header = ["Examples", "What they are", "n", name, "Step", "Verdict"]
    caption = (
        "Error of each split, and the step from the line above; the first step without a human level is from 0. Small "
        "print: 95% confidence intervals, for steps as half-widths. A verdict is given for steps that are at least a "
        "fifth of all rises and larger than their half-width; without intervals there is none."
    )
    return table(caption, header, cells, f"n, {name}, Step", "metrics.tsv")


def _reasons(results: Results, settings: Settings, rows: dict[str, tuple[Level, int]]) -> Iterator[Table | Text]:
    """Yield the share of each reason for the worst examples, and the error that would be left without it."""
    if settings.report.errors is None:
        if len(results.table("errors.tsv")):
            yield Text(
                "errors.tsv lists the worst test examples. To see what to work on first, copy it, write a reason for "
                "each into the last column, and set report: {errors: my_errors.tsv}."
            )
        return
    found = shares(read_reasons(settings.report.errors, results.examples["id"]))
    error = rows[results.split][0].error
    cells = [
        [row.reason, row.number, f"{row.share:.0%}", number(error * (1 - row.share)), number(error * row.share)]
        for row in found.itertuples()
    ]
    header = ["Reason", "Examples", "Share", "Error without it", "Gain at most"]
    caption = (
        f"Reasons in {settings.report.errors.name}, and the test error ({number(error)}) if all examples with that "
        "reason were right: an upper limit of what fixing it can gain, as if all examples contributed equally."
    )
    yield table(caption, header, cells, ", ".join(header[1:]))
