"""Sequences with labels, or bound sequences for which negatives are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from biocnn.config.registry import find
from biocnn.config.schema import build
from biocnn.config.signatures import Choice
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.core.ranges import BelowOne
from biocnn.data.covariates import check_names, need, read_covariates
from biocnn.data.positives import EncodedExamples, Positives
from biocnn.data.raw import Raw
from biocnn.data.several_targets import several_kinds
from biocnn.io.fasta import UNKNOWN, encode, read_fasta, written
from biocnn.io.padded import first_alike, lengths, pad, stack
from biocnn.io.tables import read_table, read_targets, without_labels
from biocnn.tasks.facts import Facts, Part
from biocnn.tasks.vectors import task_of

GIVEN_KIND = "given_kind"  # a column kind of the table
KINDS = (
    "correct the column, or its kind in data.targets: label (0, 1 or empty), class (words) or value (numbers); "
    "or leave it out"
)
LETTERS = {"DNA": "ACGT", "RNA": "ACGU"}


@dataclass(frozen=True)
class Labelled(EncodedExamples):
    """Sequences with targets of shape (N, K), and the names of the targets; none if all are positives."""

    y: np.ndarray
    outputs: list[str]
    parts: Sequence[Part] = ()

    def keep(self, chosen: np.ndarray) -> "Labelled":
        """Return the examples where ``chosen``, shape (N,), is true."""
        table = self.examples[chosen].reset_index(drop=True)
        return Labelled(table, self.codes[chosen], self.y[chosen], self.outputs, self.parts)


class Sequences:
    """Predict the label of a sequence.

    Parameters
    ----------
    sequences
        FASTA: plain, gzip or bgzip; DNA or RNA, either case, T and U are equal.
    labels
        Tab-separated, plain or gzip, with column names: id (as in ``sequences``), the labels, and any other columns to
        keep. Without it all sequences are positives, and ``negatives`` determines the others.
    table
        Instead of both: a tab-separated table with a column sequence.
    test_sequences, test_labels
        An official test split, in the same format as ``sequences`` and ``labels``.
    targets
        Columns to predict; by default those whose name starts with "label", else all numeric columns. Or the kind of
        each, by name, which one network predicts together: {bound: label, family: class, affinity: value}. A label is 0
        or 1; empty cells are unknown. A single column may have classes: {family: class}.
    covariates
        Columns with numbers or words that the network receives beside the sequence, such as a dose or a cell line.
        Numbers are standardised; an empty cell is missing.
    negatives
        How negatives are made for sequences without labels: dinucleotide_shuffled or given.
    alphabet
        DNA or RNA, in whichever letters it is written; by default RNA if there are letters U but no T. RNA has one
        strand: its reverse complement is never read.
    iupac
        Whether R, Y, S, W, K, M, B, D, H and V are unknown bases, mixed (R is half A, half G, etc.), or an error.
    group
        Column of the table whose values a split never cuts; by default only identical sequences stay together (for DNA
        also reverse complements).
    max_unknown
        Sequences with a larger share of unknown bases are dropped.
    """

    def __init__(
        self,
        *,
        sequences: Path | None = None,
        labels: Path | None = None,
        table: Path | None = None,
        test_sequences: Path | None = None,
        test_labels: Path | None = None,
        targets: list[str] | dict[str, Literal["label", "class", "value"]] | None = None,
        covariates: list[str] | None = None,
        negatives: Choice["negatives"] | None = None,  # noqa: F821 (a kind, not a type)
        alphabet: Literal["DNA", "RNA"] | None = None,
        iupac: Literal["unknown", "mixed", "error"] = "unknown",
        group: str | None = None,
        max_unknown: BelowOne = 0.5,
    ) -> None:
        if (sequences is None) == (table is None):
            raise InputError("data: needs either sequences or table", "sequences: a FASTA; table: a TSV with both")
        for key, value, other, partner in (
            ("labels", labels, "sequences", sequences),
            ("test_labels", test_labels, "test_sequences", test_sequences),
        ):
            if value is not None and partner is None:
                raise InputError(f"data.{key}: requires data.{other}", f"give data.{other}, a FASTA")
        bare = [
            key
            for key, given, named in (("labels", sequences, labels), ("test_labels", test_sequences, test_labels))
            if given is not None and named is None
        ]
        if bare and negatives is None:
            raise InputError(
                f"data.{bare[0]}: is missing, and data.negatives is not set",
                "give labels, or set data.negatives: dinucleotide_shuffled if all sequences are positives",
            )
        if negatives is not None and not bare:
            raise InputError(
                "data.negatives: apply to sequences without labels only, but all have labels",
                "leave out data.negatives or data.labels",
            )
        kinds = list(targets.values()) if isinstance(targets, dict) else ["label", "value"]
        if len(set(kinds)) == 1 and kinds[0] != "class":
            raise InputError(
                f"data.targets: the only kind is {kinds[0]}", f"list the columns: targets: [{', '.join(targets or ())}]"
            )
        if covariates is not None and negatives is not None:
            raise InputError("data.covariates: negatives that are made have none", "leave out one of the two")
        check_names(covariates, [*(targets or ())], labels or table)
        self.sequences, self.labels, self.table = _path(sequences), _path(labels), _path(table)
        self.test_sequences, self.test_labels = _path(test_sequences), _path(test_labels)
        self.targets, self.group, self.max_unknown = targets, group, max_unknown
        self.covariates = covariates
        self.negatives = {"name": negatives} if isinstance(negatives, str) else negatives
        self.alphabet, self.stated, self.iupac = alphabet, alphabet is not None, iupac

    def read(self, seed: int, checks: Checks) -> Raw:
        """Read sequences and labels, and make negatives if there are no labels.

        Parameters
        ----------
        seed
            Seed for the negatives.
        checks
            Receives counts of what was read, dropped and made.

        Returns
        -------
        raw
            Examples id, group, kind if negatives were made, split if there is an official test split, and the other
            columns of the tables; x of shape (L,), with each sequence's own length L; y of shape (N, K).
        """
        rng = np.random.default_rng([seed, *b"negatives"])
        if self.table is not None:
            parts = [self._from_table(self.table, checks)]
        else:
            parts = [self._from_fasta(self.sequences, self.labels, checks)]
        if self.test_sequences is not None:
            parts.append(self._from_fasta(self.test_sequences, self.test_labels, checks))
            parts[0] = self._hold_out(*parts, checks)
        outputs = self._outputs(parts)
        parts = [part if part.outputs else self._with_negatives(part, rng, checks) for part in parts]
        table = pd.concat([part.examples for part in parts], ignore_index=True)
        twice = table["id"][table["id"].duplicated()]
        if len(twice):
            raise InputError(
                f"data: duplicate id {twice.iloc[0]!r} ({plural(len(twice), 'such id')})",
                "give each sequence its own id, also in test_sequences and negatives",
            )
        source = self.labels or self.table or self.sequences
        measured = table.set_index("sequence " + table["id"]).rename(columns={GIVEN_KIND: "kind"})
        found = read_covariates(measured, self.covariates, checks, source.name)
        return self._raw(table.join(found.reset_index(drop=True)), parts, outputs)

    def _from_fasta(self, path: Path, labels: Path | None, checks: Checks) -> Labelled:
        records = list(read_fasta(path, self.iupac))
        checks.add(path.name, "read", "sequences", len(records))
        self._settle_alphabet(path, {record.name: record.threes for record in records}, checks)
        ids, bases = [record.name for record in records], [record.codes for record in records]
        if labels is None:
            if self.group is not None:
                raise InputError(f"data.group: no labels for {path} with a column {self.group!r}", "leave it out")
            return self._part(pd.DataFrame({"id": ids}), bases, None, path, checks)
        table = read_table(labels, "id")
        _check_ids(table, ids, path, labels)
        order = pd.Series(table.index, index=table["id"]).loc[ids]
        return self._part(table.loc[order], bases, labels, path, checks)

    def _from_table(self, path: Path, checks: Checks) -> Labelled:
        table = read_table(path, "sequence")
        checks.add(path.name, "read", "sequences", len(table))
        bases = [encode(text, self.iupac, f"{path} line {line}") for line, text in table["sequence"].items()]
        threes = {f"line {line}": written(text.encode()) for line, text in table["sequence"].items()}
        self._settle_alphabet(path, threes, checks)
        for line, codes in zip(table.index, bases, strict=True):
            if not len(codes):
                raise InputError(f"{path} line {line}: has no sequence", "remove the line or add the bases")
        if "id" not in table:
            table.insert(0, "id", [f"line{line}" for line in table.index])
        _check_ids(table, list(table["id"]), path, path)
        return self._part(table, bases, path, path, checks)

    def _settle_alphabet(self, path: Path, threes: dict[str, str], checks: Checks) -> None:
        """Infer the alphabet from the first file unless given; ``threes`` states how each sequence writes T or U."""
        if self.stated:
            return
        uracil = [name for name, letters in threes.items() if "U" in letters]
        found = "RNA" if uracil and not any("T" in letters for letters in threes.values()) else "DNA"
        if self.alphabet not in (None, found) and any(threes.values()):
            raise InputError(
                f"{path}: is {found} by its letters, but the previous file is {self.alphabet}", "set data.alphabet"
            )
        self.alphabet = self.alphabet or found
        if found == "RNA":
            checks.add(
                path.name, "note", "letters U but no T: read as RNA, which has one strand", len(uracil), uracil[0]
            )

    def _part(
        self, table: pd.DataFrame, bases: list[np.ndarray], labels: Path | None, path: Path, checks: Checks
    ) -> Labelled:
        """Return table, targets and padded bases without unknown sequences; ``labels`` is the table's file."""
        codes = pad(bases)
        targets, parts = pd.DataFrame({"": np.ones(len(table), np.float32)}), ()
        if labels is not None and isinstance(self.targets, dict):
            targets, parts = self._of_kinds(table, labels, checks)
        elif labels is not None:
            free = table.drop(columns=[*need(table, self.covariates, labels)])
            targets = read_targets(free, labels, self.targets)
            checks.add(labels.name, "read", f"labels: {', '.join(targets.columns)}", len(targets))
            for name, column in targets.items():
                values = np.unique(column.dropna())
                if len(values) == 2 and not np.isin(values, (0, 1)).all():
                    reason = "has two values: treated as numbers; classes must be 0 and 1"
                    checks.add(labels.name, "note", f"{name} {reason}", len(column), "{:g}, {:g}".format(*values))
        dropped = ["sequence", *(self.targets or ()), *targets.columns]
        examples = table.drop(columns=[c for c in dropped if c in table]).reset_index(drop=True)
        examples = examples.rename(columns={"kind": GIVEN_KIND})  # kind marks what is redrawn in training
        if self.group is None:
            examples["group"] = examples["id"].to_numpy()[first_alike(codes, self.alphabet == "DNA")]
        elif self.group not in examples:
            raise InputError(f"data.group: no column {self.group!r} in {labels}", nearest(self.group, examples.columns))
        else:
            examples["group"] = examples[self.group]
        named = list(targets.columns) if labels else []
        part = Labelled(examples, codes, targets.to_numpy(np.float32), named, parts)
        unknown = (codes == UNKNOWN).sum(axis=1) > self.max_unknown * lengths(codes)
        reason = f"more than {self.max_unknown:.0%} unknown bases"
        if unknown.all():
            raise InputError(
                f"{path}: all sequences ({len(unknown)}) have {reason}",
                "check the file; data.max_unknown is the largest share allowed",
            )
        outcome = "kept" if path == self.test_sequences else "dropped"
        checks.add(path.name, outcome, reason, unknown.sum(), "".join(examples["id"][unknown].head(1)))
        if parts:
            bare = np.isnan(part.y).all(axis=1)  # counted already
        else:
            bare = without_labels(part.y, part.outputs or [""], examples["id"], (labels or path).name, checks)
        return part.keep(~bare if outcome == "kept" else ~(bare | unknown))

    def _of_kinds(self, table: pd.DataFrame, path: Path, checks: Checks) -> tuple[pd.DataFrame, Sequence[Part]]:
        """Read columns of several kinds."""
        for name in self.targets:
            if name not in table:
                raise InputError(f"data.targets: no column {name!r} in {path}", nearest(name, table.columns))
        text = table[[*self.targets]].set_axis([f"line {line}" for line in table.index])
        try:
            found = several_kinds(text, self.targets, {}, checks, path.name, "sequences")
        except InputError as error:
            if "data." in error.remedy:  # settings of images
                error = InputError(error.message, KINDS)
            raise error from None
        return pd.DataFrame(found.y, index=table.index, columns=found.outputs), found.parts

    def _hold_out(self, train: Labelled, test: Labelled, checks: Checks) -> Labelled:
        """Mark the official test split, and remove its sequences from the rest."""
        if "split" in train.examples:
            raise InputError(
                "data.test_sequences: the labels already have a column split", "remove one of the two, or rename it"
            )
        alike = first_alike(stack(test.codes, train.codes), self.alphabet == "DNA")
        known = alike[len(test.codes) :] < len(test.codes)
        example = "".join(train.examples["id"][known].head(1))
        reason = "same sequence as in the official test split"
        checks.add((self.sequences or self.table).name, "dropped", reason, known.sum(), example)
        if known.all():
            raise InputError(
                f"{self.test_sequences}: contains every sequence of {self.sequences or self.table}",
                "give two different files",
            )
        train.examples["split"], test.examples["split"] = "train", "test"
        return train.keep(~known)

    def _outputs(self, parts: list[Labelled]) -> list[str]:
        named = [part.outputs for part in parts if part.outputs]
        for outputs in named:
            if outputs != named[0] or (len(named) < len(parts) and len(outputs) > 1):
                raise InputError(
                    f"data.test_labels: columns {', '.join(outputs)} differ from those of the rest",
                    "both files need the same columns of labels; only one column if the rest are all positives",
                )
        return named[0] if named else ["positive"]

    def _with_negatives(self, part: Labelled, rng: np.random.Generator, checks: Checks) -> Labelled:
        def read(path: Path) -> EncodedExamples:
            found = self._from_fasta(path, None, checks)
            if "split" in part.examples:
                found.examples["split"] = part.examples["split"].iloc[0]
            return found

        positives = Positives(part.examples, part.codes, read, both_strands=self.alphabet == "DNA")
        made = build("negatives", self.negatives, positives, rng, checks)
        table = pd.concat([part.examples, made.examples], ignore_index=True)
        y = np.concatenate([part.y, np.zeros((len(made.codes), 1), np.float32)])
        return Labelled(table, stack(part.codes, made.codes), y, part.outputs)

    def _raw(self, table: pd.DataFrame, parts: list[Labelled], outputs: list[str]) -> Raw:
        codes = stack(*(part.codes for part in parts))
        length = lengths(codes)
        y = np.concatenate([part.y for part in parts])
        given = parts[0].parts
        task, several = "several" if given else task_of(y), len(given) > 1
        if given and not several:  # one column of classes
            task, outputs = given[0].task, given[0].outputs
        if find("tasks", task).positives and len(outputs) == 1:
            kind = np.where(y[:, 0] == 1, "positive", "negative")
            table["kind"] = table["kind"].fillna(pd.Series(kind)) if "kind" in table else kind
        facts = Facts(
            kind="sequence",
            task=task,
            spatial_dims=1,
            in_channels=4,
            out_channels=y.shape[1],
            outputs=outputs,
            **({"parts": list(given)} if several else {}),
            alphabet=LETTERS[self.alphabet],
            iupac=self.iupac,
            window=int(length[0]) if (length == length[0]).all() else None,
            flank=0,
            **{"covariates": self.covariates} if self.covariates else {},
        )
        return Raw(table, lambda row: codes[row, : length[row]], y, facts)


def _check_ids(table: pd.DataFrame, ids: list[str], path: Path, labels: Path) -> None:
    twice = table["id"].duplicated()
    for line in table.index[twice][:1]:
        raise InputError(f"{labels} line {line}: duplicate id {table.at[line, 'id']!r}", "give one line per example")
    for ours, theirs, have, lack in ((ids, table["id"], path, labels), (table["id"], ids, labels, path)):
        missing = sorted(set(ours) - set(theirs))
        if missing:
            raise InputError(
                f"{len(missing)} ids of {have} are not in {lack}: {', '.join(missing[:3])}",
                "the id is the first word after '>' in the FASTA, and the column id of the labels",
            )


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
