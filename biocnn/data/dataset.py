"""The stored data set of an experiment: written once, read by all later steps."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from biocnn.core.cards import card, line, some
from biocnn.core.errors import InputError
from biocnn.core.files import TemporaryFolder, as_path, atomic, check_file, read_json
from biocnn.core.plurals import plural
from biocnn.data import leakage, splits
from biocnn.data.covariates import PREFIX, encode_covariates
from biocnn.data.from_arrays import named, of_arrays, write_arrays
from biocnn.data.loci import FROM, loci
from biocnn.data.raw import Raw
from biocnn.data.signal import nothing, standardised
from biocnn.data.storing import SETTINGS, make
from biocnn.io.padded import pad
from biocnn.io.ragged import REMEDY, Ragged
from biocnn.tasks import Task, make_task
from biocnn.tasks.facts import Facts, read_facts
from biocnn.tasks.inputs import Input, make_input
from biocnn.tasks.object_classes import with_classes
from biocnn.tasks.task import PartTask

NOTES = 5  # shown in a notebook


class Dataset:
    """The examples, arrays and facts in a folder.

    Parameters
    ----------
    folder
        Folder from ``biocnn dataset``, or from ``from_arrays`` or ``from_files``.
    fold
        Fold whose split and facts to use, from 0; a data set without folds has one.

    Attributes
    ----------
    trained
        Whether each fold trains on each example, shape (N, folds).
    share
        Arguments of ``with_share`` that made it, by name; empty if all of the training split is used.

    Raises
    ------
    InputError
        If there is no such fold, or a file is missing or damaged.
    """

    def __init__(self, folder: str | Path, fold: int = 0) -> None:
        self.folder = folder = as_path("folder", folder, "results/NAME/dataset")
        self.kept: TemporaryFolder | None = None
        self.share: dict[str, Any] = {}
        check_file(folder / "facts.json", "data set", "give a folder from biocnn dataset, such as results/NAME/dataset")
        facts = read_facts(folder / "facts.json")
        self.examples = read_examples(folder / "examples.tsv", [PREFIX + name for name in _words(facts)])
        self.folds = len(facts.folds) or 1
        if not isinstance(fold, Integral) or not 0 <= fold < self.folds:
            raise InputError(f"{folder}: has no fold {fold!r}", f"folds are counted from 0 to {self.folds - 1}")
        self.fold = fold = int(fold)
        self.facts = facts.of_fold(fold)
        columns = ["split", *(f"split_{other}" for other in range(1, self.folds))]
        self.trained = (self.examples[columns] == "train").to_numpy()
        self.examples["split"] = self.examples[columns[fold]]
        self.x = Ragged(folder / "x.npy")
        self.y = self.task.target.open(folder)
        further = ("labels", "classes", "second", "signal")
        self.labels, self.classes, self.second, self.signal = (
            Ragged(path) if (path := folder / f"{name}.npy").exists() else None for name in further
        )
        for name in ("x", "y", *further):
            stored = getattr(self, name)
            if stored is not None and len(stored) != len(self.examples):
                counts = f"{plural(len(self.examples), 'row')}, but {name}.npy has {plural(len(stored), 'array')}"
                raise InputError(f"{folder / 'examples.tsv'}: {counts}", REMEDY)

    @property
    def _about(self) -> dict[str, str]:
        facts, n = self.facts, self.facts.n
        return {
            "for": f"{self.task.label.format(one=self.input.name)} ({facts.task})",
            "outputs": some(facts.outputs),
            "examples": f"{len(self.examples):,} {self.input.examples} {self.input.describe(facts)}",
            "size": self.input.size(facts),
            "splits": ", ".join(f"{number:,} {name}" for name, number in n or ()),
            "fold": f"fold {self.fold} of {self.folds}" if self.folds > 1 else "",
        }

    def __repr__(self) -> str:
        return line("Dataset", self._about)

    def _repr_html_(self) -> str:
        notes = self.checks[self.checks["outcome"] != "read"]
        found = {"notes": "; ".join(f"{note.reason} ({note.count:,})" for note in notes.head(NOTES).itertuples())}
        return card("Dataset", self._about | found | {"folder": str(self.folder)})

    @classmethod
    def from_files(
        cls,
        data: Mapping[str, Any],
        *,
        split: Mapping[str, Any] | None = None,
        seed: int = 1,
        folder: str | Path | None = None,
        data_root: str | Path = ".",
    ) -> "Dataset":
        """Read files, split the examples and store them, as the steps check and dataset do.

        Parameters
        ----------
        data
            Section data of an experiment, e.g. ``{"name": "Images", "images": "photos", "masks": "outlines"}``.
        split
            Section split of an experiment, e.g. ``{"val": 0.1, "test": ["chr3"]}`` or ``{"folds": 5}``.
        seed
            Seed of the experiment: of splits and negatives.
        folder
            New folder for the data set, which ``Dataset(folder)`` opens again; None: one that is removed with it.
        data_root
            Folder that relative paths start at.

        Raises
        ------
        InputError
            As a run of the workflow: names the dotted key, and the remedy.
        """
        for name, section in (("data", data), ("split", split or {})):
            if not isinstance(section, Mapping):
                message = f"{name}: {section!r} is not a section of an experiment"
                raise InputError(message, 'give a mapping, e.g. {"name": "Images", ...}, or {"val": 0.1, "test": 0.2}')
        root = as_path("data_root", data_root, "data")
        return cls._made(folder, lambda to: make(data, split, seed, root, to.parent, to))

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any = None,
        *,
        task: str | None = None,
        axes: str | None = None,
        ids: Sequence[Any] | None = None,
        groups: Sequence[Any] | None = None,
        covariates: Any = None,
        split: Mapping[str, Any] | Sequence[str] | None = None,
        seed: int = 1,
        folder: str | Path | None = None,
        **settings: Any,
    ) -> "Dataset":
        """Store sequences or images in memory as a data set, with the checks of the readers of files.

        Parameters
        ----------
        x
            Sequences: a list of strings (DNA or RNA, either case), codes, or one-hot arrays; see
            ``biocnn.io.letters.letters_of``. Images: an array of shape (N, height, width) or (N, channels, height,
            width), or a list of arrays of different sizes; up to 4 channels first, or any order with ``axes``.
        y
            Numbers for each example, (N,) or (N, K), named by the columns if it is a table: 0 and 1 are no and yes,
            nan is unknown if there are several; fractions are quantities. Words or integers are classes of images.
            For each pixel: masks (bool, or integers: classes) or labels of objects, (N, *spatial). None: all
            sequences are positives, and the setting ``negatives`` determines the others.
        task
            What ``y`` means, if this is not clear: e.g. "regression", "multiclass", "multilabel", "ordinal", "mask",
            "classes", "instances", "image_to_image".
        axes
            Order of the axes of one image, letters of C, Z, Y, X: e.g. "YXC" (colours last), "ZYX" (a volume).
        ids, groups
            Name of each example, by default its number; and its unit that a split never cuts, such as a patient.
        covariates
            Table, or mapping, of numbers or words that the network also receives.
        split
            Split of each example: train, val or test; or the section split of an experiment, as in ``from_files``.
        seed, folder
            As for ``from_files``.
        **settings
            What the reader (``Sequences``, ``Images``, ``LabelledImages``, ``PairedImages``) can also set, such as
            ``classes``, ``spacing``, ``channels``, ``alphabet``.

        Raises
        ------
        InputError
            If arrays do not fit, or it is not clear what they mean: then it names what to add.
        """
        listed = split is not None and not isinstance(split, Mapping)
        columns = {"ids": ids, "groups": groups, "split": split if listed else None}

        def write(to: Path) -> None:
            source = to.parent / "arrays"
            source.mkdir()
            given = {"axes": axes, "columns": columns, "covariates": covariates, "settings": settings}
            data = write_arrays(source, x, y, task=task, **given)
            try:
                make(data, None if listed else split, seed, Path(), source, to)
            except InputError as error:
                raise of_arrays(error, source) from None
            (to / "checks.tsv").write_text(named((to / "checks.tsv").read_text("utf-8")), "utf-8")

        found = cls._made(folder, write)
        if task is not None and found.facts.task != task:
            raise InputError(f"task: {task!r}, but y is for {found.facts.task!r}", "leave task out, or change y")
        return found

    @classmethod
    def _made(cls, folder: str | Path | None, write: Callable[[Path], None]) -> "Dataset":
        """Open a data set in a new folder, or in a temporary one that lasts as long."""
        kept = None if folder else TemporaryFolder()
        path = as_path("folder", folder, "my_data") if folder else kept.path / "dataset"
        if path.exists():
            raise InputError(f"folder: {path} exists", "open it with biocnn.Dataset(folder), or choose another one")
        with atomic(path) as to:
            write(to)
        found = cls(path)
        found.kept = kept
        return found

    @cached_property
    def sections(self) -> dict[str, Any]:
        """Sections seed, data and split of the experiment that made the data set."""
        if not (self.folder / SETTINGS).exists():
            message = f"{self.folder}: has no {SETTINGS}, because an earlier version of biocnn stored it"
            raise InputError(message, "store it again: rerun the step dataset, or call from_arrays or from_files")
        return read_json(self.folder / SETTINGS)

    @cached_property
    def checks(self) -> pd.DataFrame:
        """What was found, repaired and left out: source, outcome, reason, count and example."""
        return pd.read_csv(self.folder / "checks.tsv", sep="\t", keep_default_na=False)

    @cached_property
    def ranges(self) -> np.ndarray:
        """Return the intensities that map to 0 and 1 in each image: shape (N, 2, C), float32."""
        if self.facts.normalise == "image":
            return np.load(self.folder / "ranges.npy")
        common = np.array([self.facts.intensity.low, self.facts.intensity.high], np.float32)
        return np.tile(common, (len(self.examples), 1, 1))

    @cached_property
    def covariates(self) -> np.ndarray:
        """Return the covariates as the network receives them: shape (N, Z), float32; Z is 0 if there are none."""
        return encode_covariates(self.facts.coded, self.examples)

    @cached_property
    def loci(self) -> np.ndarray:
        """Return the locus of each sequence, see ``biocnn.data.loci``: shape (N,)."""
        raw = Raw(self.examples, self.x.__getitem__, self.y.__getitem__, self.facts)
        return loci(leakage.identify(raw), self.examples)

    @cached_property
    def task(self) -> Task:
        """Return the task of the data set."""
        return make_task(self.facts)

    @cached_property
    def input(self) -> Input:
        """Return the kind of input of the data set."""
        return make_input(self.facts)

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes of sequences with their flanks, padded to equal length: shape (N, L), uint8."""
        return self.x.stacked(rows) if self.facts.window else pad([self.x[row] for row in rows])

    def windows(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes of sequences without their flanks: shape (N, L), uint8."""
        codes, flank = self.padded(rows), self.facts.flank
        return codes[:, flank : codes.shape[1] - flank]

    def signal_of(self, rows: np.ndarray, flanks: bool = False) -> np.ndarray:
        """Return the tracks beside the bases of ``windows``, or ``padded``, as the network receives them: (N, S, L)."""
        found = standardised(self.facts.signal_tracks, self.signal.stacked(rows) if self.signal else nothing(len(rows)))
        return found if flanks else found[..., self.facts.flank : found.shape[2] - self.facts.flank]

    def groups(self, column: str) -> np.ndarray:
        """Return the resampling unit of each example, (N,): its locus, or its value in this column."""
        if self.input.at_loci:
            return self.loci
        return self.examples.get(column, self.examples["id"]).to_numpy()

    def truth(self, row: int) -> np.ndarray:
        """Return the ground truth of an example: boxes; values, (K, *spatial); or classes or labels, (*spatial)."""
        if self.labels is not None:
            return self.labels[row][0]
        return self.y[row][0] if self.task.target.labelled else self.y[row]

    def drawn(self, row: int) -> np.ndarray:
        """Return the ground truth of an example to draw; with classes of objects, codes of ``with_classes``."""
        truth = self.truth(row)
        return truth if self.classes is None else with_classes(truth, self.classes[row])

    def with_covariates(self, z: np.ndarray) -> "Dataset":
        """Return the same examples with other covariates, as coded: shape (N, Z)."""
        other = copy(self)
        other.covariates = z
        return other

    def with_split(self, split: pd.Series) -> "Dataset":
        """Return the same examples with other splits; measurements of the training split are kept."""
        other = copy(self)
        other.examples = self.examples.assign(split=split)
        other.facts = self.facts.model_copy(update={"n": splits.sizes(split)})
        return other

    def of_part(self, part: PartTask) -> "Dataset":
        """Return the same examples with the targets of one part only, some of which may be unknown (nan)."""
        other = copy(self)
        other.facts, other.y = part.task.facts, Columns(self.y, part.targets)
        other.__dict__["task"] = part.task
        return other

    def with_share(self, share: float, group: str, seed: int) -> "Dataset":
        """Return the same data set with a share of its training split; measurements of the whole split are kept.

        Parameters
        ----------
        share, seed
            As for ``splits.with_share``.
        group
            Column of groups, which are never divided.
        """
        groups = self.examples.get(group, self.examples["id"]).astype(str)
        other = self.with_split(splits.with_share(self.examples["split"], groups, share, seed, self._classes()))
        other.trained, other.share = self.trained.copy(), {"share": share, "group": group, "seed": seed}
        other.trained[:, self.fold] = other.examples["split"] == "train"
        other.__dict__.pop("task", None)  # it holds the facts of the whole split
        return other

    def _classes(self) -> pd.Series | None:
        """Return the class of each example; of several labels, the rarest one. None if it has no classes."""
        if not (self.task.exclusive or self.task.positives):
            return None
        y = np.nan_to_num(self.y.stacked(np.arange(len(self.examples)))) > 0
        rarest = np.argsort(y.sum(axis=0), kind="stable")
        return pd.Series(np.where(y.any(axis=1), rarest[y[:, rarest].argmax(axis=1)], -1), index=self.examples.index)

    def rows(self, *names: str) -> np.ndarray:
        """Return the row numbers of the examples in these splits."""
        return np.flatnonzero(self.examples["split"].isin(names))


def check_dataset(given: Any) -> None:
    """Refuse anything but a data set."""
    if not isinstance(given, Dataset):
        opened = f"biocnn.Dataset({str(given)!r})" if isinstance(given, str | Path) else "biocnn.Dataset(folder)"
        raise InputError(
            f"{given!r:.80} of type {type(given).__name__} is not a data set",
            f"give {opened}, or make one: biocnn.Dataset.from_arrays(x, y)",
        )


def _words(facts: Facts) -> set[str]:
    """Return the names of the covariates that are words."""
    return {one.name for measured in (facts, *facts.folds) for one in measured.coded if one.levels}


class Columns(Sequence):
    """Some columns of the targets (K,) of all examples."""

    def __init__(self, y: Ragged, columns: slice) -> None:
        self.y, self.columns = y, columns

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: Any) -> np.ndarray:
        return self.y[row][self.columns]

    def stacked(self, rows: np.ndarray) -> np.ndarray:
        """Stack the targets of these rows: shape (N, K)."""
        return self.y.stacked(rows)[:, self.columns]


def read_examples(path: str | Path, words: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table with the columns id, split and optionally group, in which text such as NA is a name.

    Columns in ``words`` are text that may be missing.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    names = {"id": str, "group": str, "split": str, FROM: str}
    check_file(Path(path))
    try:
        others = [column for column in pd.read_csv(path, sep="\t", nrows=0) if column not in names]
        types = names | dict.fromkeys((*words, "chrom"), str)  # 1 and 01 are names, too
        table = pd.read_csv(path, sep="\t", dtype=types, keep_default_na=False, na_values={c: [""] for c in others})
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})", REMEDY) from error
    if missing := {"id", "split"} - set(table.columns):
        raise InputError(f"{path}: has no column {min(missing)}", REMEDY)
    return table
