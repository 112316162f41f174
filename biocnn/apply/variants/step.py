"""Score variants in blocks: read, cut windows, score, write, count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import biocnn
from biocnn.apply.variants.alleles import REASONS, Alleles, Normal, Reader
from biocnn.apply.variants.background import Background
from biocnn.apply.variants.form import Form
from biocnn.apply.variants.maps import Choice, mutation_maps
from biocnn.apply.variants.normalise import normalise
from biocnn.apply.variants.reading import header_contigs, read_vcf, readable
from biocnn.apply.variants.reread import reread
from biocnn.apply.variants.scoring import Ensemble, effects
from biocnn.apply.variants.windows import BOTH, Kept, column, cut, one_pair, signal_of
from biocnn.apply.variants.writing import Writer
from biocnn.config.schema import option_fields, options
from biocnn.config.settings import Variants
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.files import sha256
from biocnn.core.progress import Progress
from biocnn.data.signal import Signal
from biocnn.io.contigs import check_lengths, find_contigs
from biocnn.io.genome import Genome
from biocnn.prediction.model import Model
from biocnn.prediction.new_signal import open_signal

ROUNDING = 1e-6  # changes below this fraction of a logit are rounding


def annotate(
    vcf: str | Path,
    models: Sequence[Model],
    genome: Genome,
    folder: Path,
    *,
    seed: int = 1,
    prefix: str = "BIOCNN",
    signal: Mapping[str, Path] | None = None,
    **settings: Any,
) -> Checks:
    """Score the variants of a file with one or more models, some thousands at a time.

    Parameters
    ----------
    vcf
        VCF or BCF file; if it is sorted, the output is indexed.
    models
        Ensemble of models with the same outputs.
    genome
        Reference genome of the variants.
    folder
        Existing folder for variants.vcf.gz, its index, variants.tsv, counts.tsv, largest.tsv and maps.npz.
    seed
        Seed of the background.
    prefix
        Prefix of INFO fields.
    signal
        bigWig files, by name, of the tracks that models trained with ``data.signal`` need; see ``signal_of``.
    **settings
        Options of `biocnn variants`, see ``Variants`` in ``biocnn.config.settings``.

    Returns
    -------
    counts
        Numbers of alleles read, scored and skipped.

    Raises
    ------
    InputError
        If a file, an allele or a setting is invalid; names the line.
    """
    vcf, (asked,) = Path(vcf), options(settings, Variants)
    ensemble, read = Ensemble(models, asked.window, asked.strands), Checks()
    tracks = open_signal(models[0], signal, genome, genome.names, read)
    scorer = Scorer(ensemble, genome, asked, seed, tracks)
    header, blocks = read_vcf(vcf)
    named = header_contigs(header)
    check_lengths(vcf, named, find_contigs(named, genome, False, vcf), genome)
    reader = Reader(genome, vcf, scorer.ensemble.window, asked.ref_mismatch, asked.unknown_contigs, named)
    form, counts, choice = Form(header), Counts(vcf), Choice(asked.maps if isinstance(asked.maps, list) else ())
    writer = Writer(
        folder, header, scorer.ensemble.outputs, scorer.names, prefix, _provenance(models, genome, asked, seed, prefix),
        task=scorer.ensemble.task, background=asked.background,
    )  # fmt: skip
    progress = Progress("alleles")
    with writer:
        for first, lines in blocks:
            numbers, fields = reader.fields(first, lines)
            form.see(numbers, fields)
            alleles, normal = reader.alleles(numbers, fields)
            found = scorer.score(normal)
            values = np.full((len(alleles.record), len(writer.keys)), np.nan)
            values[normal.rows] = np.stack(list(found.values()), axis=-1).reshape(len(normal.rows), len(writer.keys))
            counts.add(fields, alleles, normal)
            choice.see(fields, alleles, normal.rows, found)
            writer.write(fields, alleles, normal, values)
            progress.add(len(alleles.record))
        form.end(blocks.whole)
        writer.ordered = not reader.unordered
    if -1 in reader.rows.values() and set(reader.rows.values()) == {-1}:
        raise InputError(
            f"{vcf}: none of its contigs is in {genome.source}", "give the genome that the variants refer to"
        )
    counts.unseen = scorer.unseen
    checks = counts.checks(reader)
    checks.rows += read.rows
    for what, count in form.counts.items():
        checks.add(vcf.name, "note", f"not conforming to the VCF specification: {what}", count, form.examples[what])
    for words, count in reread(folder / "variants.vcf.gz", vcf, counts.records).items():
        checks.add(vcf.name, "note", f"warnings of htslib: {words}", count)
    if not (writer.indexed or reader.unordered):
        checks.add(vcf.name, "note", "file that tabix cannot index, because of its POS and END", 1)
    for name in sorted(choice.wanted - {chosen.id for chosen in choice.named}):
        checks.add(vcf.name, "note", "variants selected for maps that were not found, or skipped", 1, name)
    checks.frame().to_csv(folder / "counts.tsv", sep="\t", index=False)
    _write_chosen(folder, choice, scorer, asked.maps)
    return checks


class Scorer:
    """Computes effects of alleles.

    Parameters
    ----------
    ensemble
        Models to score with.
    genome
        Genome of the variants.
    variants
        Settings; offsets and background are used.
    seed
        Seed of the background.
    signal
        Tracks that the models need; None: none.
    """

    def __init__(
        self, ensemble: Ensemble, genome: Genome, variants: Variants, seed: int, signal: Signal | None = None
    ) -> None:
        self.ensemble, self.genome, self.offsets, self.signal = ensemble, genome, variants.offsets, signal
        places = [column(ensemble.window, offset, kept) for offset in variants.offsets for kept in BOTH]
        if not places or not all(0 <= place < ensemble.window for place in places):
            most = (ensemble.window - 1) // 2
            raise InputError(
                f"offsets: {variants.offsets} with windows of {ensemble.window} bp",
                f"allowed: offsets from {-most} to {most}, which keep the variant in the window",
            )
        self.unseen = 0  # alleles with identical windows
        margin = max(places), ensemble.window - min(places)
        self.background = (
            Background(genome, self._change, variants.background, margin, seed) if variants.background else None
        )

    @property
    def names(self) -> list[str]:
        """Names of the effects."""
        none = np.zeros((len(self.ensemble.models), 0, len(self.ensemble.outputs)), np.float32)
        return [*effects(self.ensemble, none, none), *(["P"] if self.background else [])]

    def score(self, normal: Normal) -> dict[str, np.ndarray]:
        """Compute each effect, shape (rows, K)."""
        logits, unseen = self._logits(normal.contig, normal.start, normal.ref, normal.alt)
        self.unseen += int(unseen.sum())
        found = effects(self.ensemble, *logits)
        if self.background:
            found["P"] = self.background.p_values(normal.ref, normal.alt, (logits[1] - logits[0]).mean(0))
        return found

    def _change(self, contig: np.ndarray, start: np.ndarray, ref: list[str], alt: list[str]) -> np.ndarray:
        """Return the change of the logit, averaged over the models: shape (N, K)."""
        (reference, alternative), _ = self._logits(contig, *normalise(self.genome, contig, start, ref, alt))
        return (alternative - reference).mean(0)

    def _logits(
        self, contig: np.ndarray, start: np.ndarray, ref: Sequence[str], alt: Sequence[str]
    ) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """Return the logits of both alleles, averaged over windows, (models, N, K) each, and where windows agree."""
        two = np.flatnonzero(~one_pair(ref, alt, self.ensemble.window))
        some = contig[two], start[two], [ref[i] for i in two], [alt[i] for i in two]
        total, equal = np.float32(0), np.ones(len(ref), bool)
        for offset in self.offsets:
            left, same = self._pairs(contig, start, ref, alt, offset, "left")
            equal &= same
            right = left
            if len(two):
                right = left.copy()
                right[:, :, two], same = self._pairs(*some, offset, "right")
                equal[two] &= same
            total = total + (left + right) / 2
        reference, alternative = total / np.float32(len(self.offsets))
        return (reference, np.where(self._rounding(reference, alternative), reference, alternative)), equal

    def _pairs(
        self, contig: np.ndarray, start: np.ndarray, ref: Sequence[str], alt: Sequence[str], offset: int, kept: Kept
    ) -> tuple[np.ndarray, np.ndarray]:
        place = contig, start, ref, alt, self.ensemble.window, offset, kept
        pair, tracks = cut(self.genome, *place), self.signal and signal_of(self.signal, *place)
        logits = self.ensemble.pairs(*pair, column(self.ensemble.window, offset, kept), tracks)
        return np.stack(logits), (pair[0] == pair[1]).all(1)

    def _rounding(self, reference: np.ndarray, alternative: np.ndarray) -> np.ndarray:
        """Return where logits differ only by float32 rounding, which p-values must not rank."""
        least = 1.0 if self.ensemble.task.positives else 0.0
        return np.abs(alternative - reference) <= ROUNDING * np.maximum(np.abs(reference), least)


class Counts:
    """Counts of alleles scored, and of those skipped by reason, each with its first example."""

    def __init__(self, vcf: Path) -> None:
        self.vcf, self.records = vcf, 0
        self.object_classes: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.swapped = self.movable = self.unseen = 0
        self.examples: dict[str, str] = {}

    def add(self, fields: Sequence[Sequence[str]], alleles: Alleles, normal: Normal) -> None:
        """Count the alleles of a block."""
        self.records += len(fields)
        movable = normal.rows[normal.places > 1]
        self.movable += len(movable)
        self.swapped += int(alleles.swapped.sum())
        self.object_classes.update(kind for kind in alleles.kind if kind)
        skipped = [i for i, reason in enumerate(alleles.reason) if reason]
        self.skipped.update(alleles.reason[i] for i in skipped)
        for i in skipped:
            self.examples.setdefault(alleles.reason[i], _named(fields, alleles, i))
        for i in movable[:1]:
            self.examples.setdefault("movable", _named(fields, alleles, i))

    def checks(self, reader: Reader) -> Checks:
        """Return the counts as a table."""
        checks, scored, skipped = Checks(), self.object_classes.total(), self.skipped.total()
        checks.add(self.vcf.name, "read", f"records with {scored + skipped} alleles", self.records)
        for kind, count in self.object_classes.most_common():
            checks.add(self.vcf.name, "kept", f"{kind}: scored", count)
        for reason, count in self.skipped.most_common():
            words = f"{REASONS[reason]}: skipped as {reason!r}"
            checks.add(self.vcf.name, "dropped", words, count, self.examples[reason])
        checks.add(self.vcf.name, "note", "alleles scored although the genome has ALT instead of REF", self.swapped)
        movable = "indels with several equivalent positions (normalise), scored in the middle of these"
        checks.add(self.vcf.name, "note", movable, self.movable, self.examples.get("movable", ""))
        unseen = "alleles in repeats that fill the window, so that the windows are identical"
        checks.add(self.vcf.name, "note", unseen, self.unseen)
        order = "unsorted records, so there is no index (sort with bcftools sort)"
        checks.add(self.vcf.name, "note", order, reader.unordered, reader.example)
        checks.add(self.vcf.name, "repaired", "blank lines removed", reader.blank)
        return checks


def _named(fields: Sequence[Sequence[str]], alleles: Alleles, i: int) -> str:
    chrom, pos = fields[alleles.record[i]][:2]
    return readable(f"{chrom}:{pos} {alleles.ref[i][:20]}>{alleles.alt[i][:20]}")


def _provenance(models: Sequence[Model], genome: Genome, asked: Variants, seed: int, prefix: str) -> dict[str, str]:
    """Return header lines on how the file was made; without paths, since files are moved."""
    files = ",".join(f"{'/'.join(m.path.parts[-2:])}(sha256 {sha256(m.path)[:12]})" for m in models)
    recorded = {key: getattr(asked, key) for key in option_fields(Variants) if key != "maps"}
    recorded |= {"offsets": tuple(asked.offsets), "seed": seed}
    values = " ".join(f"{key}={value}" for key, value in recorded.items())
    return {
        "biocnn_variantsVersion": biocnn.__version__,
        "biocnn_variantsCommand": f"prefix={prefix} models={files} genome={Path(genome.source).name} {values}",
    }


def _write_chosen(folder: Path, choice: Choice, scorer: Scorer, maps: int | list[str]) -> None:
    """Write the table of the largest changes, and the mutation maps of the chosen variants."""
    number = maps if isinstance(maps, int) else 0
    shown = choice.shown(number)
    outputs = scorer.ensemble.outputs
    names = [{"REF": "reference", "ALT": "alternative"}.get(name, name.lower()) for name in scorer.names]
    rows = [(c.chrom, c.pos, c.id, c.ref, c.alt, outputs[c.output], *c.values) for c in choice.largest]
    table = pd.DataFrame(rows, columns=["chrom", "pos", "id", "ref", "alt", "output", *names])
    table.to_csv(folder / "largest.tsv", sep="\t", index=False, float_format="%.4g")
    if shown:
        titles = [
            f"{c.id if c.id != '.' else ''} {c.chrom}:{c.pos} {_short(c.ref)}>{_short(c.alt)}".strip() for c in shown
        ]
        maps = mutation_maps(scorer.ensemble, scorer.genome, shown, scorer.signal)
        values = np.array([c.values[:2] for c in shown])
        named = np.array([outputs[c.output] for c in shown], str)
        np.savez(folder / "maps.npz", title=np.array(titles, str), values=values, output=named, **maps)


def _short(allele: str) -> str:
    return allele if len(allele) <= 12 else f"{allele[:10]}..({len(allele)})"
