"""A linear model of the words (k-mers) of a sequence, and its mixture with a network.

The model is linear in log(1 + count) of each word. A word that occurs again adds less than the first time, so the model
is not linear in the bases; changes and contributions are exact all the same, because they count words, too.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from biocnn.nn.kmers import LENGTHS, word_columns

PADDING = 5
COMMON = 3  # largest length of words that occur many times in a window
ROWS = 64  # sequences whose changes are computed at a time, to limit memory


class Words(nn.Module):
    """Sum over words of weight times log(1 + count): (N, 4, L) to (N, out_channels).

    Words with a base that is not certain (unknown, ambiguous) or padding do not count, so that a sequence has the same
    logits alone and padded in a batch.

    Parameters
    ----------
    out_channels
        Number of outputs.
    strands
        ``both``: a word and its reverse complement count as one, so that either strand gives the same logits.
    """

    columns: Tensor
    weight: Tensor
    intercept: Tensor

    def __init__(self, out_channels: int, strands: Literal["single", "both"]) -> None:
        super().__init__()
        tables, first = [], 0
        for k in LENGTHS:
            tables.append(torch.from_numpy(first + word_columns(k, strands)))
            first = int(tables[-1].max()) + 1
        self.width = first  # number of words; also the column of places without a word
        self.register_buffer("columns", torch.cat(tables), persistent=False)
        self.register_buffer("weight", torch.zeros(first, out_channels))
        self.register_buffer("intercept", torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        counts = self._counts(_codes(x))[:, :-1]
        with torch.autocast(x.device.type, enabled=False):
            return counts.log1p_() @ self.weight + self.intercept

    @torch.no_grad()
    def rescale(self, factor: Tensor, shift: Tensor) -> None:
        """Rescale and shift the logits in place; K numbers each, or one for all."""
        self.weight *= factor
        self.intercept.mul_(factor).add_(shift)

    @torch.no_grad()
    def contributions(self, x: Tensor, output: int = 0) -> Tensor:
        """Compute the contribution of each base, present or absent, to a logit.

        A word with count c contributes weight times log(1 + c); its occurrences share this equally, and so do the bases
        of an occurrence. The contributions of the bases present thus sum to the logit minus the intercept. An absent
        base is counted as if it replaced the one present, with one more occurrence of each word that arises. At a base
        that is not certain, contributions are relative to their mean; in padding they are zero. For parameters and
        shapes see ``biocnn.explain.base_contributions``.
        """
        codes, weight = _codes(x), self._weight(output)
        counts, total = self._counts(codes), torch.zeros_like(x)
        absent = (codes[:, None] != torch.arange(4, device=x.device).view(1, 4, 1)).float()
        for k, columns in self._substituted(codes):
            found = counts.gather(1, columns.flatten(1)).view(columns.shape) + absent[..., None]
            total += (weight[columns] * found.log1p() / found.clamp(min=1) / k).sum(3)
        uncertain = (codes > 3)[:, None]
        return total - (x * total).sum(1, keepdim=True).where(uncertain, 0.0)

    @torch.no_grad()
    def changes(self, x: Tensor, output: int = 0) -> Tensor:
        """Compute the exact change of a logit by each base, zero for the base present and in padding.

        For parameters and shapes see ``biocnn.explain.base_contributions``.
        """
        return torch.cat([self._changes(_codes(part), self._weight(output)) for part in x.split(ROWS)])

    def _changes(self, codes: Tensor, weight: Tensor) -> Tensor:
        counts, total = self._counts(codes), weight.new_zeros(len(codes), 4, codes.shape[1])
        present = codes.clamp(max=3).long()[:, None, :, None]
        for k, arising in self._substituted(codes):
            lost = arising.gather(1, present.expand(-1, -1, -1, k)).where(codes[:, None, :, None] < 4, self.width)
            columns = torch.cat([lost.expand_as(arising), arising], dim=3)
            same = columns[..., :, None] == columns[..., None, :]
            sign = torch.cat([-torch.ones(k), torch.ones(k)]).to(weight.device)
            net = (same * sign).sum(4)
            before = counts.gather(1, columns.flatten(1)).view(columns.shape)
            # Each distinct word counts once, however many of these places hold it.
            total += (weight[columns] * ((before + net).clamp(min=0).log1p() - before.log1p()) / same.sum(4)).sum(3)
        return total

    @torch.no_grad()
    def sliding(self, codes: Tensor, window: int, stride: int) -> Tensor:
        """Compute the logits of the windows of a stretch that begin at 0, stride, 2 stride, ...

        Parameters
        ----------
        codes
            Shape (L,), uint8: 0-3 = ACGT(U), 4 = unknown.
        window
            Length of the windows, up to L.

        Returns
        -------
        logits
            Shape ((L - window) // stride + 1, K).
        """
        number, weight = len(codes) - window + 1, self.weight.double()
        starts = torch.arange(0, number, stride, device=codes.device)
        logits = self.intercept.double().expand(len(starts), -1)
        for k, word, uncertain, table in self._words(codes[None]):
            if k > window:
                break
            columns = table[word].where(uncertain == 0, self.width)[0]
            if k <= COMMON:
                own = table.unique()
                total = nn.functional.pad((columns[:, None] == own).cumsum(0), (0, 0, 1, 0))
                counts = total[starts + window - k + 1] - total[starts]
                logits = logits + counts.double().log1p() @ weight[own]
            else:
                logits = logits + self._rare(columns, weight, k, window)[starts]
        return logits.float()

    def _rare(self, columns: Tensor, weight: Tensor, k: int, window: int) -> Tensor:
        """Add up the rare words of all windows, without counting them in each; columns (P,), weight (width, K).

        The j-th occurrence of a word in a window adds weight times log((1 + j) / j). An occurrence is the j-th or a
        later one in all windows that also contain the occurrence j - 1 before it. The starts of these windows are an
        interval, to which the difference between the j-th and the previous logarithm is added.
        """
        number = len(columns) + k - window
        steps = weight.new_zeros(weight.shape[1], number + 1)
        column, order = columns.sort(stable=True)
        first = (order + k - window).clamp(min=0)  # first window that contains the occurrence
        later = (column < self.width).nonzero()[:, 0]
        before = 0  # number of previous occurrences that a window must contain
        while len(later):
            last = order[later - before]
            holds = (last >= first[later]) & (first[later] < number)
            later, last = later[holds], last[holds].clamp(max=number - 1)
            gain = math.log1p(1 / (1 + before)) - (math.log1p(1 / before) if before else 0)
            for added, each in zip(weight.T, steps, strict=True):
                change = gain * added[column[later]]
                each.scatter_add_(0, first[later], change).scatter_add_(0, last + 1, -change)
            before += 1
            later = later[later >= before]
            later = later[column[later] == column[later - before]]
        return steps.cumsum(1)[:, :-1].T

    def _counts(self, codes: Tensor) -> Tensor:
        """Count the words, shape (N, width + 1); the last column counts places without a word."""
        counts = torch.zeros(len(codes), self.width + 1, device=codes.device)
        for _, columns in self._places(codes):
            counts.scatter_add_(1, columns, torch.ones_like(columns, dtype=counts.dtype))
        return counts

    def _places(self, codes: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield each k, and the column of the word at each position, (N, L - k + 1)."""
        for k, word, uncertain, table in self._words(codes):
            yield k, table[word].where(uncertain == 0, self.width)

    def _substituted(self, codes: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield each k, and the columns of the k words over each base after its substitution, (N, 4, L, k)."""
        base = torch.arange(4, device=codes.device).view(1, 4, 1, 1)
        unsure, letter = (codes > 3).long(), codes.where(codes < 4, 0).long()
        for k, word, uncertain, table in self._words(codes):
            over, others = (
                nn.functional.pad(values, (k - 1, k - 1), value=beyond).unfold(1, k, 1)[:, None]
                for values, beyond in ((word, 0), (uncertain, k + 1))
            )
            power = 4 ** torch.arange(k, device=codes.device)
            substituted = over + (base - letter[:, None, :, None]) * power
            certain = (others - unsure[:, None, :, None] == 0) & (codes != PADDING)[:, None, :, None]
            yield k, table[substituted.where(certain, 0)].where(certain, self.width)

    def _words(self, codes: Tensor) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
        """Yield each k up to L: words, with uncertain bases as A, and numbers of these, (N, L - k + 1); columns."""
        unsure, letter, first = (codes > 3).long(), codes.where(codes < 4, 0).long(), 0
        word, uncertain = torch.zeros_like(letter), torch.zeros_like(letter)
        for k in range(1, min(LENGTHS[-1], codes.shape[1]) + 1):
            end = codes.shape[1] - k + 1
            word, uncertain = word[:, :end] * 4 + letter[:, k - 1 :], uncertain[:, :end] + unsure[:, k - 1 :]
            yield k, word, uncertain, self.columns[first : first + 4**k]
            first += 4**k

    def _weight(self, output: int) -> Tensor:
        return nn.functional.pad(self.weight[:, output], (0, 1))


class WordMixture(nn.Module):
    """Weighted mean of the logits of a network and of words.

    Parameters
    ----------
    network
        Any network from (N, 4, L) to logits (N, K).
    words
        Model of words with the same outputs.
    share
        Weight of the network, from 0 to 1, shape (K,).
    """

    share: Tensor

    def __init__(self, network: nn.Module, words: Words, share: Tensor) -> None:
        super().__init__()
        self.network, self.words = network, words
        self.register_buffer("share", share)

    @property
    def strands(self) -> str:
        """Strands that the network reads; the words read at least these."""
        return getattr(self.network, "strands", "single")

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.network(x).float(), self.words(x[:, :4]))  # further channels are covariates

    def mix(self, of_network: Tensor, of_words: Tensor) -> Tensor:
        """Combine logits (N, K)."""
        return self.share * of_network + (1 - self.share) * of_words


def network_of(model: nn.Module) -> nn.Module:
    """Return the network of a mixture, or the model itself if it is none."""
    return model.network if isinstance(model, WordMixture) else model


def by_part(
    model: nn.Module, output: int, of_network: Callable[[nn.Module], Tensor], of_words: Callable[[Words], Tensor]
) -> Tensor:
    """Combine what is linear in a logit, computed for the network and the words of a mixture."""
    if not isinstance(model, WordMixture):
        return of_network(model)
    share = model.share[output]
    return share * of_network(model.network) + (1 - share) * of_words(model.words)


def _codes(x: Tensor) -> Tensor:
    """Return codes (N, L) of one-hot sequences: 0-3, 4 for bases that are not certain, 5 for padding."""
    largest = x.max(1)
    return torch.where(largest.values == 1, largest.indices, torch.where(x.any(1), 4, PADDING))
