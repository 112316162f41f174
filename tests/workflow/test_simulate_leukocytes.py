"""The simulated white blood cells are as described: what the table states can be seen, and some of it is missing."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from scipy.ndimage import label

from biocnn.workflow import simulate_leukocytes as simulation


def test_the_findings_can_be_seen_and_some_are_missing(tmp_path: Path) -> None:
    simulation.simulate_leukocytes(tmp_path / "cells", 1)
    table = pd.read_csv(tmp_path / "cells" / "cells.csv", keep_default_na=False, dtype=str)
    assert len(table) == 360
    assert table["group"].nunique() == 36
    findings = table[["type", "vacuoles", "granules", "nucleus"]]
    assert ((findings == "").mean() - simulation.UNKNOWN).abs().max() < 0.05
    assert set(table["granules"]) == {"none", "few", "many", ""}
    known = table[table["nucleus"] != ""]
    dark, share, lobes = [], known["nucleus"].astype(float).to_numpy(), {}
    for row in known.itertuples():
        image = tifffile.imread(tmp_path / "cells" / row.image)
        assert image.shape == (40, 40, 3)
        red = image[..., 0] / np.percentile(image[..., 0], 95)
        nucleus = red < 0.6
        dark.append(nucleus.sum() / (red < 0.9).sum())
        lobes.setdefault(row.type, []).append(label(nucleus)[1])
    assert np.corrcoef(dark, share)[0, 1] > 0.7
    assert np.mean(lobes["neutrophil"]) > np.mean(lobes["lymphocyte"]) + 0.2


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(simulation, "DONORS", 3)
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        simulation.simulate_leukocytes(tmp_path / name, seed)
    one, again, other = (
        [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((tmp_path / name).rglob("*.*"))]
        for name in ("one", "again", "other")
    )
    assert len(one) == 2 * 10 + 3 + 1
    assert one == again
    assert not set(one) & set(other)
