"""Schedules over pairs, whose preferences an aggregation turns into scores."""

from __future__ import annotations

from itertools import combinations, pairwise
from random import Random
from typing import ClassVar, Literal

from pydantic import PositiveInt

from tamis.aggregation.pairs import AGGREGATIONS
from tamis.parts.part import part
from tamis.schedules.base import Answers, Running, Schedule, Shown, by_score, first, one_by_one, preference
from tamis.schedules.base import One as OneByOne

Aggregation = Literal["wins", "soft", "bradley_terry", "thurstone", "elo"]


def _aggregated(n: int, asked: list[Shown], aggregate: str) -> Running:
    """Ask for all of `asked` in one round; the places by what the preferences add up to."""
    if not asked:
        return by_score([0.0] * n)
    answers = yield asked
    compared = [(i, j, preference(answer)) for (i, j), answer in zip(asked, answers, strict=True)]
    return by_score(AGGREGATIONS[aggregate](n, compared))


@part
class AllPairs(Schedule):
    """Every pair once, all in one round. A judge that asks in both orders makes that n(n-1) calls.

    `aggregate`: `"wins"` (1, one half for a tie, 0), `"soft"` (sum of preferences), `"bradley_terry"`, `"thurstone"`
    (most likely strengths), `"elo"`. Exact everywhere, save with `"elo"`. Comparisons, exactly: n(n-1)/2. Source:
    duoT5 (Pradeep et al., 2021), PRP-Allpair (Qin et al., 2024).
    """

    takes_top: ClassVar[bool] = False
    answers: ClassVar[Answers] = "preferences"
    points: ClassVar[bool] = True
    aggregate: Aggregation = "wins"

    def run(self, n: int, top: int | None = None) -> Running:
        return _aggregated(n, list(combinations(range(n), 2)), self.aggregate)

    def calls(self, n: int, top: int | None = None) -> int:
        return n * (n - 1) // 2

    def exact(self, n: int, top: int | None = None) -> int:
        return 0 if self.aggregate == "elo" else n

    @property
    def width(self) -> int:
        return 2


@part
class SampledPairs(Schedule):
    """The pairs of `cycles` random round tours (`seed`), so that every place is compared and all are connected.

    Not exact. Preferences that tell how much better (a `preference` judge with `ties: false`) order nearly as well as
    all pairs at a fraction of the cost; bare wins do not, as many of the good win all their few comparisons.
    Comparisons: at most `cycles` * n, fewer where tours share a pair. Source: zELO (Pipitone et al., 2025), 4 cycles.
    """

    takes_top: ClassVar[bool] = False
    answers: ClassVar[Answers] = "preferences"
    points: ClassVar[bool] = True
    cycles: PositiveInt = 4
    aggregate: Aggregation = "bradley_terry"
    seed: int = 0

    def run(self, n: int, top: int | None = None) -> Running:
        return _aggregated(n, self.pairs(n), self.aggregate)

    def pairs(self, n: int) -> list[Shown]:
        """The pairs asked for, each once, the earlier place first."""
        found: dict[Shown, None] = {}
        for cycle in range(self.cycles):
            tour = list(range(n))
            Random(f"{self.seed}:{cycle}").shuffle(tour)
            found.update(dict.fromkeys((min(i, j), max(i, j)) for i, j in pairwise([*tour, *tour[:1]]) if i != j))
        return list(found)

    def calls(self, n: int, top: int | None = None) -> int:
        return len(self.pairs(n))

    def exact(self, n: int, top: int | None = None) -> int:
        return n if n < 4 and self.aggregate != "elo" else 0

    @property
    def width(self) -> int:
        return 2


@part
class Champion(Schedule):
    """One pass that keeps a champion: the next place takes over when the judge prefers it. Best of n, the rest as it
    came in.

    Exact: the first place. Comparisons, exactly: n - 1, so 2(n-1) calls in both orders. Source: PairReranker (Jiang et
    al., 2023), whose ties go to the newcomer; here they keep the champion.
    """

    takes_top: ClassVar[bool] = False
    answers: ClassVar[Answers] = "preferences"

    def run(self, n: int, top: int | None = None) -> Running:
        return one_by_one(self._pass(n))

    def _pass(self, n: int) -> OneByOne:
        champion = 0
        for place in range(1, n):
            if preference((yield (champion, place))) < 0.5:
                champion = place
        return first([champion], n)

    def calls(self, n: int, top: int | None = None) -> int:
        return max(0, n - 1)

    def exact(self, n: int, top: int | None = None) -> int:
        return min(n, 1)

    @property
    def width(self) -> int:
        return 2
