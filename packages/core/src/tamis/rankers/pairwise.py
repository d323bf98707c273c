"""Let a language model compare candidates two by two."""

from __future__ import annotations

from pydantic import PositiveInt

from tamis.errors import ConfigError
from tamis.judges.base import Judge, JudgeRef, innermost
from tamis.judges.preference import Preference
from tamis.parts.part import part
from tamis.rankers.judged import TOP, Judged
from tamis.schedules.base import Schedule, ScheduleRef
from tamis.schedules.pairs import AllPairs, SampledPairs
from tamis.stage.scoring import Limit
from tamis.values.model import ModelRef


@part
class Pairwise(Judged):
    """Sort by comparisons of two candidates, each asked in both orders so that position does not count.

    `schedule`: `all_pairs` (default; n(n-1) calls in one round), `sampled_pairs`, `heap` and `bubble` for the first
    `top` places, `champion` for the best alone. `judge`: another judge of pairs; default the probabilities of the names
    A and B, ties where the two orders disagree; for `sampled_pairs` their mean, as few comparisons must show by how
    much a passage is better (`ConfigError` for a judge that says only which). Scale: `fusion` (sums of wins),
    `ordinal` for `heap`, `bubble` and `champion`. Sources: PRP (Qin et al., 2024); zELO (Pipitone et al., 2025).
    """

    model: ModelRef
    depth: Limit = 20
    schedule: ScheduleRef = AllPairs()
    judge: JudgeRef | None = None
    top: PositiveInt | None = TOP

    def __post_init__(self) -> None:
        self.check()
        judge = innermost(self.judge)
        if self._sampled and isinstance(judge, Preference) and (judge.ties or judge.readout == "text"):
            raise ConfigError(
                "Pairwise: sampled_pairs compares each passage a few times, so its judge must tell by how much one is "
                "better, not only which; use preference: {ties: false} with readout logprobs, or all_pairs"
            )

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        return self.judge or Preference(ties=not self._sampled), self.schedule

    @property
    def _sampled(self) -> bool:
        return isinstance(self.schedule, SampledPairs)

    @property
    def first(self) -> int | None:
        return self.top
