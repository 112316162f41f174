"""The command that compares two experiments."""

from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.files import atomic


def compare(first: Path, second: Path, *, tsv: Path | None = None) -> None:
    """Compare two experiments, folders in results/: settings, hashes of inputs, and metrics on the same test examples.

    The difference is SECOND minus FIRST; its 95% interval is from a paired bootstrap.
    """
    from biocnn.config.experiment import read_frozen
    from biocnn.evaluation.comparison import compare_experiments
    from biocnn.report.runs_table import flat, text
    from biocnn.workflow.manifest import NAME

    for folder in (first, second):
        for name in ("metrics.tsv", NAME):
            if not (folder / name).is_file():
                remedy = "give folders of experiments, such as results/reb1, of which all steps are done"
                raise InputError(f"{folder}: has no {name}", remedy)
    settings = [read_frozen(folder / "experiment.json").settings for folder in (first, second)]
    a, b = map(flat, settings)
    differ = [key for key in a | b if a.get(key) != b.get(key)]
    rows = [["setting", first.name, second.name]]
    rows += [[key, *(text(side[key]) if key in side else "" for side in (a, b))] for key in differ]
    inputs = [["input", first.name, second.name], *_inputs(first, second)]
    table = compare_experiments(first, second, settings[0])
    shown = [["output", "metric", "n", first.name, second.name, "difference", "95% interval"]]
    for row in table.itertuples():
        interval = "–" if row.low != row.low else f"{row.low:+.4f} to {row.high:+.4f}"
        numbers = (f"{row.a:.4f}", f"{row.b:.4f}", f"{row.difference:+.4f}")
        shown.append([str(row.output), str(row.metric), str(row.n), *numbers, interval])
    print("\n\n".join(map(_aligned, (rows, inputs, shown))))
    if tsv:
        with atomic(tsv) as path:
            table.to_csv(path, sep="\t", index=False, float_format="%.6g")


def _inputs(*folders: Path) -> list[list[str]]:
    """Return the key of each input with the start of its hash for each experiment, from the manifests."""
    from biocnn.workflow.manifest import NAME, input_digests, read_manifest

    sides = [input_digests(read_manifest(folder / NAME)) for folder in folders]
    keys = dict.fromkeys(key for side in sides for key in side)
    return [[key, *(side.get(key, "") for side in sides)] for key in keys]


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(map(str.rstrip, lines))
