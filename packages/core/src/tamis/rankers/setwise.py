"""Let a language model pick the best of a few candidates, and sort by that."""

from __future__ import annotations

from pydantic import PositiveInt

from tamis.judges.base import Judge, JudgeRef
from tamis.judges.choice import Choice
from tamis.judges.permutation import Permutation
from tamis.parts.numbers import TwoOrMore
from tamis.parts.part import part
from tamis.rankers.judged import TOP, Judged
from tamis.schedules.base import Schedule, ScheduleRef
from tamis.schedules.sorts import Heap
from tamis.schedules.tournaments import Knockout
from tamis.stage.scoring import Limit
from tamis.values.model import ModelRef


@part
class Setwise(Judged):
    """Find the first `top` places by picking the best of a parent and its children in a heap. Calls: about n / c +
    top * log_c n, in sequence; the rest keeps its order.

    `judge`: `choice` (default, the model writes one number), `identifiers` (one token's probabilities), `thinking`
    around either, ... `schedule`: `heap` (default), `bubble`, `staged` (TourRank), ... Scale: `ordinal`, `fusion` for
    `staged`. Source: Zhuang et al., 2024; with thinking and 19 children Rank-R1 (2025).
    """

    model: ModelRef
    depth: Limit = None
    schedule: ScheduleRef = Heap()
    judge: JudgeRef = Choice()
    top: PositiveInt | None = TOP

    def __post_init__(self) -> None:
        self.check()

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        return self.judge, self.schedule

    @property
    def first(self) -> int | None:
        return self.top


@part
class Tournament(Judged):
    """Find the first `top` places by tournaments of groups of `size`, whose answers are kept for the next place.

    Calls: about n / size and then one or two a level for each further place. `judge`: a judge of lists or sets. Scale:
    `ordinal`. Source: ListT5 (Yoon et al., 2024).
    """

    model: ModelRef
    depth: Limit = None
    size: TwoOrMore = 5
    keep: PositiveInt = 1
    judge: JudgeRef = Permutation()
    top: PositiveInt | None = TOP

    def __post_init__(self) -> None:
        self.check()

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        return self.judge, Knockout(self.size, self.keep)

    @property
    def first(self) -> int | None:
        return self.top
