"""Schedules that ask again only about what is still open."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field

from tamis.aggregation.fit import membership, strengths
from tamis.errors import ConfigError
from tamis.parts.numbers import Samples, TwoOrMore
from tamis.parts.part import part
from tamis.schedules.base import Running, Schedule, by_score, complete, first, groups, level


@part
class TopDown(Schedule):
    """The first window sets a pivot, its `pivot`-th best (default: half of `size`); all the rest is compared with the
    pivot, in groups, in one round; whatever beats it is ranked again with those above it.

    Exact: the first `pivot` places; all when one window holds all. Calls: 1 + ceil((n - size) / (size - 1)) + 1 when
    few beat the pivot, which is what a decent first stage gives; `calls` is the most it can be. Source: TDPart (Parry
    et al., 2024).
    """

    takes_top: ClassVar[bool] = False
    size: Annotated[int, Field(ge=3)] = 20
    pivot: TwoOrMore | None = None

    def __post_init__(self) -> None:
        if self._pivot >= self.size:
            raise ConfigError(f"TopDown: pivot {self.pivot} must be below size {self.size}")

    @property
    def _pivot(self) -> int:
        return self.pivot or max(2, self.size // 2)

    def run(self, n: int, top: int | None = None) -> Running:
        pool, behind = list(range(n)), list[int]()
        while len(pool) > self.size:
            head = tuple(pool[: self.size])
            (answer,) = yield [head]
            *above, pivot = (ranked := complete(head, answer))[: self._pivot]
            below, known = ranked[self._pivot :], len(above)
            asked = [(pivot, *group) for group in groups(pool[self.size :], self.size - 1)]
            for shown, found in zip(asked, (yield asked), strict=True):
                order = complete(shown, found)
                at = order.index(pivot)
                above += order[:at]
                below += order[at + 1 :]
            behind = [pivot, *below, *behind]
            pool = above
            if len(above) == known:
                return first([*above, *behind], n)
        if len(pool) > 1:
            (answer,) = yield [tuple(pool)]
            pool = complete(pool, answer)
        return first([*pool, *behind], n)

    def calls(self, n: int, top: int | None = None) -> int:
        total = 0
        while n > self.size:
            total += 1 + -(-(n - self.size) // (self.size - 1))
            n -= self.size - self._pivot + 1
        return total + (n > 1)

    def exact(self, n: int, top: int | None = None) -> int:
        return n if n <= self.size else self._pivot

    @property
    def width(self) -> int:
        return self.size


@part
class Adaptive(Schedule):
    """Keeps an estimate with its uncertainty for every place, and asks again, in groups, about those whose chance to be
    among the first `top` (default: 10) lies between `doubt` and 1 - `doubt`, for at most `rounds` rounds.

    Exact when one window holds all; otherwise statistical. Easy queries cost ceil(n / size) questions, hard ones up to
    `rounds` times that (`calls`). Scores are the estimates (0: as the average). In the manner of AcuRank (Yoon et al.,
    2025), with a Gaussian around the maximum a posteriori of a Bradley-Terry model in place of TrueSkill.
    """

    points: ClassVar[bool] = True
    size: TwoOrMore = 20
    rounds: Samples = 4
    doubt: Annotated[float, Field(gt=0, lt=0.5)] = 0.05

    def run(self, n: int, top: int | None = None) -> Running:
        beaten: list[tuple[int, int, float]] = []
        mean = [0.0] * n
        uncertain = list(range(n))
        for _ in range(self.rounds):
            asked = [shown for shown in level(uncertain, self.size) if len(shown) > 1] if len(uncertain) > 1 else []
            answers = (yield asked) if asked else []
            if not any(answers):
                break
            for shown, answer in zip(asked, answers, strict=True):
                beaten += [
                    (better, worse, 1.0) for better, worse in pairwise(complete(shown, answer) if answer else ())
                ]
            if n <= self.size:
                return first(complete(asked[0], answers[0]), n)
            mean, deviation = strengths(n, beaten)
            chance = membership(mean, deviation, min(n, top or 10))
            uncertain = [place for place in by_score(mean).order if self.doubt < chance[place] < 1 - self.doubt]
        return by_score(mean)

    def calls(self, n: int, top: int | None = None) -> int:
        return 0 if n < 2 else 1 if n <= self.size else self.rounds * -(-n // self.size)

    def exact(self, n: int, top: int | None = None) -> int:
        return n if n <= self.size else 0

    @property
    def width(self) -> int:
        return self.size
