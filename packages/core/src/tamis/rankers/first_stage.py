"""The retriever's own order, as a stage."""

from __future__ import annotations

from tamis.calls import Plan
from tamis.part import part
from tamis.rankers.scoring import rescored
from tamis.ranking import Ranking
from tamis.scale import UNKNOWN
from tamis.stage import Stage


@part
class FirstStage(Stage):
    """Sort by the scores the candidates came with. Without scores the order stays. Useful as one side of a `Fuse`."""

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        return rescored(ranking, [ranked.candidate.score for ranked in ranking.kept], UNKNOWN)
