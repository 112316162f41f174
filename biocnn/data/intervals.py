"""Windows of a genome around intervals of BED files, with labels for one or several proteins, or with numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from biocnn.config.schema import build
from biocnn.config.signatures import Choice
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.ranges import Count
from biocnn.data.genome_reader import GenomeReader
from biocnn.data.loci import FROM
from biocnn.data.peak_sets import label_windows, merge_peaks
from biocnn.data.positives import EncodedExamples, GenomeContext, Positives
from biocnn.data.raw import Raw
from biocnn.data.sampling import Stretch
from biocnn.data.windows import Windows, named
from biocnn.io.bigwig_windows import mean_signal
from biocnn.io.contigs import Contigs
from biocnn.io.genome import Genome
from biocnn.io.tables import as_float32, without_labels
from biocnn.tasks.facts import Facts
from biocnn.tasks.vectors import task_of

PROVENANCE = ["id", "group", "chrom", "start", "end", "strand", "kind", "score", FROM]


@dataclass(kw_only=True)
class Intervals(GenomeReader):
    """Predict whether a window of the genome is bound, by which of several proteins, or how strongly.

    Parameters
    ----------
    positives
        Bound intervals: BED3 to BED6 or narrowPeak, plain or gzip. A window on strand "-" is reverse-complemented.
        Several files, as a list or by name, give one output per file: see ``merge_peaks`` and ``label_windows``.
    intervals
        Instead of positives: intervals with numeric ``targets``.
    targets
        For each output, either the number of a column of ``intervals`` (from 1: 5 is the score of BED, 7 the signal of
        narrowPeak; NA or . if unknown), or a bigWig file, whose mean over the window is used, with 0 for missing data.
    log1p
        Whether targets are log(1 + value).
    window
        Length seen by the model, in bp; beyond the end of a contig it is filled with unknown bases.
    center
        What windows are centred on; auto: the summit if the file is a narrowPeak with summits, else the center.
    flank
        Additional bases kept at each end of the window, in bp, for shifts in training.
    negatives
        How unbound windows are chosen; for positives only, by default gc_matched.
    blacklist
        BED file: windows that overlap one of its intervals are dropped, and none are drawn there.
    """

    positives: Path | list[Path] | dict[str, Path] | None = None
    intervals: Path | None = None
    targets: dict[str, Annotated[int, Field(ge=4)] | Path] | None = None
    log1p: bool = False
    window: Annotated[int, Field(ge=1)] = 101
    center: Literal["auto", "summit", "center"] = "auto"
    flank: Count = 16
    negatives: Choice["negatives"] | None = None
    blacklist: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        seen = self.window + 2 * self.flank
        self.check_lengths(seen, f"{self.window} bp, with two flanks of {self.flank} bp", shortest_block=seen)
        _check_targets(self.positives, self.intervals, self.targets, self.log1p, self.negatives)
        self.files, self.targets = _by_output(self.positives), self.targets or {}
        self.check_signal(self.targets.values())
        self.negatives = self.negatives or "gc_matched"

    def read(self, seed: int, checks: Checks, genome_folder: Path | None = None) -> Raw:
        """Read genome and intervals, and choose negatives.

        Parameters
        ----------
        seed
            Seed for the negatives.
        checks
            Receives counts of what was read, repaired, dropped and made.
        genome_folder
            Genome encoded by ``write_genome``, without ambiguous letters; None: encode the FASTA in memory.

        Returns
        -------
        raw
            Examples id, group, chrom, start, end (of the window, without flanks), strand, kind (positive, negative,
            shuffled; not for numeric targets), score; x of shape (window + 2 flank,); y of shape (N, K).
        """
        windows = self._windows(checks, genome_folder)
        raw = self._measured(windows) if self.intervals is not None else self._bound(windows, seed)
        return self.with_signal(raw, windows.genome, windows.checks)

    def surroundings(self, examples: pd.DataFrame, checks: Checks, genome_folder: Path | None = None) -> GenomeContext:
        """Return where negatives for stored examples of this data set may lie; parameters as for ``read``."""
        windows = self._windows(checks, genome_folder)
        sets = [windows.read(path) for path in self.files.values()]
        _, stretches = self._groups(examples, windows.genome)
        return self._context(windows, [*sets, examples[examples["kind"] == "positive"]], stretches)

    def _windows(self, checks: Checks, genome_folder: Path | None) -> Windows:
        genome = self.read_genome(genome_folder)
        checks.add(Path(self.genome).name, "read", "contigs", len(genome.names), ", ".join(genome.names[:4]))
        names = self.contig_names == "exact", self.unknown_contigs == "skip"
        closed = pd.DataFrame({"chrom": pd.Series(dtype=object), "start": np.empty(0, int), "end": np.empty(0, int)})
        windows = Windows(genome, self.window, self.flank, self.center, *names, self.max_unknown, checks, closed)
        if self.blacklist is not None:
            windows.closed = windows.read(Path(self.blacklist))
        return windows

    def _bound(self, windows: Windows, seed: int) -> Raw:
        """Read positives from one or several files, and choose negatives."""
        sets = [windows.read(path) for path in self.files.values()]
        several = len(sets) > 1
        name = f"{len(sets)} files of positives" if several else next(iter(self.files.values())).name
        part = windows.around(merge_peaks(sets, self.window) if several else sets[0], name)
        if several:
            reason = f"windows of {sum(map(len, sets))} peaks, merged if close together"
            windows.checks.add(name, "made", reason, len(part.codes))
        y = label_windows(part.examples, sets) if several else np.ones((len(part.codes), 1), np.float32)
        table = part.examples
        table["group"], stretches = self._groups(table, windows.genome)

        def read(path: Path) -> EncodedExamples:
            return windows.around(windows.read(path), path.name)

        context = self._context(windows, [*sets, table], stretches)
        positives, rng = Positives(table, part.codes, read, context), np.random.default_rng([seed, *b"negatives"])
        negatives = build("negatives", self.negatives, positives, rng, windows.checks)
        kind = negatives.examples.get("kind", "negative")
        table = pd.concat([table.assign(kind="positive"), negatives.examples.assign(kind=kind)], ignore_index=True)
        if "id" not in negatives.examples:
            made = table["kind"] != "positive"
            table.loc[made, "id"] = named(table[made].copy())["id"]
        bases = sum(windows.genome.contigs[name] for name in part.examples["chrom"].unique())
        density = (1e6 * y.sum(axis=0) / bases).tolist()  # positives per Mb, on contigs that have any
        y = np.concatenate([y, np.zeros((len(negatives.codes), y.shape[1]), np.float32)])
        codes = np.concatenate([part.codes, negatives.codes])
        raw = self._raw(table, codes, y, list(self.files), windows.genome)
        raw.facts = raw.facts.model_copy(update={"density": density})
        return raw

    def _context(self, windows: Windows, occupied: list[pd.DataFrame], stretches: dict[str, Stretch]) -> GenomeContext:
        places = pd.concat([table[["chrom", "start", "end"]] for table in occupied], ignore_index=True)
        return GenomeContext(
            windows.genome, self.flank, self.max_unknown, stretches, places, windows.closed, windows.cut
        )

    def _measured(self, windows: Windows) -> Raw:
        """Read intervals with numeric targets."""
        path = Path(self.intervals)
        columns = [value for value in self.targets.values() if isinstance(value, int)]
        part = windows.around(windows.read(path, sorted(set(columns))), path.name)
        table, exact = part.examples, self.contig_names == "exact"
        y = np.stack(
            [
                table[value].to_numpy() if isinstance(value, int)
                else mean_signal(Path(value), table, windows.genome, exact, windows.checks)
                for value in self.targets.values()
            ],
            axis=1,
        )  # fmt: skip
        if self.log1p:
            for k, name in enumerate(self.targets):
                for row in np.flatnonzero(y[:, k] <= -1)[:1]:
                    raise InputError(
                        f"{path}: {name} of {table['id'][row]} is {y[row, k]:g}, which has no log(1 + value)",
                        "allowed with data.log1p: values above -1",
                    )
            y = np.log1p(y)
        known = ~without_labels(y, list(self.targets), table["id"], path.name, windows.checks)
        table, y = table[known].reset_index(drop=True), as_float32(y[known], list(self.targets), path.name)
        return self._raw(table, part.codes[known], y, list(self.targets), windows.genome)

    def _groups(self, table: pd.DataFrame, genome: Genome) -> tuple[pd.Series, dict[str, Stretch]]:
        """Return the contig or block of each window, and the extent of each; overlapping windows share a group."""
        if self.block is None:
            used = table["chrom"].unique()
            return table["chrom"], {name: Stretch(name, 0, genome.contigs[name]) for name in used}
        order = table.sort_values(["chrom", "start"])
        gap = order["start"] - order["end"].shift(fill_value=0) >= 2 * self.flank
        new = gap | (order["chrom"] != order["chrom"].shift())
        # A run of overlapping windows belongs to the block that it starts in.
        index = (order["start"].where(new).ffill() // self.block).clip(lower=0).astype(int)
        group = order["chrom"] + ":" + index.astype(str)
        stretches = {
            name: Stretch(chrom, i * self.block, min((i + 1) * self.block, genome.contigs[chrom]))
            for name, chrom, i in zip(group, order["chrom"], index, strict=True)
        }
        return group.reindex(table.index), stretches

    def _raw(self, table: pd.DataFrame, codes: np.ndarray, y: np.ndarray, outputs: list[str], genome: Genome) -> Raw:
        # Computed again for all: negatives may come from anywhere, and must not overlap an example of another group.
        table["group"], _ = self._groups(table, genome)
        facts = Facts(
            kind="sequence",
            task=task_of(y),
            spatial_dims=1,
            in_channels=4,
            out_channels=y.shape[1],
            outputs=outputs,
            alphabet="ACGT",
            iupac=self.iupac,
            window=self.window,
            flank=self.flank,
        )
        exact = self.contig_names == "exact"
        contigs = Contigs(genome.contigs, genome.descriptions, genome.source, exact)
        table = table[[name for name in PROVENANCE if name in table]]
        return Raw(table, codes.__getitem__, y, facts, contigs)


def _check_targets(positives: object, intervals: object, targets: dict | None, log1p: bool, negatives: object) -> None:
    if (positives is None) == (intervals is None):
        raise InputError(
            "data: needs either positives or intervals",
            "positives: bound intervals; intervals: with numeric targets",
        )
    if intervals is None and (targets or log1p):
        raise InputError(
            f"data.{'targets' if targets else 'log1p'}: is for intervals, not for positives",
            "name the file of intervals in data.intervals instead of data.positives",
        )
    if intervals is not None and not targets:
        raise InputError(
            "data.targets: is missing", "for example targets: {signal: 7} (a column), or {CTCF: ctcf.bw} (a bigWig)"
        )
    if intervals is not None and negatives is not None:
        raise InputError("data.negatives: apply to positives only", "leave it out: every interval has its targets")


def _by_output(positives: Path | list[Path] | dict[str, Path] | None) -> dict[str, Path]:
    if positives in ([], {}):
        raise InputError("data.positives: lists no file", "for example positives: [a.bed, b.bed]")
    if isinstance(positives, dict):
        return {name: Path(path) for name, path in positives.items()}
    paths = [Path(path) for path in (positives if isinstance(positives, list) else [positives]) if path is not None]
    named_by = {path.name.split(".")[0]: path for path in paths}
    if len(named_by) < len(paths):
        raise InputError(
            f"data.positives: two files give outputs of the same name ({', '.join(path.name for path in paths)})",
            "name them, for example positives: {first: a/peaks.bed, second: b/peaks.bed}",
        )
    return named_by
