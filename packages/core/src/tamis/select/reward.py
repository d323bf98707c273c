"""How good a chosen set is, without an answer or a judge."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from tamis.errors import ScaleError
from tamis.parts.numbers import NonNegative
from tamis.parts.part import part
from tamis.text.terms import COMMON, terms
from tamis.values.ranking import Query, Ranked
from tamis.values.scale import UNKNOWN, Scale


@part
class CheapReward:
    """`relevance` x mean score (0..1) - `size` x number chosen + `coverage` x share of the query's words that occur.

    Needs no answer and no judge. Relevance counts 0 where candidates have no usable scores.
    """

    relevance: NonNegative = 1.0
    size: NonNegative = 0.05
    coverage: NonNegative = 1.0

    def __call__(self, query: Query, chosen: Sequence[Ranked], scale: Scale = UNKNOWN) -> float:
        try:
            shares = scale.normalised([ranked.score for ranked in chosen])
        except ScaleError:
            shares = []
        known = [score for score in shares if score is not None]
        wanted = frozenset(terms(query.text)) - COMMON
        held = wanted.intersection(term for ranked in chosen for term in terms(ranked.candidate.full_text))
        share = len(held) / len(wanted) if wanted else 0.0
        return self.relevance * (fmean(known) if known else 0.0) - self.size * len(chosen) + self.coverage * share
