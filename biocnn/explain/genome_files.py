"""Files about test sequences for genome browsers and other tools: BED, bigWig, and arrays for TF-MoDISco."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from biocnn.config.strands import RNA
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.core.files import atomic, suffixes_of
from biocnn.core.palette import BLUE, ORANGE, SKY, VERMILION
from biocnn.data.dataset import Dataset
from biocnn.evaluation.audit import by_split
from biocnn.evaluation.evaluate import rows_of
from biocnn.explain.contributions import is_yes_or_no
from biocnn.explain.coordinates import clipped, located, on_genome
from biocnn.explain.seqlets import present
from biocnn.explain.sequences import LARGEST_Q, LEAST_SIMILARITY, Regions, SequenceExplanation
from biocnn.io.bed import write_bed
from biocnn.io.fasta import reverse_complement
from biocnn.io.genome import Genome
from biocnn.io.tracks import write_bigwig
from biocnn.prediction.model import Model
from biocnn.prediction.new_signal import open_signal
from biocnn.prediction.stored_predictions import read_predictions

POSITIVE = 0.5  # smallest probability of a predicted positive
# Colours of predictions by truth and prediction, 1 for positives.
COLOURS = {(1, 1): BLUE, (0, 0): SKY, (0, 1): VERMILION, (1, 0): ORANGE}
VIEWED, ASIDE, STEPS = 2, 200, 50  # regions viewed; least bp shown on either side; windows predicted per window length


class GenomeFiles:
    """Writes files about the test split into the folder of an explanation, and lists them in files.tsv.

    Parameters
    ----------
    folder
        Folder from ``write_sequences``.
    dataset
        Data set with the examples.
    genome
        Genome of their windows; None if it is not known.
    signal
        bigWig files, by name, of the tracks that the model needs; None: none.
    """

    def __init__(
        self, folder: Path, dataset: Dataset, genome: Genome | None, signal: Mapping[str, Path] | None = None
    ) -> None:
        self.folder, self.dataset, self.genome, self.signal = folder, dataset, genome, signal
        self.contigs = genome.contigs if genome else None
        flank, rows = dataset.facts.flank, dataset.rows("test")
        lengths = np.array([len(dataset.x[row]) - 2 * flank for row in rows])
        self.windows = located(dataset.examples.iloc[rows].reset_index(drop=True), lengths)
        self.listed: list[tuple[str, str, int, str]] = []

    def write(self, explanation: SequenceExplanation, model: Model, predictions: Sequence[Path]) -> Iterator[str]:
        """Write all files; yield log lines.

        Parameters
        ----------
        explanation
            Explanation of ``model``, for examples of the test split.
        model
            The model.
        predictions
            Folders with the predictions of all runs, whose mean is written.
        """
        suffixes = suffixes_of(model.outputs)
        self._predictions(predictions, suffixes)
        if len(self.windows):
            self._sites(explanation)
        self._regions(explanation, model.outputs, suffixes)
        if self.genome and model.facts.window and not model.facts.covariates:
            self._view(explanation.attributions, model)
        columns = ["file", "content", "number", "note"]
        table = pd.DataFrame(self.listed, columns=columns)
        with atomic(self.folder / "files.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False)
        yield from (
            f"{row.file}: {row.number} {row.content}{row.note and f' ({row.note})'}" for row in table.itertuples()
        )

    def _list(self, file: str, content: str, number: int, note: str = "") -> None:
        self.listed.append((file, content, number, note))

    def _predictions(self, folders: Sequence[Path], suffixes: Sequence[str]) -> None:
        """Write predictions.tsv and, for each output, predictions.bed."""
        task, examples = self.dataset.task, self.dataset.examples
        p = by_split(task, [*map(read_predictions, folders)])["test"]
        rows = rows_of(self.dataset, p.index.to_series())
        y = self.dataset.y.stacked(rows)
        p, several = p.to_numpy()[:, : y.shape[1]], y.shape[1] > 1
        flank = self.dataset.facts.flank
        lengths = np.array([len(self.dataset.x[row]) - 2 * flank for row in rows])
        table = examples.iloc[rows][["id"]].reset_index(drop=True)
        windows = located(examples.iloc[rows].reset_index(drop=True), lengths)
        if len(windows):
            table = table.join(windows, on="id").astype({"start": "Int64", "end": "Int64"})
        for k, name in enumerate(task.outputs):
            columns = (f"target:{name}", f"prediction:{name}") if several else ("target", "prediction")
            table = table.assign(**dict(zip(columns, (y[:, k], p[:, k]), strict=True)))
        with atomic(self.folder / "predictions.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
        self._list("predictions.tsv", "predictions of the test split", len(table))
        place = clipped(table[["chrom", "start", "end", "strand"]].dropna(), self.contigs) if len(windows) else ()
        for k, suffix in enumerate(suffixes if len(place) else ()):
            bed = place.assign(**_shown(y[place.index, k], p[place.index, k]))
            write_bed(self.folder / f"predictions{suffix}.bed", bed)
            self._list(f"predictions{suffix}.bed", "predictions", len(bed), _lacking(len(table) - len(bed)))

    def _sites(self, explanation: SequenceExplanation) -> None:
        """Write the sites of motifs of seqlets and of kernels as motif_sites.bed."""
        seqlets, kernels = explanation.seqlets.sites, explanation.kernel_sites
        both = pd.concat([part for part in (seqlets[seqlets["motif"] != ""], kernels) if len(part)] or [kernels])
        best = pd.concat([explanation.seqlet_matches, explanation.matches])[
            ["motif", "target_name", "q_value", "similarity"]
        ]
        best = best[(best["q_value"] <= LARGEST_Q) & (best["similarity"] >= LEAST_SIMILARITY)]
        named = {motif: f"{motif}:{name}" for motif, name in zip(best["motif"], best["target_name"], strict=True)}
        size = both["score"].astype(float).abs()
        both = both.assign(score=size / size.groupby(both["motif"]).transform("max"), name=both["motif"].replace(named))
        sites = clipped(on_genome(both, self.windows), self.contigs)
        write_bed(self.folder / "motif_sites.bed", sites)
        self._list("motif_sites.bed", "sites of motifs", len(sites), _lacking(len(both) - len(sites)))

    def _regions(self, explanation: SequenceExplanation, outputs: Sequence[str], suffixes: Sequence[str]) -> None:
        """Write the attributed sequences of each output: ohe.npz, shap.npz, regions.tsv and attributions.bw."""
        turned = explanation.alphabet != RNA  # RNA is kept as it is read
        tables = []
        for name, suffix, regions in zip(outputs, suffixes, explanation.regions, strict=True):
            table = pd.DataFrame({"region": range(len(regions.ids)), "id": regions.ids})
            table = table.join(self.windows, on="id") if len(self.windows) else table
            codes, values = regions.codes, regions.values
            if turned and len(self.windows):
                codes, values = on_plus(codes, values, (table["strand"] == "-").to_numpy())
                table["strand"] = table["strand"].where(table["strand"].isna(), "+")
            known = codes[:, None] == np.arange(4)[:, None]
            for kind, array in (("ohe", known.astype(np.int8)), ("shap", values.astype(np.float32))):
                with atomic(self.folder / f"{kind}{suffix}.npz") as temporary:
                    np.savez_compressed(temporary, array)  # arr_0, as TF-MoDISco reads it
            content = "sequences, one-hot (ohe) and contributions (shap), as TF-MoDISco reads them"
            self._list(f"ohe{suffix}.npz, shap{suffix}.npz", content, len(table))
            tables.append(table.assign(output=name) if suffix else table)
            if len(self.windows) and len(table):
                self._bigwig(f"attributions{suffix}.bw", table, Regions(regions.ids, codes, values))
        table = pd.concat(tables, ignore_index=True)
        table = table.astype({"start": "Int64", "end": "Int64"}) if "start" in table else table
        with atomic(self.folder / "regions.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False)
        self._list("regions.tsv", "attributed sequences, in the order of the arrays", len(table))

    def _bigwig(self, name: str, table: pd.DataFrame, regions: Regions) -> None:
        content = "bases with their attribution"
        located_here = table["chrom"].notna().to_numpy()
        place = table[located_here].astype({"start": np.int64, "end": np.int64})
        contigs = self.contigs or place.groupby("chrom")["end"].max().to_dict()
        shown = present(regions.codes[located_here], regions.values[located_here])
        tracks = averaged(regions.codes[located_here], shown, place, contigs)
        try:
            with atomic(self.folder / name) as path, write_bigwig(path, contigs) as bigwig:
                for chrom, starts, values, _ in tracks:
                    bigwig.add(chrom, starts, values, span=1, step=1)
        except InputError as error:  # the package is optional, and all other files do not need it
            self._list(name, content, 0, f"not written: {error.message}: {error.remedy}")
            return
        number, shared = (sum(len(track[1]) for track in tracks), sum(int((track[3] > 1).sum()) for track in tracks))
        note = f"mean over regions at {shared:,} bases that several cover" if shared else ""
        self._list(name, content, number, note)

    def _view(self, shown: Mapping[str, np.ndarray], model: Model) -> None:
        """Predict windows around the first examples that have attributions, on the strand of each example."""
        chosen = [i for i, name in enumerate(shown["id"]) if name in self.windows.index][:VIEWED]
        window = model.facts.window
        step, aside = max(1, window // STEPS), max(window, ASIDE)
        found: dict[str, list[np.ndarray]] = {"id": [], "at": [], "prediction": []}
        for i in chosen:
            place = self.windows.loc[shown["id"][i]]
            starts = np.arange(place["start"] - aside, place["end"] + aside - window + 1, step)
            contig = np.full(len(starts), self.genome.names.index(place["chrom"]))
            codes = self.genome.windows(contig, starts, window)
            tracks = open_signal(model, self.signal, self.genome, [place["chrom"]], Checks())
            table = pd.DataFrame({"start": starts, "end": starts + window}).assign(**place[["chrom", "strand"]])
            beside = tracks and dict(zip(tracks.files, tracks.windows(table).swapaxes(0, 1), strict=True))
            p = model.predict(reverse_complement(codes) if place["strand"] == "-" else codes, signal=beside)
            found["id"].append(shown["id"][i])
            found["at"].append(starts + window // 2)
            found["prediction"].append(p[:, shown["output"][i]])
        if chosen:
            with atomic(self.folder / "genome_view.npz") as temporary:
                np.savez_compressed(temporary, **found)


def on_plus(codes: np.ndarray, values: np.ndarray, minus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reverse-complement the rows where ``minus`` is true: codes (N, L), and values of all bases (N, 4, L)."""
    flipped = codes[:, ::-1]
    flipped = np.where(flipped < 4, 3 - flipped, flipped)
    return (
        np.where(minus[:, None], flipped, codes),
        np.where(minus[:, None, None], values[:, ::-1, ::-1], values),
    )


def averaged(
    codes: np.ndarray, values: np.ndarray, place: pd.DataFrame, contigs: Mapping[str, int]
) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Average the values of each base of a genome over the windows that cover it.

    Parameters
    ----------
    codes, values
        Shape (N, L): bases and their values, as windows are read; unknown bases have none.
    place
        Columns chrom, start, end, strand of the windows; those on "-" are read from their end.
    contigs
        Length of each contig in bp, in the order of the result; bases beyond its ends have no value.

    Returns
    -------
    tracks
        Contig, positions of bases in ascending order, their mean values, and the number of windows that cover each.
    """
    column = np.arange(codes.shape[1])
    start, end = (place[name].to_numpy()[:, None] for name in ("start", "end"))
    at = np.where((place["strand"] == "-").to_numpy()[:, None], end - 1 - column, start + column)
    tracks = []
    for chrom, length in contigs.items():
        rows = (place["chrom"] == chrom).to_numpy()
        used = (codes[rows] < 4) & (at[rows] >= 0) & (at[rows] < length)
        positions, where, number = np.unique(at[rows][used], return_inverse=True, return_counts=True)
        if len(positions):
            sums = np.bincount(where, values[rows][used].astype(np.float64), len(positions))
            tracks.append((chrom, positions, sums / number, number))
    return tracks


def _shown(y: np.ndarray, p: np.ndarray) -> dict[str, object]:
    """Return name, score and, for labels, colour of predictions in a BED file."""
    if not is_yes_or_no(y[:, None]):
        low, high = float(p.min()), float(p.max())
        names = [f"value={truth:.4g};predicted={value:.4g}" for truth, value in zip(y, p, strict=True)]
        return {"name": names, "score": (p - low) / max(high - low, 1e-12)}
    words = ["NA" if np.isnan(truth) else f"{truth:.0f}" for truth in y]
    names = [f"label={word};p={value:.4f}" for word, value in zip(words, p, strict=True)]
    kinds = [COLOURS.get((truth, int(value >= POSITIVE)), "#999999") for truth, value in zip(y, p, strict=True)]
    colours = [",".join(str(int(one[i : i + 2], 16)) for i in (1, 3, 5)) for one in kinds]
    return {"name": names, "score": p, "colour": colours}


def _lacking(number: int) -> str:
    return f"{number:,} more have no genome coordinates" if number else ""
