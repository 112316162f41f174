"""Archives of arrays (.npz) that are written one array at a time, so that memory holds only one."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

Add = Callable[[str, np.ndarray], None]


@contextmanager
def array_archive(path: Path) -> Iterator[Add]:
    """Write an .npz file, compressed; gives a function that adds an array under a name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, values: np.ndarray) -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, values)

        yield add
