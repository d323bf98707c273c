"""One document names another's title, as Wikipedia pages do where they would link."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tamis.graph.edges.base import Edges, Weight
from tamis.parts.numbers import Share
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency, Ints
from tamis.pool.terms import phrases, runs
from tamis.pool.titles import BRACKET, occurrences

EDGES_EACH, SMALL = 200, 1000
"""Most pairs per candidate, in pools of at least `SMALL`: all pairs that `max_share` allows in smaller ones."""


@part
class Mentions(Edges):
    """A document whose text contains the title of another, word for word; what the title has in brackets aside.

    An edge weighs 1. The mentioned listens to the one that mentions it and the other way round, save that nobody
    listens to a document for naming it when the query names it too: all words of its title are words of the query.
    Titles that are in more than `max_share` of the other candidates join nothing; two parts of one document, with the
    same title, do not mention each other.
    """

    max_share: Share = 0.2
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        size = len(pool)
        titled = {place: c.title for place, c in enumerate(pool.candidates) if c.title}
        if not titled:
            return Adjacency.empty(size)
        places = np.fromiter(titled, np.int64, len(titled))
        named = phrases([BRACKET.sub("", title) if ")" in title else title for title in titled.values()])
        titles: dict[tuple[str, ...], int] = {}
        title = np.full(size, -1, dtype=np.int64)
        title[places] = [titles.setdefault(tuple(terms), len(titles)) for terms in named]
        found, holders = occurrences(pool.tokens, list(titles))
        others = found != title[holders]
        found, holders = found[others], holders[others]
        spread = np.bincount(found, minlength=len(titles))
        members = np.bincount(title[places], minlength=len(titles))
        joining = (spread <= max(self.max_share * size, 2.0)) & _few(spread * members, EDGES_EACH * max(size, SMALL))
        found, holders = found[joining[found]], holders[joining[found]]
        at, which = runs(found, members)
        rows, cols = places[np.argsort(title[places], kind="stable")][at], holders[which]
        words = set(pool.query_terms)
        asked = np.array([words.issuperset(terms) for terms in titles])
        heard = ~asked[found[which]]
        rows, cols = np.concatenate([rows, cols[heard]]), np.concatenate([cols, rows[heard]])
        return Adjacency.largest(size, rows, cols, np.ones(len(rows)))


def _few(pairs: Ints, most: int) -> NDArray[np.bool_]:
    """Which titles make the fewest pairs, together at most `most`; equal ones are all in or all out."""
    total = np.cumsum(np.sort(pairs))
    if total[-1] <= most:
        return np.ones(len(pairs), dtype=bool)
    first = int(np.sort(pairs)[np.searchsorted(total, most, side="right")])
    return pairs < first
