"""A set-level criterion: how much a candidate adds to those already chosen."""

from __future__ import annotations

from collections.abc import Sequence

from tamis.criteria.sources import Source
from tamis.parts.part import part
from tamis.stage.scoring import Given
from tamis.values.calls import Asking
from tamis.values.ranking import Ranked, Ranking


@part
class Diversity(Source):
    """1 - the largest cosine to a candidate already chosen, on term vectors weighted by rarity in the pool.

    Depends on the order of choice, so `MultiCriteria` picks candidates one by one, each time the best by all criteria
    together.
    Source: maximal marginal relevance (Carbonell and Goldstein, 1998).
    """

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        """Against nothing chosen yet: 1 for all."""
        yield from ()
        return [1.0] * len(head)
