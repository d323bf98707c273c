"""Let a language model grade groups of candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import PositiveInt

from tamis.judges.base import Judge, JudgeRef
from tamis.judges.grades import Grades
from tamis.parts.options import NOT_GIVEN, OPTIONAL, settle
from tamis.parts.part import part
from tamis.rankers.judged import Judged
from tamis.schedules.base import Schedule
from tamis.schedules.single import Partition
from tamis.stage.scoring import Limit
from tamis.values.model import ModelRef


@part
class Groupwise(Judged):
    """Sort by the mean grade over `epochs` partitions into mixed groups of at most `size`. Calls: `epochs * ceil(n /
    size)`, all in one round.

    Fuse with the first stage for judges that were not trained to rank: `Fuse((Groupwise(llm), FirstStage()),
    weights=(.6, .4), method="weighted")`. Scale: graded. Source: GroupRank (2025).
    """

    model: ModelRef
    depth: Limit = None
    size: PositiveInt = 20
    epochs: PositiveInt = 1
    seed: Annotated[int, OPTIONAL] = NOT_GIVEN
    judge: JudgeRef = Grades()

    usual: ClassVar[Mapping[str, Any]] = {"seed": 0}

    def __post_init__(self) -> None:
        off = "in one epoch, whose groups are not shuffled" if self.epochs == 1 else None
        settle(self, "seed", off=off, remedy="take more epochs")
        self.check()

    @property
    def asks(self) -> tuple[Judge, Schedule]:
        return self.judge, Partition(self.size, self.epochs, self.seed)
