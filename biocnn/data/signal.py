"""A signal, tracks beside the bases of windows of a genome, from bigWig files: read, measured and standardised."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.raw import Raw
from biocnn.io.bigwig import read_values
from biocnn.io.bigwig_windows import contigs_in
from biocnn.io.genome import Genome
from biocnn.metrics.masks import IGNORE
from biocnn.metrics.vectors import auroc, labelled, pearson
from biocnn.tasks import make_task
from biocnn.tasks.facts import SignalTrack

READ = 2**22  # values of all tracks that are read at a time
PIECE = 2**20  # bases of an interval that are read at a time
PRESENCE = 0.1  # distance of an AUROC from .5 above which the presence of values separates the classes
SAME = 0.99  # correlation above which a track is the target itself
COMPARED = 1000  # windows whose bases are compared with targets of each base, at most


class Signal:
    """The values of tracks in windows of a genome.

    Parameters
    ----------
    files
        bigWig files, by name of the track.
    genome
        Genome of the windows.
    exact
        Whether contig names must be identical; otherwise they are matched as in ``find_contigs``.
    contigs
        Contigs of the windows, of which each file must have one or more; on others, its values are missing.
    checks
        Receives counts of contigs read and renamed.
    """

    def __init__(
        self, files: Mapping[str, Path], genome: Genome, exact: bool, contigs: Iterable[str], checks: Checks
    ) -> None:
        self.files, self.genome, wanted = dict(files), genome, list(contigs)
        self.names = [contigs_in(Path(path), wanted, genome, exact, checks) for path in self.files.values()]
        self.piece = lru_cache(2)(self._piece)  # an interval may lie in two

    def windows(self, table: pd.DataFrame, aside: int = 0) -> np.ndarray:
        """Read windows of one length (chrom, start, end, strand), and bases at both sides of each.

        Returns
        -------
        values
            Shape (N, S, L), float32; nan without a value, and beyond the ends of a contig. Strand "-" is turned round.
        """
        start, end = table["start"].to_numpy() - aside, table["end"].to_numpy() + aside
        low, high = np.maximum(start, 0), np.minimum(end, table["chrom"].map(self.genome.contigs).to_numpy())
        values = np.full((len(table), len(self.files), int((end - start).max(initial=0))), np.nan, np.float32)
        for k, ((name, path), names) in enumerate(zip(self.files.items(), self.names, strict=True)):
            chrom = table["chrom"].map(names).to_numpy(object)
            rows = np.flatnonzero(table["chrom"].isin(names) & (low < high))
            places = [(chrom[row], int(low[row]), int(high[row])) for row in rows]
            found = np.split(read_values(Path(path), places), np.cumsum((high - low)[rows])[:-1]) if places else []
            for row, part in zip(rows, found, strict=True):
                if np.isinf(part).any():
                    where = f"{chrom[row]}:{low[row]}-{high[row]}"
                    raise InputError(f"{path}: an infinite value of {name} in {where}", "write finite values only")
                values[row, k, low[row] - start[row] : high[row] - start[row]] = part
        minus = (table["strand"] == "-").to_numpy()
        values[minus] = values[minus][:, :, ::-1]
        return values

    def along(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Read an interval, which may exceed its contig: shape (S, end - start), float32; neighbours are cached."""
        first, last = start // PIECE, -(-end // PIECE)
        pieces = [self.piece(chrom, number) for number in range(first, last)]
        return np.concatenate(pieces, axis=1)[:, start - first * PIECE : end - first * PIECE]

    def _piece(self, chrom: str, number: int) -> np.ndarray:
        place = {"chrom": [chrom], "start": [number * PIECE], "end": [(number + 1) * PIECE], "strand": ["+"]}
        return self.windows(pd.DataFrame(place))[0]

    def of(self, table: pd.DataFrame, aside: int) -> Callable[[int], np.ndarray]:
        """Return a function of the row of a window: its values, (S, L); many windows are read at a time."""
        table = table.reset_index(drop=True)
        length = int((table["end"] - table["start"]).max()) + 2 * aside
        rows = max(1, READ // (length * len(self.files)))
        part = lru_cache(1)(lambda number: self.windows(table[number * rows : (number + 1) * rows], aside))
        return lambda row: part(row // rows)[row % rows]


def nothing(number: int) -> np.ndarray:
    """Return the tracks of sequences without any."""
    return np.zeros((number, 0, 0), np.float32)


def standardised(tracks: Sequence[SignalTrack], values: np.ndarray) -> np.ndarray:
    """Return values (..., S, L) in standard deviations from the mean of the training split; 0 if missing."""
    if tracks and tracks[0].scale == "log1p":
        values = np.log1p(np.maximum(values, 0))  # negative ones, which training files lack, have no logarithm
    mean, sd = (np.array([getattr(one, name) for one in tracks])[:, None] for name in ("mean", "sd"))
    return np.nan_to_num((values - mean) / sd).astype(np.float32)


def measure_signal(raw: Raw, trained: Sequence[np.ndarray]) -> list[list[SignalTrack]]:
    """Measure the tracks on each training split, a mask of the examples; flanks do not count."""
    sums, found = _sums(raw), []
    for rows in trained:
        number, total, squares = sums[:, rows].sum(axis=1)
        tracks = []
        for k, name in enumerate(raw.facts.signal):
            if not number[k]:
                raise InputError(f"data.signal.{name}: no value in the training split", "leave it out, or split anew")
            mean = total[k] / number[k]
            variance = squares[k] / number[k] - mean**2
            sd = np.sqrt(variance) if variance > 1e-12 * mean**2 else 1.0  # rounding of constant values
            covered = number[k] / (rows.sum() * raw.facts.window)
            measured = SignalTrack(name=name, mean=float(mean), sd=float(sd), covered=float(covered))
            scale = raw.facts.signal_scale
            tracks.append(measured if scale == "none" else measured.model_copy(update={"scale": scale}))
        found.append(tracks)
    return found


def survey(raw: Raw, checks: Checks) -> None:
    """Count what the tracks lack; warn if their presence gives labels away, or one of them is the target itself."""
    number, total, _ = _sums(raw)
    every, ids, spatial = 1 - number / raw.facts.window, raw.examples["id"].astype(str).to_numpy(), callable(raw.y)
    for k, name in enumerate(raw.facts.signal):
        source, missing, known = f"data.signal.{name}", every[:, k], number[:, k] > 0
        if not known.any():
            raise InputError(f"{source}: has no value in any window", "is it a track of these regions?")
        for reason, rows in (("without any value", ~known), ("with bases without a value", known & (missing > 0))):
            checks.add(source, "note", f"windows {reason}, coded as the mean", rows.sum(), "".join(ids[rows][:1]))
        means = np.divide(total[:, k], number[:, k], out=np.full(len(known), np.nan), where=known)
        for output, values, target in _bases(raw, k) if spatial else _examples(raw, means):
            values, target = labelled(values, target)
            r = pearson(values, target) if len(values) > 2 else 0.0
            if abs(r) > SAME:
                checks.add(source, "note", f"r = {r:.3f} with {output}: is the track the target itself?", len(values))
        for output, share, target in _examples(raw, missing) if make_task(raw.facts).positives else ():
            found = auroc(share, target)
            if abs(found - 0.5) > PRESENCE:
                apart = " and ".join(f"{share[target == label].mean():.0%}" for label in (1, 0))
                reason = f"no value at {apart} of the bases of {output} and of others: presence alone separates them"
                checks.add(source, "note", f"{reason}, AUROC {max(found, 1 - found):.2f}", int((share > 0).sum()))


def _examples(raw: Raw, values: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each output, values of the examples, and their known targets."""
    for output, target in zip(raw.facts.outputs, np.asarray(raw.y, float).T, strict=True):
        y, kept = labelled(target, values)
        yield output, kept, y


def _bases(raw: Raw, k: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each output, or class, and values of a track and known targets of the bases of some windows."""
    rows, task = np.unique(np.linspace(0, len(raw.examples) - 1, COMPARED).astype(int)), make_task(raw.facts)
    values = np.concatenate([raw.signal(row)[k] for row in rows])
    truth = np.concatenate([np.atleast_2d(raw.truth(row)) for row in rows], axis=1)
    each = list(zip(raw.facts.outputs, truth, strict=True)) if not task.target.labelled else [
        (name, np.where(truth[0] == IGNORE, np.nan, truth[0] == number)) for name, number in task.classes().items()
    ]  # fmt: skip
    for output, target in each:
        y, kept = labelled(target.astype(float), values)
        yield output, kept, y


def _sums(raw: Raw) -> np.ndarray:
    """Return the number of values, their sum and their sum of squares in each window without flanks: (3, N, S)."""
    assert raw.signal is not None
    flank, found = raw.facts.flank, []
    for row in range(len(raw.examples)):
        values = raw.signal(row).astype(np.float64)
        values = values[:, flank : values.shape[1] - flank]
        if raw.facts.signal_scale == "log1p":
            for k, name in enumerate(raw.facts.signal):
                if (low := np.nanmin(values[k], initial=0)) < 0:
                    where = raw.examples["id"].iloc[row]
                    message = f"data.signal_scale: log1p, but {name} has the value {low:g} in {where}"
                    raise InputError(message, "leave out data.signal_scale, or give tracks without negative values")
            values = np.log1p(values)
        found.append(((~np.isnan(values)).sum(1), np.nansum(values, 1), np.nansum(values**2, 1)))
    return np.stack(found, axis=1)
