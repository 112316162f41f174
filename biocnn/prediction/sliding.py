"""Networks with one convolution and one global pooling, applied to all windows of a stretch at once."""

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, pad

from biocnn.io.fasta import PADDING
from biocnn.models.sequence_network import SequenceNetwork
from biocnn.nn.blocks import ConvBlock
from biocnn.nn.encode import TABLE, one_hot
from biocnn.nn.words import WordMixture

WORD = 4  # bases looked up together, and positions computed together; tables of longer words do not fit into a cache
LETTERS = 6  # A, C, G, T, unknown, padding
CELLS = 1 << 18  # values of the convolution at a time for each thread: 1 MB, which fits into the cache of a core
ON_GPU = 64  # times as many on a GPU, which otherwise waits for instructions
PARTS = 16  # parts of that size in one call, because the small steps around them have overhead
VECTOR = 32  # channels that torch reduces together
PROBES = 8  # random windows on which the network and its sliding form are compared


class Pool(NamedTuple):
    """A pooling computed in pieces.

    Parameters
    ----------
    over
        Reduces the convolution without bias, (n, positions, channels), and the bias to a partial result, (n, channels).
    join
        Combines two partial results.
    end
        Turns the partial result of all positions, the bias and the number of positions into the pooled value.
    """

    over: Callable[[Tensor, Tensor], Tensor]
    join: Callable[[Tensor, Tensor], Tensor]
    end: Callable[[Tensor, Tensor, int], Tensor]


def _largest(x: Tensor, _: Tensor) -> Tensor:
    """Return the maximum over positions: (n, positions, channels) to (n, channels)."""
    if x.shape[2] % VECTOR == 0:
        return x.amax(1)
    while x.shape[1] > 1:  # amax is several times slower for other widths
        half = (x.shape[1] + 1) // 2
        x = torch.maximum(x[:, :half], x[:, -half:])
    return x[:, 0]


MAX = Pool(_largest, torch.maximum, lambda x, bias, number: (x + bias).relu_())
MEAN = Pool(lambda x, bias: (x + bias).relu_().sum(1), torch.add, lambda x, bias, number: x / number)
POOLS = {"max": [MAX], "average": [MEAN], "both": [MAX, MEAN]}


class End(NamedTuple):
    """Lookups of the kernels that extend beyond one end of a window: words, table rows of their places, bag starts."""

    spans: list[slice]
    places: Tensor
    starts: Tensor


class SlidingNetwork:
    """The logits of all windows of a stretch, from one convolution over the stretch.

    A kernel that lies completely inside a window sees the same bases as in the stretch, so these positions are computed
    once, and windows are pooled from pieces of ``stride`` positions. Kernels that extend beyond the ends of a window
    see zeros there, and are computed for each window. The reverse strand is the same stretch under the reverse
    complements of the kernels.

    The convolution is a table lookup: for each word of four bases (AAAA, ..., TTTT, and those with unknown bases) and
    each place under the kernels, the table holds what the word adds to four neighbouring positions.

    Parameters
    ----------
    network
        Network in evaluation mode that passes the checks of ``slides``.
    window
        Length of a window, in bp.
    """

    def __init__(self, network: SequenceNetwork, window: int) -> None:
        self.network, self.window = network, window
        weight, self.bias = kernels_of(network)
        self.table, self.places = tabulate(weight)
        self.hanging = weight.shape[2] - 1  # positions at each end of a window
        self.pools = POOLS[network.pool.kind]
        blocks = range(len(self.places) - 1)  # of ``WORD`` positions; words beyond the end of the window are omitted
        self.before = self._end([(0, block + 1, len(blocks) - block) for block in blocks])
        self.after = self._end([(block, len(blocks), 0) for block in blocks])

    def _end(self, blocks: list[tuple[int, int, int]]) -> End:
        """Build the lookups from the first word, the end (exclusive) and the place of the first word of each block."""
        places = [self.places[at : at + last - first] for first, last, at in blocks]
        starts = np.cumsum([0, *map(len, places)])[:-1]
        starts = torch.tensor(starts, dtype=torch.int32, device=self.places.device)
        return End([slice(first, last) for first, last, _ in blocks], torch.cat([*places, self.places[:0]]), starts)

    def rows(self, stride: int) -> int:
        """Return the number of windows per call."""
        return PARTS * self._part(stride)

    def _part(self, positions: int) -> int:
        """Return the number of windows of this many positions that are computed at a time."""
        cells = CELLS * (torch.get_num_threads() if self.table.device.type == "cpu" else ON_GPU)
        return max(1, cells // (len(self.bias) * max(positions, self.hanging) * WORD)) * WORD

    @torch.inference_mode()
    def logits(self, codes: Tensor, stride: int) -> Tensor:
        """Return the logits of the windows that begin at 0, stride, 2 stride, ...

        Parameters
        ----------
        codes
            Shape (L,), uint8, on the device of the network: 0-3 = ACGT, 4 = unknown.

        Returns
        -------
        logits
            Shape ((L - window) // stride + 1, K).
        """
        number = (len(codes) - self.window) // stride + 1
        words = _words(pad(codes, (0, stride + WORD * len(self.places))))
        parts = [self._inside(words, stride, number)]
        if self.hanging:
            reach = WORD * (len(self.places) - 1)  # bases under the overhanging kernels, rounded up
            parts.append(self._hanging(words[: (number - 1) * stride + reach], reach, stride, self.before))
            end = (number - 1) * stride + self.window
            parts.append(self._hanging(words[self.window - reach : end], reach, stride, self.after))
        pooled = [reduce(pool.join, found) for pool, *found in zip(self.pools, *parts, strict=True)]
        return weigh(self.network, pooled, self.bias, self.window + self.hanging)

    def _inside(self, words: Tensor, stride: int, number: int) -> list[Tensor]:
        """Pool the kernels that lie completely inside a window: shape (number, channels) for each pooling."""
        positions = self.window - self.hanging
        size = min(stride, positions)  # of the pieces that windows are pooled from, followed by a shorter one
        pieces, rest = divmod(positions, size)
        numbers = words[::WORD].unfold(0, len(self.places), 1) + self.places
        spans = [slice(0, rest), slice(rest, size)] if rest else [slice(0, size)]
        kept = []
        for part in numbers.split(self._part(stride) * stride // WORD):
            values = embedding_bag(part, self.table, mode="sum").view(-1, len(self.bias))
            values = values.unfold(0, size, stride).transpose(1, 2)
            kept.append([pool.over(values[:, span], self.bias) for pool in self.pools for span in spans])
        found, kept = [], [torch.cat(parts) for parts in zip(*kept, strict=True)]
        for k, pool in enumerate(self.pools):
            both = kept[k * len(spans) : (k + 1) * len(spans)]
            whole = _sliding(reduce(pool.join, both)[: number + pieces - 1], pieces, pool.join)
            found.append(pool.join(whole, both[0][pieces : pieces + number]) if rest else whole)
        return found

    def _hanging(self, words: Tensor, reach: int, stride: int, end: End) -> list[Tensor]:
        """Pool the kernels that extend beyond one end of each window."""
        words = words.unfold(0, reach, stride)[:, ::WORD]
        numbers = torch.cat([words[:, span] for span in end.spans], dim=1).add_(end.places)
        rows, each = self._part(stride), numbers.shape[1]
        first = torch.arange(0, rows * each, each, dtype=torch.int32, device=words.device)
        bags = (first[:, None] + end.starts).flatten()
        kept = []
        for part in numbers.view(-1).split(rows * each):
            number = len(part) // each
            values = embedding_bag(part, self.table, bags[: number * len(end.starts)], mode="sum")
            values = values.view(number, reach, -1)[:, reach - self.hanging :]
            kept.append([pool.over(values, self.bias) for pool in self.pools])
        return [torch.cat(parts) for parts in zip(*kept, strict=True)]


def kernels_of(network: SequenceNetwork) -> tuple[Tensor, Tensor]:
    """Return weights, (channels, 4, kernel_size), and biases of the first layer, for both strands if it reads both.

    The kernels of the reverse strand are the reverse complements, which see the same stretch.
    """
    conv = network.features[0].conv.conv
    weight, bias = conv.weight.detach(), conv.bias.detach()
    return (torch.cat([weight, weight.flip(1, 2)]), bias.repeat(2)) if network.strands == "both" else (weight, bias)


def weigh(network: SequenceNetwork, pooled: list[Tensor], bias: Tensor, number: int) -> Tensor:
    """Compute logits (n, K) from the partial results of all positions, for each of ``POOLS``, and their number."""
    pools = POOLS[network.pool.kind]
    ended = [pool.end(kept, bias, number) for pool, kept in zip(pools, pooled, strict=True)]
    strands = 2 if network.strands == "both" else 1
    logits = network.head(torch.cat([end.unflatten(1, (strands, -1)) for end in ended], dim=2))
    return logits.amax(1) if network.combine == "max" else logits.mean(1)


class SlidingMixture:
    """The logits of all windows of a stretch, from the sliding forms of a network and of words."""

    def __init__(self, mixture: WordMixture, network: SlidingNetwork) -> None:
        self.mixture, self.network, self.table, self.rows = mixture, network, network.table, network.rows

    def logits(self, codes: Tensor, stride: int) -> Tensor:
        """Return the logits of the windows; see ``SlidingNetwork.logits``."""
        of_words = self.mixture.words.sliding(codes, self.network.window, stride)
        return self.mixture.mix(self.network.logits(codes, stride), of_words)


def slides(network: nn.Module, window: int) -> SlidingNetwork | SlidingMixture | None:
    """Return the network, or mixture, in its sliding form; None if it must see each window separately.

    The network must be a ``SequenceNetwork`` whose features are one convolution with padding ``full``, stride and
    dilation 1, and ReLU, with kernels no longer than the window. Any other difference is detected on random windows.
    """
    if isinstance(network, WordMixture):
        inside = slides(network.network, window)
        return SlidingMixture(network, inside) if isinstance(inside, SlidingNetwork) else None
    if not (isinstance(network, SequenceNetwork) and network.bases_only and len(network.features) == 1):
        return None
    block = network.features[0]
    if not (isinstance(block, ConvBlock) and [name for name, _ in block.named_children()] == ["conv", "act"]):
        return None
    conv = block.conv.conv
    plain = conv.stride == conv.dilation == (1,) and conv.groups == 1 and block.conv.padding == "full"
    if not (plain and isinstance(block.act, nn.ReLU) and conv.kernel_size[0] + WORD <= window):
        return None
    sliding = SlidingNetwork(network, window)
    drawn = np.random.default_rng(1).integers(0, PADDING, window + PROBES - 1, np.uint8)
    codes = torch.from_numpy(drawn).to(conv.weight.device)
    with torch.inference_mode():
        wanted = network(one_hot(codes.unfold(0, window, 1)))
    return sliding if torch.allclose(sliding.logits(codes, 1), wanted, rtol=1e-3, atol=1e-4) else None


def scan(codes: Tensor, table: Tensor, places: Tensor, size: int) -> Tensor:
    """Convolve windows, with zeros beyond their ends.

    Parameters
    ----------
    codes
        Shape (N, L), uint8: 0-3 = ACGT, 4 = unknown.
    table, places
        From ``tabulate``.
    size
        Length of the kernels.

    Returns
    -------
    scan
        Shape (N, L + size - 1, channels); position i ends at base i.
    """
    number = codes.shape[1] + size - 1
    words = _words(pad(codes, (size - 1, WORD * len(places)), value=PADDING))[:, ::WORD]
    numbers = words.unfold(1, len(places), 1)[:, : -(-number // WORD)] + places
    values = embedding_bag(numbers.flatten(0, 1), table, mode="sum")
    return values.view(len(codes), -1, table.shape[1] // WORD)[:, :number]


def tabulate(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Tabulate what each word adds to the convolution at ``WORD`` neighbouring positions.

    Parameters
    ----------
    weight
        Shape (channels, 4, kernel_size).

    Returns
    -------
    table, places
        Shape (places * words, WORD * channels), float32, and the first row of each place, (places,). The first place
        begins at the first of the positions.
    """
    places = (weight.shape[2] + 2 * WORD - 2) // WORD
    letters = torch.einsum("lb,cbk->klc", torch.tensor(TABLE[:LETTERS], device=weight.device).double(), weight.double())
    positions = [pad(letters, (0, 0, 0, 0, p, places * WORD - len(letters) - p)) for p in range(WORD)]
    rows = []
    for place in torch.cat(positions, dim=2).split(WORD):  # (position in the word, letter, WORD * channels)
        rows.append(reduce(lambda word, letter: (word[:, None] + letter).flatten(0, 1), place))
    first = torch.arange(places, dtype=torch.int32, device=weight.device) * LETTERS**WORD
    return torch.cat(rows).float(), first


def _words(codes: Tensor) -> Tensor:
    """Return the index of the word that begins at each position: (..., L) to (..., L - WORD + 1), int32."""
    letters = codes.int().unfold(-1, codes.shape[-1] - WORD + 1, 1).unbind(-2)
    return reduce(lambda words, letter: words * LETTERS + letter, letters)


def _sliding(x: Tensor, width: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join every ``width`` adjacent rows: (n, channels) to (n - width + 1, channels), in about log2(width) steps."""
    number, done, size, found = len(x) - width + 1, 0, 1, None
    while True:  # each row of x joins ``size`` rows of the argument
        if width & size:
            part = x[done : done + number]
            found, done = part if found is None else join(found, part), done + size
        if done == width:
            return found
        x, size = join(x[:-size], x[size:]), 2 * size
