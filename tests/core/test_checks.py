"""Lines for people on what was counted."""

from biocnn.core.checks import Checks


def test_lines_have_counts_and_the_first_example() -> None:
    checks = Checks()
    checks.add("a.bed", "read", "intervals", 1078)
    checks.add("a.bed", "dropped", "more than 50% unknown bases", 20, "chr1:5-9")
    checks.add("masks", "note", "objects that touch another, of 956", 240)
    checks.add("masks", "repaired", "nothing", 0)
    assert [*checks.lines()] == [
        "a.bed: read 1,078 intervals",
        "a.bed: dropped 20: more than 50% unknown bases; e.g. chr1:5-9",
        "masks: objects that touch another, of 956 (240)",
    ]
