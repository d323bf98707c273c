"""Two documents that speak of the same rare things."""

from __future__ import annotations

import numpy as np

from tamis.graph.edges.base import Degree, Edges, Weight
from tamis.parts.numbers import Share, TwoOrMore
from tamis.parts.part import part
from tamis.pool.pool import Pool
from tamis.pool.sparse import TIE, Adjacency, Floats, Ints, summed, symmetric
from tamis.pool.terms import Incidence


@part
class Concepts(Edges):
    """Documents that share concepts: the words of title and text, the commonest English ones aside.

    An edge weighs the sum of ln(1 + n / df) over the shared concepts, df of n candidates having the concept. Concepts
    of the query join everything and are left out (`query_weight` 0; 1: they count like others), so are those in more
    than `max_share` of the candidates, or in more than `max_documents`. Of each candidate's edges the `degree` heaviest
    stay. Candidates with at least `duplicates` of their concepts in common are one document twice and get no edge.

    Source: G-RAG (Dong et al., 2024), with words in the place of AMR concepts.
    """

    degree: Degree = 10
    max_share: Share = 0.5
    max_documents: TwoOrMore = 100
    query_weight: Share = 0.0
    duplicates: Share = 0.9
    weight: Weight = 1.0

    def of(self, pool: Pool) -> Adjacency:
        found = pool.tokens.incidence
        rarity = found.rarity * pool.content(pool.tokens, self.query_weight)
        return shared(found, rarity, self.degree, self.duplicates, self.max_share, self.max_documents)


def shared(
    found: Incidence,
    rarity: Floats,
    degree: int,
    duplicates: float,
    max_share: float,
    max_documents: int,
    alone: Floats | float = 0.0,
) -> Adjacency:
    """Edges between documents that have things in common, each thing weighing its `rarity`.

    `alone`: the weight of what each document has that is in no other, where `found` leaves that out.
    """
    connecting = found.connecting(max_share, max_documents)
    most = max(max_share * found.size, 2.0)
    counted = found.only((rarity > 0) & (found.spread <= most))
    own = summed(counted.rows, rarity[counted.cols], found.size) + alone
    joining = counted.only(connecting)

    def weigh(rows: Ints, cols: Ints, weights: Floats) -> Floats:
        limit = duplicates * np.maximum(own[rows], own[cols])
        weights[weights >= limit * (1 - TIE)] = 0.0
        return weights

    return symmetric(joining.products(np.sqrt(rarity[joining.cols])).nearest(degree, weigh))
