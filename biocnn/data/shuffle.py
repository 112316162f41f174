"""Random sequences with the same dinucleotides."""

import numpy as np

ROWS = 8192  # sequences shuffled at a time: enough for numpy, few enough for the cache


def dinucleotide_shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle each sequence so that all dinucleotide counts are preserved exactly.

    A sequence is a path through a graph whose vertices are letters and whose edges are its dinucleotides. All Eulerian
    paths of that graph are equally probable: a uniform spanning tree towards the last letter (Wilson's algorithm)
    gives the edge by which each letter is left for the last time; the other edges come in random order.

    Parameters
    ----------
    codes
        Shape (N, L), uint8, up to 15: 0-3 = ACGT; unknown and ambiguous bases are treated as letters; 5 = padding,
        which stays at the end.
    rng
        Random number generator.

    Returns
    -------
    codes
        Shape (N, L), uint8; the first and last letters (before padding) are preserved.

    References
    ----------
    Altschul and Erickson, Mol Biol Evol 2, 526-538 (1985). Wilson, Proc 28th ACM STOC, 296-303 (1996).
    """
    codes = np.ascontiguousarray(codes, np.uint8)
    if codes.shape[1] < 4:
        return codes.copy()  # three letters or fewer have no other order
    return np.concatenate([codes[:0], *(_shuffle(codes[i : i + ROWS], rng) for i in range(0, len(codes), ROWS))])


def shuffle_windows(codes: np.ndarray, window: slice, rng: np.random.Generator) -> np.ndarray:
    """Shuffle a window of each sequence and both flanks separately: each keeps its own dinucleotides."""
    pieces = [codes[:, : window.start], codes[:, window], codes[:, window.stop :]]
    return np.concatenate([dinucleotide_shuffle(piece, rng) for piece in pieces], axis=1)


def _shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n, length = codes.shape
    letters = int(codes.max()) + 1
    rows = np.arange(n)
    pairs = codes[:, :-1].astype(np.int64) * letters + codes[:, 1:] + (rows * letters**2)[:, None]
    counts = np.bincount(pairs.ravel(), minlength=n * letters**2).reshape(n, letters, letters)
    edges = _edges(codes, pairs, _last_exits(codes[:, -1], counts.copy(), rng), rng)
    # Index, in the flat list of edges, of the next edge to leave each letter.
    leaving = counts.sum(axis=2)
    first = np.cumsum(leaving, axis=1) - leaving + (rows * (length - 1))[:, None]
    first, edges = first.ravel(), edges.ravel()
    rows, letter = rows * letters, codes[:, 0].astype(np.int64)
    out = np.empty((length, n), np.uint8)
    out[0] = letter
    for i in range(1, length):
        vertex = rows + letter
        at = first[vertex]
        first[vertex] = at + 1
        letter = edges[at]
        out[i] = letter
    return np.ascontiguousarray(out.T)


def _last_exits(end: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a uniform spanning tree towards each sequence's last letter: shape (N, letters), -1 = none."""
    n, letters, _ = counts.shape
    counts[:, range(letters), range(letters)] = 0  # self-loops are never in a tree
    cumulative = counts.cumsum(axis=2)
    exits = np.full((n, letters), -1, np.int64)
    in_tree = np.zeros((n, letters), bool)
    in_tree[np.arange(n), end] = True
    for start in range(letters):
        # A random walk into the tree; its last exits from each letter are the walk with its loops erased.
        active = np.flatnonzero(~in_tree[:, start] & (cumulative[:, start, -1] > 0))
        walked, letter = active, np.full(len(active), start)
        while len(active):
            table = cumulative[active, letter]
            drawn = rng.random(len(active)) * table[:, -1]
            step = (table <= drawn[:, None]).sum(axis=1)
            exits[active, letter] = step
            going = ~in_tree[active, step]
            active, letter = active[going], step[going]
        letter = np.full(len(walked), start)
        while len(walked):
            in_tree[walked, letter] = True
            letter = exits[walked, letter]
            going = ~in_tree[walked, letter]
            walked, letter = walked[going], letter[going]
    return exits


def _edges(codes: np.ndarray, pairs: np.ndarray, exits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return targets of all edges by the letter they leave, in random order except for the last: (N, L - 1)."""
    n, letters = exits.shape
    # One 64-bit key per edge, so that a single sort suffices: 4 bits of source, 56 random bits, 4 bits of target.
    last = (1 << 56) - 1
    order = rng.integers(0, last, pairs.shape, dtype=np.uint64)
    one_of = np.zeros(n * letters**2, np.int64)  # any of the edges between two letters can be the last exit
    one_of[pairs.ravel()] = np.arange(pairs.size)
    row, source = np.nonzero(exits >= 0)
    order.ravel()[one_of[(row * letters + source) * letters + exits[row, source]]] = last
    keys = codes[:, :-1].astype(np.uint64) << np.uint64(60) | order << np.uint64(4) | codes[:, 1:].astype(np.uint64)
    keys.sort(axis=1)
    return (keys & np.uint64(15)).astype(np.uint8)
