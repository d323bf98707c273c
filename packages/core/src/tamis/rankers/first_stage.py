"""The retriever's own order, as a stage."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from tamis.calls import Plan
from tamis.rankers.scoring import rescored
from tamis.ranking import Ranking
from tamis.scale import UNKNOWN
from tamis.stage import STAGE, Stage


@dataclass(frozen=True, config=STAGE)
class FirstStage(Stage):
    """Sort by the scores the candidates came with. Without scores the order stays. Useful as one side of a `Fuse`."""

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        return rescored(ranking, [ranked.candidate.score for ranked in ranking.kept], UNKNOWN)
