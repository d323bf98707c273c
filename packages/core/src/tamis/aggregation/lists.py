"""From several orders or scores of the same things to one. Things are any hashable values; ties stay as first seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from tamis.errors import InputError
from tamis.values.scale import rescale

T = TypeVar("T", bound=Hashable)


def spliced(order: Sequence[T], start: int, window: Sequence[T]) -> list[T]:
    """`order` with the places from `start` taken by `window`, which must hold the same things.

    >>> spliced("abcd", 1, "cb")
    ['a', 'c', 'b', 'd']
    """
    if Counter(order[start : start + len(window)]) != Counter(window):
        raise InputError("a window may only reorder what it was shown")
    return [*order[:start], *window, *order[start + len(window) :]]


def mean(repeats: Sequence[Sequence[float | None]]) -> list[float | None]:
    """The mean of each column over the repeats that have a value there; a failed repeat is left out, never a zero.

    >>> mean([[1.0, None], [3.0, None]])
    [2.0, None]
    """
    columns = ([value for value in column if value is not None] for column in zip(*repeats, strict=True))
    return [sum(column) / len(column) if column else None for column in columns]


def voted(orders: Sequence[Sequence[T]]) -> list[T]:
    """One order from several: by mean place (Borda count); what an order leaves out shares the mean of its last places.

    >>> voted(["abc", "bac", "bca"])
    ['b', 'a', 'c']
    """
    things = list(dict.fromkeys(thing for order in orders for thing in order))
    total = dict.fromkeys(things, 0.0)
    for order in orders:
        place = {thing: index for index, thing in enumerate(dict.fromkeys(order))}
        last = (len(place) + len(things) - 1) / 2
        for thing in things:
            total[thing] += place.get(thing, last)
    return sorted(things, key=lambda thing: total[thing])


def points(rounds: Iterable[Iterable[T]]) -> dict[T, int]:
    """How many rounds each survived. Source: TourRank (Chen et al., 2024)."""
    return dict(Counter(thing for survivors in rounds for thing in survivors))


def reciprocal_ranks(
    orders: Sequence[Sequence[T]], weights: Sequence[float] | None = None, k: float = 60.0
) -> dict[T, float]:
    """Sum of weight / (k + rank) over the orders that hold a thing. Source: Cormack et al., 2009.

    >>> reciprocal_ranks(["ab", "b"], k=0)
    {'a': 1.0, 'b': 1.5}
    """
    total: dict[T, float] = {}
    for order, weight in zip(orders, weights or [1.0] * len(orders), strict=True):
        for rank, thing in enumerate(dict.fromkeys(order), 1):
            total[thing] = total.get(thing, 0.0) + weight / (k + rank)
    return total


def round_robin(orders: Sequence[Sequence[T]]) -> list[T]:
    """The first of each order, then the second of each, repeats left out. Source: EAR (Chuang et al., 2023).

    >>> round_robin(["abc", "bd"])
    ['a', 'b', 'd', 'c']
    """
    longest = max(map(len, orders), default=0)
    return list(dict.fromkeys(order[rank] for rank in range(longest) for order in orders if rank < len(order)))


def unit(scores: Sequence[float | None]) -> list[float | None]:
    """Min-max to 0..1; all 1 where all are the same."""
    known = [score for score in scores if score is not None]
    return rescale(scores, min(known, default=0.0), max(known, default=0.0))


def interpolated(
    judged: Sequence[float | None], first_stage: Sequence[float | None], share: float = 0.6
) -> list[float | None]:
    """`share` * judged + (1 - `share`) * first stage, each min-max normalised; the one that is known where one is not.

    Source: DIVER (Long et al., 2025), .6 for judges that were not trained to rank.

    >>> interpolated([2.0, 0.0, None], [0.0, 10.0, 5.0], 0.6)
    [0.6, 0.4, 0.5]
    """
    mixed: list[float | None] = []
    for ours, theirs in zip(unit(judged), unit(first_stage), strict=True):
        if ours is None or theirs is None:
            mixed.append(theirs if ours is None else ours)
        else:
            mixed.append(share * ours + (1.0 - share) * theirs)
    return mixed


def log_likelihoods(
    forward: Sequence[float], reverse: Sequence[float], share: float = 0.5, *, normalise: bool = False
) -> float:
    """(1 - `share`) * log p(forward) + `share` * log p(reverse), from token log-probabilities: their sums, or their
    means where `normalise`. Higher is better. Source: Coder-Reviewer (Zhang et al., 2023).

    >>> round(log_likelihoods([-.1] * 3, [-2] * 3), 6)
    -3.15
    """
    both = []
    for values in (forward, reverse):
        if not values:
            raise InputError("a likelihood needs at least one token")
        total = math.fsum(values)
        both.append(total / len(values) if normalise else total)
    return (1.0 - share) * both[0] + share * both[1]
