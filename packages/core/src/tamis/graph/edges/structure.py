"""What the metadata of documents say of how they belong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations, product
from typing import Any

import numpy as np

from tamis.graph.edges.base import Edges, Weight
from tamis.parts.numbers import TwoOrMore
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency, symmetric


@part
class Structure(Edges):
    """Documents of one source, neighbouring chunks of it, and documents that link to one another.

    `source`, `chunk` and `links` name the metadata fields; `None` leaves that kind out. A source shared by 2 to
    `max_documents` candidates gives an edge of 1 between them all, neighbouring chunk numbers in a source of any size 1
    more. `links` holds ids of other candidates: 1 more for a link, whichever way it points.
    """

    source: str | None = "source"
    chunk: str | None = "chunk"
    links: str | None = "links"
    max_documents: TwoOrMore = 50
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        pairs = [*self._siblings(pool), *self._linked(pool)]
        rows, cols = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return symmetric(Adjacency.of(len(pool), rows, cols, np.ones(len(rows))))

    def _siblings(self, pool: Pool) -> Iterator[tuple[int, int]]:
        sources: dict[str, list[int]] = {}
        for place, candidate in enumerate(pool.candidates):
            value = candidate.metadata.get(self.source) if self.source is not None else None
            if value is not None:
                sources.setdefault(str(value), []).append(place)
        for members in sources.values():
            if len(members) <= self.max_documents:
                yield from permutations(members, 2)
            if self.chunk is not None:
                yield from self._adjacent(pool, members, self.chunk)

    def _adjacent(self, pool: Pool, members: list[int], field: str) -> Iterator[tuple[int, int]]:
        at: dict[int, list[int]] = {}
        for place in members:
            number = _number(pool.candidates[place].metadata.get(field))
            if number is not None:
                at.setdefault(number, []).append(place)
        for number, places in at.items():
            after = at.get(number + 1, [])
            if len(places) * len(after) <= self.max_documents**2:
                yield from product(places, after)
                yield from product(after, places)

    def _linked(self, pool: Pool) -> Iterator[tuple[int, int]]:
        if self.links is None:
            return
        places: dict[str, list[int]] = {}
        for place, candidate in enumerate(pool.candidates):
            if candidate.id is not None:
                places.setdefault(str(candidate.id), []).append(place)
        for place, candidate in enumerate(pool.candidates):
            for target in dict.fromkeys(map(str, _items(candidate.metadata.get(self.links)))):
                yield from ((place, other) for other in places.get(target, ()))


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _items(value: Any) -> Iterable[Any]:
    if value is None or isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        return () if value is None else (value,)
    return value
