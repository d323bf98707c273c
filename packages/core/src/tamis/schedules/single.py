"""Schedules of one round: each alone, all at once, mixed groups."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated, Any, ClassVar

from pydantic import PositiveInt

from tamis.parts.numbers import TwoOrMore
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.schedules.base import Answers, Placed, Running, Schedule, aligned, by_score, complete, first, level


@part
class Map(Schedule):
    """Each place alone, all in one round. Exact everywhere. Calls, exactly: n. Source: any pointwise method."""

    takes_top: ClassVar[bool] = False
    answers: ClassVar[Answers] = "scores"

    def run(self, n: int, top: int | None = None) -> Running:
        if not n:
            return Placed([], [])
        answers = yield [(place,) for place in range(n)]
        return by_score([aligned((0,), answer)[0] for answer in answers])

    def calls(self, n: int, top: int | None = None) -> int:
        return n

    def exact(self, n: int, top: int | None = None) -> int:
        return n

    @property
    def width(self) -> int:
        return 1


@part
class SingleShot(Schedule):
    """The first `size` places (default: all) in one question; the rest stays after them.

    Exact when one question holds all. Calls, exactly: 1 for n > 1. Source: LRL as a last stage (Ma et al., 2023).
    """

    takes_top: ClassVar[bool] = False
    size: TwoOrMore | None = None

    def run(self, n: int, top: int | None = None) -> Running:
        shown = tuple(range(n))[: self.size]
        if len(shown) < 2:
            return Placed(range(n))
        (answer,) = yield [shown]
        return first(complete(shown, answer), n)

    def calls(self, n: int, top: int | None = None) -> int:
        return int(n > 1)

    def exact(self, n: int, top: int | None = None) -> int:
        return n if self.size is None or n <= self.size else 0

    @property
    def width(self) -> int | None:
        return self.size


@part
class Partition(Schedule):
    """Disjoint groups of at most `size`, all scored in one round, `epochs` times over with other groups; the score of a
    place is the mean of those it got.

    The first epoch deals the places out in turn, so that every group spans all ranks; the others shuffle (`seed`).
    Exact when scores of different groups are comparable. Calls, exactly: `epochs * ceil(n / size)`. Source: GroupRank
    (2025): mixed groups beat groups of neighbours by 1.8 nDCG@10 on BRIGHT, gains end after about four epochs.
    """

    takes_top: ClassVar[bool] = False
    answers: ClassVar[Answers] = "scores"
    size: PositiveInt = 20
    epochs: PositiveInt = 1
    seed: Annotated[int, OPTIONAL] = NOT_GIVEN

    usual: ClassVar[Mapping[str, Any]] = {"seed": 0}

    def __post_init__(self) -> None:
        off = "in one epoch, whose groups are not shuffled" if self.epochs == 1 else None
        settle(self, "seed", off=off, remedy="take more epochs")

    def run(self, n: int, top: int | None = None) -> Running:
        if not n:
            return Placed([], [])
        asked = [shown for epoch in range(self.epochs) for shown in level(self._shuffled(n, epoch), self.size)]
        answers = yield asked
        got: list[list[float]] = [[] for _ in range(n)]
        for shown, answer in zip(asked, answers, strict=True):
            for place, score in zip(shown, aligned(shown, answer), strict=True):
                if score is not None:
                    got[place].append(score)
        return by_score([sum(scores) / len(scores) if scores else None for scores in got])

    def _shuffled(self, n: int, epoch: int) -> list[int]:
        places = list(range(n))
        if epoch:
            Random(f"{self.seed}:{epoch}").shuffle(places)
        return places

    def calls(self, n: int, top: int | None = None) -> int:
        return self.epochs * -(-n // self.size)

    def exact(self, n: int, top: int | None = None) -> int:
        return n

    @property
    def width(self) -> int:
        return self.size
