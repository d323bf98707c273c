"""One document names another's title, as Wikipedia pages do where they would link."""

from __future__ import annotations

import numpy as np

from tamis.graph.edges.base import Edges, Weight
from tamis.parts.numbers import Share
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency
from tamis.pool.terms import phrases
from tamis.pool.titles import BRACKET, occurrences


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
        titles = {place: c.title for place, c in enumerate(pool.candidates) if c.title}
        if not titles:
            return Adjacency.empty(size)
        named = phrases([BRACKET.sub("", title) if ")" in title else title for title in titles.values()])
        found, holders = occurrences(pool.tokens, named)
        places = np.fromiter(titles, np.int64, len(titles))
        titled = places[found]
        numbers: dict[tuple[str, ...], int] = {}
        title = np.full(size, -1, dtype=np.int64)
        title[places] = [numbers.setdefault(tuple(terms), len(numbers)) for terms in named]
        others = title[titled] != title[holders]
        titled, holders = titled[others], holders[others]
        rare = np.bincount(titled, minlength=size)[titled] <= max(self.max_share * size, 2.0)
        titled, holders = titled[rare], holders[rare]
        words = set(pool.query_terms)
        asked = np.zeros(size, dtype=bool)
        asked[places[[words.issuperset(terms) for terms in named]]] = True
        heard = ~asked[titled]
        rows, cols = np.concatenate([titled, holders[heard]]), np.concatenate([holders, titled[heard]])
        return Adjacency.largest(size, rows, cols, np.ones(len(rows)))
