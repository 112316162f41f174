"""Random variants have the requested kind, are in known bases, and give valid p-values."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest
from small import genome_of, model_of, random_genome, records_of, run, vcf_text

from biocnn.apply.variants.alleles import kind
from biocnn.apply.variants.background import Background, kind_of
from biocnn.core.errors import InputError
from biocnn.io.fasta import decode

GENOME = random_genome(4000, 3000)
GENOME.data[100:400] = 4


def background(number: int = 200, seed: int = 1, genome=GENOME) -> Background:
    """Return a background whose changes are the positions of its variants."""

    def change(contig: np.ndarray, start: np.ndarray, ref: list[str], alt: list[str]) -> np.ndarray:
        return start[:, None].astype(float)

    return Background(genome, change, number, (15, 16), seed)


@pytest.mark.parametrize(
    ("ref", "alt", "found", "name"),
    [
        ("A", "g", (0, 0, 2), "SNV"), ("CT", "CA", (0, 3, 0), "SNV"), ("AC", "A", (1, 1, 0), "deletion"),
        ("A", "ATTT", (1, 0, 3), "insertion"), ("ACG", "TTA", (1, 3, 3), "MNV"), ("ACG", "TT", (1, 3, 2), "complex"),
    ],
)  # fmt: skip
def test_draws_have_the_same_kind(ref: str, alt: str, found: tuple, name: str) -> None:
    assert kind_of(ref, alt) == found
    contig, start, refs, alts = background().draw(found)
    assert len(contig) == len(start) == len(refs) == len(alts) == 200
    windows = GENOME.windows(contig, start - 15, 31)
    assert (windows < 4).all()
    for row, there, r, a in zip(range(200), windows, refs, alts, strict=True):
        assert decode(there[15 : 15 + len(r)]) == r, row
        assert len(a) - len(r) == found[2] - found[1] if found[0] else a == "ACGT"[found[2]]
        assert name in ("complex", "MNV") or kind(r, a) == name
        assert r != a


def test_draws_depend_only_on_seed_and_kind() -> None:
    one, two, other = background(), background(), background(seed=2)
    one.draw((1, 2, 0))
    for first, second in zip(one.draw((0, 1, 2)), two.draw((0, 1, 2)), strict=True):
        np.testing.assert_array_equal(first, second)
    assert (one.draw((0, 1, 2))[1] != other.draw((0, 1, 2))[1]).any()


def test_p_values_count_changes_at_least_as_large() -> None:
    found = background(9)
    drawn = np.sort(found.draw((0, 0, 1))[1])
    change = np.array([drawn[-1] + 1, drawn[-1], -drawn[4], drawn[0] - 1], float)[:, None]
    np.testing.assert_allclose(found.p_values(["A"] * 4, ["C"] * 4, change)[:, 0], [0.1, 0.2, 0.6, 1.0])


def test_random_variants_have_uniform_p_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    places = np.unique(rng.integers(500, 3900, 300))
    text = [decode(GENOME.data[pos - 1 : pos]) for pos in places]
    records = [
        f"chr1 {pos} . {ref} {'ACGT'.replace(ref, '')[rng.integers(3)]} . . ."
        for pos, ref in zip(places, text, strict=True)
    ]
    out = run(tmp_path, vcf_text(*records), GENOME, model_of(tmp_path), background=300)
    p = [found.info["BIOCNN_bound_P"][0] for found in records_of(out)]
    assert kstest(p, "uniform").pvalue > 0.001


def test_a_genome_without_suitable_places() -> None:
    genome = genome_of(a="ACGTACGTAC" * 3, b="N" * 500)
    with pytest.raises(InputError, match="found 0 of 5 positions"):
        background(5, genome=genome).draw((0, 0, 1))
