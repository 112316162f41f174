"""Sections of the report, compared with the tables of the steps."""

import pandas as pd

from biocnn.report.figures import Gallery
from biocnn.report.new_images import objects
from biocnn.report.results import Results


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
