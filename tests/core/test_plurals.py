"""Counts have the plurals of English."""

from biocnn.core.plurals import plural


def test_counts_with_their_nouns() -> None:
    assert plural(1, "epoch") == "1 epoch"
    assert [plural(2000, noun) for noun in ("epoch", "patch", "box", "axis", "such mask")] == [
        "2,000 epochs", "2,000 patches", "2,000 boxes", "2,000 axes", "2,000 such masks",
    ]  # fmt: skip
