"""The retriever's own order, as a stage."""

from __future__ import annotations

from typing import ClassVar, Literal

from tamis.parts.part import part
from tamis.stage.base import Stage
from tamis.stage.scoring import rescored
from tamis.values.calls import Plan
from tamis.values.ranking import Ranking, Why
from tamis.values.scale import FUSION, UNKNOWN, Scale


@part
class FirstStage(Stage):
    """Sort by the scores the candidates came with. Useful as one side of a `Fuse`.

    `unscored`: what to do when no candidate has a score. `"order"`: the incoming order is the retriever's word, place i
    of n scores 1 - i / n. `"unknown"`: nothing is known, no candidate is judged.
    """

    unscored: Literal["order", "unknown"] = "order"

    drops: ClassVar[tuple[Why, ...]] = ()

    def leaves(self, before: Scale | None) -> Scale | None:
        """Which of two depends on whether a candidate has a score."""
        return UNKNOWN if self.unscored == "unknown" else None

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        scores = [ranked.candidate.score for ranked in ranking.kept]
        if self.unscored == "unknown" or any(score is not None for score in scores):
            return rescored(ranking, scores, UNKNOWN)
        return rescored(ranking, [1.0 - place / len(scores) for place in range(len(scores))], FUSION)
