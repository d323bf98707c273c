"""Criteria read from the text itself, without a model."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tamis.criteria.sources import Source
from tamis.parts.numbers import Positive, TwoOrMore
from tamis.parts.part import part
from tamis.stage.scoring import Given
from tamis.text.normal import matched
from tamis.text.terms import COMMON, terms, words
from tamis.values.calls import Asking
from tamis.values.ranking import Ranked, Ranking

SENTENCE_END = re.compile(r"[.!?。！？]+(?:\s|$)|\n\s*\n")


@part
class Depth(Source):
    """How much there is: log of the number of distinct content terms, full at `full` of them."""

    full: TwoOrMore = 120

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        yield from ()
        return [self._score(ranked.text) for ranked in head]

    def _score(self, text: str) -> float:
        distinct = len(set(terms(text)) - COMMON)
        return min(1.0, math.log1p(distinct) / math.log1p(self.full))


@part
class Clarity(Source):
    """How easy it reads: sentences near `ideal` words, and words rather than symbols. Empty text scores 0."""

    ideal: Positive = 18.0

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        yield from ()
        return [self._score(ranked.text) for ranked in head]

    def _score(self, text: str) -> float:
        text = matched(text)
        found = words(text)
        if not found:
            return 0.0
        per_sentence = len(found) / max(1, len(SENTENCE_END.findall(text)))
        ease = math.exp(-abs(math.log(per_sentence / self.ideal)) / 2)
        visible = sum(not character.isspace() for character in text)
        return ease * min(1.0, sum(map(len, found)) / max(1, visible) / 0.9)


@part
class Coverage(Source):
    """Which share of the query's content words the candidate has, rare ones (within the pool) counting more."""

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        yield from ()
        wanted = set(terms(ranking.query.text)) - COMMON or set(terms(ranking.query.text))
        present = [wanted & set(terms(ranked.candidate.full_text)) for ranked in head]
        weight = {term: math.log(1 + len(head) / (1 + sum(term in found for found in present))) for term in wanted}
        total = math.fsum(weight.values())
        return [math.fsum(weight[term] for term in found) / total if total else None for found in present]
