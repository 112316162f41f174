"""Shares of the training split: nested, of whole groups, with all classes; val and test stay."""

import numpy as np
import pandas as pd
import pytest
from tiny import labelled, sequences, stored

from biocnn.core.errors import InputError
from biocnn.data.splits import UNUSED, with_share
from biocnn.training.metadata import Share

SHARES = (0.1, 0.25, 0.5, 0.8)


def test_shares_are_nested_and_of_whole_groups() -> None:
    rng = np.random.default_rng(0)
    groups = pd.Series(rng.integers(0, 40, 300).astype(str))
    split = pd.Series(np.where(groups.astype(int) < 30, "train", "test"))
    strata = groups.astype(int) % 3
    before = np.zeros(300, dtype=bool)
    for share in SHARES:
        found = with_share(split, groups, share, 1, strata)
        kept = (found == "train").to_numpy()
        assert (found[split == "test"] == "test").all()
        assert (before <= kept).all()
        assert pd.Series(kept)[split == "train"].groupby(groups).nunique().max() == 1
        assert set(strata[kept]) == {0, 1, 2}, "every class is in every share"
        assert kept.sum() == pytest.approx(share * (split == "train").sum(), abs=3 * 8), "a group more or less of each"
        before = kept
    assert not with_share(split, groups, 0.5, 2, strata).equals(with_share(split, groups, 0.5, 1, strata))


def test_a_share_of_too_few_groups_is_refused() -> None:
    split, groups = pd.Series(["train", "train", "test"]), pd.Series(["a", "a", "b"])
    with pytest.raises(InputError, match=r"learning_curve: 0\.5 of 1 training group"):
        with_share(split, groups, 0.5, 1)


def test_a_data_set_with_a_share_trains_on_fewer_examples_of_all_classes(tmp_path) -> None:
    whole = stored(labelled(60), tmp_path)
    part = whole.with_share(0.4, "group", 1)
    assert part.facts.n.train == len(part.rows("train")) < len(whole.rows("train"))
    assert part.task.facts.n == part.facts.n, "settings that depend on the number of examples are decided from it"
    for split in ("val", "test"):
        np.testing.assert_array_equal(part.rows(split), whole.rows(split))
    assert set(part.y.stacked(part.rows("train")).argmax(1)) == {*range(len(whole.facts.outputs))}
    assert set(np.flatnonzero(part.trained[:, 0])) == set(part.rows("train")), "only these may be predicted as train"
    assert (part.examples["split"] == UNUSED).sum() == len(whole.rows("train")) - len(part.rows("train"))
    assert Share(**part.share).plain() == {"share": 0.4, "group": "group", "seed": 1}
    assert whole.share == {}


def test_positives_and_negatives_keep_their_proportion(tmp_path) -> None:
    raw = sequences(120)
    raw.examples["group"] = raw.examples["id"]
    whole = stored(raw, tmp_path)
    part = whole.with_share(0.25, "group", 1)
    shares = [dataset.y.stacked(dataset.rows("train")).mean() for dataset in (whole, part)]
    assert shares[0] == pytest.approx(shares[1], abs=0.06)
