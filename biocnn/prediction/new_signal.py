"""The signal that a model needs beside the bases of new sequences: of arrays, or of bigWig files."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biocnn.core.checks import Checks
from biocnn.core.errors import InputError, nearest
from biocnn.core.plurals import plural
from biocnn.data.signal import Signal, standardised
from biocnn.io.genome import Genome
from biocnn.prediction.compatibility import Loaded


def check_names(model: Loaded, given: Iterable[str] | None, remedy: str) -> None:
    """Refuse other tracks than those of training.

    Raises
    ------
    InputError
        If the model needs tracks and there are none, the other way round, or their names differ.
    """
    names = model.facts.signal
    if not names and given is not None:
        raise InputError(f"{model.path}: the model was trained without data.signal", "leave signal out")
    if names and given is None:
        raise InputError(f"{model.path}: the model also needs {', '.join(names)} along the bases", remedy)
    given = list(given or ())
    for name in (name for name in given if name not in names):
        raise InputError(f"signal: the model has no track {name!r}", nearest(name, names))
    for name in (name for name in names if name not in given):
        raise InputError(f"signal: no track {name!r}", f"the model was trained with {', '.join(names)}")


def of_arrays(model: Loaded, signal: Mapping[str, Any] | None, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the tracks of sequences in memory as the network receives them: (S, L) each; none if it takes none.

    ``signal`` is as for ``Model.predict``.
    """
    names = model.facts.signal
    example = f"{{{names[0] if names else 'atac'!r}: values}}"
    remedy = f"predict(sequences, signal={example}), with a value for each base; of windows of a genome, biocnn predict"
    if not (signal is None or isinstance(signal, Mapping)):
        raise InputError(f"signal: values by name of the track, not of type {type(signal).__name__}", remedy)
    check_names(model, signal, remedy)
    given, every = signal or {}, []
    if not names:
        return []
    for name in names:
        values = given[name]
        try:
            rows = list(values)
        except TypeError as error:
            raise InputError(f"signal: {name} is {values!r}", remedy) from error
        if len(codes) == 1 and not any(np.ndim(row) for row in rows):
            rows = [values]
        if len(rows) != len(codes):
            raise InputError(f"signal: {name} has values of {plural(len(rows), 'sequence')}, not {len(codes)}", remedy)
        every.append([_checked(name, row, one) for row, one in zip(rows, codes, strict=True)])
    return [standardised(model.facts.signal_tracks, np.stack(tracks)) for tracks in zip(*every, strict=True)]


def _checked(name: str, values: Any, codes: np.ndarray) -> np.ndarray:
    try:
        found = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"signal: {name} has values that are no numbers", "give numbers, nan where missing") from error
    if found.shape != codes.shape or np.isinf(found).any():
        given = "infinite values" if found.shape == codes.shape else f"values of shape {found.shape}"
        raise InputError(
            f"signal: {name} has {given} for a sequence of {len(codes)} bp",
            "give a finite number, or nan, for each base",
        )
    return found


def open_signal(
    model: Loaded, files: Mapping[str, Path] | None, genome: Genome, contigs: Iterable[str], checks: Checks
) -> Signal | None:
    """Open bigWig files of the tracks of a model, by name, for windows on contigs of a genome; None: it takes none.

    Raises
    ------
    InputError
        As in ``check_names`` and ``contigs_in``.
    """
    first = model.facts.signal[0] if model.facts.signal else "atac"
    check_names(
        model, files, f"give bigWig files of the same genome: --signal {first}=FILE, or signal={{{first!r}: FILE}}"
    )
    ordered = {name: Path(files[name]) for name in model.facts.signal} if files else {}
    return Signal(ordered, genome, False, contigs, checks) if ordered else None
