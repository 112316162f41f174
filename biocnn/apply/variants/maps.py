"""Mutation maps of the variants with the largest effects, or of selected ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biocnn.apply.variants.alleles import Alleles
from biocnn.apply.variants.normalise import normalise
from biocnn.apply.variants.reading import readable
from biocnn.apply.variants.scoring import Ensemble
from biocnn.apply.variants.windows import cut, signal_of
from biocnn.data.signal import Signal, standardised
from biocnn.explain import saturation_mutagenesis
from biocnn.io.fasta import reverse_complement
from biocnn.io.genome import Genome

LARGEST = 40  # number of variants in the table of the report


@dataclass(frozen=True)
class Chosen:
    """A variant to show: the first columns of its line, its position in the genome, and its largest effect."""

    chrom: str
    pos: int
    id: str
    ref: str
    alt: str
    contig: int
    output: int
    values: tuple[float, ...]  # values of the effects for this output
    delta: float


class Choice:
    """Collects the alleles with the largest change in probability, and those with given IDs.

    Parameters
    ----------
    wanted
        IDs of variants to show.
    """

    def __init__(self, wanted: Sequence[str] = ()) -> None:
        self.wanted = set(wanted)
        self.named: list[Chosen] = []
        self.largest: list[Chosen] = []

    def see(
        self, fields: Sequence[Sequence[str]], alleles: Alleles, rows: np.ndarray, effects: dict[str, np.ndarray]
    ) -> None:
        """Consider the alleles ``rows`` of a block with these effects, each of shape (rows, K)."""
        if not len(rows):
            return
        size = np.abs(effects["DELTA"])
        output, largest = size.argmax(1), size.max(1)
        least = abs(self.largest[-1].delta) if len(self.largest) == LARGEST else -1.0
        order = np.argsort(-largest, kind="stable")[:LARGEST]
        new = [i for i in order if largest[i] > least]
        named = (
            [i for i in range(len(rows)) if fields[alleles.record[rows[i]]][2] in self.wanted] if self.wanted else []
        )

        def chosen(i: int) -> Chosen:
            row, k = rows[i], output[i]
            chrom, pos, name = fields[alleles.record[row]][:3]
            values = tuple(float(found[i, k]) for found in effects.values())
            return Chosen(
                readable(chrom), int(pos), readable(name), alleles.ref[row], alleles.alt[row],
                int(alleles.contig[row]), int(k), values, float(effects["DELTA"][i, k]),
            )  # fmt: skip

        self.named += [chosen(i) for i in named]
        self.largest = sorted([*self.largest, *map(chosen, new)], key=lambda c: -abs(c.delta))[:LARGEST]

    def shown(self, number: int) -> list[Chosen]:
        """Return the variants with the given IDs, or else the ``number`` largest."""
        return self.named if self.wanted else self.largest[:number]


def mutation_maps(
    ensemble: Ensemble, genome: Genome, chosen: Sequence[Chosen], signal: Signal | None = None
) -> dict[str, np.ndarray]:
    """Compute saturation mutagenesis of the windows of variants, with the allele of the larger logit.

    Parameters
    ----------
    ensemble
        Models; changes are averaged over them.
    genome
        Genome of the variants.
    chosen
        Variants to map.
    signal
        Tracks that the models need; None: none.

    Returns
    -------
    maps
        codes (N, L); change (N, 4, L); mark (N,), column of the variant's first base; allele (N,), REF or ALT; chrom
        and start (N,), first base of the window in the genome, 0-based. If ALT has another length, so that its window
        has no place in the genome, chrom is empty.
    """
    length = ensemble.window
    codes, change, allele = np.zeros((len(chosen), length), np.uint8), np.zeros((len(chosen), 4, length)), []
    mark, first, chrom = np.zeros(len(chosen), np.int64), np.zeros(len(chosen), np.int64), []
    for i, variant in enumerate(chosen):
        contig = np.array([variant.contig])
        start, ref, alt = normalise(genome, contig, np.array([variant.pos - 1]), [variant.ref], [variant.alt])
        place = contig, start, ref, alt, length
        pair, values = np.concatenate(cut(genome, *place)), signal and np.concatenate(signal_of(signal, *place))
        better = int(ensemble.logits(pair, values).mean(0)[:, variant.output].argmax())
        codes[i] = pair[better]
        allele.append(("REF", "ALT")[better])
        beside = None if values is None else values[[better]]
        change[i] = _change(ensemble, pair[[better]], beside, variant.output)
        flank = (length - len(ref[0])) // 2
        mark[i], first[i] = max(0, flank), start[0] - flank
        chrom.append(variant.chrom if not better or len(ref[0]) == len(alt[0]) else "")
    place = {"allele": np.array(allele, str), "chrom": np.array(chrom, str), "start": first}
    return {"codes": codes, "change": change, "mark": mark, **place}


def _change(ensemble: Ensemble, codes: np.ndarray, signal: np.ndarray | None, output: int) -> np.ndarray:
    changes = []
    for model, turn in zip(ensemble.models, ensemble.turn, strict=True):
        beside = None if signal is None else standardised(model.facts.signal_tracks, signal)
        here = saturation_mutagenesis(model.network, codes, output, beside)[0].cpu().numpy()
        if turn:
            other, beside = reverse_complement(codes).copy(), None if beside is None else beside[:, :, ::-1].copy()
            there = saturation_mutagenesis(model.network, other, output, beside)[0].cpu().numpy()
            here = (here + there[::-1, ::-1]) / 2
        changes.append(here)
    return np.mean(changes, axis=0)
