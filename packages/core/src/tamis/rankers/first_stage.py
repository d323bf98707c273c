"""The retriever's own order, as a stage."""

from __future__ import annotations

from tamis.calls import Plan
from tamis.part import part
from tamis.rankers.scoring import rescored
from tamis.ranking import Ranking
from tamis.scale import FUSION, UNKNOWN
from tamis.stage import Stage


@part
class FirstStage(Stage):
    """Sort by the scores the candidates came with. Useful as one side of a `Fuse`.

    When no candidate has a score, the incoming order is the retriever's word: place i of n scores 1 - i / n.
    """

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        scores = [ranked.candidate.score for ranked in ranking.kept]
        if any(score is not None for score in scores):
            return rescored(ranking, scores, UNKNOWN)
        return rescored(ranking, [1.0 - place / len(scores) for place in range(len(scores))], FUSION)
