"""Which texts share most of their runs of words, without comparing all pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tamis.pool.sparse import Ints, distinct
from tamis.pool.terms import Tokens

HOLDERS = 1_000
"""Texts that are looked up per run of words."""
LARGEST = 1 << 62
BUCKETS = 1 << 22
ROUNDING = 1e-6


class Repeats(NamedTuple):
    """For each text whether it repeats an earlier one, and whether it was compared with only some of them."""

    repeated: NDArray[np.bool_]
    unsure: NDArray[np.bool_]


def repeats(texts: Sequence[str], words: int, similarity: float) -> Repeats:
    """Which texts share at least `similarity` (above 0) of their runs of `words` words with one before them that does
    not repeat another itself.

    The share is Jaccard's: common runs / runs of both together. A text without words repeats nothing; one with fewer
    than `words` is one run. Two texts that share so much have one of their rarest runs in common, so that only texts
    that share one of those are compared (prefix filter: Chaudhuri et al., 2006; Bayardo et al., 2007); by how many of
    them they share most comparisons are decided (Xiao et al., 2008). Exact for up to `HOLDERS` texts that repeat
    nothing; of more, those that share a run with more than `HOLDERS` of them are compared with the first of these.

    >>> repeats(["the cat sat down", "a dog", "The cat sat down!"], 3, 0.8).repeated.tolist()
    [False, False, True]
    """
    sets = list(_sets(texts, words))
    held = _Held(sets, similarity)
    repeated, unsure = np.zeros(len(sets), dtype=bool), np.zeros(len(sets), dtype=bool)
    for text, own in enumerate(sets):
        if not len(own):
            continue
        near = held.candidates(text)
        repeated[text] = any(_jaccard(own, sets[other], similarity) for other in near.tolist())
        if not repeated[text]:
            unsure[text] = held.crowded(text)
            held.add(text)
    return Repeats(repeated, unsure)


def _jaccard(a: Ints, b: Ints, similarity: float) -> bool:
    """Whether two sets, as sorted arrays, share enough."""
    at = np.minimum(np.searchsorted(a, b), len(a) - 1)
    common = int(np.count_nonzero(a[at] == b))
    return common >= similarity * (len(a) + len(b) - common)


class _Held:
    """The texts that repeat nothing so far, by their rarest runs."""

    def __init__(self, sets: Sequence[Ints], similarity: float) -> None:
        self.similarity = similarity
        self.sizes = np.fromiter(map(len, sets), np.int64, len(sets))
        # So many runs at least a text shares with one that it repeats; one of the others, or the next, is among these.
        self.needed = np.maximum(1, np.ceil(similarity * self.sizes - ROUNDING).astype(np.int64))
        spread = _Spread(sets)
        rarest = [
            spread.rarest(own, len(own) - least + 1) for own, least in zip(sets, self.needed.tolist(), strict=True)
        ]
        self.starts = np.concatenate([[0], np.cumsum(list(map(len, rarest)))]).astype(np.int64)
        known, self.runs = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *rarest]), return_inverse=True)
        room = np.minimum(np.bincount(self.runs, minlength=len(known)), HOLDERS)
        self.begins = np.cumsum(room) - room
        self.room = room
        self.count = np.zeros(len(known), dtype=np.int64)
        self.lost = np.zeros(len(known), dtype=bool)
        self.holders = np.zeros(int(room.sum()), dtype=np.int64)

    def candidates(self, text: int) -> Ints:
        """Texts held that may share enough with this one, in order."""
        own = self._runs(text)
        if not len(own):
            return own
        length = self.count[own]
        ends = np.cumsum(length)
        at = np.arange(ends[-1]) + np.repeat(self.begins[own] - (ends - length), length)
        others, common = np.unique(self.holders[at], return_counts=True)
        most = common + int(self.lost[own].sum()) + np.maximum(self.needed[others], self.needed[text]) - 1
        both = self.sizes[others] + self.sizes[text]
        enough = np.ceil(self.similarity / (1 + self.similarity) * both - ROUNDING)
        return others[np.minimum(most, np.minimum(self.sizes[others], self.sizes[text])) >= enough]

    def crowded(self, text: int) -> bool:
        """Whether texts were left out that share one of its rarest runs."""
        return bool(self.lost[self._runs(text)].any())

    def add(self, text: int) -> None:
        own = self._runs(text)
        free = self.count[own] < HOLDERS
        self.lost[own[~free]] = True
        own = own[free]
        self.holders[self.begins[own] + self.count[own]] = text
        self.count[own] += 1

    def _runs(self, text: int) -> Ints:
        return self.runs[self.starts[text] : self.starts[text + 1]]


class _Spread:
    """In about how many texts each run is: never fewer than there are, so that 1 is exact."""

    def __init__(self, sets: Sequence[Ints]) -> None:
        total = sum(map(len, sets))
        self.bits = min(BUCKETS, 1 << max(4, (2 * total).bit_length())).bit_length() - 1
        self.counts = np.zeros(1 << self.bits, dtype=np.int32)
        for own in sets:
            self.counts[self._bucket(own)] += 1

    def rarest(self, own: Ints, count: int) -> Ints:
        """Of the `count` rarest runs of a text those that another text may have."""
        spread = self.counts[self._bucket(own)]
        chosen = np.argsort(spread, kind="stable")[:count]
        return own[chosen[spread[chosen] > 1]]

    def _bucket(self, own: Ints) -> Ints:
        mixed = own.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return (mixed >> np.uint64(64 - self.bits)).view(np.int64)


def _sets(texts: Sequence[str], words: int) -> Iterator[Ints]:
    """The different runs of each text, as sorted numbers: the same run has the same number in all texts."""
    tokens = Tokens.of(texts)
    lengths = np.diff(tokens.starts)
    many = np.where(lengths > 0, np.maximum(1, lengths - words + 1), 0)
    owners = np.repeat(np.arange(tokens.size), many)
    ends = np.cumsum(many)
    place = np.arange(len(owners)) - (ends - many)[owners] + tokens.starts[owners]
    last = tokens.starts[owners + 1]
    width, run, below = tokens.features + 1, np.zeros(len(owners), dtype=np.int64), 1
    for step in range(min(words, int(lengths.max(initial=0)))):
        if below > LARGEST // width:
            run = np.unique(run, return_inverse=True)[1]
            below = len(run)
        inside = place + step < last
        run *= width
        run[inside] += tokens.ids[place[inside] + step]
        run[~inside] += tokens.features
        below *= width
    del tokens, place, last, owners
    for start, end in zip((ends - many).tolist(), ends.tolist(), strict=True):
        yield distinct(run[start:end])
