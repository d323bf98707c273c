"""From several orders or scores of the same things to one. Things are any hashable values; ties stay as first seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from tamis.values.scale import rescale

T = TypeVar("T", bound=Hashable)


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


def round_robin(orders: Sequence[Sequence[T]]) -> list[T]:
    """The first of each order, then the second of each, repeats left out. Source: EAR (Chuang et al., 2023).

    >>> round_robin(["abc", "bd"])
    ['a', 'b', 'd', 'c']
    """
    longest = max(map(len, orders), default=0)
    return list(dict.fromkeys(order[rank] for rank in range(longest) for order in orders if rank < len(order)))


def min_max(scores: Sequence[float | None]) -> list[float | None]:
    """Min-max to 0..1; all 1 where all are the same."""
    known = [score for score in scores if score is not None]
    return rescale(scores, min(known, default=0.0), max(known, default=0.0))
