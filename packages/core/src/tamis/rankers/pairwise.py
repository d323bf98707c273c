"""Let a language model compare candidates two by two."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tamis.judges.base import Judge
from tamis.judges.preference import Preference
from tamis.part import part
from tamis.rankers.judged import Judged
from tamis.rankers.scoring import Depth
from tamis.references import JudgeRef, ModelRef, ScheduleRef
from tamis.schedules.base import Schedule
from tamis.schedules.pairs import AllPairs


@part
class Pairwise(Judged):
    """Sort by comparisons of two candidates, each asked in both orders so that position has no say.

    `schedule`: `all_pairs` (default; n(n-1) calls in one round), `sampled_pairs`, `heap` and `bubble` for the first
    `top` places, `champion` for the best alone. `judge`: another judge of pairs; default the probabilities of the names
    A and B, ties where the two orders disagree. Scale: `fusion` (sums of wins), `ordinal` for `heap`, `bubble` and
    `champion`. Source: PRP (Qin et al., 2024).
    """

    model: ModelRef
    depth: Depth = 20
    schedule: ScheduleRef = AllPairs()
    judge: JudgeRef = Preference()
    top: Annotated[int, Field(ge=1)] | None = 10

    def __post_init__(self) -> None:
        self.check()

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        return self.judge, self.schedule

    @property
    def first(self) -> int | None:
        return self.top
