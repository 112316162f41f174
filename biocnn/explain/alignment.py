"""Align and group similar windows of contributions, to form motifs from seqlets."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SIMILAR = 0.6  # minimum cosine of a member with the mean of its group
ROUNDS = 3
FEWEST = 15  # minimum number of members of a group


@dataclass
class Group:
    """Similar windows.

    Parameters
    ----------
    rows
        Indices of the members.
    offset
        Start of the compared segment in the window of each member.
    reverse
        Whether each member is read from the other strand.
    """

    rows: np.ndarray
    offset: np.ndarray
    reverse: np.ndarray


def gather(windows: np.ndarray, both_strands: bool, compared: int) -> Iterator[Group]:
    """Group windows, starting with the group of highest agreement; windows without a group are omitted.

    The similarity of two windows is the cosine of the central segment of one and the most similar segment of the other,
    on either strand. The window with the highest total similarity to its neighbours seeds a group. Its aligned members
    are averaged, and all remaining windows are compared with the average, three times. A group has at least 15 members.

    Parameters
    ----------
    windows
        Shape (M, 4, W): contributions around M seqlets.
    both_strands
        Whether to compare with reverse complements as well.
    compared
        Length of the compared segments, odd, in bp.
    """
    if not len(windows):
        return
    pieces = _Pieces(windows, both_strands, compared)
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
    """All compared segments of all windows, normalised to unit length."""

    def __init__(self, windows: np.ndarray, both_strands: bool, compared: int) -> None:
        windows = windows.astype(np.float32)
        self.offsets = windows.shape[2] - compared + 1
        strands = [windows, windows[:, ::-1, ::-1]] if both_strands else [windows]
        pieces = []
        for reverse, strand in enumerate(strands):
            for offset in range(self.offsets):
                first = self.offsets - 1 - offset if reverse else offset
                piece = strand[:, :, first : first + compared].reshape(len(windows), -1)
                pieces.append(piece / np.maximum(np.linalg.norm(piece, axis=1, keepdims=True), 1e-12))
        self.pieces = np.stack(pieces)  # (strands x offsets, M, 4 x compared)
        self.middle = self.pieces[(self.offsets - 1) // 2]

    def all_pairs(self) -> np.ndarray:
        """Return the similarities of all pairs of windows, shape (M, M)."""
        best = np.full((len(self.middle),) * 2, -1.0, dtype=np.float32)
        for piece in self.pieces:
            np.maximum(best, self.middle @ piece.T, out=best)
        return np.maximum(best, best.T)

    def around(self, pattern: np.ndarray, left: np.ndarray) -> Group:
        """Return the remaining windows similar to a pattern of shape (4 x compared,) and unit length."""
        similarity = self.pieces @ pattern
        best = similarity.argmax(axis=0)
        rows = np.flatnonzero((similarity.max(axis=0) >= SIMILAR) & left)
        return Group(rows, best[rows] % self.offsets, best[rows] >= self.offsets)

    def mean(self, group: Group) -> np.ndarray:
        """Return the mean of the aligned members, normalised to unit length."""
        mean = self.pieces[group.offset + self.offsets * group.reverse, group.rows].mean(axis=0)
        return mean / np.maximum(np.linalg.norm(mean), 1e-12)
