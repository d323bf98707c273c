"""Let a language model order windows of candidates."""

from __future__ import annotations

from pydantic import PositiveInt

from tamis.errors import ConfigError
from tamis.judges.base import Judge, JudgeRef
from tamis.judges.permutation import Permutation
from tamis.parts.numbers import TwoOrMore
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

    An answer that names only some passages orders those and leaves the rest behind them; one that names none is asked
    for once more, then the window keeps its order. `judge`: another judge of lists (`identifiers`, `thinking` around
    a `permutation`, ...), which then says how long passages are. `schedule`: another schedule instead of the window
    (`tournament_graph`, `top_down`, ...); `top`: how many places it must get right. Scale: `ordinal` (no scores).
    Source: RankGPT (Sun et al., 2023).
    """

    model: ModelRef
    depth: Limit = None
    window: TwoOrMore = 20
    stride: PositiveInt = 10
    passes: PositiveInt = 1
    passage_tokens: PassageTokens = 256
    judge: JudgeRef | None = None
    schedule: ScheduleRef | None = None
    top: PositiveInt | None = None

    def __post_init__(self) -> None:
        if self.stride > self.window:
            raise ConfigError(f"stride {self.stride} must not exceed window {self.window}, or passages are skipped")
        self.check()

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        judge = self.judge or Permutation(passage_tokens=self.passage_tokens)
        return judge, self.schedule or Sliding(self.window, self.stride, self.passes)

    @property
    def first(self) -> int | None:
        return self.top
