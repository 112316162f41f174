"""Figures of values of bases: totals, and windows in coordinates of the genome."""

from pathlib import Path

import numpy as np
import pytest
from tiny import experiment, profiled, stored

from biocnn.config.settings import Metrics
from biocnn.evaluation.baselines import write_baselines
from biocnn.evaluation.profile_judge import ProfileJudge
from biocnn.io.ragged import Ragged
from biocnn.report.figures import Gallery, style
from biocnn.report.profiles import _groups, figures
from biocnn.report.results import Results


@pytest.mark.parametrize("stranded", [True, False])
def test_totals_and_windows_are_shown(stranded: bool, tmp_path: Path) -> None:
    dataset = stored(profiled(24, stranded=stranded), tmp_path)
    rows = dataset.rows("val", "test")
    p = np.nan_to_num(np.stack([dataset.y[row] for row in rows])) * 0.7 + 0.1
    folder = tmp_path / "runs" / "fold0-seed1" / "predictions"
    folder.mkdir(parents=True)
    Ragged.write(folder / "probability.npy", p, "float32")
    dataset.examples.iloc[rows][["id", "split"]].to_csv(folder / "examples.tsv", sep="\t", index=False)
    test = np.flatnonzero(np.isin(rows, dataset.rows("test")))
    _, each, _ = ProfileJudge(dataset, Metrics(resamples=0), "group", 1).judge(p.__getitem__, test, rows[test])
    each = each.assign(run="fold0-seed1", split="test")[["run", "split", "id", "output", "metric", "value", "unit"]]
    each.to_csv(tmp_path / "metrics_per_example.tsv", sep="\t", index=False)
    table = dataset.examples.assign(chrom="chr1", start=100 * np.arange(24), strand=["+", "-"] * 12)
    table.assign(end=table["start"] + 40).to_csv(dataset.folder / "examples.tsv", sep="\t", index=False)
    (tmp_path / "baselines").mkdir()
    write_baselines(dataset.folder, experiment("UNet", data="GenomeTracks"), tmp_path / "baselines")
    with style():
        blocks = figures(Results(tmp_path), Gallery(tmp_path / "figures"))
    assert [block.name for block in blocks] == ["profile_totals", "profile_windows"]
    assert (tmp_path / "figures" / "thumbnail.png").is_file()


def test_the_strands_of_a_track_share_an_axis() -> None:
    assert _groups(3, [0, 2, 1]) == [[0], [1, 2]]
    assert _groups(2, []) == [[0], [1]]
