"""The plainest ways to keep fewer candidates."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import FiniteFloat, PositiveInt

from tamis.parts.part import part
from tamis.stage.base import Selection
from tamis.text.normal import folded
from tamis.values.calls import Plan
from tamis.values.ranking import Ranked, Ranking, Why
from tamis.values.scale import DISTANCES, Kind, Kinds


@part
class TopN(Selection):
    """Keep the first `n` candidates (at least 1); the others are dropped as `top_n`.

    >>> len(TopN(2).rerank("q", ["a", "b", "c"]).dropped)
    1
    """

    n: PositiveInt

    drops: ClassVar[tuple[Why, ...]] = ("top_n",)

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        return ranking.drop("top_n", lambda index, ranked: index >= self.n)


@part
class Threshold(Selection):
    """Keep candidates with a score of at least `minimum` (inclusive), on whatever scale the ranking carries.

    A candidate without a score was not judged and is kept. Refuses `ordinal` scores with `ScaleError`.
    """

    minimum: FiniteFloat

    accepts: ClassVar[Kinds] = DISTANCES
    drops: ClassVar[tuple[Why, ...]] = ("below_threshold",)

    def remedy(self, kind: Kind) -> str:
        return f"{super().remedy(kind)}, or use TopN"

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        self.check_scale(ranking)
        return ranking.drop(
            "below_threshold", lambda index, ranked: ranked.score is not None and ranked.score < self.minimum
        )


@part
class Deduplicate(Selection):
    """Drop later candidates with the same text (white space, case and spelling of characters aside) or the same id as
    an earlier one."""

    by: Literal["text", "id"] = "text"

    drops: ClassVar[tuple[Why, ...]] = ("duplicate",)

    def plan(self, ranking: Ranking) -> Plan:
        yield from ()
        seen: set[object] = set()

        def repeated(ranked: Ranked) -> bool:
            candidate = ranked.candidate
            key = candidate.id if self.by == "id" else " ".join(folded(candidate.text).split())
            new = key is not None and key not in seen
            seen.add(key)
            return not new and key is not None

        return ranking.drop("duplicate", lambda index, ranked: repeated(ranked))
