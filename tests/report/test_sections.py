"""Sections of the report, compared with the tables of the steps."""

import pandas as pd
from tiny import experiment

from biocnn.report.blocks import Files
from biocnn.report.figures import Gallery, style
from biocnn.report.new_images import objects
from biocnn.report.results import Results
from biocnn.report.scan import scan
from biocnn.report.sections import reproduce


def test_images_without_objects_count_and_sizes_are_of_all_objects(tmp_path):
    """If only some images have a pixel size, sizes are shown in pixels."""
    (tmp_path / "apply").mkdir()
    found = pd.DataFrame(
        {
            "image": ["a", "a", "b"],
            "label": [1, 2, 1],
            "class": "object",
            "area": [4, 9, 5],
            "area_um2": [1.0, 2.0, None],
        }
    )
    found.to_csv(tmp_path / "apply/objects.csv", index=False)
    images = pd.DataFrame({"image": ["a", "b", "c", "d"], "skipped": [None, None, None, "d.png: damaged: copy it"]})
    images.assign(path=images["image"] + ".png").to_csv(tmp_path / "apply/images.csv", index=False)
    section = objects(Results(tmp_path), Gallery(tmp_path / "figures"))
    assert any("3 objects in 3 new images" in str(block) for block in section.blocks)
    drawn = (tmp_path / "figures" / "objects.svg").read_text()
    assert "Area (pixels)" in drawn
    assert "µm" not in drawn


def test_a_damaged_model_file_is_not_described(tmp_path):
    (tmp_path / "runs" / "fold0-seed1").mkdir(parents=True)
    (tmp_path / "runs" / "fold0-seed1" / "model.safetensors").write_bytes(b"cut off")
    results = Results(tmp_path)
    assert results.metadata("fold0-seed1") is results.metadata("gone") is None
    assert results.versions == {}


def test_internal_states_of_trainings_are_not_listed(tmp_path):
    for name in ("history.tsv", "state/1f2e/history.tsv"):
        (tmp_path / "runs/fold0-seed1" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs/fold0-seed1" / name).write_text("epoch\n")
    (listed,) = [block for block in reproduce(Results(tmp_path), experiment()).blocks if isinstance(block, Files)]
    assert [name for name, _ in listed.files] == ["runs/fold0-seed1/history.tsv"]


def test_peaks_of_a_scan_are_drawn_by_rank_and_listed_for_each_output(tmp_path):
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "counts.tsv").write_text(
        "source\toutcome\treason\tcount\texample\nscan\tread\twindows\t90\t\n"
    )
    for output, q in (("a", 0.3), ("b", -1)):
        peaks = [f"chr1\t{i}00\t{i}50\tp{i}\t9\t.\t0.{i}\t-1\t{q}\t25" for i in range(1, 9)]
        (tmp_path / "scan" / f"peaks.{output}.narrowPeak").write_text("\n".join(peaks) + "\n")
    with style():
        text, picture, first, second = scan(Results(tmp_path), Gallery(tmp_path / "figures")).blocks
    assert text.words == "90 windows."
    assert picture.source.startswith("<svg")
    assert first.rows[0] == ["1", "chr1:826", "50", ".800", ".50"]
    assert second.rows[0][-1] == "", "the fraction is unknown"
