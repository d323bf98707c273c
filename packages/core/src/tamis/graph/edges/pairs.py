"""Two documents that connect the same two things."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from tamis.graph.edges.base import Degree, Edges, Weight
from tamis.graph.edges.concepts import shared
from tamis.parts.numbers import Share, TwoOrMore
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import Adjacency, Floats, Ints, distinct, spans, summed
from tamis.pool.terms import Incidence

HELD = 1 << 19
"""How many pairs of concepts are held at once."""
NONE = np.zeros(0, dtype=np.int64)


@part
class ConceptPairs(Edges):
    """Documents that have two concepts in one sentence, at most `window` concepts apart: the same relation, likely.

    Options and weights are those of `Concepts`, with unordered pairs of concepts in the place of concepts.
    Source: G-RAG (Dong et al., 2024), with neighbouring words in the place of AMR relations.
    """

    window: PositiveInt = 5
    degree: Degree = 10
    max_share: Share = 0.5
    max_documents: TwoOrMore = 100
    query_weight: Share = 0.0
    duplicates: Share = 0.9
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        incidence, shares, alone = self._read(pool)
        rarity = incidence.rarity * shares
        return shared(incidence, rarity, self.degree, self.duplicates, self.max_share, self.max_documents, alone)

    def _read(self, pool: Pool) -> tuple[Incidence, Floats, Floats]:
        """The pairs that several documents have, how much each counts, and what each document has for itself alone."""
        tokens, owners = pool.sentences
        weights = pool.content(tokens, self.query_weight)
        used = weights[tokens.ids] > 0
        ids, sentences = tokens.ids[used], tokens.owners[used]
        size, width = len(pool), max(len(weights), 1)
        alone = np.zeros(size)
        rows, cols, shares, features = [NONE], [NONE], [np.zeros(0)], 0
        for keys in _pairs(ids, sentences, owners, width, size, self.window):
            pairs, documents = keys // size, keys % size
            first = np.diff(pairs, prepend=-1) != 0
            number = np.cumsum(first) - 1
            share = weights[pairs[first] // width] * weights[pairs[first] % width]
            several = np.bincount(number) > 1
            joining = several[number]
            alone += summed(documents[~joining], np.log1p(size) * share[number[~joining]], size)
            rows.append(documents[joining])
            cols.append(features + (np.cumsum(several) - 1)[number[joining]])
            shares.append(share[several])
            features += len(shares[-1])
        found = Incidence.of(size, features, np.concatenate(rows), np.concatenate(cols))
        return found, np.concatenate(shares), alone


def _pairs(ids: Ints, sentences: Ints, owners: Ints, width: int, size: int, window: int) -> Iterator[Ints]:
    """(smaller concept * `width` + larger concept) * `size` + document, each once, in ascending order.

    By ranges of the smaller concept, each of about `HELD` pairs: most pairs are in one document only, and a caller that
    reads this keeps none of those.
    """
    last = min(window + 1, len(ids))

    def near(step: int) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        left, right = ids[:-step], ids[step:]
        return left, right, (sentences[:-step] == sentences[step:]) & (left != right)

    counts = np.zeros(width, dtype=np.int64)
    for step in range(1, last):
        left, right, together = near(step)
        counts += np.bincount(np.minimum(left[together], right[together]), minlength=width)
    for first, end in spans(counts, HELD):
        found = [NONE]
        for step in range(1, last):
            left, right, together = near(step)
            smaller = np.minimum(left, right)
            inside = together & (smaller >= first) & (smaller < end)
            pair = smaller[inside] * width + np.maximum(left[inside], right[inside])
            found.append(distinct(pair * size + owners[sentences[step:][inside]]))
        yield distinct(np.concatenate(found))
