"""Score each candidate by how likely a language model is to call it relevant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from tamis.judges.base import Judge, JudgeRef
from tamis.judges.labels import Labels
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.prompts.prompting import PassageTokens
from tamis.rankers.judged import Judged
from tamis.schedules.base import Schedule
from tamis.schedules.single import Map
from tamis.stage.scoring import Limit
from tamis.values.model import ModelRef


@part
class Pointwise(Judged):
    """Sort by p(`labels[0]`) against p(`labels[1]`) as the model's next word. One `choice_logprobs` call per candidate.

    `judge`: another judge of one candidate (`labels` with graded values, `head`, `thinking` around `labels`, ...),
    which then says what is asked. Scale: `probability` (not calibrated), or the judge's. Each passage is cut to
    `passage_tokens`. Source: Zhuang et al., 2023.
    """

    model: ModelRef
    depth: Limit = None
    labels: Annotated[tuple[str, str], OPTIONAL] = NOT_GIVEN
    passage_tokens: Annotated[PassageTokens, OPTIONAL] = NOT_GIVEN
    judge: JudgeRef | None = None

    usual: ClassVar[Mapping[str, Any]] = {"labels": ("Yes", "No"), "passage_tokens": 512}

    def __post_init__(self) -> None:
        off = "with a judge" if self.judge else None
        settle(self, "labels", "passage_tokens", off=off, remedy="give them to the judge")
        self.check()

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        return self.judge or Labels(self.labels, passage_tokens=self.passage_tokens), Map()
