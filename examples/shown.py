"""What a framework's pipeline gave for one question, in a form the demo can compare and print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tamis import Ranking


@dataclass(frozen=True)
class Shown:
    """One passage the generator sees."""

    id: str
    score: float | None
    criteria: Mapping[str, float | None]
    reason: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The context, best first; `seconds` and `calls` are those of the reranking alone."""

    context: list[Shown]
    seconds: float
    calls: int
    warnings: tuple[str, ...] = ()

    @property
    def ids(self) -> list[str]:
        return [shown.id for shown in self.context]

    @classmethod
    def of(cls, ranking: Ranking) -> Outcome:
        context = [Shown(str(r.candidate.id), r.score, r.criteria, r.reason) for r in ranking.kept]
        return cls(context, ranking.usage.seconds, ranking.usage.calls, tuple(map(str, ranking.warnings)))
