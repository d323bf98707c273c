"""Let a language model order windows of candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import PositiveInt

from tamis.errors import ConfigError
from tamis.judges.base import Judge, JudgeRef
from tamis.judges.permutation import Permutation
from tamis.parts.numbers import Samples, TwoOrMore
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.prompts.prompting import PassageTokens
from tamis.rankers.judged import Judged
from tamis.schedules.base import Schedule, ScheduleRef
from tamis.schedules.sliding import Sliding
from tamis.stage.scoring import Limit
from tamis.values.model import ModelRef


@part
class Listwise(Judged):
    """Order by a sliding window of generated permutations. Calls: `passes * (1 + ceil((n - window) / stride))`, in
    sequence.

    An answer that names only some passages orders those and leaves the rest after them; one that names none is asked
    for once more, then the window keeps its order. `judge`: another judge of lists (`identifiers`, `thinking` around
    a `permutation`, ...), which then says how long passages are. `schedule`: another schedule instead of the window
    (`tournament_graph`, `top_down`, ...); `top`: how many places it must get right. Scale: `ordinal` (no scores).
    Source: RankGPT (Sun et al., 2023).
    """

    model: ModelRef
    depth: Limit = None
    window: Annotated[TwoOrMore, OPTIONAL] = NOT_GIVEN
    stride: Annotated[PositiveInt, OPTIONAL] = NOT_GIVEN
    passes: Annotated[Samples, OPTIONAL] = NOT_GIVEN
    passage_tokens: Annotated[PassageTokens, OPTIONAL] = NOT_GIVEN
    judge: JudgeRef | None = None
    schedule: ScheduleRef | None = None
    top: PositiveInt | None = None

    usual: ClassVar[Mapping[str, Any]] = {"window": 20, "stride": 10, "passes": 1, "passage_tokens": 256}

    def __post_init__(self) -> None:
        settle(
            self, "window", "stride", "passes", off="with a schedule" if self.schedule else None, remedy="the schedule"
        )
        settle(self, "passage_tokens", off="with a judge" if self.judge else None, remedy="give it to the judge")
        if self.schedule is None and self.stride > self.window:
            raise ConfigError(f"stride {self.stride} must not exceed window {self.window}, or passages are skipped")
        self.check()

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        judge = self.judge or Permutation(passage_tokens=self.passage_tokens)
        return judge, self.schedule or Sliding(self.window, self.stride, self.passes)

    @property
    def first(self) -> int | None:
        return self.top
