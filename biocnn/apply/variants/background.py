"""Background distribution of changes: random variants of the same kind at random positions of the genome."""

from collections.abc import Callable, Sequence

import numpy as np

from biocnn.apply.variants.alleles import CODES
from biocnn.apply.variants.normalise import trimmed
from biocnn.core.errors import InputError
from biocnn.io.fasta import decode
from biocnn.io.genome import Genome

ROUNDS = 200  # maximum number of draws to find positions
Kind = tuple[int, int, int]
Change = Callable[[np.ndarray, np.ndarray, list[str], list[str]], np.ndarray]


def kind_of(ref: str, alt: str) -> Kind:
    """Return the matching key of a variant: (0, base, base) for substitutions, else (1, bases removed, added)."""
    if len(ref) != 1 or len(alt) != 1:
        _, ref, alt = trimmed(ref, alt)
    return (0, CODES[ref], CODES[alt]) if len(ref) == len(alt) == 1 else (1, len(ref), len(alt))


class Background:
    """Changes of random variants, drawn when the first variant of their kind is scored.

    Substitutions are matched by their two bases, all other variants by the numbers of bases removed and added; added
    bases are copied from another position of the genome. All bases of the window at each position are known. Draws
    depend only on the seed and the kind, not on the variants of the file.

    Parameters
    ----------
    genome
        Genome to draw from.
    change
        Function from contigs, starts and alleles to the change of the logits, shape (N, K).
    number
        Number of random variants of each kind.
    margin
        Number of bases left and right of a variant's first base that must be known.
    seed
        Seed of the draws.
    """

    def __init__(self, genome: Genome, change: Change, number: int, margin: tuple[int, int], seed: int) -> None:
        self.genome, self.change, self.number, self.margin, self.seed = genome, change, number, margin, seed
        self._sorted: dict[Kind, np.ndarray] = {}

    def p_values(self, ref: Sequence[str], alt: Sequence[str], change: np.ndarray) -> np.ndarray:
        """Compute empirical p-values, (1 + number of random changes at least as large) / (1 + number of variants).

        Parameters
        ----------
        ref, alt
            Alleles of N variants.
        change
            Change of their logits, shape (N, K); its sign does not matter.

        Returns
        -------
        p
            Shape (N, K).

        References
        ----------
        Phipson & Smyth, Stat Appl Genet Mol Biol 9, 39 (2010), doi:10.2202/1544-6115.1585.
        """
        p = np.empty(change.shape)
        rows: dict[Kind, list[int]] = {}
        for i, alleles in enumerate(zip(ref, alt, strict=True)):
            rows.setdefault(kind_of(*alleles), []).append(i)
        for kind, of_kind in rows.items():
            if kind not in self._sorted:
                self._sorted[kind] = np.sort(np.abs(self.change(*self.draw(kind))), axis=0)
            for k, drawn in enumerate(self._sorted[kind].T):
                smaller = np.searchsorted(drawn, np.abs(change[of_kind, k]))
                p[of_kind, k] = (1 + len(drawn) - smaller) / (1 + len(drawn))
        return p

    def draw(self, kind: Kind) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
        """Draw contigs, starts and alleles of random variants of a kind, as in a VCF: indels follow an anchor base."""
        rng = np.random.default_rng([self.seed, *kind])
        single, first, second = kind[0] == 0, *kind[1:]
        removed, added = (1, 1) if single else (first, second)
        anchor = int(not removed or not added)
        contig, start, bases = self._positions(rng, anchor + removed, first if single else None)
        ref = [decode(row) for row in bases]
        if single:
            return contig, start, ref, ["ACGT"[second]] * len(ref)
        inserted = self._segments(rng, added, bases[:, anchor:])
        return contig, start, ref, [r[:anchor] + new for r, new in zip(ref, inserted, strict=True)]

    def _positions(
        self, rng: np.random.Generator, length: int, base: int | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw positions with known windows: contigs, starts, and ``length`` bases, starting with ``base`` if given."""
        left, right = self.margin
        if base is None:  # the window is centred on the change, and a deletion adds as many bases at its end
            left, right = left + length, right + 2 * length
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        missing = self.number
        for _ in range(ROUNDS):
            place = rng.integers(0, len(self.genome.data), 2 * self.number)
            contig = np.searchsorted(self.genome.offsets, place, side="right") - 1
            start = place - self.genome.offsets[contig]
            around = self.genome.windows(contig, start - left, left + max(right, length))
            good = (around < 4).all(1)
            if base is not None:
                good &= around[:, left] == base
            rows = np.flatnonzero(good)[:missing]
            found.append((contig[rows], start[rows], around[rows, left : left + length]))
            missing -= len(rows)
            if not missing:
                contig, start, bases = (np.concatenate(part) for part in zip(*found, strict=True))
                return contig, start, bases
        raise InputError(
            f"background: found {self.number - missing} of {self.number} positions in {self.genome.source} for a "
            f"random variant of {length} bp with a fully known window",
            "set a smaller background, or give the whole genome",
        )

    def _segments(self, rng: np.random.Generator, length: int, other_than: np.ndarray) -> list[str]:
        """Draw known bases from other positions, as text; none equals what it replaces."""
        if not length:
            return [""] * len(other_than)
        chosen = np.zeros((len(other_than), length), np.uint8)
        missing = np.arange(len(other_than))
        for _ in range(ROUNDS):
            place = rng.integers(0, len(self.genome.data), len(missing))
            contig = np.searchsorted(self.genome.offsets, place, side="right") - 1
            bases = self.genome.windows(contig, place - self.genome.offsets[contig], length)
            good = (bases < 4).all(1)
            if length == other_than.shape[1]:
                good &= (bases != other_than[missing]).any(1)
            chosen[missing[good]] = bases[good]
            missing = missing[~good]
            if not len(missing):
                return [decode(row) for row in chosen]
        raise InputError(f"background: {self.genome.source} has no known segments of {length} bp", "set background: 0")
