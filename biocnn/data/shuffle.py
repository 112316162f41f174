"""Random sequences with the same dinucleotides."""

import numpy as np

LETTERS = 6  # A, C, G, T, unknown, padding
ROWS = 8192  # shuffled at a time: large enough for numpy, small enough for the cache


def dinucleotide_shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle each sequence so that every count of two neighbouring letters stays exactly what it is.

    A sequence is a path through a graph whose vertices are letters and whose edges are its dinucleotides. All Eulerian
    paths of that graph are equally probable: a uniform spanning tree towards the last letter (Wilson's algorithm) says
    by which edge each letter is left for the last time; the other edges come in random order.

    Parameters
    ----------
    codes
        Shape (N, L), uint8: 0-3 = ACGT, 4 = unknown, a letter like the others; 5 = padding, which stays at the end.
    rng
        Source of randomness.

    Returns
    -------
    codes
        Shape (N, L), uint8; the first and the last letter (before padding) stay, too.

    References
    ----------
    Altschul and Erickson, Mol Biol Evol 2, 526-538 (1985). Wilson, Proc 28th ACM STOC, 296-303 (1996).
    """
    codes = np.ascontiguousarray(codes, np.uint8)
    if codes.shape[1] < 4:
        return codes.copy()  # three letters or fewer have no other order
    return np.concatenate([codes[:0], *(_shuffle(codes[i : i + ROWS], rng) for i in range(0, len(codes), ROWS))])


def _shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n, length = codes.shape
    edges, counts = _edges(codes, _last_exits(codes, rng), rng)
    # Position, in the flat list of edges, of the next edge to leave each letter by.
    first = np.cumsum(counts, axis=1) - counts + (np.arange(n) * (length - 1))[:, None]
    first, edges = first.ravel(), edges.ravel()
    rows, letter = np.arange(n) * LETTERS, codes[:, 0].astype(np.int64)
    out = np.empty((length, n), np.uint8)
    out[0] = letter
    for i in range(1, length):
        vertex = rows + letter
        at = first[vertex]
        first[vertex] = at + 1
        letter = edges[at]
        out[i] = letter
    return np.ascontiguousarray(out.T)


def _last_exits(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A spanning tree towards each sequence's last letter, uniform over its edges: shape (N, letters), -1 = none."""
    n = len(codes)
    rows = np.arange(n)
    pairs = (codes[:, :-1].astype(np.int64) * LETTERS + codes[:, 1:]) + (rows * LETTERS**2)[:, None]
    counts = np.bincount(pairs.ravel(), minlength=n * LETTERS**2).reshape(n, LETTERS, LETTERS)
    counts[:, range(LETTERS), range(LETTERS)] = 0  # an edge from a letter to itself is never in a tree
    cumulative = counts.cumsum(axis=2)
    exits = np.full((n, LETTERS), -1, np.int64)
    in_tree = np.zeros((n, LETTERS), bool)
    in_tree[rows, codes[:, -1]] = True
    for start in range(LETTERS):
        # A random walk into the tree; its last exits from each letter are the walk with its loops erased.
        active = np.flatnonzero(~in_tree[:, start] & (cumulative[:, start, -1] > 0))
        walked, letter = active, np.full(len(active), start)
        while len(active):
            table = cumulative[active, letter]
            drawn = rng.integers(0, table[:, -1])
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


def _edges(codes: np.ndarray, exits: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Targets of all edges by the letter they leave, in random order but for the last; how many leave each letter."""
    n, edges = len(codes), codes.shape[1] - 1
    source, target = codes[:, :-1], codes[:, 1:]
    # One 64-bit key an edge, so that one sort does it all: 3 bits of source, 58 random bits, 3 bits of target.
    last = (1 << 58) - 1
    order = rng.integers(0, last, (n, edges), dtype=np.uint64)
    for letter in range(LETTERS):
        is_exit = (source == letter) & (target == exits[:, [letter]])
        rows = np.flatnonzero(is_exit.any(axis=1))
        order[rows, is_exit[rows].argmax(axis=1)] = last
    keys = source.astype(np.uint64) << np.uint64(61) | order << np.uint64(3) | target.astype(np.uint64)
    keys.sort(axis=1)
    counts = np.stack([(source == letter).sum(axis=1) for letter in range(LETTERS)], axis=1)
    return (keys & np.uint64(7)).astype(np.uint8), counts
