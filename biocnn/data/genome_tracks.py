"""Windows of a genome with a number for each base, from bigWig files."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.plurals import plural
from biocnn.data.raw import Raw
from biocnn.data.tiles import Tiles, Tiling
from biocnn.io.bigwig import read_values
from biocnn.io.bigwig_windows import contigs_in
from biocnn.tasks.facts import Facts

STRANDS = ("plus", "minus")
READ = 2**22  # bases of all tracks that are read at a time


@dataclass(kw_only=True)
class GenomeTracks(Tiling):
    """Predict a number for each base of a genome, for example the coverage by reads of an experiment.

    Parameters
    ----------
    tracks
        bigWig files, by name; a single file is one track. With a file for each strand, ``{name: {plus: a.bw, minus:
        b.bw}}``, a track becomes two outputs, which are swapped where a window is read from the other strand.
    uncovered
        What bases without a value are: 0, as in most files of coverage, or unknown, as in files of conservation.
    scale
        Scale on which values are learned and correlated: log1p is the logarithm of 1 + value. auto: log1p unless a
        value is negative.
    """

    tracks: Path | dict[str, Path | dict[str, Path]]
    uncovered: Literal["zero", "unknown"] = "zero"
    scale: Literal["auto", "log1p", "none"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.tracks if isinstance(self.tracks, dict) else {Path(self.tracks).name.split(".")[0]: self.tracks}
        if not given:
            raise InputError("data.tracks: names no file", "for example tracks: {atac: atac.bw}")
        self.files: dict[str, Path] = {}
        self.opposite: list[int] = []  # output on the other strand
        for name, of_track in given.items():
            if not name.strip() or not name.isprintable():
                raise InputError(f"data.tracks: {name!r} as name of a track", "give a name, for example atac")
            number = len(self.files)
            if isinstance(of_track, dict):
                if set(of_track) != set(STRANDS):
                    raise InputError(
                        f"data.tracks.{name}: has {', '.join(of_track) or 'nothing'}",
                        f"one file for all reads, or one for each strand: {name}: {{plus: a.bw, minus: b.bw}}",
                    )
                self.files |= {f"{name}.{strand}": Path(of_track[strand]) for strand in STRANDS}
                self.opposite += [number + 1, number]
            else:
                self.files[name] = Path(of_track)
                self.opposite.append(number)
        if len(self.files) < len(self.opposite):
            raise InputError(
                "data.tracks: two tracks have one name", "files of strands are named NAME.plus and NAME.minus"
            )
        self.check_signal(self.files.values())
        paths = [*self.files.values()]
        if twice := [path for path in paths if paths.count(path) > 1]:
            raise InputError(f"data.tracks: {twice[0]} is given twice", "give each track and strand a file of its own")

    def read(self, seed: int, checks: Checks, genome_folder: Path | None = None) -> Raw:
        """Read the genome, place the windows, and read their values.

        Parameters
        ----------
        seed
            Unused: nothing is drawn.
        checks
            Receives counts of what was read, repaired and dropped.
        genome_folder
            Genome encoded by ``write_genome``, without ambiguous letters; None: encode the FASTA in memory.

        Returns
        -------
        raw
            Examples id, group, chrom, start, end (of the window, without context), strand; x of shape (window + 2
            context,); y of shape (K, window + 2 context), float32; nan is unknown, outside the regions, or context.
        """
        tiles = Tiles(self, checks, genome_folder)
        tracks = _Tracks(self, tiles)
        table = tiles.table(tracks.survey)
        scale = tracks.finish()
        stranded = self.opposite if self.opposite != sorted(self.opposite) else []
        facts = Facts(
            kind="sequence",
            task="profile",
            spatial_dims=1,
            in_channels=4,
            out_channels=len(self.files),
            outputs=[*self.files],
            alphabet="ACGT",
            iupac=self.iupac,
            window=self.window + 2 * self.context,
            context=self.context,
            scale=scale,
            opposite=stranded,
        )

        def turn(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(values[self.opposite, ::-1])

        y = tiles.targets(table, tracks.along, np.nan, turn)
        return self.with_signal(Raw(table, tiles.bases(table), y, facts, tiles.names()), tiles.genome, checks)


class _Found(NamedTuple):
    """Numbers of visible bases of a track that are uncovered, negative, or positive."""

    uncovered: int = 0
    negative: int = 0
    positive: int = 0

    def __add__(self, other: "_Found") -> "_Found":
        return _Found(*(a + b for a, b in zip(self, other, strict=True)))


class _Tracks:
    """The values of all tracks, a piece of the genome at a time: contigs follow each other in its coordinates."""

    def __init__(self, settings: GenomeTracks, tiles: Tiles) -> None:
        self.settings, self.tiles, self.files = settings, tiles, settings.files
        self.names = {
            output: contigs_in(path, tiles.contigs, tiles.genome, tiles.exact, tiles.checks)
            for output, path in self.files.items()
        }
        lengths = [tiles.genome.contigs[chrom] for chrom in tiles.contigs]
        self.start = dict(zip(tiles.contigs, np.cumsum([0, *lengths]).tolist(), strict=False))
        self.found = dict.fromkeys(self.files, _Found())
        self.sign = np.ones((len(self.files), 1), np.float32)
        self.size = max(1, READ // len(self.files))
        self.piece = lru_cache(2)(self._piece)  # a window may lie in two

    def _piece(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of a piece, (K, bases), nan if there are none, and which bases are hidden."""
        first, intervals, hidden = number * self.size, [], []
        for chrom, start in self.start.items():
            low, high = max(0, first - start), min(self.tiles.genome.contigs[chrom], first + self.size - start)
            if low < high:
                intervals.append((chrom, low, high))
                hidden.append(self.tiles.hidden(chrom)[low:high])
        unseen = np.concatenate(hidden)
        values = np.full((len(self.files), len(unseen)), np.nan, np.float32)
        if unseen.all():
            return values, unseen
        for row, (output, path) in zip(values, self.files.items(), strict=True):
            names = self.names[output]
            there = [(names[chrom], low, high) for chrom, low, high in intervals if chrom in names]
            if there:
                in_file = np.repeat([chrom in names for chrom, *_ in intervals], list(map(len, hidden)))
                row[in_file] = read_values(path, there)
        values[:, unseen] = np.nan
        return values, unseen

    def _pieces(self, chrom: str, start: int, end: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield values and hidden bases of the pieces of an interval."""
        low, high = self.start[chrom] + start, self.start[chrom] + end
        for number in range(low // self.size, -(-high // self.size)):
            inside = slice(max(0, low - number * self.size), high - number * self.size)
            values, hidden = self.piece(number)
            yield values[:, inside], hidden[inside]

    def survey(self, chrom: str) -> np.ndarray:
        """Count values of a contig; return which of its bases are known in any track."""
        known = []
        for values, hidden in self._pieces(chrom, 0, self.tiles.genome.contigs[chrom]):
            covered = ~np.isnan(values)
            for output, row, there in zip(self.files, values, covered, strict=True):
                if np.isinf(row).any():
                    base = sum(map(len, known)) + int(np.isinf(row).argmax())
                    raise InputError(
                        f"{self.files[output]}: an infinite value at {chrom}:{base}",
                        "write the track with finite values, or leave out those bases",
                    )
                self.found[output] += _Found(int((~hidden & ~there).sum()), int((row < 0).sum()), int((row > 0).sum()))
            known.append(~hidden if self.settings.uncovered == "zero" else covered.any(axis=0))
        return np.concatenate(known)

    def finish(self) -> str:
        """Report what was counted, decide the signs of values, and return their scale."""
        checks, wanted = self.tiles.checks, self.settings.scale
        what = {"zero": "0", "unknown": "unknown"}[self.settings.uncovered]
        for k, (output, path) in enumerate(self.files.items()):
            uncovered, negative, positive = found = self.found[output]
            checks.add(path.name, "note", f"bases without a value of {output}: {what}", uncovered)
            if not (negative or positive):
                raise InputError(
                    f"{path}: all values of {output} are 0 or unknown",
                    "check data.tracks, data.regions, data.contigs and data.ignore",
                )
            if negative and not positive and self.settings.opposite[k] < k:
                # Many programs write the minus strand with negative values, to draw it below an axis.
                self.sign[k], self.found[output] = -1, found._replace(negative=0, positive=negative)
                checks.add(
                    path.name, "repaired", f"negative values of the minus strand ({output}): sign dropped", negative
                )
        negative = {output: found.negative for output, found in self.found.items() if found.negative}
        if negative and wanted == "log1p":
            output, number = next(iter(negative.items()))
            raise InputError(
                f"{self.files[output]}: {plural(number, 'negative value')} of {output}", "set data.scale: none, or auto"
            )
        scale = "none" if negative else "log1p" if wanted == "auto" else wanted
        checks.add("data.tracks", "note", f"tracks learned on scale {scale}", len(self.files))
        return scale

    def along(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Return the values of an interval, (K, end - start), float32."""
        parts = []
        for values, hidden in self._pieces(chrom, start, end):
            empty = np.isnan(values) & ~hidden & (self.settings.uncovered == "zero")
            parts.append(np.where(empty, np.float32(0), values * self.sign))
        return np.concatenate(parts, axis=1)
