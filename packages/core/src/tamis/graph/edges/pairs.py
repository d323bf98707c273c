"""Two documents that connect the same two things."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from tamis.graph.edges.base import Degree, Edges, Share, Weight
from tamis.graph.edges.concepts import shared
from tamis.graph.pool import Pool
from tamis.graph.sparse import Adjacency, distinct, summed
from tamis.graph.terms import Incidence
from tamis.part import part


@part
class ConceptPairs(Edges):
    """Documents that have two concepts in one sentence, at most `window` concepts apart: the same relation, likely.

    Options and weights are those of `Concepts`, with unordered pairs of concepts in the place of concepts.
    Source: G-RAG (Dong et al., 2024), with neighbouring words in the place of AMR relations.
    """

    window: Annotated[int, Field(ge=1)] = 5
    degree: Degree = 10
    max_share: Share = 0.5
    max_documents: Annotated[int, Field(ge=2)] = 100
    query_weight: Share = 0.0
    duplicates: Share = 0.9
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        tokens, owners = pool.sentences
        weights = pool.content(tokens, self.query_weight)
        used = weights[tokens.ids] > 0
        ids, sentences = tokens.ids[used], tokens.owners[used]
        size, width = len(pool), max(len(weights), 1)
        found = [np.zeros(0, dtype=np.int64)]
        for step in range(1, min(self.window + 1, len(ids))):
            near = (sentences[:-step] == sentences[step:]) & (ids[:-step] != ids[step:])
            left, right = ids[:-step][near], ids[step:][near]
            pair = np.minimum(left, right) * width + np.maximum(left, right)
            found.append(distinct(pair * size + owners[sentences[step:][near]]))
        keys = distinct(np.concatenate(found))
        pairs, documents = keys // max(size, 1), keys % max(size, 1)
        first = np.diff(pairs, prepend=-1) != 0
        number = np.cumsum(first) - 1
        share = weights[pairs[first] // width] * weights[pairs[first] % width]
        single = np.bincount(number) == 1
        alone = summed(documents[single[number]], np.log1p(size) * share[single], size)
        several = ~single[number]
        incidence = Incidence.of(size, len(share), documents[several], number[several])
        rarity = incidence.rarity * share
        return shared(incidence, rarity, self.degree, self.duplicates, self.max_share, self.max_documents, alone)
