"""Windows of contributions that look alike, aligned and gathered: what makes motifs of seqlets."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

COMPARED = 21  # bp over which windows are compared
SIMILAR = 0.6  # least cosine of a member with the mean of its group
ROUNDS = 3
FEWEST = 15  # members of a group


@dataclass
class Group:
    """Windows that look alike.

    Parameters
    ----------
    rows
        Numbers of the members.
    offset
        For each member, where in its window the compared stretch begins.
    reverse
        For each member, whether it is read from the other strand.
    """

    rows: np.ndarray
    offset: np.ndarray
    reverse: np.ndarray


def gather(windows: np.ndarray, both_strands: bool) -> Iterator[Group]:
    """Gather windows in groups, the group with most agreement first; those without a group are left out.

    The similarity of two windows is the cosine of 21 bp in the middle of one and the most similar 21 bp of the other,
    on either strand. The window with the most similar ones around it founds a group. Its members are averaged as they
    are aligned, and all windows that are left are compared with the average, three times. A group has at least 15.

    Parameters
    ----------
    windows
        Shape (M, 4, W): contributions around M seqlets.
    both_strands
        Compare with reverse complements as well.
    """
    if not len(windows):
        return
    pieces = _Pieces(windows, both_strands)
    similarity = pieces.all_pairs()
    agreement = np.clip(similarity - SIMILAR, 0, None)
    left = np.ones(len(windows), dtype=bool)
    similar = (similarity >= SIMILAR).astype(np.float32)
    while (seeds := left & (similar @ left.astype(np.float32) >= FEWEST)).any():
        seed = int(np.where(seeds, agreement @ left, -1.0).argmax())
        group = pieces.around(pieces.middle[seed], left)
        for _ in range(ROUNDS):
            group = pieces.around(pieces.mean(group), left)
        left[seed] = False
        left[group.rows] = False
        if len(group.rows) >= FEWEST:
            yield group


class _Pieces:
    """Every stretch of 21 bp of every window, of length one."""

    def __init__(self, windows: np.ndarray, both_strands: bool) -> None:
        windows = windows.astype(np.float32)
        self.offsets = windows.shape[2] - COMPARED + 1
        strands = [windows, windows[:, ::-1, ::-1]] if both_strands else [windows]
        pieces = []
        for turned, strand in enumerate(strands):
            for offset in range(self.offsets):
                first = self.offsets - 1 - offset if turned else offset
                piece = strand[:, :, first : first + COMPARED].reshape(len(windows), -1)
                pieces.append(piece / np.maximum(np.linalg.norm(piece, axis=1, keepdims=True), 1e-12))
        self.pieces = np.stack(pieces)  # (strands x offsets, M, 4 x 21)
        self.middle = self.pieces[(self.offsets - 1) // 2]

    def all_pairs(self) -> np.ndarray:
        """Similarity of each window to each other, shape (M, M)."""
        best = np.full((len(self.middle),) * 2, -1.0, dtype=np.float32)
        for piece in self.pieces:
            np.maximum(best, self.middle @ piece.T, out=best)
        return np.maximum(best, best.T)

    def around(self, pattern: np.ndarray, left: np.ndarray) -> Group:
        """The windows that are left and similar to a pattern of shape (4 x 21,), of length one."""
        similarity = self.pieces @ pattern
        best = similarity.argmax(axis=0)
        rows = np.flatnonzero((similarity.max(axis=0) >= SIMILAR) & left)
        return Group(rows, best[rows] % self.offsets, best[rows] >= self.offsets)

    def mean(self, group: Group) -> np.ndarray:
        """Mean of the members as they are aligned, of length one."""
        mean = self.pieces[group.offset + self.offsets * group.reverse, group.rows].mean(axis=0)
        return mean / np.maximum(np.linalg.norm(mean), 1e-12)
