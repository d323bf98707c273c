"""Choosing one by one, each time with regard to what was chosen before: relevance and variety together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tamis.pool.similar import Similar
from tamis.pool.sparse import Floats, Ints

MOST = 1_000
"""Candidates chosen one by one: each choice looks at all that are left, so that choosing all takes quadratic time."""


PART = 64
"""Factors of a decomposition held in one array."""
FIRST = 256
"""Candidates looked at first; then as many again each time."""


def greedy(gain: Callable[[], Floats], taken: Callable[[int], None], n: int, enough: float = -np.inf) -> list[int]:
    """Indices below `n` in the order chosen: each time the largest `gain()`, of equals the first.

    `taken` receives each chosen index. Ends with `MOST`, or when no gain is above `enough`.
    """
    left, order = np.ones(n, dtype=bool), list[int]()
    while len(order) < min(n, MOST):
        gains = np.where(left, gain(), -np.inf)
        best = int(np.argmax(gains))
        if not gains[best] > enough:
            break
        left[best] = False
        order.append(best)
        taken(best)
    return order


def marginal_relevance(relevance: Floats, similar: Similar, loss: float) -> tuple[list[int], Floats]:
    """Indices in the order chosen, `MOST` of them: each time the largest `relevance` - `loss` x largest cosine to one
    chosen before.

    Also returns, for each index, that cosine at the time it was chosen, and for those not chosen at the end (0 for the
    first, at least 0 for all). Source: maximal marginal relevance (Carbonell and Goldstein, 1998).

    >>> from tamis.pool.similar import Rows
    >>> rows = Rows(np.array([[1.0, 0], [1, 0], [0, 1]]))
    >>> order, nearest = marginal_relevance(np.array([1.0, 0.9, 0.5]), rows, 1.0)
    >>> order, nearest.tolist()
    ([0, 2, 1], [0.0, 1.0, 0.0])
    """
    nearest, chosen = np.zeros(len(relevance)), np.full(len(relevance), np.nan)

    def gain() -> Floats:
        # Rounded, so that candidates that are equal stay equal whatever the order of the sums.
        return relevance - loss * np.round(nearest, 12)

    def taken(index: int) -> None:
        chosen[index] = round(float(nearest[index]), 12)
        np.maximum(nearest, similar.to(index), out=nearest)

    order = greedy(gain, taken, len(relevance))
    return order, np.where(np.isnan(chosen), np.round(nearest, 12), chosen)


def largest_volume(weight: Floats, similar: Similar) -> list[int]:
    """Indices in the order chosen, each time what adds most to the determinant of the kernel weight_i cosine_ij
    weight_j; `MOST` of them, or until the others add nothing.

    What a candidate adds only ever falls, so that those with small weights are not looked at before their turn may come
    (lazy greedy: Minoux, 1978). Source: greedy MAP of a determinantal point process (Chen, Zhang and Zhou, 2018).
    """
    volume = _Volume(weight, similar)
    enough = 1e-9 * float(volume.variance.max(initial=0.0))
    return greedy(volume.gain, volume.taken, len(weight), enough)


class _Group:
    """Some candidates that are looked at, and their factors: one row per candidate chosen."""

    def __init__(self, members: Ints) -> None:
        self.members = members
        self.parts: list[Floats] = []

    def column(self, place: int) -> list[Floats]:
        return [part[:, place].copy() for part in self.parts]

    def add(self, shared: Floats, column: list[Floats], count: int, variance: float) -> Floats:
        """A row of factors; `shared`: the kernel's, `column`: the factors of the one chosen, after `count` others."""
        for part, own in zip(self.parts, column, strict=False):
            # Not `@`: its library starts threads for every one of these small products, and they wait for each other.
            shared -= np.einsum("f,fi->i", own, part)
        if count % PART == 0:
            self.parts.append(np.zeros((PART, len(self.members))))
        factor: Floats = self.parts[-1][count % PART]
        np.divide(shared, np.sqrt(variance), out=factor)
        return factor


class _Volume:
    """What each candidate adds; of those not yet looked at, the most it may add."""

    def __init__(self, weight: Floats, similar: Similar) -> None:
        self.weight, self.similar = weight, similar
        self.variance = weight**2 * similar.squares
        self.waiting = np.argsort(-self.variance, kind="stable")
        self.group_of = np.full(len(weight), -1, dtype=np.int64)
        self.place = np.zeros(len(weight), dtype=np.int64)
        self.groups: list[_Group] = []
        self.chosen: list[tuple[int, list[Floats], float]] = []

    def gain(self) -> Floats:
        while True:
            gains = np.round(self.variance, 12)
            if not len(self.waiting) or self.group_of[int(np.argmax(gains))] >= 0:
                return gains
            self._look_at(max(FIRST, len(self.variance) - len(self.waiting)))

    def taken(self, index: int) -> None:
        column = self.groups[int(self.group_of[index])].column(int(self.place[index]))
        variance = float(self.variance[index])
        shared = self._shared(index)
        for group in self.groups:
            self._lower(group, shared[group.members], column, len(self.chosen), variance)
        self.chosen.append((index, column, variance))

    def _look_at(self, count: int) -> None:
        group = _Group(self.waiting[:count])
        self.waiting = self.waiting[count:]
        self.group_of[group.members] = len(self.groups)
        self.place[group.members] = np.arange(len(group.members))
        self.groups.append(group)
        for before, (index, column, variance) in enumerate(self.chosen):
            self._lower(group, self._shared(index)[group.members], column, before, variance)

    def _lower(self, group: _Group, shared: Floats, column: list[Floats], count: int, variance: float) -> None:
        self.variance[group.members] -= group.add(shared, column, count, variance) ** 2

    def _shared(self, index: int) -> Floats:
        return self.weight * self.weight[index] * self.similar.to(index)
