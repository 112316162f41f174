"""bigWig files of small contigs."""

from pathlib import Path

import numpy as np
import pyBigWig


def bigwig(path: Path, values: dict[str, np.ndarray]) -> Path:
    """Write the values of the bases of contigs; nan: none."""
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader([(name, len(track)) for name, track in values.items()])
        for name, track in values.items():
            if len(at := np.flatnonzero(~np.isnan(track))):
                known = track[at].astype(float).tolist()
                handle.addEntries([name] * len(at), at.tolist(), ends=(at + 1).tolist(), values=known)
    return path
