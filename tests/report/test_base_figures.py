"""Figures of classes of bases: which windows are shown, and what of them."""

from pathlib import Path

import numpy as np
from tiny import annotated, experiment, stored

from biocnn.evaluation.baselines import write_baselines
from biocnn.io.ragged import Ragged
from biocnn.report.bases import figures, runs
from biocnn.report.figures import Gallery, style
from biocnn.report.results import Results


def test_curves_windows_and_bases_are_shown(tmp_path: Path) -> None:
    dataset = stored(annotated(24, classes=2), tmp_path)
    rows, outputs = dataset.rows("val", "test"), len(dataset.task.outputs)
    truth = np.stack([dataset.y[row][0] for row in rows])
    p = np.stack([truth == k for k in range(outputs)], axis=1) * 0.7 + 0.1
    folder = tmp_path / "runs" / "fold0-seed1" / "predictions"
    folder.mkdir(parents=True)
    Ragged.write(folder / "probability.npy", p, "float32")
    dataset.examples.iloc[rows][["id", "split"]].to_csv(folder / "examples.tsv", sep="\t", index=False)
    table = dataset.examples.assign(chrom="chr1", start=100 * np.arange(24), strand="+")
    table.assign(end=table["start"] + 48).to_csv(dataset.folder / "examples.tsv", sep="\t", index=False)
    (tmp_path / "baselines").mkdir()
    write_baselines(dataset.folder, experiment("UNet", data="AnnotatedGenome"), tmp_path / "baselines")
    with style():
        blocks = figures(Results(tmp_path), Gallery(tmp_path / "figures"))
    assert [block.name for block in blocks] == ["bases_curves", "bases_windows", "bases_letters"]
    assert (tmp_path / "figures" / "thumbnail.png").is_file()


def test_runs_are_half_open() -> None:
    assert runs(np.array([1, 0, 1, 1, 0, 1], bool)) == [(0, 1), (2, 4), (5, 6)]
    assert runs(np.zeros(3, bool)) == []
