"""How large a change must be to stand out: random variants of the same kind, at random places of the same genome."""

from collections.abc import Callable, Sequence

import numpy as np

from biocnn.apply.variants.alleles import CODES
from biocnn.apply.variants.normalise import trimmed
from biocnn.core.errors import InputError
from biocnn.io.fasta import decode
from biocnn.io.genome import Genome

ROUNDS = 200  # draws before a genome is said to lack such places
Kind = tuple[int, int, int]
Change = Callable[[np.ndarray, np.ndarray, list[str], list[str]], np.ndarray]


def kind_of(ref: str, alt: str) -> Kind:
    """What a variant is matched by: (0, base, base) of a substitution, else (1, bases removed, bases added)."""
    if len(ref) != 1 or len(alt) != 1:
        _, ref, alt = trimmed(ref, alt)
    return (0, CODES[ref], CODES[alt]) if len(ref) == len(alt) == 1 else (1, len(ref), len(alt))


class Background:
    """Changes of random variants, drawn when the first variant of their kind comes.

    A substitution is matched by its two bases, all else by the numbers of bases removed and added; what is added is a
    stretch of another place of the genome. Places are such that all of the window is known. Draws depend on the seed
    and on the kind alone, not on the variants of the file.

    Parameters
    ----------
    genome
        Where to draw.
    change
        From contigs, starts and alleles to the change of the logits, shape (N, K).
    number
        Random variants of each kind.
    margin
        Bases to the left and to the right of a variant's first base that must be known.
    seed
        Of the draws.
    """

    def __init__(self, genome: Genome, change: Change, number: int, margin: tuple[int, int], seed: int) -> None:
        self.genome, self.change, self.number, self.margin, self.seed = genome, change, number, margin, seed
        self._sorted: dict[Kind, np.ndarray] = {}

    def p_values(self, ref: Sequence[str], alt: Sequence[str], change: np.ndarray) -> np.ndarray:
        """Empirical p-values, (1 + number of random changes at least as large) / (1 + number of random variants).

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
        """Contigs, starts and alleles of random variants of a kind, as a VCF has them: indels behind a base kept."""
        rng = np.random.default_rng([self.seed, *kind])
        single, first, second = kind[0] == 0, *kind[1:]
        removed, added = (1, 1) if single else (first, second)
        anchor = int(not removed or not added)
        contig, start, bases = self._places(rng, anchor + removed, first if single else None)
        ref = [decode(row) for row in bases]
        if single:
            return contig, start, ref, ["ACGT"[second]] * len(ref)
        inserted = self._stretches(rng, added, bases[:, anchor:])
        return contig, start, ref, [r[:anchor] + new for r, new in zip(ref, inserted, strict=True)]

    def _places(
        self, rng: np.random.Generator, length: int, base: int | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places with known windows: contigs, starts, and the ``length`` bases there, the first one as told."""
        left, right = self.margin
        if base is None:  # the window lies around the middle of what changes, and a deletion lets in as much again
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
            f"background: found {self.number - missing} of {self.number} places in {self.genome.source} for a random "
            f"variant of {length} bp, with all of its window known",
            "set a smaller background, or give the whole genome",
        )

    def _stretches(self, rng: np.random.Generator, length: int, other_than: np.ndarray) -> list[str]:
        """Known bases of other places, as text; none equal to what they replace."""
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
        raise InputError(f"background: {self.genome.source} lacks known stretches of {length} bp", "set background: 0")
