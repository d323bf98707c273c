"""A group of candidates, scored together by a model that was trained to score lists."""

from __future__ import annotations

from typing import Any, ClassVar

from tamis.judges.base import Asked, OneCall, Unit, Verdict
from tamis.judges.features import Show, texts
from tamis.parts.part import part
from tamis.values.answers import Failure, Scores
from tamis.values.calls import Capability, ScoreList
from tamis.values.ranking import finite
from tamis.values.scale import UNKNOWN, Scale


@part
class Joint(OneCall):
    """The scores that a model gives candidates in view of one another. Scale: the model's.

    `Groupwise(model, size=64, judge=Joint())` scores mixed groups of at most 64, all at once, and takes the mean over
    `epochs`; `Listwise(model, window=20, stride=10, judge=Joint())` orders overlapping windows, for models whose scores
    of different lists do not compare. Source: ListConRanker, PE-Rank, MVP, jina-reranker-v3 (2024 and 2025).
    """

    unit: ClassVar[Unit] = "group"
    show: Show = ()

    def call(self, asked: Asked, attempt: int = 0) -> ScoreList:
        return ScoreList(asked.model, asked.query.text, tuple(texts(asked, self.show)))

    def read(self, answer: Scores, count: int) -> Verdict:
        if len(answer.values) != count:
            return Verdict.none(count, Failure("malformed", f"{len(answer.values)} scores for {count} candidates"))
        return Verdict.scored([finite(value) for value in answer.values])

    @property
    def needs(self) -> tuple[Capability, ...]:
        return ("score_list",)

    def scale(self, model: Any) -> Scale:
        found: Scale = getattr(model, "scale", UNKNOWN)
        return found
