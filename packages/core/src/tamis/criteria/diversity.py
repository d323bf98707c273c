"""A set-level criterion: how much a candidate adds to those already chosen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from tamis.criteria.sources import Source, Unit
from tamis.parts.part import part
from tamis.text.terms import STOPWORDS, terms
from tamis.values.calls import Asking
from tamis.values.ranking import Ranked, Ranking

TermVector = dict[str, float]


@part
class Diversity(Source):
    """1 - the largest cosine to a candidate already chosen, on term vectors weighted by rarity in the pool.

    Depends on the order of choice, so the stage picks candidates one by one, each time the best by all criteria
    together.
    Source: maximal marginal relevance (Carbonell and Goldstein, 1998).
    """

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Unit]]:
        """Against nothing chosen yet: 1 for all."""
        yield from ()
        return [1.0] * len(head)

    def vectors(self, head: Sequence[Ranked]) -> list[TermVector]:
        counts = [Counter(term for term in terms(ranked.text) if term not in STOPWORDS) for ranked in head]
        spread = Counter(term for count in counts for term in count)
        return [_unit({t: n * math.log(1 + len(head) / spread[t]) for t, n in count.items()}) for count in counts]


def _unit(vector: TermVector) -> TermVector:
    norm = math.sqrt(sum(value * value for value in vector.values()))
    return {term: value / norm for term, value in vector.items()} if norm else vector


def similarity(a: TermVector, b: TermVector) -> float:
    """Cosine of two unit term vectors."""
    small, large = (a, b) if len(a) <= len(b) else (b, a)
    return sum(value * large.get(term, 0.0) for term, value in small.items())
