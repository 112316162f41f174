"""Networks of one convolution and one global pooling, over all windows of a stretch of bases at once."""

from collections.abc import Callable
from functools import reduce

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, pad

from biocnn.blocks import ConvBlock
from biocnn.encode import TABLE, one_hot
from biocnn.models.sequence_network import SequenceNetwork

WORD = 4  # bases looked up together, and positions found together; tables of longer words do not fit into a cache
LETTERS = 5  # A, C, G, T, unknown
CELLS = 1 << 20  # values of the convolution at a time, 4 MB
PROBES = 8  # random windows on which a network is compared with what is made of it here

Join = Callable[[Tensor, Tensor], Tensor]


def _largest(values: Tensor, bias: Tensor) -> Tensor:
    return (values.amax(1) + bias).relu_()


def _sum(values: Tensor, bias: Tensor) -> Tensor:
    return (values + bias).relu_().sum(1)


# Of each pooling: over the positions of values (n, positions, channels), and of two results.
MAX, SUM = (_largest, torch.maximum), (_sum, torch.add)
POOLS = {"max": [MAX], "average": [SUM], "both": [MAX, SUM]}


class SlidingNetwork:
    """A network's logits of every window of a stretch, from one convolution over the stretch.

    Kernels that lie in a window wholly see there what they see in the stretch: these are computed once, and windows are
    pooled from pieces of ``stride`` positions. Those that hang over a window's ends see zeros there, and are computed
    for each window. The other strand is the same stretch under the reversed complements of the kernels.

    The convolution is looked up: what each word of four bases (AAAA, ..., TTTT, and with unknown bases) adds to four
    neighbouring positions, at each of its places under the kernels, is in a table.

    Parameters
    ----------
    network
        In evaluation mode; see ``slides``, which finds out whether a network is fit for this.
    window
        Length of a window, in bp.
    """

    def __init__(self, network: SequenceNetwork, window: int) -> None:
        conv = network.features[0].conv.conv
        weight, bias = conv.weight.detach(), conv.bias.detach()
        if network.strands == "both":
            weight, bias = torch.cat([weight, weight.flip(1, 2)]), bias.repeat(2)
        self.network, self.window, self.bias = network, window, bias
        self.table, self.places = _table(weight)
        self.hanging = weight.shape[2] - 1  # positions at each end of a window
        self.pools = POOLS[network.pool.kind]
        # Words beyond the window's end are left out: of block b of the positions before the window, say, the first.
        blocks = range(len(self.places) - 1)
        before = [[(word, word + len(blocks) - block) for word in range(block + 1)] for block in blocks]
        after = [[(word, word - block) for word in blocks[block:]] for block in blocks]
        self.before, self.after = (_bags(bags, self.places) for bags in (before, after))

    def rows(self, stride: int) -> int:
        """How many windows to give at a time."""
        return max(1, CELLS // (len(self.bias) * max(stride, self.hanging)))

    @torch.inference_mode()
    def logits(self, codes: Tensor, stride: int) -> Tensor:
        """Logits of the windows that begin at 0, stride, 2 stride, ...

        Parameters
        ----------
        codes
            Shape (L,), uint8, on the network's device: 0-3 = ACGT, 4 = unknown.

        Returns
        -------
        logits
            Shape ((L - window) // stride + 1, K).
        """
        number = (len(codes) - self.window) // stride + 1
        words = _words(pad(codes, (0, stride + WORD * len(self.places))))
        parts = [self._inside(words, stride, number)]
        if self.hanging:
            reach = WORD * (len(self.places) - 1)  # bases under the hanging kernels, rounded up
            parts.append(self._hanging(words[: (number - 1) * stride + reach], reach, stride, *self.before))
            end = (number - 1) * stride + self.window
            parts.append(self._hanging(words[self.window - reach : end], reach, stride, *self.after))
        return self._weigh([reduce(join, found) for (_, join), *found in zip(self.pools, *parts, strict=True)])

    def _inside(self, words: Tensor, stride: int, number: int) -> list[Tensor]:
        """What each pooling gives over the kernels that lie in a window wholly: shape (number, channels) each."""
        positions = self.window - self.hanging
        size = min(stride, positions)  # of the pieces that windows are pooled from, and one shorter
        pieces, rest = divmod(positions, size)
        numbers = words[::WORD].unfold(0, len(self.places), 1) + self.places
        values = embedding_bag(numbers, self.table, mode="sum").view(-1, len(self.bias))
        values = values.unfold(0, size, stride).transpose(1, 2)
        found = []
        for pool, join in self.pools:
            whole = _sliding(pool(values[: number + pieces - 1], self.bias), pieces, join)
            short = values[pieces : pieces + number, :rest]
            found.append(join(whole, pool(short, self.bias)) if rest else whole)
        return found

    def _hanging(
        self, words: Tensor, reach: int, stride: int, chosen: Tensor, places: Tensor, starts: Tensor
    ) -> list[Tensor]:
        """The same over the kernels that hang over one end of each window."""
        words = words.unfold(0, reach, stride)[:, ::WORD]
        numbers = words[:, chosen] + places
        first = torch.arange(0, numbers.numel(), len(chosen), dtype=torch.int32, device=words.device)
        bags = (first[:, None] + starts).flatten()
        values = embedding_bag(numbers.flatten(), self.table, bags, mode="sum").view(len(words), reach, -1)
        return [pool(values[:, reach - self.hanging :], self.bias) for pool, _ in self.pools]

    def _weigh(self, pooled: list[Tensor]) -> Tensor:
        """From maxima and sums over all positions to logits."""
        network, positions = self.network, self.window + self.hanging
        means = [values / positions if pool is SUM else values for pool, values in zip(self.pools, pooled, strict=True)]
        strands = 2 if network.strands == "both" else 1
        logits = network.head(torch.cat([values.unflatten(1, (strands, -1)) for values in means], dim=2))
        return logits.amax(1) if network.combine == "max" else logits.mean(1)


def slides(network: nn.Module, window: int) -> SlidingNetwork | None:
    """The network over stretches; None where it must see each window for itself.

    It needs a ``SequenceNetwork`` whose features are one convolution with padding ``full``, of stride and dilation 1,
    and ReLU, with kernels no longer than the window. Whatever else a class may do is found out on random windows.
    """
    if not (isinstance(network, SequenceNetwork) and network.one_hot and len(network.features) == 1):
        return None
    block = network.features[0]
    if not (isinstance(block, ConvBlock) and [name for name, _ in block.named_children()] == ["conv", "act"]):
        return None
    conv = block.conv.conv
    plain = conv.stride == conv.dilation == (1,) and conv.groups == 1 and block.conv.padding == "full"
    if not (plain and isinstance(block.act, nn.ReLU) and conv.kernel_size[0] + WORD <= window):
        return None
    sliding = SlidingNetwork(network, window)
    drawn = np.random.default_rng(1).integers(0, LETTERS, window + PROBES - 1, np.uint8)
    codes = torch.from_numpy(drawn).to(conv.weight.device)
    with torch.inference_mode():
        wanted = network(one_hot(codes.unfold(0, window, 1)))
    return sliding if torch.allclose(sliding.logits(codes, 1), wanted, rtol=1e-3, atol=1e-4) else None


def _table(weight: Tensor) -> tuple[Tensor, Tensor]:
    """What each word adds to the kernels' sums at ``WORD`` neighbouring positions.

    Parameters
    ----------
    weight
        Shape (channels, 4, kernel_size).

    Returns
    -------
    table, places
        Shape (places * words, WORD * channels), float32; and the first row of each place, (places,). The first place
        begins where the first of the positions does.
    """
    places = (weight.shape[2] + 2 * WORD - 2) // WORD
    letters = torch.einsum("lb,cbk->klc", torch.tensor(TABLE[:LETTERS], device=weight.device).double(), weight.double())
    positions = [pad(letters, (0, 0, 0, 0, p, places * WORD - len(letters) - p)) for p in range(WORD)]
    rows = []
    for place in torch.cat(positions, dim=2).split(WORD):  # (letter of the word, which, WORD * channels)
        rows.append(reduce(lambda word, letter: (word[:, None] + letter).flatten(0, 1), place))
    first = torch.arange(places, dtype=torch.int32, device=weight.device) * LETTERS**WORD
    return torch.cat(rows).float(), first


def _words(codes: Tensor) -> Tensor:
    """The number of the word that begins at each position: (L,) to (L - WORD + 1,), int32."""
    letters = codes.int().unfold(0, len(codes) - WORD + 1, 1)
    return reduce(lambda words, letter: words * LETTERS + letter, letters)


def _bags(bags: list[list[tuple[int, int]]], places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which words are looked up, in which rows of the table, and where each bag of them begins."""
    chosen, at = torch.tensor([pair for bag in bags for pair in bag], dtype=torch.int64).reshape(-1, 2).unbind(1)
    starts = np.cumsum([0, *map(len, bags)])[:-1]
    device = places.device
    return chosen.to(device), places[at.to(device)], torch.tensor(starts, dtype=torch.int32, device=device)


def _sliding(x: Tensor, width: int, join: Join) -> Tensor:
    """Join each ``width`` neighbouring rows: (n, channels) to (n - width + 1, channels), in about log2(width) steps."""
    number, done, size, found = len(x) - width + 1, 0, 1, None
    while True:  # here a row of x joins ``size`` rows of what was given
        if width & size:
            part = x[done : done + number]
            found, done = part if found is None else join(found, part), done + size
        if done == width:
            return found
        x, size = join(x[:-size], x[size:]), 2 * size
