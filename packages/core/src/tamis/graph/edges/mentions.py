"""One document names another's title, as Wikipedia pages do where they would link."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tamis.graph.edges.base import Edges, Share, Weight
from tamis.graph.pool import Pool
from tamis.graph.sparse import Adjacency, Ints, distinct
from tamis.graph.terms import Tokens, phrases, runs
from tamis.part import part

BRACKET = re.compile(r"\s*\([^()]*\)\s*$")


@part
class Mentions(Edges):
    """A document in whose text the title of another stands, word for word; what the title has in brackets aside.

    An edge weighs 1. The mentioned listens to the one that mentions it and the other way round, save that nobody
    listens to a document for naming it when the query names it too: all words of its title are words of the query.
    Titles that stand in more than `max_share` of the other candidates join nobody; two parts of one document, with the
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


def occurrences(tokens: Tokens, phrases: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
    """Which phrase stands in which text: indices into `phrases` and texts, each pair once.

    Every phrase is looked for where its rarest word stands.
    """
    written = [list(map(tokens.number, terms)) for terms in phrases]
    known = np.array([place for place, ids in enumerate(written) if ids and min(ids) >= 0], dtype=np.int64)
    lengths = np.array([len(written[place]) for place in known], dtype=np.int64)
    words = np.zeros((len(known), lengths.max(initial=1)), dtype=np.int64)
    inside = np.arange(words.shape[1]) < lengths[:, None]
    words[inside] = [number for place in known for number in written[place]]
    counts = np.bincount(tokens.ids, minlength=tokens.features)
    offset = np.where(inside, counts[words], len(tokens.ids) + 1).argmin(axis=1)
    rarest = words[np.arange(len(known)), offset]
    sought = np.zeros(len(counts), dtype=bool)
    sought[rarest] = True
    places = np.flatnonzero(sought[tokens.ids])
    places = places[np.argsort(tokens.ids[places], kind="stable")]
    at, which = runs(rarest, np.where(sought, counts, 0))
    start = places[at] - offset[which]
    last = start + lengths[which] - 1
    fits = (start >= 0) & (last < len(tokens.ids))
    start, which, last = start[fits], which[fits], last[fits]
    right: NDArray[np.bool_] = tokens.owners[start] == tokens.owners[last]
    for step in range(words.shape[1]):
        start, which = start[right], which[right]
        here = np.minimum(start + step, len(tokens.ids) - 1)
        right = (step >= lengths[which]) | (tokens.ids[here] == words[which, step])
    keys = distinct(known[which[right]] * tokens.size + tokens.owners[start[right]])
    return keys // max(tokens.size, 1), keys % max(tokens.size, 1)
