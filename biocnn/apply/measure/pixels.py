"""Run-length encoding of all objects of an image along the last axis, for sums over their pixels."""

import numpy as np


class Pixels:
    """The objects of an image.

    ``ids`` (n,) are their labels, ascending; methods return values in this order, in pixels.

    Parameters
    ----------
    labels
        Integers, shape (*spatial), 2D or 3D: 0 = background, each other value an object.
    """

    def __init__(self, labels: np.ndarray) -> None:
        width = labels.shape[-1]
        rows = labels.reshape(-1, width)
        change = np.ones(rows.shape, bool)  # start of each run, including background
        np.not_equal(rows[:, 1:], rows[:, :-1], out=change[:, 1:])
        starts = np.flatnonzero(change)
        ends = np.append(starts[1:], rows.size)
        found = rows.ravel()[starts]
        inside = np.flatnonzero(found)
        starts, lengths, owners = starts[inside], (ends - starts)[inside], found[inside]
        order = np.argsort(owners, kind="stable")  # by object, then by position
        self.inside = labels != 0
        self._runs, self._order = np.cumsum(lengths) - lengths, order
        self.lengths, owners = lengths[order], owners[order]
        self.firsts = np.flatnonzero(np.diff(owners, prepend=0))  # the first run of each object
        self.ids = owners[self.firsts]
        self.lines, self.begins = np.divmod(starts[order], width)
        self.owners = np.repeat(np.arange(len(self.ids)), np.diff(self.firsts, append=len(owners)))
        self.coordinates = [*np.unravel_index(self.lines, labels.shape[:-1]), self.begins]
        self.area = self.total(self.lengths)

    def total(self, of_runs: np.ndarray) -> np.ndarray:
        """Sum a value per run over the runs of each object."""
        return np.add.reduceat(of_runs, self.firsts) if len(of_runs) else of_runs

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounding box of each object, half-open: starts and ends, each (dims, n)."""
        if not len(self.ids):
            return (np.zeros((len(self.coordinates), 0), int),) * 2
        lasts = [*(axis + 1 for axis in self.coordinates[:-1]), self.begins + self.lengths]
        low = np.stack([np.minimum.reduceat(axis, self.firsts) for axis in self.coordinates])
        return low, np.stack([np.maximum.reduceat(axis, self.firsts) for axis in lasts])

    def moments(self, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return centroids (dims, n) and covariances of pixel centres (n, dims, dims); ``low`` is the box start."""
        n = self.lengths.astype(float)
        *across, x = (axis - low[i][self.owners] for i, axis in enumerate(self.coordinates))
        sums = [*(axis * n for axis in across), n * x + n * (n - 1) / 2]
        squares = n * x**2 + x * n * (n - 1) + (n - 1) * n * (2 * n - 1) / 6
        mean = np.stack([self.total(value) for value in sums]) / self.area
        covariance = np.empty((len(self.ids), len(mean), len(mean)))
        for i in range(len(mean)):
            for j in range(i, len(mean)):
                products = squares if i == len(mean) - 1 else across[i] * sums[j]
                covariance[:, i, j] = covariance[:, j, i] = self.total(products) / self.area - mean[i] * mean[j]
        return mean + low, covariance

    def statistics(self, channel: np.ndarray) -> dict[str, np.ndarray]:
        """Return mean, population standard deviation, minimum, maximum and sum of each object's pixels."""
        if not len(self.ids):
            return {kind: np.empty(0) for kind in ("mean", "sd", "min", "max", "integrated")}
        values = channel[self.inside]  # in row-major order, like the runs
        total = self.total(self._of_runs(np.add, values.astype(float)))
        mean = total / self.area
        raw = np.empty(len(self.owners), int)  # object of each run, in row-major order of the runs
        raw[self._order] = self.owners
        spread = (values - np.repeat(mean[raw], np.diff(self._runs, append=values.size))) ** 2
        squares = self.total(self._of_runs(np.add, spread))
        extremes = (how.reduceat(self._of_runs(how, values), self.firsts) for how in (np.minimum, np.maximum))
        kinds = {"mean": mean, "sd": np.sqrt(squares / self.area)}
        kinds |= dict(zip(("min", "max"), extremes, strict=True))
        return kinds | {"integrated": total}

    def _of_runs(self, how: np.ufunc, values: np.ndarray) -> np.ndarray:
        return how.reduceat(values, self._runs)[self._order]

    def spans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return object, row, first and last column of each pixel row of each object in 2D."""
        new = np.flatnonzero((np.diff(self.owners, prepend=-1) != 0) | (np.diff(self.lines, prepend=-1) != 0))
        if not len(new):
            return (np.zeros(0, int),) * 4
        ends = self.begins + self.lengths - 1
        return self.owners[new], self.lines[new], np.minimum.reduceat(self.begins, new), np.maximum.reduceat(ends, new)
