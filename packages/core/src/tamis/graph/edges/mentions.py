"""One document names another's title, as Wikipedia pages do where they would link."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from tamis.graph.edges.base import Edges, Share, Weight
from tamis.graph.pool import Pool
from tamis.graph.sparse import Adjacency, Ints
from tamis.graph.terms import Tokens, spread
from tamis.part import part
from tamis.text import terms

BRACKET = re.compile(r"\s*\([^()]*\)\s*$")


@part
class Mentions(Edges):
    """A document in whose text the title of another stands, word for word; what the title has in brackets aside.

    An edge weighs 1. The mentioned listens to the one that mentions it and the other way round, save that nobody listens
    to a document for naming it when the query names it too: all words of its title are words of the query. Titles that
    stand in more than `max_share` of the candidates join nobody.
    """

    max_share: Share = 0.2
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        size = len(pool)
        phrases = {place: terms(BRACKET.sub("", c.title)) for place, c in enumerate(pool.candidates) if c.title}
        if not phrases:
            return Adjacency.empty(size)
        found, holders = occurrences(pool.tokens, list(phrases.values()))
        titles = np.fromiter(phrases, np.int64, len(phrases))[found]
        rare = np.bincount(titles, minlength=size)[titles] <= max(self.max_share * size, 2.0)
        titles, holders = titles[rare & (titles != holders)], holders[rare & (titles != holders)]
        asked = np.zeros(size, dtype=bool)
        asked[[place for place, phrase in phrases.items() if set(pool.query_terms).issuperset(phrase)]] = True
        named = asked[titles]
        rows, cols = np.concatenate([titles, holders[~named]]), np.concatenate([holders, titles[~named]])
        return Adjacency.largest(size, rows, cols, np.ones(len(rows)))


def occurrences(tokens: Tokens, phrases: list[list[str]]) -> tuple[Ints, Ints]:
    """Which phrase stands in which text: indices into `phrases` and texts, each pair once."""
    known = [place for place, phrase in enumerate(phrases) if phrase and all(t in tokens.vocabulary for t in phrase)]
    lengths = np.array([len(phrases[place]) for place in known], dtype=np.int64)
    if not len(lengths):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    words = np.zeros((len(known), lengths.max()), dtype=np.int64)
    for row, place in enumerate(known):
        words[row, : lengths[row]] = [tokens.vocabulary[t] for t in phrases[place]]
    counts = np.bincount(tokens.ids, minlength=len(tokens.vocabulary))
    inside = np.arange(words.shape[1]) < lengths[:, None]
    anchor = np.where(inside, counts[words], len(tokens.ids) + 1).argmin(axis=1)
    order = np.argsort(tokens.ids, kind="stable")
    at, phrase = spread(words[np.arange(len(known)), anchor], counts)
    start = order[at] - anchor[phrase]
    right: NDArray[np.bool_] = (start >= 0) & (start + lengths[phrase] <= len(tokens.ids))
    start, phrase = start[right], phrase[right]
    right = tokens.owners[start] == tokens.owners[start + lengths[phrase] - 1]
    for step in range(words.shape[1]):
        start, phrase = start[right], phrase[right]
        here = np.minimum(start + step, len(tokens.ids) - 1)
        right = (step >= lengths[phrase]) | (tokens.ids[here] == words[phrase, step])
    start, phrase = start[right], phrase[right]
    keys = np.unique(np.asarray(known, dtype=np.int64)[phrase] * tokens.size + tokens.owners[start])
    return keys // tokens.size, keys % tokens.size
